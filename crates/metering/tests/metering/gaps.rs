//! Samples that are missing, voltage that comes and goes, and means instead of samples.

use metering::{Channel, Flags, Interval, Output, Window};

use crate::signal::{Measured, PORTION, Signal};

/// 1150 W for a second are 11,500 quanta; the rounding of 16 bits and the carried rest make it one more or less.
fn assert_1150_w(interval: &Interval) {
    assert!(interval.energy_quanta.abs_diff(11_500) <= 1, "{interval:?}");
}

#[test]
fn gap_of_45_ms_every_ten_seconds_costs_no_energy() {
    let signal = Signal {
        lag: 0.1,
        frequency_hz: 49.97,
        rate_hz: 2_007.0,
        ..Signal::default()
    };
    let mut channel = Channel::new(signal.config()).expect("in range");
    let mut energy_j = 0.0;
    let mut start = 0;
    // 120 s: portions of 45 ms are lost at 10 s, 20 s, …
    for _ in 0..12 {
        let measured = signal.feed(&mut channel, start..start + 20_000, |_| false);
        for interval in measured.intervals {
            energy_j += f64::from(interval.energy_quanta) * 0.1;
            assert!(interval.coverage_permille >= 910, "{interval:?}");
            let frequency_mhz = f64::from(interval.frequency_chz) * 10.0;
            assert!(
                (frequency_mhz - 49_970.0).abs() <= 20.0 || interval.end_us <= 1_000_000,
                "{interval:?}"
            );
        }
        start += 20_000 + 90;
    }
    let seconds = energy_j / signal.active_power_w();
    let whole = signal.time_us(start - 91) / 1_000_000;
    assert!(
        (seconds - whole as f64).abs() < 0.0005 * whole as f64,
        "{seconds} of {whole}"
    );
}

#[test]
fn gap_shows_in_the_coverage_of_its_interval_only() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    let measured = signal.feed(&mut channel, 0..12_000, |at| at == 5_000);
    let coverage: Vec<u16> = measured
        .intervals
        .iter()
        .map(|interval| interval.coverage_permille)
        .collect();
    // 50 ms are missing, and the cycles that they are missing from.
    assert_eq!(coverage.len(), 5);
    assert!((910..=950).contains(&coverage[2]), "{coverage:?}");
    coverage
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != 2)
        .for_each(|(_, coverage)| assert_eq!(*coverage, 1_000));
}

#[test]
fn first_interval_after_a_start_counts_from_the_first_sample() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    let measured = signal.feed(&mut channel, 1_500..8_000, |_| false);
    let first = measured.intervals[0];
    assert_eq!(first.end_us, 1_000_000);
    assert_eq!(first.coverage_permille, 250);
    // 0.25 s of 1150 W in quanta of 0.1 J; the first window is not of whole cycles.
    assert!(
        (f64::from(first.energy_quanta) - 2_875.0).abs() < 30.0,
        "{first:?}"
    );
    assert_1150_w(&measured.intervals[1]);
}

#[test]
fn long_gap_gives_every_interval_and_counts_nothing_in_it() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    let missing = |at: u64| (5_000..15_000).contains(&at);
    let measured = signal.feed(&mut channel, 0..20_000, missing);
    let ends: Vec<u64> = measured
        .intervals
        .iter()
        .map(|interval| interval.end_us)
        .collect();
    assert_eq!(
        ends,
        (1..=9).map(|second| second * 1_000_000).collect::<Vec<_>>()
    );
    let coverage: Vec<u16> = measured
        .intervals
        .iter()
        .map(|interval| interval.coverage_permille)
        .collect();
    assert_eq!(coverage[..2], [1_000, 1_000]);
    assert!((480..=500).contains(&coverage[2]), "{coverage:?}");
    assert_eq!(coverage[3..7], [0; 4]);
    assert!((480..=500).contains(&coverage[7]), "{coverage:?}");
    assert_eq!(measured.intervals[4].energy_quanta, 0);
    // 2.5 s before and 0.5 s in the interval after it, at 1150 W.
    let energy_j: f64 = measured.energy_j();
    assert!((energy_j / 1_150.0 - 4.0).abs() < 0.03, "{energy_j}");
}

