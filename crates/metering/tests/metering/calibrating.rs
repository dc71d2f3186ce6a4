//! Calibration from captures of a chip's front end.

use std::f64::consts::{SQRT_2, TAU};

use metering::{
    Calibration, Channel, ChannelConfig, Pair, VoltageInput, Window,
    calibration::{CAPTURE_WINDOWS_MIN, Capture, Reference, Refusal},
};

use crate::signal::{Measured, noise};

/// A 12-bit converter with gains, offset, noise and skew of its own.
#[derive(Clone, Copy, Debug)]
struct FrontEnd {
    codes_per_volt: f64,
    codes_per_ampere: f64,
    skew_us: f64,
    noise_codes: f64,
}

const NOMINAL: FrontEnd = FrontEnd {
    codes_per_volt: 2_048.0 / (383.3 * SQRT_2),
    codes_per_ampere: 2_048.0 / (33.3 * SQRT_2),
    skew_us: 0.0,
    noise_codes: 3.0,
};

/// The same with tolerances that a calibration must find.
const REAL: FrontEnd = FrontEnd {
    codes_per_volt: NOMINAL.codes_per_volt * 1.027,
    codes_per_ampere: NOMINAL.codes_per_ampere * 0.974,
    skew_us: 41.0,
    ..NOMINAL
};

impl FrontEnd {
    fn calibration(&self) -> Calibration {
        Calibration::ideal(
            (1e9 / self.codes_per_volt) as u32,
            (1e9 / self.codes_per_ampere) as u32,
        )
    }

    /// Windows of 230 V and a current of so many amperes and turns behind, less the first second.
    fn windows(
        &self,
        calibration: Calibration,
        current_a: f64,
        lag: f64,
        seconds: u64,
    ) -> Vec<Window> {
        let mut channel = Channel::new(ChannelConfig {
            calibration,
            voltage: VoltageInput::Own,
            full_scale_code: 4_095,
            sample_rate_hz: 2_000,
            interval_ms: 10_000,
            power_unit_mw: 1_000,
        })
        .expect("in range");
        let mut measured = Measured::default();
        let mut noise = noise(7);
        for portion in 0..(seconds + 1) * 10 {
            let pairs: Vec<Pair> = (portion * 200..(portion + 1) * 200)
                .map(|index| {
                    let time_s = index as f64 / 2_000.0;
                    let sine =
                        |time_s: f64, lag: f64| SQRT_2 * ((time_s * 50.02 - lag) * TAU).sin();
                    let volts = 230.0 * sine(time_s, 0.0);
                    let amperes = current_a * sine(time_s + self.skew_us / 1e6, lag);
                    let mut code =
                        |value: f64| (2_061.3 + value + self.noise_codes * noise()).round() as u16;
                    Pair {
                        voltage: code(volts * self.codes_per_volt),
                        current: code(amperes * self.codes_per_ampere),
                    }
                })
                .collect();
            channel.push(&pairs, (portion + 1) * 100_000, &mut |output| {
                measured.take(output)
            });
        }
        measured.windows.split_off(6)
    }

    fn capture(&self, calibration: Calibration, current_a: f64, lag: f64, seconds: u64) -> Capture {
        let mut capture = Capture::default();
        for window in self.windows(calibration, current_a, lag, seconds) {
            capture.add(&window);
        }
        capture
    }
}

const KETTLE: Reference = Reference {
    voltage_mv: Some(230_000),
    active_power_mw: 1_150_000,
    resistive: true,
};

#[test]
fn two_minutes_at_in_find_gain_to_a_thousandth_and_phase_to_a_twentieth_of_a_degree() {
    let start = NOMINAL.calibration();
    let noise = REAL
        .capture(start, 0.0, 0.0, 60)
        .solve_no_load(&start)
        .expect("no load");
    let found = REAL
        .capture(noise, 5.0, 0.0, 120)
        .solve_load(&noise, &KETTLE)
        .expect("a load");
    let exact = REAL.calibration();
    let gain = |found: u32, exact: u32| f64::from(found) / f64::from(exact) - 1.0;
    let voltage = gain(found.voltage_nv_per_code, exact.voltage_nv_per_code);
    let current = gain(found.current_na_per_code, exact.current_na_per_code);
    assert!(
        voltage.abs() < 1e-3 && current.abs() < 1e-3,
        "{voltage} {current}"
    );
    let degrees = (f64::from(found.current_skew_ns) / 1e3 - REAL.skew_us) * 50.02 * 360.0 / 1e6;
    assert!(degrees.abs() < 0.05, "{degrees}");
    // 3 codes and the rounding to whole ones.
    let noise_codes = f64::from(found.current_noise_na) / f64::from(exact.current_na_per_code);
    assert!((noise_codes - 3.014).abs() < 0.03, "{noise_codes}");
    // 6 σ of 3.014 codes · 23 mA · 230 V over the root of 20,000 samples.
    assert!(
        (600..1_000).contains(&found.no_load_mw),
        "{}",
        found.no_load_mw
    );
    // It measures what it was not calibrated with: a lagging load.
    let windows = REAL.windows(found, 2.0, 1.0 / 6.0, 30);
    let mean_w = windows
        .iter()
        .map(|window| f64::from(window.active_power_mw))
        .sum::<f64>()
        / windows.len() as f64
        / 1e3;
    assert!((mean_w / 230.0 - 1.0).abs() < 2e-3, "{mean_w}");
}

