//! Skew, shared and missing voltages, noise, no-load and harmonics.

use std::f64::consts::TAU;

use metering::{Calibration, Channel, ChannelConfig, Flags, Pair, PhaseShift, VoltageInput};

use crate::signal::{Measured, Signal, noise};

/// Feeds pairs made of a signal's at two times: the voltage's and the current's.
fn measure(
    config: ChannelConfig,
    signal: &Signal,
    seconds: u64,
    times: impl Fn(f64) -> (f64, f64),
) -> Measured {
    let mut channel = Channel::new(config).expect("in range");
    let mut measured = Measured::default();
    let rate_hz = signal.rate_hz as u64;
    for portion in 0..seconds * 10 {
        let pairs: Vec<Pair> = (portion * rate_hz / 10..(portion + 1) * rate_hz / 10)
            .map(|index| {
                let (voltage_s, current_s) = times((index + 1) as f64 / signal.rate_hz);
                Pair {
                    voltage: signal.pair(voltage_s).voltage,
                    current: signal.pair(current_s).current,
                }
            })
            .collect();
        channel.push(&pairs, (portion + 1) * 100_000, &mut |output| {
            measured.take(output)
        });
    }
    measured
}

fn with_calibration(signal: &Signal, change: impl Fn(&mut Calibration)) -> ChannelConfig {
    let mut config = signal.config();
    change(&mut config.calibration);
    config
}

/// Largest errors of active and reactive power in shares of the apparent, after the first second.
fn power_errors(measured: &Measured, signal: &Signal) -> (f64, f64) {
    let apparent = signal.voltage_v * signal.current_a;
    let settled = measured.windows.iter().skip(6);
    settled.fold((0.0, 0.0), |worst, window| {
        let error = |found_m: i32, true_value: f64| {
            ((f64::from(found_m) / 1e3 - true_value) / apparent).abs()
        };
        (
            f64::max(
                worst.0,
                error(window.active_power_mw, signal.active_power_w()),
            ),
            f64::max(
                worst.1,
                error(window.reactive_power_mvar, signal.reactive_power_var()),
            ),
        )
    })
}

#[test]
fn skew_is_corrected_at_any_power_factor_frequency_and_rate() {
    for (rate_hz, nominal_rate_hz) in [(2_000.0, 2_000), (8_000.0, 8_000), (50_000.0, 50_000)] {
        for frequency_hz in [45.0, 50.0, 60.0, 65.0] {
            for skew_us in [30, -30, 300, -300] {
                for lag in [0.0, 1.0 / 6.0, -0.102_416] {
                    let signal = Signal {
                        frequency_hz,
                        rate_hz,
                        nominal_rate_hz,
                        lag,
                        ..Signal::default()
                    };
                    let config = with_calibration(&signal, |calibration| {
                        calibration.current_skew_ns = skew_us * 1_000;
                    });
                    let measured = measure(config, &signal, 2, |time_s| {
                        (time_s, time_s + f64::from(skew_us) / 1e6)
                    });
                    let (active, reactive) = power_errors(&measured, &signal);
                    // A window's edge at 33 samples a cycle leaves this much without any skew too.
                    assert!(
                        active < 4e-4 && reactive < 4e-4,
                        "{signal:?} {skew_us}: {active} {reactive}"
                    );
                }
            }
        }
    }
}

#[test]
fn skew_without_correction_would_show() {
    let signal = Signal {
        lag: 1.0 / 6.0,
        ..Signal::default()
    };
    let measured = measure(signal.config(), &signal, 2, |time_s| {
        (time_s, time_s + 30e-6)
    });
    let (active, _) = power_errors(&measured, &signal);
    assert!(active > 5e-3, "{active}");
}

#[test]
fn skew_leaves_harmonics_nearly_as_they_are() {
    let signal = Signal {
        distortion: (0.1, 0.4),
        lag: 0.05,
        ..Signal::default()
    };
    let config = with_calibration(&signal, |calibration| calibration.current_skew_ns = 30_000);
    let measured = measure(config, &signal, 2, |time_s| (time_s, time_s + 30e-6));
    let (active, _) = power_errors(&measured, &signal);
    assert!(active < 2e-3, "{active}");
}

