//! Merging keeps what it says.

use proptest::{collection::vec, prelude::*};
use protocol::{
    ChannelReading, Extremes, Flags, Packed, Tier, merge::Merger, reading::ExtremesSet,
};

use super::shared::any_channel;

fn merged(readings: &[Packed], numbers_max: u32) -> Vec<Packed> {
    let mut merger = Merger::new(numbers_max);
    let mut merged: Vec<_> = readings
        .iter()
        .filter_map(|reading| merger.push(reading))
        .collect();
    merged.extend(merger.finish());
    assert_eq!(merger.finish(), None);
    merged
}

/// Import and export in quanta, summed without any bound.
fn sums(readings: &[Packed], channel: usize) -> (i128, i128) {
    readings.iter().fold((0, 0), |(import, export), reading| {
        let net = i128::from(reading.channels[channel].energy_quanta);
        let counter = reading
            .extremes
            .get(channel)
            .map_or(0, |of| of.counter_quanta.into());
        (
            import + net.max(0) + counter,
            export + (-net).max(0) + counter,
        )
    })
}

/// Least and largest power of readings at full resolution.
fn extremes(readings: &[Packed], channel: usize) -> (i32, i32) {
    let powers = || {
        readings
            .iter()
            .map(|reading| reading.channels[channel].energy_quanta)
    };
    (powers().min().unwrap(), powers().max().unwrap())
}

/// Holds each merged reading against those at full resolution that it stands for.
fn check(full: &[Packed], merged: &[Packed], numbers_max: u32) -> Result<(), TestCaseError> {
    let mut at = 0;
    for reading in merged {
        prop_assert!((1..=numbers_max).contains(&reading.span));
        let of = &full[at..at + reading.span as usize];
        at += of.len();
        prop_assert_eq!(reading.extremes.len(), reading.channels.len());
        for (index, channel) in reading.channels.iter().enumerate() {
            prop_assert_eq!(sums(std::slice::from_ref(reading), index), sums(of, index));
            let Extremes {
                power_min,
                power_max,
                ..
            } = reading.extremes[index];
            prop_assert_eq!((power_min, power_max), extremes(of, index));
            let flags = |all: bool| {
                let each = of.iter().map(|one| one.channels[index].flags.0);
                each.reduce(|one, two| if all { one & two } else { one | two })
                    .unwrap()
            };
            let no_load = Flags::NO_LOAD.0;
            prop_assert_eq!(
                channel.flags.0,
                flags(false) & !no_load | flags(true) & no_load
            );
        }
    }
    prop_assert_eq!(at, full.len());
    Ok(())
}

proptest! {
    #[test]
    fn energy_spans_and_extremes_are_true(
        readings in (1..=3_usize).prop_flat_map(|channels| vec(vec(any_channel(), channels), 1..200)),
        minute in 1..20_u32,
        factor in 1..20_u32,
    ) {
        let full: Vec<_> = readings.iter().map(|channels| Packed::full(channels)).collect();
        let once = merged(&full, minute);
        check(&full, &once, minute)?;
        let twice = merged(&once, minute * factor);
        check(&full, &twice, minute * factor)?;
    }

    #[test]
    fn means_are_means(readings in vec(any_channel(), 1..90)) {
        let full: Vec<_> = readings.iter().map(|&channel| Packed::full(&[channel])).collect();
        // Energies that certainly fit, so that all become one.
        let full: Vec<_> = full.into_iter().map(|mut reading| {
            reading.channels[0].energy_quanta %= 1_000_000;
            reading
        }).collect();
        let merged = merged(&full, 90);
        prop_assert_eq!(merged.len(), 1);
        let channel = merged[0].channels[0];
        let mean = |value: &dyn Fn(&ChannelReading) -> f64, counts: &dyn Fn(&ChannelReading) -> bool| {
            let values: Vec<_> = readings.iter().filter(|one| counts(one)).map(value).collect();
            if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
        };
        let all = |_: &ChannelReading| true;
        let near = |found: f64, exact: f64| (found - exact).abs() <= 0.5 + 1e-6;
        prop_assert!(near(channel.reactive_power_var.into(), mean(&|one| one.reactive_power_var.into(), &all)));
        prop_assert!(near(channel.coverage_permille.into(), mean(&|one| one.coverage_permille.into(), &all)));
        prop_assert!(near(channel.frequency_chz.into(), mean(&|one| one.frequency_chz.into(), &|one| one.frequency_chz > 0)));
        let voltage = mean(&|one| f64::from(one.voltage_dv).powi(2), &|one| one.voltage_dv > 0).sqrt();
        let current = mean(&|one| f64::from(one.current_ca).powi(2), &all).sqrt();
        prop_assert!(near(channel.voltage_dv.into(), voltage), "{voltage}");
        prop_assert!(near(channel.current_ca.into(), current), "{current}");
    }
}

