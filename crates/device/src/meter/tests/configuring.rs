//! What people tell a meter: what is taken, what is refused, and what a power cut leaves.

use protocol::{
    authentication::Nonce,
    messages::{Calibrate, CalibrationStep, ChannelSettings, Config, Erase, Erased, TokenChange},
};

use super::*;
use crate::settings::{CalibrationRecord, InvalidSetting};

const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
const OTHER_TOKEN: &str = "the-other-token-of-24-ch";
const CODE: &str = "green-door";
const NONCE: Nonce = Nonce([3; 20]);

fn setup() -> Setup {
    Setup {
        token: TOKEN.try_into().unwrap(),
        name: "Cellar".try_into().unwrap(),
        code: Some(CODE.try_into().unwrap()),
        interval_ms: Some(60_000),
        channels: channels(4_000),
    }
}

fn channels(ct_ratio: u32) -> heapless::Vec<ChannelSettings, CHANNELS_MAX> {
    let channel = ChannelSettings {
        name: "Heat pump".try_into().unwrap(),
        ct_ratio,
    };
    [channel].into_iter().collect()
}

fn set_up() -> Meter<Nor> {
    let mut meter = fresh();
    meter.set_up(&setup(), 0).unwrap();
    meter
}

fn current_na_per_code(meter: &Meter<Nor>) -> u32 {
    meter.channels[0].config().calibration.current_na_per_code
}

fn sealed(meter: &Meter<Nor>, token: &str) -> TokenChange {
    let key = meter.key().unwrap();
    TokenChange {
        sealed: key.seal_token(&NONCE, &token.try_into().unwrap()),
    }
}

fn is_key_of(meter: &Meter<Nor>, token: &str) -> bool {
    let mac = |key: &Key| *key.request_mac("GET", "/", &body(), &NONCE).bytes();
    meter.key().map(mac) == Some(mac(&Key::derive(token, meter.device())))
}

fn body() -> protocol::authentication::BodyHash {
    protocol::authentication::BodyHash::of(b"")
}

#[test]
fn set_up_takes_code_interval_and_channels_and_they_are_there_after_a_restart() {
    let mut meter = set_up();
    assert_eq!(
        meter.interval_ms(),
        10_000,
        "the interval waits for a start"
    );
    for _ in 0..2 {
        let config = meter.config();
        assert_eq!(config.interval_ms, 60_000);
        assert_eq!(config.channels, channels(4_000));
        assert_eq!(config.code, None, "the code is never told");
        assert!(meter.info(0).viewable && meter.code_matches(CODE));
        assert!(!meter.code_matches("green-doom") && !meter.code_matches(""));
        assert_eq!(current_na_per_code(&meter), 50_000_000);
        assert_eq!(meter.settings.calibration.version, 1);
        meter = restarted(meter);
    }
    assert_eq!(meter.interval_ms(), 60_000);
}

/// Cuts `change` at each of its flash operations, on a copy of `flash`, and hands the meter that starts after that to
/// `check`, with whether the change was said to be done; returns how many cuts there were.
fn cut_everywhere(
    flash: &Nor,
    change: impl Fn(&mut Meter<Nor>) -> Result<(), Refused>,
    mut check: impl FnMut(Meter<Nor>, bool),
) -> u64 {
    let begin = {
        let mut flash = flash.snapshot();
        flash.reset_counters();
        started(flash).store().flash().counters().operations
    };
    for operation in 0.. {
        for (seed, torn) in (operation..).zip(Torn::ALL) {
            let mut flash = flash.snapshot();
            flash.cut_at(begin + operation, torn, seed);
            let mut meter = started(flash);
            let is_done = change(&mut meter).is_ok();
            let mut flash = meter.recorder.store.into_flash();
            if flash.is_powered() {
                return operation;
            }
            flash.power_on();
            check(started(flash), is_done);
        }
    }
    unreachable!("it ends without a cut");
}

