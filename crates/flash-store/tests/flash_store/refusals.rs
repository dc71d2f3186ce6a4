//! What a store refuses, and what it does not take for a store.

use flash_store::{
    AppendError, ConfigError, FlashStore, Format, FormatError, Kept, Layout, MountError, RunParams,
    WriteError, kept,
};
use nor_model::{Nor, SECTOR_BYTES, Torn};
use protocol::{ChannelReading, Seq, StoreId, access_point::Password};

use crate::{
    behaviour::apply,
    truth::{
        CAPACITY_BYTES, DEVICE, NEXT, PARAMS, STORE, Shared, config, format, mount, wild_channel,
    },
};

fn mount_error(bytes: Vec<u8>) -> MountError {
    let (error, nor) = FlashStore::mount(Nor::from_bytes(bytes))
        .err()
        .expect("it is no store");
    assert_eq!(nor.counters().operations, 0, "mounting writes nothing");
    error
}

#[test]
fn what_is_no_store_is_told_apart_and_left_alone() {
    let blank = vec![0xff; CAPACITY_BYTES];
    assert_eq!(mount_error(blank), MountError::Unformatted);
    let text = b"something else lies here. ".repeat(CAPACITY_BYTES / 26 + 1);
    let text = text[..CAPACITY_BYTES].to_vec();
    assert_eq!(mount_error(text), MountError::Foreign);
    let small = vec![0xff; CAPACITY_BYTES - SECTOR_BYTES];
    assert_eq!(mount_error(small), MountError::Geometry);

    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 300);
    let image = store.into_flash().bytes();
    let mut larger = image.clone();
    larger.resize(CAPACITY_BYTES + SECTOR_BYTES, 0xff);
    assert_eq!(mount_error(larger), MountError::Foreign);
    let mut half_erased = image.clone();
    half_erased[..4 * SECTOR_BYTES].fill(0xff);
    assert_eq!(mount_error(half_erased), MountError::Damaged);
    let mut newer = image;
    for sector in newer.chunks_mut(SECTOR_BYTES).take(26) {
        sector[4] &= 1;
        sector[4] |= u8::from(sector[0] == b'O') << 1;
    }
    assert_eq!(mount_error(newer), MountError::Foreign);
}

#[test]
fn formatting_that_was_cut_leaves_nothing_to_mount_or_a_whole_store() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 500);
    let used = store.into_flash();
    let again = Format {
        device: DEVICE,
        store: protocol::StoreId(7),
        channels: 2,
        password: None,
    };
    let mut formatted = 0;
    for operation in 0.. {
        for torn in Torn::ALL {
            let mut nor = used.snapshot();
            nor.cut_at(operation, torn, operation);
            let done = FlashStore::format(nor, &again);
            if let Ok(store) = done {
                assert_eq!(store.store_id(), again.store);
                assert!(operation > 20 && formatted > 0);
                return;
            }
        }
        // The flash is lost with the error: what lies there is looked at through a shared one.
        for torn in Torn::ALL {
            let mut nor = used.snapshot();
            nor.cut_at(operation, torn, operation);
            let flash = Shared::new(nor);
            let cut = FlashStore::format(flash.clone(), &again).is_err();
            match FlashStore::mount(flash.copy()) {
                Ok(store) if store.store_id() == again.store => formatted += 1,
                // Until both copies are erased it is the old store.
                Ok(store) => assert!(cut && store.store_id() == STORE && operation <= 2),
                Err((error, _)) => assert!(
                    matches!(error, MountError::Unformatted | MountError::Damaged),
                    "{error:?} after a cut at {operation}"
                ),
            }
        }
    }
}