#[test]
fn pause_of_hours_is_given_in_turn_and_bounded_in_each_call() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    signal.feed(&mut channel, 0..4_000, |_| false);
    let later = 2_000 * 3_600 * 2;
    let mut measured = Measured::default();
    for portion in 0..4_000 {
        let part = signal.feed(
            &mut channel,
            later + portion * PORTION..later + (portion + 1) * PORTION,
            |_| false,
        );
        assert!(part.intervals.len() <= 65);
        measured.intervals.extend(part.intervals);
    }
    for (second, interval) in (2..).zip(&measured.intervals) {
        assert_eq!(interval.end_us, second * 1_000_000);
    }
    let last = measured.intervals.last().expect("some");
    assert_eq!(last.end_us, 7_399_000_000);
    assert_1150_w(last);
}

#[test]
fn lost_voltage_is_flagged_and_its_return_measured() {
    let on = Signal::default();
    let off = Signal {
        voltage_v: 0.0,
        ..on
    };
    let mut channel = Channel::new(on.config()).expect("in range");
    on.feed(&mut channel, 0..6_000, |_| false);
    let dark = off.feed(&mut channel, 6_000..12_000, |_| false);
    assert!(dark.intervals[1].flags.contains(Flags::NO_VOLTAGE));
    let last = dark.windows.last().expect("some");
    assert_eq!(
        (last.voltage_mv, last.active_power_mw, last.frequency_mhz),
        (0, 0, 0)
    );
    assert!((f64::from(last.current_ua) - 5e6).abs() < 60e3);
    let light = on.feed(&mut channel, 12_000..20_000, |_| false);
    let last = light.intervals.last().expect("some");
    assert_1150_w(last);
    assert_eq!((last.flags.0, last.coverage_permille), (0, 1_000));
}

#[test]
fn clipped_samples_are_flagged() {
    let signal = Signal {
        current_a: 115.0,
        ..Signal::default()
    };
    let measured = signal.measure(3);
    assert!(measured.intervals[1].flags.contains(Flags::CLIPPED));
    let signal = Signal {
        current_a: 110.0,
        ..Signal::default()
    };
    assert_eq!(signal.measure(3).intervals[1].flags.0, 0);
}

#[test]
fn means_longer_than_an_interval_give_each_and_samples_go_on() {
    let signal = Signal::default();
    let mut channel = Channel::new(signal.config()).expect("in range");
    let mut measured = Measured::default();
    let window = Window {
        end_us: 2_500_000,
        active_power_mw: -1_000_050,
        reactive_power_mvar: 20_000,
        voltage_mv: 231_000,
        current_ua: 4_400_000,
        frequency_mhz: 50_020,
        ..Window::default()
    };
    channel.push_window(0, window, &mut |output| measured.take(output));
    let quanta: Vec<i32> = measured
        .intervals
        .iter()
        .map(|interval| interval.energy_quanta)
        .collect();
    // 10,000.5 quanta: the half is carried.
    assert_eq!(quanta, [-10_000, -10_001]);
    let second = measured.intervals[1];
    assert_eq!(
        (second.voltage_dv, second.current_ca, second.frequency_chz),
        (2_310, 440, 5_002)
    );
    assert_eq!(
        (second.reactive_power_var, second.coverage_permille),
        (20, 1_000)
    );
    // Time that was measured already does not count again.
    channel.push_window(0, window, &mut |_: Output| panic!("it ended before"));
    let sampled = signal.feed(&mut channel, 5_000..12_000, |_| false);
    let first = sampled.intervals[0];
    assert_eq!((first.end_us, first.coverage_permille), (3_000_000, 1_000));
    assert_1150_w(&sampled.intervals[1]);
}