#[test]
fn tiers_are_of_one_and_fifteen_minutes() {
    let numbers = |interval_ms| Tier::ALL.map(|tier| tier.numbers_max(interval_ms));
    assert_eq!(numbers(10_000), [1, 6, 90]);
    assert_eq!(numbers(7_000), [1, 8, 128]);
    assert_eq!(numbers(1_000), [1, 60, 900]);
    assert_eq!(numbers(61_000), [1, 1, 14]);
    assert_eq!(numbers(900_000), [1, 1, 1]);
    assert_eq!(
        Tier::ALL.map(|tier| Tier::of(tier as u8)),
        Tier::ALL.map(Some)
    );
    assert_eq!(Tier::of(3), None);
}

#[test]
fn what_does_not_fit_begins_a_reading_of_its_own() {
    let reading = |energy_quanta, counter_quanta| Packed {
        span: 2,
        channels: [ChannelReading {
            energy_quanta,
            ..ChannelReading::default()
        }]
        .into_iter()
        .collect(),
        extremes: ExtremesSet::from_slice(&[Extremes {
            power_min: -7,
            power_max: 9,
            counter_quanta,
        }])
        .unwrap(),
    };
    let spans = |readings: &[Packed]| -> Vec<u32> {
        merged(readings, 6)
            .iter()
            .map(|reading| reading.span)
            .collect()
    };
    assert_eq!(spans(&[reading(i32::MAX, 0), reading(0, 0)]), [4]);
    assert_eq!(spans(&[reading(i32::MAX, 0), reading(1, 0)]), [2, 2]);
    assert_eq!(spans(&[reading(i32::MIN, 0), reading(-1, 0)]), [2, 2]);
    assert_eq!(spans(&[reading(1, u32::MAX), reading(-1, 0)]), [2, 2]);
    assert_eq!(spans(&[reading(0, u32::MAX), reading(1, 0)]), [4]);
    assert_eq!(spans(&vec![reading(1, 1); 4]), [6, 2]);
    let long = Packed {
        span: 100,
        ..reading(1, 0)
    };
    assert_eq!(spans(&[long.clone(), reading(1, 1), long]), [100, 2, 100]);
    let other = Packed::full(&[ChannelReading::default(); 2]);
    assert_eq!(spans(&[reading(1, 1), other]), [2, 1]);
}

#[test]
fn import_and_export_of_a_merged_reading_advance_both_registers() {
    let full = [300, -120, 40].map(|energy_quanta| {
        Packed::full(&[ChannelReading {
            energy_quanta,
            ..ChannelReading::default()
        }])
    });
    let merged = merged(&full, 3);
    assert_eq!(merged[0].channels[0].energy_quanta, 220);
    let extremes = Extremes {
        power_min: -120,
        power_max: 300,
        counter_quanta: 120,
    };
    assert_eq!(merged[0].extremes[0], extremes);
    let mut registers = super::shared::registers(1, 5, 6);
    merged[0].advance(&mut registers, 10_000);
    assert_eq!(registers, super::shared::registers(1, 3_400_005, 1_200_006));
}
