//! Any samples at any times: no panic (tests check overflow), no time that runs backwards.

use metering::{Calibration, Channel, ChannelConfig, ConfigError, Output, Pair};
use proptest::prelude::*;

use crate::signal::{Measured, Signal};

fn channel(nominal_rate_hz: u32) -> Channel {
    let signal = Signal {
        nominal_rate_hz,
        ..Signal::default()
    };
    Channel::new(signal.config()).expect("in range")
}

/// Feeds a function of the sample's number at 50 kHz for two seconds.
fn fast(code: impl Fn(u64) -> (u16, u16)) -> Measured {
    let mut channel = channel(50_000);
    let mut measured = Measured::default();
    for portion in 0..100 {
        let pairs: Vec<Pair> = (portion * 1_000..(portion + 1) * 1_000)
            .map(|index| {
                let (voltage, current) = code(index);
                Pair { voltage, current }
            })
            .collect();
        channel.push(&pairs, (portion + 1) * 20_000, &mut |output| {
            measured.take(output)
        });
    }
    measured
}

#[test]
fn full_scale_square_waves_at_the_highest_rate_do_not_overflow() {
    let square = |index: u64| {
        if (index / 500).is_multiple_of(2) {
            u16::MAX
        } else {
            0
        }
    };
    let full_w = 32_767.5_f64.powi(2) * 0.016_544 * 0.004_795;
    for sign in [1.0, -1.0] {
        let measured = fast(|index| {
            (
                square(index),
                if sign > 0.0 {
                    square(index)
                } else {
                    !square(index)
                },
            )
        });
        let last = measured.windows.last().expect("some");
        let power_w = f64::from(last.active_power_mw) / 1e3;
        assert!(
            (power_w / full_w * sign - 1.0).abs() < 1e-6,
            "{power_w} {full_w}"
        );
        assert_eq!(last.frequency_mhz, 50_000);
        assert_eq!(last.voltage_mv, 542_106);
    }
}

#[test]
fn longest_windows_at_full_scale_do_not_overflow() {
    // Nothing rises within 260 ms: windows end by their limit, references jump from end to end.
    let measured = fast(|index| {
        if index / 13_000 % 2 == 0 {
            (0, u16::MAX)
        } else {
            (u16::MAX, 0)
        }
    });
    assert!(measured.windows.len() >= 6);
    // One step within the longest window, with the reference at the far end.
    let measured = fast(|index| {
        if index % 12_999 == 0 {
            (0, 0)
        } else {
            (u16::MAX, u16::MAX)
        }
    });
    assert!(measured.windows.len() >= 6);
}

#[test]
fn alternating_samples_end_windows_all_the_same() {
    let measured = fast(|index| {
        if index % 2 == 0 {
            (0, 0)
        } else {
            (u16::MAX, u16::MAX)
        }
    });
    assert!(measured.windows.len() >= 8);
    assert!(
        measured
            .windows
            .iter()
            .all(|window| window.frequency_mhz == 0)
    );
}

#[test]
fn values_out_of_range_are_refused() {
    let good = Signal::default().config();
    let refused = |change: fn(&mut ChannelConfig)| {
        let mut config = good.clone();
        change(&mut config);
        Channel::new(config).expect_err("out of range")
    };
    assert_eq!(
        refused(|config| config.calibration.voltage_nv_per_code = 0),
        ConfigError::VoltageScale
    );
    assert_eq!(
        refused(|config| config.calibration.current_na_per_code = u32::MAX),
        ConfigError::CurrentScale
    );
    assert_eq!(
        refused(|config| config.full_scale_code = 0),
        ConfigError::FullScaleCode
    );
    assert_eq!(
        refused(|config| config.sample_rate_hz = 1_999),
        ConfigError::SampleRate
    );
    assert_eq!(
        refused(|config| config.interval_ms = 900_001),
        ConfigError::Interval
    );
    assert_eq!(
        refused(|config| config.power_unit_mw = 0),
        ConfigError::PowerUnit
    );
    let overflowing = |config: &mut ChannelConfig| {
        config.calibration = Calibration::ideal(1_000_000_000, 1_000_000_000);
    };
    assert_eq!(refused(overflowing), ConfigError::PowerUnit);
}

/// A portion: codes by rule, and how the time goes on.
#[derive(Clone, Debug)]
struct Portion {
    rule: u8,
    seed: u32,
    pairs: usize,
    step_us: u64,
    jump: u8,
}

fn portions() -> impl Strategy<Value = Vec<Portion>> {
    let portion = (
        0..5_u8,
        any::<u32>(),
        1..600_usize,
        0..2_000_000_u64,
        0..12_u8,
    );
    let portion = portion.prop_map(|(rule, seed, pairs, step_us, jump)| Portion {
        rule,
        seed,
        pairs,
        step_us,
        jump,
    });
    prop::collection::vec(portion, 1..60)
}

fn code(rule: u8, seed: u32, index: usize) -> u16 {
    let hashed = (index as u32 ^ seed)
        .wrapping_mul(0x9e37_79b9)
        .rotate_left(13)
        .wrapping_mul(0x85eb_ca6b);
    match rule {
        0 => (hashed >> 16) as u16,
        1 => seed as u16,
        2 => {
            if hashed & 1 == 0 {
                0
            } else {
                u16::MAX
            }
        }
        3 => {
            (32_768.0 + 20_000.0 * (index as f64 * f64::from(seed % 1_000) / 1_000.0).sin()) as u16
        }
        _ => Signal::default().pair(index as f64 / 2_000.0).voltage,
    }
}

proptest! {
    #[test]
    fn any_samples_at_any_times_give_orderly_readings(portions in portions(), rate_hz in 2_000..=50_000_u32) {
        let mut channel = channel(rate_hz);
        let (mut now_us, mut index) = (0_u64, 0);
        let (mut window_us, mut interval_us) = (0, 0);
        for portion in portions {
            let pairs: Vec<Pair> = (index..index + portion.pairs)
                .map(|index| Pair {
                    voltage: code(portion.rule, portion.seed, index),
                    current: code(portion.seed as u8 % 5, portion.seed.rotate_left(7), index),
                })
                .collect();
            index += portion.pairs;
            now_us = match portion.jump {
                0 => portion.step_us,
                1 => now_us.saturating_add(portion.step_us << 20),
                2 | 3 => now_us.saturating_add(portion.step_us),
                4 if portion.seed % 16 == 0 => u64::MAX,
                _ => now_us.saturating_add(portion.pairs as u64 * 1_000_000 / u64::from(rate_hz)),
            };
            let mut intervals = 0;
            channel.push(&pairs, now_us, &mut |output| match output {
                Output::Window(window) => {
                    assert!(window.end_us >= window_us);
                    window_us = window.end_us;
                }
                Output::Spectrum(spectrum) => assert_eq!(spectrum.end_us, window_us),
                Output::Interval(interval) => {
                    assert!(interval_us == 0 || interval.end_us == interval_us + 1_000_000);
                    assert_eq!(interval.end_us % 1_000_000, 0);
                    assert!(interval.coverage_permille <= 1_000);
                    assert!(interval.minimum_power_w <= interval.maximum_power_w);
                    interval_us = interval.end_us;
                    intervals += 1;
                }
            });
            // 64 of a pause, and those of the windows in a portion of at most 0.3 s, filled up to a second each.
            prop_assert!(intervals <= 70, "{} intervals", intervals);
        }
    }
}
