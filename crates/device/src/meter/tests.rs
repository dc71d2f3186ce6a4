//! A meter that is fed with samples: gaps, the trial of its firmware, its light and its button.

extern crate std;
use std::{f64::consts::TAU, vec::Vec};

use flash_store::Format;
use metering::{Calibration, VoltageInput};
use nor_model::{Nor, Torn};
use protocol::{
    StoreId,
    access_point::Password,
    block::Block,
    event::{Event, ResetReason},
    messages::Setup,
};

mod configuring;

use super::*;
use crate::{
    button::Request,
    continuation::Continued,
    flash_map,
    indicator::Condition,
    slots::{Slot, Slots, Start},
    trial::{Step, TRIAL_MS, Trial},
};

const RATE_HZ: u64 = 2_000;
const PORTION: u64 = 100;
const PORTION_US: u64 = PORTION * 1_000_000 / RATE_HZ;

fn facts() -> Facts {
    let channel = ChannelConfig {
        calibration: Calibration::ideal(250_000_000, 25_000_000),
        voltage: VoltageInput::Own,
        full_scale_code: 4_095,
        sample_rate_hz: RATE_HZ as u32,
        interval_ms: 10_000,
        power_unit_mw: 1_000,
    };
    Facts {
        reset_reason: ResetReason::PowerOn,
        continued: None,
        firmware: "0.2.0".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        update_keys: Default::default(),
        nonce_secret: [9; 32],
        channels: [channel].into_iter().collect(),
        ct_ratio: 2_000,
        built_utc_ms: 0,
    }
}

fn password() -> Password {
    Password::from_random([7; 10])
}

fn format() -> Format {
    Format {
        device: DeviceId([2, 0, 0, 0, 0, 1]),
        store: StoreId(1),
        channels: 1,
        password: Some(password()),
    }
}

fn started(flash: Nor) -> Meter<Nor> {
    let store = FlashStore::mount_or_format(flash, &format()).unwrap();
    Meter::start(store, facts()).unwrap()
}

fn fresh() -> Meter<Nor> {
    started(Nor::new(64 * 4096))
}

fn restarted(meter: Meter<Nor>) -> Meter<Nor> {
    started(meter.recorder.store.into_flash())
}

/// Feeds portions of a sine of 230 V and 2 A, those that are numbered.
fn feed(meter: &mut Meter<Nor>, portions: impl Iterator<Item = u64>, volts: f64) {
    for portion in portions {
        let pair = |index: u64| {
            let phase = TAU * 50.0 * (portion * PORTION + index) as f64 / RATE_HZ as f64;
            let sine = phase.sin() * core::f64::consts::SQRT_2;
            Pair {
                voltage: (2_048.0 + sine * volts * 4.0) as u16,
                current: (2_048.0 + sine * 2.0 * 40.0) as u16,
            }
        };
        let pairs: Vec<Pair> = (0..PORTION).map(pair).collect();
        meter.push_samples(0, &pairs, (portion + 1) * PORTION_US);
    }
}

/// Energy in quanta and coverage of each reading.
fn readings(meter: &mut Meter<Nor>) -> Vec<(i32, u16)> {
    let mut readings = Vec::new();
    let mut buffer = std::vec![0; protocol::limits::BLOCK_BYTES_MAX];
    while let Some(length) = meter
        .store()
        .read_block(Seq(readings.len() as u64), &mut buffer)
        .unwrap()
    {
        let block = Block::parse(&buffer[..length]).unwrap();
        for reading in block.readings() {
            let channel = &reading.channels[0];
            readings.push((channel.energy_quanta, channel.coverage_permille));
        }
    }
    readings
}

fn events(meter: &mut Meter<Nor>) -> Vec<What> {
    let mut events = Vec::new();
    let mut take = |event: &Event| {
        events.push(event.what.clone());
        true
    };
    meter.store().events(0, &mut take).unwrap();
    events
}