#[test]
fn a_cut_during_set_up_leaves_all_of_it_or_nothing() {
    let mut seen = [0; 2];
    let flash = fresh().recorder.store.into_flash();
    let set_up = |meter: &mut Meter<Nor>| meter.set_up(&setup(), 0);
    let cuts = cut_everywhere(&flash, set_up, |meter, is_done| {
        let is_set_up = meter.key().is_some();
        assert!(is_set_up || !is_done);
        assert_eq!(meter.code_matches(CODE), is_set_up);
        let expected = if is_set_up {
            (60_000, 50_000_000)
        } else {
            (10_000, 25_000_000)
        };
        assert_eq!((meter.interval_ms(), current_na_per_code(&meter)), expected);
        seen[usize::from(is_set_up)] += 1;
    });
    assert!(cuts >= 4 && seen[0] > 0 && seen[1] > 0, "{cuts} {seen:?}");
}

#[test]
fn what_is_out_of_range_is_refused_with_its_reason_and_nothing_is_kept() {
    let mut meter = fresh();
    let with = |change: fn(&mut Setup)| {
        let mut setup = setup();
        change(&mut setup);
        setup
    };
    for (setup, reason) in [
        (
            with(|setup| setup.code = Some("short".try_into().unwrap())),
            InvalidSetting::Code,
        ),
        (
            with(|setup| setup.interval_ms = Some(1_500)),
            InvalidSetting::Interval,
        ),
        (
            with(|setup| setup.channels = channels(0)),
            InvalidSetting::Channels,
        ),
        (
            with(|setup| setup.channels = channels(100_000)),
            InvalidSetting::Channels,
        ),
        (
            with(|setup| setup.channels.extend(channels(2_000))),
            InvalidSetting::Channels,
        ),
        (
            with(|setup| setup.token = "short".try_into().unwrap()),
            InvalidSetting::Token,
        ),
    ] {
        assert_eq!(meter.set_up(&setup, 0), Err(Refused::Invalid(reason)));
        assert_eq!(meter.settings, Settings::default());
    }
    assert!(meter.set_up(&setup(), 0).is_ok());
    let other = Config {
        code: Some("with space".try_into().unwrap()),
        ..meter.config()
    };
    let refused = meter.change_config(&other, 0);
    assert_eq!(refused, Err(Refused::Invalid(InvalidSetting::Code)));
    assert!(meter.code_matches(CODE));
}

#[test]
fn a_code_is_changed_left_and_taken_away_and_ends_the_sessions() {
    let mut meter = set_up();
    let mut epoch = meter.sessions_epoch();
    for (code, matching, ends) in [
        (None, Some(CODE), false),
        (Some("blue-window"), Some("blue-window"), true),
        (None, Some("blue-window"), false),
        (Some(""), None, true),
    ] {
        let config = Config {
            code: code.map(|code| code.try_into().unwrap()),
            channels: heapless::Vec::new(),
            ..meter.config()
        };
        meter.change_config(&config, 0).unwrap();
        for code in [CODE, "blue-window", ""] {
            assert_eq!(meter.code_matches(code), matching == Some(code), "{code}");
        }
        assert_eq!(meter.info(0).viewable, matching.is_some());
        assert_eq!(meter.sessions_epoch() != epoch, ends);
        epoch = meter.sessions_epoch();
        assert_eq!(meter.config().channels, channels(4_000), "left as they are");
    }
}

