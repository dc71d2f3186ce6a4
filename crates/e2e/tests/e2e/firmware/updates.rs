//! Updates over the device API, and the way back from images that do not work.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use e2e::emulated::{self, Emulated};
use protocol::{
    event::What,
    firmware::{Header, PRODUCT, SIGNATURE_BYTES},
};
use sha2::{Digest as _, Sha256};

use super::{IMAGE, fresh, over_api, seconds, set_up};

/// Makes an update of the application that lies beside a merged image.
pub(super) fn update(variable: &str, version: &str) -> Result<Vec<u8>> {
    let merged = emulated::image(variable)?;
    let image = fs::read(merged.parent().unwrap_or(Path::new("")).join("app.bin"))?;
    let header = Header {
        product: PRODUCT.try_into().ok().context("a product")?,
        chip: "esp32c3".try_into().ok().context("a chip")?,
        version: version.parse().ok().context("a version")?,
        minimum: "0.0.0".parse().ok().context("a version")?,
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(&image).into(),
        signature: [0; SIGNATURE_BYTES],
    };
    Ok([&header.to_bytes()[..], &image].concat())
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

/// Runs a fresh meter for a minute and gives it an update.
fn updated(variable: &str) -> Emulated {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let file = update(variable, "9.9.9").unwrap();
    meter
        .serve(|served| {
            over_api(&served, async |client, _| set_up(client).await)?;
            served.pass(seconds(60))?;
            // A connection of before has become too old meanwhile.
            over_api(&served, async |_, session| {
                session.update(file).await?;
                Ok(())
            })
        })
        .unwrap();
    meter
}

fn starts(meter: &Emulated) -> usize {
    meter.machine.counters().resets.len()
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_takes_an_update_and_confirms_it() {
    let mut meter = updated(IMAGE);
    let before = meter.content().unwrap().readings;
    assert!(before.len() >= 5);
    meter.run(seconds(60)).unwrap();
    let health = meter
        .serve(|served| over_api(&served, async |_, session| Ok(session.health().await?)))
        .unwrap();
    assert!(health.firmware_confirmed);
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
    let mut meter = updated(variable);
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