#[test]
fn a_gap_in_the_samples_lowers_the_coverage_and_nothing_else() {
    let (mut whole, mut gappy) = (fresh(), fresh());
    feed(&mut whole, 0..820, 230.0);
    // The ring ran over for 200 ms, 15 s after the start.
    feed(
        &mut gappy,
        (0..820).filter(|portion| !(300..304).contains(portion)),
        230.0,
    );
    let (whole, gappy) = (readings(&mut whole), readings(&mut gappy));
    assert_eq!((whole.len(), gappy.len()), (4, 4));
    assert_eq!(whole[1].1, 1_000);
    // 200 ms of 10 s, and what is left of the cycles at the two ends.
    assert!((975..=980).contains(&gappy[1].1), "{gappy:?}");
    for index in [0, 2, 3] {
        assert_eq!(gappy[index].1, whole[index].1);
        assert!(
            (gappy[index].0 - whole[index].0).abs() <= 1,
            "{gappy:?} {whole:?}"
        );
    }
    let share = f64::from(gappy[1].0) / f64::from(whole[1].0);
    assert!((0.975..=1.001).contains(&share), "{gappy:?} {whole:?}");
}

/// A chip with confirmed firmware in the first slot that was just started from `running`.
fn slots(running: Slot, starts: usize) -> Slots<Nor> {
    let nor = Nor::new(flash_map::CHIP_BYTES as usize);
    let mut factory = Slots::open(nor, Some(Slot::Zero)).unwrap();
    factory.start().unwrap();
    factory.confirm().unwrap();
    let mut nor = factory.into_flash();
    for _ in 0..starts {
        let mut slots = Slots::open(nor, Some(running)).unwrap();
        slots.start().unwrap();
        nor = slots.into_flash();
    }
    Slots::open(nor, Some(running)).unwrap()
}

#[test]
fn firmware_is_confirmed_when_samples_flow_and_the_access_point_is_up() {
    let (mut meter, mut slots, mut trial) = (fresh(), slots(Slot::One, 1), Trial::new());
    let mut step = |meter: &mut Meter<Nor>, slots: &mut Slots<Nor>, is_up, now_ms| {
        assert_eq!(trial.step(meter, slots, is_up, now_ms), Step::GoOn);
        slots.is_confirmed()
    };
    assert!(
        !step(&mut meter, &mut slots, true, 100),
        "there are no samples"
    );
    feed(&mut meter, 0..10, 230.0);
    assert!(
        !step(&mut meter, &mut slots, false, 600),
        "there is no access point"
    );
    assert!(step(&mut meter, &mut slots, true, 700));
    assert!(step(&mut meter, &mut slots, true, 2 * TRIAL_MS));
    let confirmed = What::FirmwareConfirmed {
        version: "0.2.0".try_into().unwrap(),
    };
    let told = events(&mut meter)
        .into_iter()
        .filter(|what| *what == confirmed);
    assert_eq!(told.count(), 1);
}

#[test]
fn firmware_that_does_not_prove_itself_restarts_where_there_is_another() {
    let (mut meter, mut slots, mut trial) = (fresh(), slots(Slot::One, 1), Trial::new());
    feed(&mut meter, 0..10, 230.0);
    let step = trial.step(&mut meter, &mut slots, false, TRIAL_MS - 1);
    assert_eq!(step, Step::GoOn);
    let step = trial.step(&mut meter, &mut slots, false, TRIAL_MS);
    assert_eq!(step, Step::Restart);
    // The first firmware of a chip has no other: it measures on.
    let nor = Nor::new(flash_map::CHIP_BYTES as usize);
    let mut only = Slots::open(nor, None).unwrap();
    only.start().unwrap();
    let mut trial = Trial::new();
    for now_ms in (TRIAL_MS..3 * TRIAL_MS).step_by(1_000) {
        let step = trial.step(&mut meter, &mut only, false, now_ms);
        assert_eq!(step, Step::GoOn);
    }
    trial.step(&mut meter, &mut only, true, 4 * TRIAL_MS);
    assert!(only.is_confirmed(), "late is better than never");
}

#[test]
fn a_chip_that_is_too_small_has_no_slots() {
    let opened = Slots::open(Nor::new(0x20_0000), None).map(drop);
    assert_eq!(opened, Err(crate::slots::SlotError::Geometry));
}

#[test]
fn firmware_that_was_left_is_told_once() {
    let failing = slots(Slot::One, 3);
    let mut failing = Slots::open(failing.into_flash(), Some(Slot::One)).unwrap();
    assert_eq!(failing.start(), Ok(Start::Restart));
    let mut back = Slots::open(failing.into_flash(), None).unwrap();
    assert_eq!(
        (back.start(), back.running()),
        (Ok(Start::GoOn), Slot::Zero)
    );
    let mut meter = fresh();
    feed(&mut meter, 0..10, 230.0);
    for _ in 0..3 {
        Trial::new().step(&mut meter, &mut back, true, 600);
    }
    let left = What::FirmwareLeft {
        version: protocol::event::Version::new(),
    };
    let told = events(&mut meter).into_iter().filter(|what| *what == left);
    assert_eq!((told.count(), back.left()), (1, None));
}