#[test]
fn a_password_survives_every_cut_of_abandoning_a_store() {
    let password = Password::from_random(*b"ten bytes!");
    let format = |password| Format {
        device: DEVICE,
        store: STORE,
        channels: 1,
        password,
    };
    let blank = Nor::new(CAPACITY_BYTES);
    assert_eq!(kept(&mut blank.snapshot()), Ok(None));
    let store = FlashStore::mount_or_format(blank, &format(Some(password))).unwrap();
    assert_eq!(store.password(), Some(&password));
    let mut used = store.into_flash();
    let fresh = StoreId(99);
    let expected = |store| Kept {
        device: DEVICE,
        store,
        channels: 1,
        password: Some(password),
    };
    assert_eq!(kept(&mut used), Ok(Some(expected(STORE))));
    let mut abandoned = 0;
    for operation in 0.. {
        for (kind, torn) in (0..).zip(Torn::ALL) {
            let mut nor = used.snapshot();
            nor.cut_at(operation, torn, operation << 2 | kind);
            let flash = Shared::new(nor);
            let store = FlashStore::mount(flash.clone()).map_err(|(error, _)| error);
            let mut done = store.unwrap().abandon(fresh).is_ok();
            if done {
                // What a chip does at its next start.
                done = FlashStore::mount_or_format(flash.clone(), &format(None)).is_ok();
            }
            let found = kept(&mut flash.copy()).unwrap().expect("a copy is whole");
            assert_eq!(found, expected(found.store), "{operation} {torn:?}");
            let store = FlashStore::mount_or_format(flash.copy(), &format(None)).unwrap();
            assert_eq!(store.password(), Some(&password));
            assert!([STORE, fresh].contains(&store.store_id()));
            abandoned += usize::from(store.store_id() == fresh);
            if done {
                assert_eq!(store.store_id(), fresh);
                assert_eq!((store.next().0, store.boot()), (0, 0));
                assert!(operation > 20 && abandoned > 60);
                return;
            }
        }
    }
}

#[test]
fn formatting_refuses_what_does_not_do() {
    let format = |capacity, channels| {
        let format = Format {
            device: DEVICE,
            store: STORE,
            channels,
            password: None,
        };
        FlashStore::format(Nor::new(capacity), &format).map(drop)
    };
    let small = CAPACITY_BYTES - SECTOR_BYTES;
    assert_eq!(format(small, 1), Err(FormatError::Geometry));
    assert_eq!(format(CAPACITY_BYTES, 0), Err(FormatError::Channels));
    assert_eq!(format(CAPACITY_BYTES, 4), Err(FormatError::Channels));
    assert_eq!(format(CAPACITY_BYTES, 3), Ok(()));
}

#[test]
fn a_layout_uses_every_sector_once() {
    for sectors in CAPACITY_BYTES / SECTOR_BYTES..2000 {
        let layout = Layout::for_capacity(sectors * SECTOR_BYTES).unwrap();
        assert_eq!(layout.total_sectors() as usize, sectors);
        assert_eq!(layout.first_file_sector(), 26);
    }
    assert_eq!(Layout::for_capacity(CAPACITY_BYTES - 1), None);
}

#[test]
fn readings_out_of_range_are_refused_and_change_nothing() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 3);
    let good = wild_channel(1, 0);
    let covered_twice = ChannelReading {
        coverage_permille: 1001,
        ..good
    };
    let with = |change: fn(&mut RunParams)| {
        let mut params = PARAMS;
        change(&mut params);
        params
    };
    let before = store.flash().counters().operations;
    for (params, uptime_ms, channels) in [
        (PARAMS, 40_000, &[][..]),
        (PARAMS, 40_000, &[good; 2]),
        (PARAMS, 40_000, &[covered_twice]),
        (PARAMS, u64::MAX, &[good]),
        (with(|params| params.interval_ms = 999), 40_000, &[good]),
        (with(|params| params.interval_ms = 900_001), 40_000, &[good]),
        (with(|params| params.power_unit_mw = 7), 40_000, &[good]),
    ] {
        let refused = store.append(&params, uptime_ms, channels);
        assert_eq!(refused, Err(AppendError::OutOfRange));
    }
    assert_eq!(store.flash().counters().operations, before);
    truth.check(&mut store);
}

#[test]
fn acknowledging_never_goes_back_nor_ahead_of_the_readings() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 10);
    assert_eq!(store.acknowledge(Seq(11)), Err(WriteError::OutOfRange));
    store.acknowledge(Seq(7)).unwrap();
    store.acknowledge(Seq(3)).unwrap();
    assert_eq!(store.acknowledged(), Seq(7));
    assert_eq!(mount(store.into_flash()).acknowledged(), Seq(7));
}

#[test]
fn the_configuration_is_absent_then_whole_and_bounded() {
    let (mut store, _) = format(1);
    assert_eq!(config(&mut store), None);
    store.config_write(&[]).unwrap();
    assert_eq!(config(&mut store), Some(vec![]));
    store.config_write(&[5; 512]).unwrap();
    assert_eq!(store.config_write(&[6; 513]), Err(ConfigError::TooLong));
    assert_eq!(config(&mut store), Some(vec![5; 512]));
    let short = store.config_read(&mut [0; 511]);
    assert_eq!(short, Err(ConfigError::BufferTooSmall));
    let mut store = mount(store.into_flash());
    assert_eq!(config(&mut store), Some(vec![5; 512]));
}
