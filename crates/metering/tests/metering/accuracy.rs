//! Figures of merit on clean signals.

use crate::signal::Signal;

const FREQUENCIES_HZ: [f64; 9] = [45.0, 47.5, 49.9, 50.0, 52.3, 55.0, 57.6, 60.0, 65.0];
/// Power factor 1, 0.5 inductive, 0.8 capacitive, and export at 0.5.
const LAGS: [f64; 4] = [0.0, 1.0 / 6.0, -0.102_416, 1.0 / 3.0];

/// Largest errors of windows and the error of their mean.
#[derive(Debug, Default)]
struct Errors {
    voltage: f64,
    current: f64,
    /// Of the apparent power.
    active: f64,
    active_mean: f64,
    reactive: f64,
    frequency_mhz: f64,
}

fn errors(signal: &Signal) -> Errors {
    let measured = signal.measure(5);
    // The first window is not synchronised, and the mean that rises are counted through settles in the next.
    let windows = &measured.windows[5..];
    assert!(windows.len() >= 16, "{signal:?}: {} windows", windows.len());
    let apparent = signal.voltage_v * signal.current_a;
    let (fifth_v, harmonics_a) = signal.distortion;
    let voltage = signal.voltage_v * (1.0 + fifth_v * fifth_v).sqrt();
    let current = signal.current_a * (1.0 + 2.0 * harmonics_a * harmonics_a).sqrt();
    let mut errors = Errors::default();
    let worst = |worst: &mut f64, error: f64| *worst = worst.max(error.abs());
    for window in windows {
        worst(
            &mut errors.voltage,
            f64::from(window.voltage_mv) / 1e3 / voltage - 1.0,
        );
        worst(
            &mut errors.current,
            f64::from(window.current_ua) / 1e6 / current - 1.0,
        );
        let active = f64::from(window.active_power_mw) / 1e3 - signal.active_power_w();
        worst(&mut errors.active, active / apparent);
        errors.active_mean += active / apparent / windows.len() as f64;
        let reactive = f64::from(window.reactive_power_mvar) / 1e3 - signal.reactive_power_var();
        worst(&mut errors.reactive, reactive / apparent);
        worst(
            &mut errors.frequency_mhz,
            f64::from(window.frequency_mhz) - signal.frequency_hz * 1e3,
        );
        assert_eq!(window.flags.0, 0, "{signal:?}");
    }
    errors
}

fn assert_within(signal: &Signal, limits: &Errors) {
    let errors = errors(signal);
    let within = errors.voltage <= limits.voltage
        && errors.current <= limits.current
        && errors.active <= limits.active
        && errors.active_mean.abs() <= limits.active_mean
        && errors.reactive <= limits.reactive
        && errors.frequency_mhz <= limits.frequency_mhz;
    assert!(within, "{signal:?}\n{errors:?}\n{limits:?}");
}

// At 50 Hz the same 40 codes come in every cycle, so the rounding of 16 bits does not average out: 6e-5, and 1.1e-4 for 33.
const SINES: Errors = Errors {
    voltage: 1e-4,
    current: 2e-4,
    active: 3e-4,
    active_mean: 1.5e-4,
    reactive: 2e-4,
    frequency_mhz: 1.0,
};

#[test]
fn sines_of_45_to_65_hz_are_measured_at_every_power_factor() {
    for frequency_hz in FREQUENCIES_HZ {
        for lag in LAGS {
            let signal = Signal {
                frequency_hz,
                lag,
                ..Signal::default()
            };
            assert_within(&signal, &SINES);
        }
    }
}

#[test]
fn sample_rate_that_is_off_by_a_percent_changes_nothing() {
    for share in [0.99, 1.01] {
        for (frequency_hz, nominal_rate_hz) in [(50.0, 2_000), (60.0, 2_000), (50.0, 7_813)] {
            for lag in LAGS {
                let rate_hz = share * f64::from(nominal_rate_hz);
                let signal = Signal {
                    frequency_hz,
                    lag,
                    rate_hz,
                    nominal_rate_hz,
                    ..Signal::default()
                };
                assert_within(&signal, &SINES);
            }
        }
    }
}

