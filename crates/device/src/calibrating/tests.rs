//! A meter is calibrated, restarted, calibrated again, and goes back.

extern crate std;

use std::f64::consts::{SQRT_2, TAU};

use flash_store::{FlashStore, Format};
use metering::{ChannelConfig, Pair, VoltageInput};
use nor_model::Nor;
use protocol::{
    DeviceId, StoreId,
    event::{Event, ResetReason, What},
    limits::JSON_BYTES_MAX,
};

use super::*;
use crate::board::Facts;

/// Codes a volt and an ampere of the parts by their values, and as they are.
const NOMINAL: (f64, f64) = (4.0, 40.0);
const REAL: (f64, f64) = (4.1, 39.6);

fn facts() -> Facts {
    let channel = ChannelConfig {
        calibration: Calibration::ideal((1e9 / NOMINAL.0) as u32, (1e9 / NOMINAL.1) as u32),
        voltage: VoltageInput::Own,
        full_scale_code: 4_095,
        sample_rate_hz: 2_000,
        interval_ms: 10_000,
        power_unit_mw: 1_000,
    };
    Facts {
        reset_reason: ResetReason::PowerOn,
        continued: None,
        firmware: "0.1.0".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        update_keys: Default::default(),
        nonce_secret: [9; 32],
        channels: [channel.clone(), channel].into_iter().collect(),
        ct_ratio: 2_000,
        built_utc_ms: 0,
    }
}

fn fresh() -> Meter<Nor> {
    let format = Format {
        device: DeviceId([2, 0, 0, 0, 0, 1]),
        store: StoreId(1),
        channels: 2,
        password: None,
    };
    let store = FlashStore::format(Nor::new(64 * 4096), &format).unwrap();
    Meter::start(store, facts()).unwrap()
}

/// What a meter is fed with, and how far.
struct Feed {
    portions: u64,
    current_a: f64,
}

impl Feed {
    /// Feeds both channels for so many seconds.
    fn run(&mut self, meter: &mut Meter<Nor>, seconds: u64) {
        for _ in 0..seconds * 10 {
            let pairs: std::vec::Vec<Pair> = (0..200)
                .map(|index| {
                    let turn = (self.portions * 200 + index) as f64 / 40.0;
                    let sine = SQRT_2 * (turn * TAU).sin();
                    // Without noise a signal of whole codes repeats its rounding in every cycle.
                    let dither =
                        ((self.portions * 200 + index) * 7919 % 1000) as f64 / 1000.0 - 0.5;
                    let code = |value: f64| (2_048.0 + value + dither).round() as u16;
                    Pair {
                        voltage: code(230.0 * sine * REAL.0),
                        current: code(self.current_a * sine * REAL.1),
                    }
                })
                .collect();
            self.portions += 1;
            for channel in 0..2 {
                meter.push_samples(channel, &pairs, self.portions * 100_000);
            }
        }
    }
}

const LOAD: Calibrate = Calibrate {
    channel: 1,
    step: CalibrationStep::Load,
    seconds: 30,
    voltage_mv: Some(230_000),
    power_mw: Some(1_150_000),
    resistive: true,
    utc_ms: 1_795_248_000_000,
};

fn outcome(meter: &Meter<Nor>) -> (CaptureOutcome, std::string::String) {
    let capture = meter.calibration().capture.unwrap();
    (capture.outcome, capture.reason.as_str().into())
}