#[test]
fn phases_two_and_three_are_measured_with_the_voltage_of_the_first() {
    for (shift, turns) in [
        (PhaseShift::Lag120, 1.0 / 3.0),
        (PhaseShift::Lag240, 2.0 / 3.0),
    ] {
        for frequency_hz in [45.0, 50.0, 50.3, 60.0, 65.0] {
            for lag in [0.0, 1.0 / 6.0, 1.0 / 3.0] {
                let signal = Signal {
                    frequency_hz,
                    lag,
                    distortion: (0.03, 0.2),
                    ..Signal::default()
                };
                let mut config = signal.config();
                config.voltage = VoltageInput::Shared(shift);
                // The first phase is where the channel's own will be so much later.
                let measured = measure(config, &signal, 3, |time_s| {
                    (time_s + turns / frequency_hz, time_s)
                });
                assert!(measured.windows.len() > 10);
                let (active, reactive) = power_errors(&measured, &signal);
                assert!(
                    active < 2.5e-3 && reactive < 2e-3,
                    "{shift:?} {signal:?}: {active} {reactive}"
                );
            }
        }
    }
}

#[test]
fn a_shared_voltage_survives_gaps() {
    let signal = Signal {
        lag: 1.0 / 6.0,
        ..Signal::default()
    };
    let mut config = signal.config();
    config.voltage = VoltageInput::Shared(PhaseShift::Lag120);
    let mut channel = Channel::new(config).expect("in range");
    let mut measured = Measured::default();
    for portion in 0..600_u64 {
        // 50 ms are missing every second.
        if portion % 20 == 7 {
            continue;
        }
        let pairs: Vec<Pair> = (portion * 100..(portion + 1) * 100)
            .map(|index| {
                let time_s = (index + 1) as f64 / 2_000.0;
                Pair {
                    voltage: signal.pair(time_s + 1.0 / 150.0).voltage,
                    current: signal.pair(time_s).current,
                }
            })
            .collect();
        channel.push(&pairs, (portion + 1) * 50_000, &mut |output| {
            measured.take(output)
        });
    }
    let energy_j = measured.intervals[1..=28]
        .iter()
        .map(|interval| f64::from(interval.energy_quanta) * 0.1)
        .sum::<f64>();
    let error = energy_j / 28.0 / signal.active_power_w() - 1.0;
    assert!(error.abs() < 5e-4, "{error}");
    let coverage = measured.intervals[10].coverage_permille;
    // The voltage of the 7 ms after a gap is not known either, nor are the cycles that the gap cuts.
    assert!((880..=945).contains(&coverage), "{coverage}");
}

#[test]
fn without_a_voltage_power_is_estimated_and_says_so() {
    let signal = Signal {
        frequency_hz: 49.9,
        ..Signal::default()
    };
    let mut config = signal.config();
    config.voltage = VoltageInput::Assumed {
        voltage_mv: 230_000,
        power_factor_permille: 900,
    };
    let measured = measure(config, &signal, 4, |time_s| (f64::NAN, time_s));
    for window in &measured.windows[3..] {
        assert_eq!(window.flags, Flags::ESTIMATED);
        assert!(
            (window.active_power_mw - 1_035_000).abs() < 200,
            "{window:?}"
        );
        assert!(window.frequency_mhz.abs_diff(49_900) <= 2 && window.voltage_mv == 0);
    }
    assert_eq!(measured.intervals[2].energy_quanta, 10_350);
    assert!(measured.intervals[2].flags.contains(Flags::ESTIMATED));
}

/// White noise of so many codes around a quiet current.
fn noisy(noise_codes: f64, current_codes: f64, seconds: u64, config: ChannelConfig) -> Measured {
    let mut channel = Channel::new(config).expect("in range");
    let mut measured = Measured::default();
    let mut noise = noise(0x2545_f491_4f6c_dd1d);
    for portion in 0..seconds * 10 {
        let pairs: Vec<Pair> = (portion * 200..(portion + 1) * 200)
            .map(|index| {
                let turn = index as f64 / 40.0 * TAU;
                Pair {
                    voltage: (2_048.0 + 1_200.0 * turn.sin()) as u16,
                    current: (2_048.3 + current_codes * turn.sin() + noise_codes * noise()).round()
                        as u16,
                }
            })
            .collect();
        channel.push(&pairs, (portion + 1) * 100_000, &mut |output| {
            measured.take(output)
        });
    }
    measured
}

/// A 12-bit converter behind a transformer of 100 A: 77 mA a code.
fn coarse(change: impl Fn(&mut Calibration)) -> ChannelConfig {
    let mut config = Signal::default().config();
    config.full_scale_code = 4_095;
    config.calibration = Calibration::ideal(265_000_000, 76_700_000);
    config.interval_ms = 10_000;
    config.power_unit_mw = 1_000;
    change(&mut config.calibration);
    config
}