#[test]
fn offset_of_five_percent_changes_nothing() {
    for (voltage, current) in [(1.05, 0.95), (0.95, 1.05), (1.05, 1.05)] {
        for lag in LAGS {
            let middle = (32_768.0 * voltage, 32_768.0 * current);
            let signal = Signal {
                middle,
                lag,
                ..Signal::default()
            };
            assert_within(&signal, &SINES);
        }
    }
}

#[test]
fn faster_sampling_leaves_less_at_the_edges() {
    let signal = Signal {
        lag: 1.0 / 6.0,
        rate_hz: 50_000.0,
        nominal_rate_hz: 50_000,
        ..Signal::default()
    };
    let limits = Errors {
        voltage: 1e-5,
        current: 1e-4,
        active: 2e-5,
        active_mean: 2e-5,
        reactive: 5e-5,
        frequency_mhz: 0.6,
    };
    assert_within(&signal, &limits);
}

#[test]
fn harmonics_count_in_active_power_and_not_in_reactive() {
    for frequency_hz in [49.7, 60.2] {
        for lag in LAGS {
            let signal = Signal {
                frequency_hz,
                lag,
                distortion: (0.1, 0.4),
                ..Signal::default()
            };
            let limits = Errors {
                active: 1e-3,
                active_mean: 1e-4,
                reactive: 1e-3,
                current: 5e-4,
                voltage: 2e-4,
                frequency_mhz: 20.0,
            };
            assert_within(&signal, &limits);
        }
    }
}

#[test]
fn energy_of_small_currents_is_right() {
    // 0.2 A of 111 A, 42 codes rms: rounding a sine of this size to whole codes makes it 0.026 % larger.
    for lag in [0.0, 1.0 / 6.0] {
        let signal = Signal {
            current_a: 0.2,
            lag,
            frequency_hz: 50.02,
            ..Signal::default()
        };
        let mut channel = metering::Channel::new(signal.config()).expect("in range");
        let measured = signal.feed(&mut channel, 0..121_000, |_| false);
        let intervals = &measured.intervals[1..=59];
        let energy_j: f64 = intervals
            .iter()
            .map(|interval| f64::from(interval.energy_quanta) * 0.1)
            .sum();
        let error = energy_j / 59.0 / signal.active_power_w() - 1.0;
        assert!((error - 0.000_26).abs() < 0.000_1, "{lag}: {error}");
    }
}

#[test]
fn windows_are_ten_cycles_at_50_and_twelve_at_60_hz() {
    for (frequency_hz, cycles) in [(45.0, 10.0), (50.0, 10.0), (60.0, 12.0), (65.0, 12.0)] {
        let signal = Signal {
            frequency_hz,
            ..Signal::default()
        };
        let windows = signal.measure(4).windows;
        for pair in windows[1..].windows(2) {
            let length_us = (pair[1].end_us - pair[0].end_us) as f64;
            assert!(
                (length_us - cycles / frequency_hz * 1e6).abs() < 20.0,
                "{frequency_hz}: {length_us}"
            );
        }
    }
}

#[test]
fn reading_shows_means_and_extremes_of_its_interval() {
    let signal = Signal {
        lag: 1.0 / 6.0,
        ..Signal::default()
    };
    let interval = signal.measure(5).intervals[3];
    assert_eq!(interval.end_us, 4_000_000);
    assert_eq!(interval.energy_quanta, 5_750);
    assert_eq!(interval.reactive_power_var, 996);
    assert_eq!(interval.voltage_dv, 2_300);
    assert_eq!(interval.current_ca, 500);
    assert_eq!(interval.frequency_chz, 5_000);
    assert_eq!(interval.coverage_permille, 1_000);
    assert_eq!(
        (interval.minimum_power_w, interval.maximum_power_w),
        (575, 575)
    );
}