#[test]
fn a_calibration_is_applied_kept_over_a_restart_and_taken_back() {
    let mut meter = fresh();
    let mut feed = Feed {
        portions: 0,
        current_a: 5.0,
    };
    feed.run(&mut meter, 2);
    let nominal = meter.calibration();
    assert_eq!((nominal.version, nominal.can_undo), (0, false));
    let begun = meter.calibrate(&LOAD, 2_000).unwrap();
    assert_eq!(begun.capture.unwrap().outcome, CaptureOutcome::Running);
    assert_eq!(meter.calibrate(&LOAD, 2_000), Err(Refused::Busy));
    feed.run(&mut meter, 20);
    let halfway = meter.calibration();
    assert!((80..100).contains(&halfway.capture.unwrap().windows));
    assert_eq!(halfway.channels, nominal.channels);
    feed.run(&mut meter, 15);
    assert_eq!(outcome(&meter), (CaptureOutcome::Applied, "".into()));
    let applied = meter.calibration();
    assert_eq!((applied.version, applied.utc_ms), (1, LOAD.utc_ms));
    let found = applied.channels[0];
    let gain = |per_code: u32, codes: f64| f64::from(per_code) / 1e9 * codes - 1.0;
    assert!(
        gain(found.voltage_nv_per_code, REAL.0).abs() < 1e-3,
        "{found:?}"
    );
    assert!(
        gain(found.current_na_per_code, REAL.1).abs() < 1e-3,
        "{found:?}"
    );
    assert_eq!(applied.channels[1], nominal.channels[1]);
    let harmonics = meter.harmonics().channels[1].clone();
    assert_eq!(
        (harmonics.voltage[0], harmonics.current[0]),
        (10_000, 10_000)
    );
    assert!(
        harmonics.uptime_ms > 0 && harmonics.voltage_distortion < 100,
        "{harmonics:?}"
    );
    // The next readings say so.
    feed.run(&mut meter, 15);
    let power_w = |meter: &Meter<Nor>, channel: usize| {
        meter.live().channels[channel].active_power_mw as f64 / 1e3
    };
    assert!((power_w(&meter, 0) - 1_150.0).abs() < 2.0);
    assert!((power_w(&meter, 1) - 1_150.0).abs() > 2.0);

    let last = protocol::Seq(meter.next().0 - 1);
    let mut block = [0; protocol::limits::BLOCK_BYTES_MAX];
    let length = meter.store().read_block(last, &mut block).unwrap().unwrap();
    let block = protocol::block::Block::parse(&block[..length]).unwrap();
    assert_eq!(block.header().calibration, 1, "readings name it");
    // The change fell into the fourth interval, and a block is of one calibration.
    assert_eq!(block.range().start, 3);

    let mut meter = restarted(meter, facts());
    assert_eq!(meter.calibration().channels, applied.channels);
    assert_eq!(meter.recorder.calibration, 1);
    let undo = Calibrate {
        step: CalibrationStep::Undo,
        ..LOAD
    };
    let undone = meter.calibrate(&undo, 5).unwrap();
    assert_eq!((undone.version, undone.utc_ms), (2, 0));
    assert_eq!(undone.channels, nominal.channels);
    let told = |state: &CalibrationState| What::Calibrated {
        version: state.version,
        utc_ms: state.utc_ms,
        channels: state.channels.clone(),
    };
    assert_eq!(
        calibrations(&mut meter),
        [&nominal, &applied, &undone].map(told)
    );
}

/// Returns the calibrations in the log, which is read page by page.
fn calibrations(meter: &mut Meter<Nor>) -> std::vec::Vec<What> {
    let mut whats: std::vec::Vec<_> = log(meter).into_iter().map(|event| event.what).collect();
    whats.retain(|what| matches!(what, What::Calibrated { .. }));
    whats
}

fn log(meter: &mut Meter<Nor>) -> std::vec::Vec<Event> {
    let mut events = std::vec::Vec::<Event>::new();
    loop {
        let from = events.last().map_or(0, |last| last.number + 1);
        let page = meter.events(from).unwrap();
        if from == page.next {
            return events;
        }
        assert!(!page.events.is_empty(), "each page gets on");
        let json = serde_json::to_vec(&page).unwrap();
        assert!(json.len() <= JSON_BYTES_MAX, "{}", json.len());
        events.extend(page.events);
    }
}

fn restarted(meter: Meter<Nor>, facts: Facts) -> Meter<Nor> {
    let store = FlashStore::mount(meter.recorder.store.into_flash())
        .map_err(|(error, _)| error)
        .unwrap();
    Meter::start(store, facts).unwrap()
}