#[test]
fn the_light_follows_the_meter() {
    let mut meter = fresh();
    assert_eq!(meter.condition(), Condition::NotSetUp);
    let setup = Setup {
        token: "A1B2C3D4E5F6G7H8I9J0".try_into().unwrap(),
        name: "Cellar".try_into().unwrap(),
        ..Setup::default()
    };
    meter.set_up(&setup, 0).unwrap();
    assert_eq!(meter.condition(), Condition::Starting);
    feed(&mut meter, 0..10, 230.0);
    assert_eq!(meter.condition(), Condition::Measuring);
    feed(&mut meter, 10..40, 0.0);
    assert_eq!(meter.condition(), Condition::NoVoltage);
    let mut flash = meter.recorder.store.into_flash();
    // Enough for the start, not for many readings.
    flash.cut_at(12, Torn::Untouched, 0);
    let mut meter = started(flash);
    feed(&mut meter, 0..10, 230.0);
    assert_eq!(meter.condition(), Condition::Measuring);
    feed(&mut meter, 10..4_000, 230.0);
    assert_eq!(meter.condition(), Condition::StorageFault);
}

#[test]
fn the_button_forgets_the_settings_and_keeps_readings_and_calibration() {
    let mut meter = fresh();
    let setup = Setup {
        token: "A1B2C3D4E5F6G7H8I9J0".try_into().unwrap(),
        name: "Cellar".try_into().unwrap(),
        ..Setup::default()
    };
    meter.set_up(&setup, 0).unwrap();
    feed(&mut meter, 0..420, 230.0);
    let mut settings = meter.settings.clone();
    settings.calibration.version = 4;
    settings.calibration.channels = meter.nominal_calibrations();
    meter.keep(settings).unwrap();
    let before = readings(&mut meter);
    meter.obey(Request::Forget, StoreId(5), 21_000).unwrap();
    for _ in 0..2 {
        assert!(meter.key().is_none() && meter.settings.name.is_empty());
        assert_eq!(meter.settings.calibration.version, 4);
        assert_eq!(readings(&mut meter), before);
        assert!(events(&mut meter).contains(&What::SettingsForgotten));
        assert_eq!(meter.store().store_id(), StoreId(1));
        meter = restarted(meter);
    }
    meter.set_up(&setup, 0).unwrap();
}

#[test]
fn the_button_erases_everything_but_device_and_password() {
    let mut meter = fresh();
    feed(&mut meter, 0..420, 230.0);
    assert_eq!(readings(&mut meter).len(), 2);
    meter.obey(Request::Erase, StoreId(5), 21_000).unwrap();
    let mut meter = restarted(meter);
    assert_eq!(readings(&mut meter), []);
    let store = meter.store();
    assert_eq!(
        (store.store_id(), store.device()),
        (StoreId(5), format().device)
    );
    assert_eq!(store.password(), Some(&password()));
    assert_eq!(store.boot(), 1);
}

#[test]
fn start_that_continues_the_boot_before_says_so_right_behind_its_start() {
    let continued = |boot| Facts {
        reset_reason: ResetReason::Watchdog,
        continued: Some(Continued {
            boot,
            uptime_ms: 123_456,
            uncertainty_ms: 40,
        }),
        ..facts()
    };
    let start = |meter: Meter<Nor>, facts| {
        let flash = meter.recorder.store.into_flash();
        Meter::start(FlashStore::mount(flash).unwrap(), facts).unwrap()
    };
    let mut meter = start(fresh(), continued(1));
    // The record of a boot that was not the one before says nothing.
    meter = start(meter, continued(1));
    let events = events(&mut meter);
    let links: Vec<&[What]> = events
        .windows(2)
        .filter(|pair| matches!(pair[1], What::Continued { .. }))
        .collect();
    let reason = ResetReason::Watchdog;
    let What::Continued { uptime_ms, .. } = links[0][1] else {
        unreachable!("it was looked for");
    };
    assert_eq!((links.len(), uptime_ms), (1, 123_456));
    assert!(matches!(links[0][0], What::Started { reason: told, .. } if told == reason));
}