#[test]
fn a_large_skew_is_not_taken_for_a_small_gain() {
    // 4.5 degrees: what shows as active power is 0.3 % less than what flows.
    let late = FrontEnd {
        skew_us: 250.0,
        ..REAL
    };
    let start = NOMINAL.calibration();
    let found = late
        .capture(start, 5.0, 0.0, 60)
        .solve_load(&start, &KETTLE)
        .expect("a load");
    let gain = f64::from(found.current_na_per_code)
        / f64::from(late.calibration().current_na_per_code)
        - 1.0;
    assert!(gain.abs() < 1e-3, "{gain}");
    assert!((found.current_skew_ns - 250_000).abs() < 2_000, "{found:?}");
}

#[test]
fn a_second_round_changes_next_to_nothing() {
    let start = NOMINAL.calibration();
    let once = REAL
        .capture(start, 5.0, 0.0, 60)
        .solve_load(&start, &KETTLE)
        .expect("a load");
    let twice = REAL
        .capture(once, 5.0, 0.0, 60)
        .solve_load(&once, &KETTLE)
        .expect("a load");
    assert!(
        once.current_na_per_code.abs_diff(twice.current_na_per_code)
            < once.current_na_per_code / 2_000
    );
    assert!(once.current_skew_ns.abs_diff(twice.current_skew_ns) < 500);
}

#[test]
fn nonsense_is_refused_with_the_reason() {
    let start = NOMINAL.calibration();
    let solved = |capture: Capture, reference: Reference| capture.solve_load(&start, &reference);
    let kettle = REAL.capture(start, 5.0, 0.0, 40);
    assert_eq!(
        solved(REAL.capture(start, 5.0, 0.0, 20), KETTLE),
        Err(Refusal::TooShort)
    );
    let twice = Reference {
        active_power_mw: 2_300_000,
        ..KETTLE
    };
    assert_eq!(solved(kettle.clone(), twice), Err(Refusal::WrongLoad));
    let other_mains = Reference {
        voltage_mv: Some(120_000),
        ..KETTLE
    };
    assert_eq!(solved(kettle.clone(), other_mains), Err(Refusal::WrongLoad));
    assert_eq!(
        solved(REAL.capture(start, 5.0, 0.5, 40), KETTLE),
        Err(Refusal::Reversed)
    );
    assert_eq!(
        solved(REAL.capture(start, 5.0, 0.08, 40), KETTLE),
        Err(Refusal::NotResistive)
    );
    // A motor may be used where its power is known, but says nothing about the skew.
    let motor = Reference {
        active_power_mw: 1_007_000,
        resistive: false,
        ..KETTLE
    };
    let found = solved(REAL.capture(start, 5.0, 0.08, 40), motor).expect("a load");
    assert_eq!(found.current_skew_ns, 0);
    assert_eq!(
        solved(REAL.capture(start, 60.0, 0.0, 40), KETTLE),
        Err(Refusal::Clipped)
    );
    let tiny = Reference {
        active_power_mw: 5_000,
        ..KETTLE
    };
    let scattered = solved(REAL.capture(start, 0.022, 0.0, 40), tiny);
    assert_eq!(scattered, Err(Refusal::Unsteady));
    assert_eq!(kettle.solve_no_load(&start), Err(Refusal::LoadPresent));
    let mut dark = kettle;
    dark.add(&Window {
        flags: metering::Flags::NO_VOLTAGE,
        ..Window::default()
    });
    assert_eq!(solved(dark, KETTLE), Err(Refusal::NoVoltage));
}

#[test]
fn a_load_that_changes_is_refused() {
    let start = NOMINAL.calibration();
    let mut capture = REAL.capture(start, 5.0, 0.0, 40);
    for window in REAL.windows(start, 5.4, 0.0, 40) {
        capture.add(&window);
    }
    assert_eq!(capture.solve_load(&start, &KETTLE), Err(Refusal::Unsteady));
    assert!(capture.windows() > CAPTURE_WINDOWS_MIN);
}

#[test]
fn a_channel_goes_on_with_its_new_calibration() {
    let signal = crate::signal::Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    let before = signal.feed(&mut channel, 0..10_000, |_| false);
    let half = Calibration {
        current_na_per_code: crate::signal::CURRENT_NA_PER_CODE / 2,
        ..channel.config().calibration
    };
    channel.recalibrate(half).expect("in range");
    let after = signal.feed(&mut channel, 10_000..20_000, |_| false);
    assert_eq!(before.intervals[3].energy_quanta, 11_500);
    assert_eq!(after.intervals[3].energy_quanta, 5_750);
    // The window that ends the tenth second is still open.
    assert_eq!(before.intervals.len() + after.intervals.len(), 9);
    let wrong = Calibration {
        voltage_nv_per_code: 0,
        ..half
    };
    assert!(channel.recalibrate(wrong).is_err());
    assert_eq!(channel.config().calibration, half);
}