#[test]
fn each_calibration_is_in_the_log_once() {
    let mut meter = fresh();
    let parts = meter.calibration();
    for _ in 0..3 {
        meter = restarted(meter, facts());
        assert_eq!(
            calibrations(&mut meter),
            [What::Calibrated {
                version: 0,
                utc_ms: 0,
                channels: parts.channels.clone(),
            }]
        );
    }
    // The power went between the settings and the event.
    let mut settings = meter.settings().clone();
    settings.calibration = CalibrationRecord {
        version: 1,
        utc_ms: 5,
        channels: [Calibration::ideal(1_000, 2_000); 2].into_iter().collect(),
    };
    meter.keep(settings).unwrap();
    for _ in 0..2 {
        meter = restarted(meter, facts());
        let in_force = meter.calibration();
        assert_eq!(in_force.version, 1);
        let last = What::Calibrated {
            version: 1,
            utc_ms: 5,
            channels: in_force.channels,
        };
        assert_eq!(calibrations(&mut meter)[1..], [last]);
    }
    // Parts of another value are another scale.
    let mut meter = fresh();
    let mut others = facts();
    others.channels[1].calibration = Calibration::ideal(250_000_001, 25_000_000);
    meter = restarted(meter, others);
    assert_eq!(calibrations(&mut meter).len(), 2);
}

#[test]
fn a_page_of_the_longest_events_fits_its_answer() {
    let mut meter = fresh();
    let scale = ChannelCalibration {
        voltage_nv_per_code: u32::MAX,
        current_na_per_code: u32::MAX,
        current_skew_ns: i32::MIN,
        current_noise_na: u32::MAX,
        no_load_mw: u16::MAX,
    };
    meter.recorder.boot = u32::MAX;
    for number in 2..60 {
        let what = match number % 20 {
            0 => What::SetUp,
            _ => What::Calibrated {
                version: u16::MAX,
                utc_ms: i64::MIN,
                channels: [scale; 3].into_iter().collect(),
            },
        };
        assert_eq!(meter.recorder.log(u64::MAX, what), Some(number));
    }
    let numbers: std::vec::Vec<_> = log(&mut meter).iter().map(|event| event.number).collect();
    assert_eq!(numbers, (0..60).collect::<std::vec::Vec<_>>());
    assert_eq!(meter.events(2).unwrap().events.len(), 6, "as many as fit");
}

#[test]
fn a_page_of_short_events_is_full() {
    let mut meter = fresh();
    for _ in 0..40 {
        meter.recorder.log(1, What::SetUp).unwrap();
    }
    let page = meter.events(2).unwrap();
    assert_eq!(page.events.len(), protocol::limits::EVENTS_PER_ANSWER);
}

#[test]
fn a_capture_that_does_not_fit_changes_nothing_and_says_why() {
    let mut meter = fresh();
    let nominal = meter.calibration().channels;
    let mut feed = Feed {
        portions: 0,
        current_a: 5.0,
    };
    feed.run(&mut meter, 2);
    let mut refused = |request: Calibrate, code: &str, reason: &str| {
        meter.calibrate(&request, 0).unwrap();
        feed.run(&mut meter, 35);
        assert_eq!(meter.calibration().capture.unwrap().code.as_str(), code);
        assert_eq!(outcome(&meter), (CaptureOutcome::Refused, reason.into()));
        assert_eq!(meter.calibration().channels, nominal);
        assert_eq!(meter.calibration().version, 0);
    };
    let too_much = Calibrate {
        power_mw: Some(2_000_000),
        ..LOAD
    };
    refused(
        too_much,
        "wrong_load",
        "voltage or power are off by more than a fifth of what was said",
    );
    let no_load = Calibrate {
        step: CalibrationStep::NoLoad,
        ..LOAD
    };
    refused(no_load, "load_present", "a load is on");
}

#[test]
fn requests_that_make_no_sense_are_refused_at_once() {
    let mut meter = fresh();
    let wrong = [
        Calibrate { channel: 0, ..LOAD },
        Calibrate { channel: 3, ..LOAD },
        Calibrate {
            seconds: 29,
            ..LOAD
        },
        Calibrate {
            seconds: 601,
            ..LOAD
        },
        Calibrate {
            power_mw: None,
            ..LOAD
        },
        Calibrate {
            voltage_mv: Some(0),
            ..LOAD
        },
    ];
    for request in wrong {
        let refused = Refused::Invalid(InvalidSetting::Calibration);
        assert_eq!(meter.calibrate(&request, 0), Err(refused), "{request:?}");
    }
    let undo = Calibrate {
        step: CalibrationStep::Undo,
        ..LOAD
    };
    assert_eq!(meter.calibrate(&undo, 0), Err(Refused::NothingToUndo));
}