#[test]
fn another_ratio_is_another_calibration_that_readings_name() {
    let mut meter = fresh();
    let own = Setup {
        channels: heapless::Vec::new(),
        ..setup()
    };
    meter.set_up(&own, 0).unwrap();
    feed(&mut meter, 0..420, 230.0);
    let before = readings(&mut meter);
    let mut settings = meter.settings.clone();
    let nominal = meter.nominal_calibrations()[0];
    let measured = Calibration {
        current_na_per_code: 26_000_000,
        current_noise_na: 3_000_000,
        no_load_mw: 1_000,
        ..nominal
    };
    settings.calibration = CalibrationRecord {
        version: 4,
        utc_ms: 77,
        channels: [measured].into_iter().collect(),
    };
    meter.keep(settings).unwrap();
    meter.enforce_calibration(21_000);
    let config = Config {
        channels: channels(1_000),
        ..meter.config()
    };
    meter.change_config(&config, 21_000).unwrap();
    let scaled = Calibration {
        current_na_per_code: 13_000_000,
        current_noise_na: 1_500_000,
        no_load_mw: 500,
        ..nominal
    };
    assert_eq!(meter.channels[0].config().calibration, scaled);
    let told = events(&mut meter);
    let last = told.last().unwrap();
    assert!(
        matches!(last, What::Calibrated { version: 5, utc_ms: 77, channels }
            if channels[0].current_na_per_code == 13_000_000),
        "{last:?}"
    );
    feed(&mut meter, 420..1_220, 230.0);
    let mut buffer = std::vec![0; protocol::limits::BLOCK_BYTES_MAX];
    let next = meter.next().0 - 1;
    let length = meter.store().read_block(Seq(next), &mut buffer).unwrap();
    let block = Block::parse(&buffer[..length.unwrap()]).unwrap();
    assert_eq!(block.header().calibration, 5);
    let after = readings(&mut meter).last().unwrap().0;
    let ratio = f64::from(after) / f64::from(before[0].0);
    assert!((ratio - 0.52).abs() < 0.01, "{ratio}");
    // The same again changes nothing; undoing goes back to the parts, with the transformer that is there.
    let again = Config { ..meter.config() };
    meter.change_config(&again, 0).unwrap();
    assert_eq!(meter.settings.calibration.version, 5);
    let undo = Calibrate {
        channel: 1,
        step: CalibrationStep::Undo,
        seconds: 30,
        voltage_mv: None,
        power_mw: None,
        resistive: false,
        utc_ms: 0,
    };
    meter.calibrate(&undo, 0).unwrap();
    assert_eq!(current_na_per_code(&meter), 12_500_000);
    // While a capture runs, its channel stays what it is.
    let capture = Calibrate {
        step: CalibrationStep::NoLoad,
        ..undo
    };
    meter.calibrate(&capture, 0).unwrap();
    let config = Config {
        channels: channels(2_000),
        ..meter.config()
    };
    assert_eq!(meter.change_config(&config, 0), Err(Refused::Busy));
}

#[test]
fn the_button_forgets_code_and_names_and_keeps_the_ratio_of_the_calibration() {
    let mut meter = set_up();
    let epoch = meter.sessions_epoch();
    meter.obey(Request::Forget, StoreId(5), 0).unwrap();
    assert_ne!(meter.sessions_epoch(), epoch);
    let channel = &meter.config().channels[0];
    assert_eq!((channel.name.as_str(), channel.ct_ratio), ("", 4_000));
    assert!(!meter.info(0).viewable && !meter.code_matches(CODE));
    assert_eq!(current_na_per_code(&meter), 50_000_000);
    meter.set_up(&setup(), 0).unwrap();
    assert_eq!(current_na_per_code(&meter), 50_000_000);
}