#[test]
fn noise_is_no_current() {
    let current_ma = |config| {
        let measured = noisy(3.0, 0.0, 40, config);
        let mean = measured.windows[5..]
            .iter()
            .map(|window| f64::from(window.current_ua) / 1e3)
            .sum::<f64>();
        mean / (measured.windows.len() - 5) as f64
    };
    // 3 codes of noise and the rounding to whole codes: 3.014 · 76.7 mA.
    let raw = current_ma(coarse(|_| ()));
    assert!((raw - 231.2).abs() < 1.0, "{raw}");
    let corrected = current_ma(coarse(|calibration| {
        calibration.current_noise_na = 231_200_000
    }));
    assert!(corrected < 45.0, "{corrected}");
}

#[test]
fn noise_registers_nothing_and_a_small_load_does() {
    let config = || coarse(|calibration| calibration.no_load_mw = 4_000);
    let quiet = noisy(3.0, 0.0, 1_000, config());
    assert!(quiet.intervals.len() >= 99);
    assert!(
        quiet
            .intervals
            .iter()
            .all(|interval| interval.energy_quanta == 0)
    );
    assert!(
        quiet.intervals[1..]
            .iter()
            .all(|interval| interval.flags.contains(Flags::NO_LOAD))
    );
    let without = noisy(3.0, 0.0, 1_000, coarse(|_| ()));
    assert!(
        without
            .intervals
            .iter()
            .any(|interval| interval.energy_quanta != 0)
    );
    // 0.36 codes of peak are 20 mA: 4.5 W.
    let load = noisy(3.0, 0.36, 200, config());
    let energy: i32 = load.intervals[2..]
        .iter()
        .map(|interval| interval.energy_quanta)
        .sum();
    let seconds = (load.intervals.len() - 2) as f64 * 10.0;
    let power_w = f64::from(energy) * 10.0 / seconds;
    assert!((power_w - 4.39).abs() < 0.6, "{power_w}");
    assert!(!load.intervals[5].flags.contains(Flags::NO_LOAD));
}

#[test]
fn harmonics_are_those_of_the_signal() {
    for (frequency_hz, rate_hz, nominal_rate_hz) in [
        (50.0, 2_000.0, 2_000),
        (49.7, 2_010.0, 2_000),
        (60.2, 10_000.0, 10_000),
    ] {
        let signal = Signal {
            frequency_hz,
            rate_hz,
            nominal_rate_hz,
            distortion: (0.1, 0.4),
            // The current is not 0 where a window ends.
            lag: 0.2,
            ..Signal::default()
        };
        let mut channel = Channel::new(signal.config()).expect("in range");
        let until = |seconds: f64| (seconds * rate_hz) as u64 / 100 * 100;
        let before = signal.feed(&mut channel, 0..until(1.0), |_| false);
        assert!(before.spectra.is_empty());
        channel.request_spectrum();
        let measured = signal.feed(&mut channel, until(1.0)..until(3.0), |_| false);
        let [spectrum] = measured.spectra[..] else {
            panic!("{} spectra", measured.spectra.len());
        };
        assert!(
            measured
                .windows
                .iter()
                .any(|window| window.end_us == spectrum.end_us)
        );
        for (found, third, fifth) in [
            (spectrum.voltage, 0.0, 1_000.0),
            (spectrum.current, 4_000.0, 4_000.0),
        ] {
            let expected = |index: usize| match index {
                0 => 10_000.0,
                2 => third,
                4 => fifth,
                _ => 0.0,
            };
            for (index, &share) in found.shares.iter().enumerate() {
                let error = f64::from(share) - expected(index);
                assert!(
                    error.abs() < 14.0,
                    "{frequency_hz} order {}: {share}",
                    index + 1
                );
            }
            let distortion = f64::hypot(third, fifth);
            assert!(
                (f64::from(found.distortion) - distortion).abs() < 14.0,
                "{found:?}"
            );
        }
    }
}

#[test]
fn harmonics_wait_for_a_whole_window_without_a_gap() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    signal.feed(&mut channel, 0..2_000, |_| false);
    channel.request_spectrum();
    // Every third portion of 50 ms is lost: no window of 200 ms is whole.
    let broken = signal.feed(&mut channel, 2_000..6_000, |at| at % 300 == 0);
    assert!(broken.spectra.is_empty() && !broken.windows.is_empty());
    let whole = signal.feed(&mut channel, 6_000..8_000, |_| false);
    assert_eq!(whole.spectra.len(), 1);
}

#[test]
fn apparent_power_and_power_factor_follow() {
    let signal = Signal {
        lag: 1.0 / 3.0,
        ..Signal::default()
    };
    let window = *signal.measure(2).windows.last().expect("some");
    assert!(
        window.apparent_power_mva().abs_diff(1_150_000) < 300,
        "{window:?}"
    );
    assert_eq!(window.power_factor_permille(), -500);
    assert_eq!(metering::Window::default().power_factor_permille(), 0);
}
