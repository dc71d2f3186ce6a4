//! What the chip measures is what `metering` makes of the same samples here, and it outlives restarts.

use device::{Facts, Meter};
use e2e::{emulated::Emulated, truth};
use emulator::adc::Begin;
use flash_store::{FlashStore, Format};
use metering::{Calibration, ChannelConfig, Pair, VoltageInput};
use nor_model::Nor;
use protocol::{
    DeviceId, StoreId, event::ResetReason, messages::ChannelCalibration, reading::Reading,
};
use sim::signal::Generator;

use super::{IMAGE, converter, fresh, load, over_api, seconds, set_up};

/// Pairs that the firmware takes at once, and its rate.
const PAIRS: usize = 100;
const RATE_HZ: u32 = 2_000;
/// What the meter here makes of the samples that the chip's converter gave since `begin`, up to an uptime.
fn here(begin: &Begin, begun_us: u64, scale: &ChannelCalibration, until_us: u64) -> Vec<Reading> {
    let straight = converter::straight();
    let facts = Facts {
        reset_reason: ResetReason::PowerOn,
        continued: None,
        firmware: "0.1.0".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        update_keys: Default::default(),
        nonce_secret: [0; 32],
        channels: [ChannelConfig {
            calibration: Calibration {
                voltage_nv_per_code: scale.voltage_nv_per_code,
                current_na_per_code: scale.current_na_per_code,
                current_skew_ns: scale.current_skew_ns,
                current_noise_na: scale.current_noise_na,
                no_load_mw: scale.no_load_mw,
            },
            voltage: VoltageInput::Own,
            full_scale_code: straight.full_scale_code(),
            sample_rate_hz: RATE_HZ,
            interval_ms: 10_000,
            power_unit_mw: 1_000,
        }]
        .into_iter()
        .collect(),
        ct_ratio: 2_000,
        built_utc_ms: 0,
    };
    let format = Format {
        device: DeviceId([0; 6]),
        store: StoreId(1),
        channels: 1,
        password: None,
    };
    let flash = store_trials::shared::Shared::new(Nor::new(480 * nor_model::SECTOR_BYTES));
    let store = FlashStore::format(flash.clone(), &format).unwrap();
    let mut meter = Meter::start(store, facts).unwrap();
    let load = load();
    let mut generator =
        Generator::new(load.source, load.front_end, begin.rate_hz, load.seed).at(begin.offset_us);
    let mut pairs = [Pair::default(); PAIRS];
    let mut taken = 0;
    loop {
        taken += PAIRS as u64;
        // 250 µs from the voltage to the current and to the next voltage.
        let end_us = begun_us + (2 * taken - 1) * 250;
        if end_us > until_us {
            break;
        }
        generator.fill(&mut pairs);
        for pair in &mut pairs {
            pair.voltage = straight.straightened(pair.voltage);
            pair.current = straight.straightened(pair.current);
        }
        meter.push_samples(0, &pairs, end_us);
    }
    let content = truth::content(flash.with(|nor| Nor::from_bytes(nor.bytes()))).unwrap();
    assert_eq!(content.lost, 0);
    content.readings.into_values().collect()
}

/// Returns when the chip says that it began to sample, in µs of its uptime.
fn begun_us(meter: &Emulated) -> u64 {
    let told = meter.console().rsplit("sampling since ").next().unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_measures_what_metering_measures_here_bit_for_bit() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let calibration = meter
        .serve(|served| {
            over_api(&served, async |client, session| {
                set_up(client).await?;
                Ok(session.calibration().await?)
            })
        })
        .unwrap();
    // The first start made the store meanwhile; the second one has nothing else to do.
    meter.restart();
    meter.forget_console();
    meter.run(seconds(185)).unwrap();
    let begun_us = begun_us(&meter);
    let begin = meter.machine.feed().begins().last().copied().unwrap();
    assert_eq!(begin.rate_hz, RATE_HZ);
    let content = meter.content().unwrap();
    let last_boot = content.readings.values().map(|reading| reading.boot).max();
    let on_the_chip: Vec<_> = content
        .readings
        .values()
        .filter(|reading| Some(reading.boot) == last_boot)
        .collect();
    assert!(on_the_chip.len() >= 18, "{} readings", on_the_chip.len());
    let here = here(&begin, begun_us, &calibration.channels[0], 185_000_000);
    for (there, here) in on_the_chip.iter().zip(&here) {
        assert_eq!(
            (there.uptime_ms, &there.channels),
            (here.uptime_ms, &here.channels)
        );
    }
    let watts: Vec<_> = here
        .iter()
        .filter_map(|reading| reading.active_power_mw(0))
        .collect();
    assert!(watts.iter().all(|power_mw| *power_mw > 50_000), "{watts:?}");
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_goes_on_after_restarts_with_numbers_and_registers() {
    let mut meter = fresh(IMAGE).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for boot in 1..=4 {
        meter.run(seconds(45)).unwrap();
        let content = meter.content().unwrap();
        for (seq, reading) in &seen {
            assert_eq!(content.readings.get(seq), Some(reading));
        }
        assert!(content.readings.len() >= seen.len() + 4);
        assert_eq!(
            content.readings.values().map(|reading| reading.boot).max(),
            Some(boot)
        );
        seen = content.readings;
        meter.restart();
    }
    let numbers: Vec<_> = seen.keys().copied().collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    for pair in seen.values().collect::<Vec<_>>().windows(2) {
        let quanta = pair[1].channels[0].energy_quanta;
        let [before, after] = [pair[0], pair[1]].map(|reading| reading.registers[0]);
        assert!(quanta >= 0);
        assert_eq!(
            after.import_mj - before.import_mj,
            quanta as u64 * 10_000,
            "{pair:?}"
        );
    }
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn same_image_runs_the_same_each_time() {
    let life = || {
        let mut meter = fresh(IMAGE).unwrap();
        meter.run(seconds(15)).unwrap();
        let counters = meter.machine.counters().clone();
        (
            counters,
            meter.console().to_owned(),
            meter.machine.flash().bytes(),
        )
    };
    let (first, second) = (life(), life());
    assert_eq!((first.0, first.1), (second.0, second.1));
    assert!(first.2 == second.2, "the flash differs");
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn samples_that_the_ring_could_not_hold_are_told_and_nothing_else_is_lost() {
    let mut meter = fresh(IMAGE).unwrap();
    // Making the store takes longer than the ring holds.
    meter.run(seconds(45)).unwrap();
    let begins = meter.machine.feed().begins();
    let again = begins
        .iter()
        .filter(|begin| begin.rate_hz == RATE_HZ)
        .count();
    assert_eq!(again, 2, "{begins:?}");
    let readings = meter.content().unwrap().readings;
    let coverage: Vec<_> = readings
        .values()
        .map(|reading| reading.channels[0].coverage_permille)
        .collect();
    assert!((800..999).contains(&coverage[0]), "{coverage:?}");
    assert!(coverage[1..].iter().all(|of| *of == 1_000), "{coverage:?}");
    let lost = meter
        .serve(|served| {
            over_api(&served, async |client, session| {
                set_up(client).await?;
                Ok(session.health().await?.samples_lost)
            })
        })
        .unwrap();
    // What is missing of the first reading, in pairs of 500 µs.
    let missing = u32::from(1_000 - coverage[0]) * 20;
    println!("{coverage:?}, {lost} pairs lost");
    assert!(
        lost.abs_diff(missing) < 500,
        "{lost} lost, {missing} missing"
    );
}