#[test]
fn a_cut_while_the_token_changes_leaves_the_old_or_the_new_one() {
    let mut flash = set_up().recorder.store.into_flash();
    let (mut seen, mut cuts_max) = ([0; 2], 0);
    let (mut old, mut new) = (TOKEN, OTHER_TOKEN);
    // Often enough that the files write their directory anew.
    for _ in 0..60 {
        let change = |meter: &mut Meter<Nor>| {
            let sealed = sealed(meter, new);
            meter.change_token(&sealed, &NONCE, 5)
        };
        let cuts = cut_everywhere(&flash, change, |meter, is_done| {
            let is_new = is_key_of(&meter, new);
            assert!(is_new || (!is_done && is_key_of(&meter, old)));
            assert!(meter.code_matches(CODE) && !meter.are_settings_damaged);
            assert_eq!(meter.config().channels, channels(4_000));
            seen[usize::from(is_new)] += 1;
        });
        cuts_max = cuts_max.max(cuts);
        let mut meter = started(flash);
        change(&mut meter).unwrap();
        flash = meter.recorder.store.into_flash();
        (old, new) = (new, old);
    }
    assert!(
        cuts_max >= 5 && seen[0] > 60 && seen[1] > 60,
        "{cuts_max} {seen:?}"
    );
}

#[test]
fn another_token_ends_the_sessions_and_is_told() {
    let mut meter = set_up();
    let epoch = meter.sessions_epoch();
    let change = sealed(&meter, OTHER_TOKEN);
    let elsewhere = Nonce([4; 20]);
    let bad_token = Err(Refused::Invalid(InvalidSetting::Token));
    assert_eq!(meter.change_token(&change, &elsewhere, 5), bad_token);
    let short = sealed(&meter, "short");
    assert_eq!(meter.change_token(&short, &NONCE, 5), bad_token);
    assert!(is_key_of(&meter, TOKEN) && meter.sessions_epoch() == epoch);
    meter.change_token(&change, &NONCE, 5).unwrap();
    assert!(is_key_of(&meter, OTHER_TOKEN) && meter.code_matches(CODE));
    assert_ne!(meter.sessions_epoch(), epoch);
    assert_eq!(events(&mut meter).last(), Some(&What::TokenChanged));
}

#[test]
fn only_what_was_collected_is_erased_unless_that_is_forced() {
    let mut meter = set_up();
    feed(&mut meter, 0..1_020, 230.0);
    let next = meter.next().0;
    assert!(next >= 5, "{next}");
    let erase = |store, through, force| Erase {
        store: StoreId(store),
        through: Seq(through),
        force,
    };
    for unknown in [
        erase(2, 0, true),
        erase(1, next, true),
        erase(1, u64::MAX, true),
    ] {
        assert_eq!(meter.erase(&unknown, 1), Err(Refused::UnknownReading));
    }
    let acknowledge = Acknowledge {
        store: StoreId(1),
        next: Seq(2),
    };
    meter.acknowledge(&acknowledge).unwrap();
    assert_eq!(meter.erase(&erase(1, 2, false), 1), Err(Refused::Unread));
    assert_eq!(meter.info(0).oldest, Seq(0), "nothing went");
    let oldest = |erased: Result<Erased, Refused>| erased.unwrap().oldest.0;
    assert_eq!(oldest(meter.erase(&erase(1, 1, false), 1)), 2);
    assert_eq!(oldest(meter.erase(&erase(1, 2, true), 1)), 3);
    let told = events(&mut meter).len();
    assert_eq!(
        oldest(meter.erase(&erase(1, 2, false), 1)),
        3,
        "nothing goes"
    );
    assert_eq!(events(&mut meter).len(), told);
    assert_eq!(meter.info(0).oldest, Seq(3));
    let erased = |seq| What::Erased { through: Seq(seq) };
    assert_eq!(events(&mut meter)[told - 2..], [erased(1), erased(2)]);
    let meter = restarted(meter);
    assert_eq!(meter.recorder.store.oldest(), Seq(3));
}

#[test]
fn health_counts_what_was_written_since_the_start() {
    let mut meter = fresh();
    let before = meter.health();
    assert_eq!(before.readings_appended, 0);
    feed(&mut meter, 0..620, 230.0);
    let after = meter.health();
    assert_eq!(after.readings_appended, meter.next().0);
    assert!(after.bytes_programmed > before.bytes_programmed);
    assert_eq!(restarted(meter).health().readings_appended, 0);
}
