//! Updates over the device API, and the way back from images that do not work.

use std::{fs, path::Path};

use anyhow::Result;
use collector::{
    WallClock,
    client::ClientError,
    collect::collect,
    firmware,
    store::{PushOutcome, SharedStore, Store},
};
use device::flash_map::{SLOTS, STORE};
use e2e::emulated::{self, Emulated};
use firmware_package::{Package, SecretKey};
use protocol::event::What;
use tempfile::TempDir;

use super::{IMAGE, fresh, over_api, seconds, set_up};

/// Makes an update of the application that lies beside a merged image, signed with the key of the tests.
pub(super) fn update(variable: &str, version: &str) -> Result<Package> {
    let merged = emulated::image(variable)?;
    let image = fs::read(merged.parent().unwrap_or(Path::new("")).join("app.bin"))?;
    let package = Package::new("esp32c3", version, "0.0.0", &image)?;
    Ok(package.signed(&key()?))
}

/// Returns the key whose public half is built into the image; it is no secret.
fn key() -> Result<SecretKey> {
    Ok(SecretKey::from_pem(include_str!(
        "../../../keys/test-only.key"
    ))?)
}

/// Visits the meter as a collector does; returns what it saw of the update.
fn visit(meter: &mut Emulated, store: &SharedStore) -> Option<PushOutcome> {
    let seen = meter.serve(|served| {
        over_api(&served, async |_, session| {
            let (collected, ended) =
                collect(store, session, &WallClock::default(), &mut |_| {}).await;
            ended?;
            Ok(collected.firmware)
        })
    });
    seen.unwrap()
        .and_then(|firmware| firmware.push)
        .map(|push| push.outcome)
}

/// What the meter's log says of firmware.
fn told(meter: &Emulated) -> Vec<What> {
    let events = meter.content().unwrap().events.into_iter();
    events
        .filter(|what| {
            matches!(
                what,
                What::FirmwareTaken { .. }
                    | What::FirmwareConfirmed { .. }
                    | What::FirmwareLeft { .. }
            )
        })
        .collect()
}

/// Returns a store of a collector, in a directory of its own.
fn store() -> (TempDir, SharedStore) {
    let data = tempfile::tempdir().unwrap();
    let store = SharedStore::new(Store::open(data.path()).unwrap());
    (data, store)
}

/// Runs a fresh meter for a minute and gives it an update.
fn updated(variable: &str, store: &SharedStore) -> Emulated {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let file = update(variable, "9.9.9").unwrap();
    meter
        .serve(|served| {
            over_api(&served, async |client, _| set_up(client).await)?;
            served.pass(seconds(60))?;
            // A connection of before has become too old meanwhile.
            over_api(&served, async |_, session| {
                let clock = WallClock::default();
                firmware::push(store, session, &file, &clock, &mut |_| {}).await?;
                Ok(())
            })
        })
        .unwrap();
    meter
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_believes_only_what_is_signed_with_its_key() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let file = update(IMAGE, "9.9.9").unwrap();
    let unsigned = Package::new("esp32c3", "9.9.9", "0.0.0", file.image()).unwrap();
    let forged = unsigned.clone().signed(&SecretKey::generate().unwrap());
    let refusals = meter
        .serve(|served| {
            over_api(&served, async |client, session| {
                set_up(client).await?;
                let mut refusals = Vec::new();
                for wrong in [&unsigned, &forged] {
                    match session.update(wrong, &mut |_| {}).await {
                        Err(ClientError::Answered { code, .. }) => refusals.push(code),
                        other => anyhow::bail!("it was answered with {other:?}"),
                    }
                }
                assert_eq!(session.info().await?.boot, 1);
                assert_eq!(session.firmware().await?.upload, None);
                Ok(refusals)
            })
        })
        .unwrap();
    assert_eq!(refusals, ["unsigned", "wrong_signature"]);
    assert_eq!(starts(&meter), 1);
    // The other slot is as it came from the factory.
    let slot = &meter.machine.flash().bytes()[SLOTS[1] as usize..STORE as usize];
    assert!(slot.iter().all(|byte| *byte == 0xff));
}

fn starts(meter: &Emulated) -> usize {
    meter.machine.counters().resets.len()
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_takes_an_update_and_confirms_it() {
    let (_data, store) = store();
    let mut meter = updated(IMAGE, &store);
    let before = meter.content().unwrap().readings;
    assert!(before.len() >= 5);
    meter.run(seconds(60)).unwrap();
    let health = meter
        .serve(|served| over_api(&served, async |_, session| Ok(session.health().await?)))
        .unwrap();
    assert!(health.firmware_confirmed);
    assert_eq!(visit(&mut meter, &store), Some(PushOutcome::Confirmed));
    assert_eq!(visit(&mut meter, &store), None);
    let told = told(&meter);
    assert!(
        matches!(
            &told[..],
            [.., What::FirmwareTaken { version: taken }, What::FirmwareConfirmed { .. }]
                if taken.as_str() == "9.9.9"
        ),
        "{told:?}"
    );
    // It runs from the other slot now.
    assert!(
        meter.console().contains("offset 0x110000"),
        "{}",
        meter.console()
    );
    let after = meter.content().unwrap();
    assert!(
        before
            .iter()
            .all(|(seq, reading)| after.readings.get(seq) == Some(reading))
    );
    assert_eq!(after.lost, 0);
    assert!(after.readings.len() >= before.len() + 5);
}

/// Gives the meter an image that does not work; it must be back with the old one, and its readings, within the time.
fn comes_back_from(variable: &str, seconds_max: u64) {
    let (_data, store) = store();
    let mut meter = updated(variable, &store);
    let before = meter.content().unwrap().readings;
    let starts_before = starts(&meter);
    meter.forget_console();
    meter.host.power_on();
    let is_back = meter
        .run_until(seconds(seconds_max), |meter| {
            meter.console().contains("back to the other one") && meter.host.lease().is_some()
        })
        .unwrap();
    assert!(is_back, "{}", meter.console());
    // Three starts on trial, one to leave, one of the old image; and the restart of the update.
    let starts = starts(&meter) - starts_before;
    assert!((4..=6).contains(&starts), "{starts} starts");
    meter.run(seconds(30)).unwrap();
    let told = told(&meter);
    assert!(
        matches!(told.last(), Some(What::FirmwareLeft { version }) if version.as_str() == "9.9.9"),
        "{told:?}"
    );
    let after = meter.content().unwrap();
    assert!(
        before
            .iter()
            .all(|(seq, reading)| after.readings.get(seq) == Some(reading))
    );
    assert_eq!(after.lost, 0);
    assert!(after.readings.len() > before.len());
    assert_eq!(visit(&mut meter, &store), Some(PushOutcome::Left));
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_comes_back_from_an_image_that_hangs() {
    comes_back_from("OFMON_FIRMWARE_C3_FAULT_HANG", 120);
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_comes_back_from_an_image_that_panics() {
    comes_back_from("OFMON_FIRMWARE_C3_FAULT_PANIC", 60);
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_comes_back_from_an_image_without_an_access_point() {
    comes_back_from("OFMON_FIRMWARE_C3_FAULT_NO_ACCESS_POINT", 480);
}
