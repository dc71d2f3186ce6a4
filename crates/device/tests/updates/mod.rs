//! `/api/v1/firmware`: updates over real connections.

mod resumed;
mod signed;
mod slow;

use device::{slots::Slot, update::TAKES_UNSIGNED};
use protocol::{
    authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key},
    event::What,
    firmware::Header,
    messages::{Events, Info, Updated},
};
use sha2::{Digest, Sha256};

use crate::{
    code,
    harness::{CHIP, TOKEN, TestMeter},
};

const PATH: &str = "/api/v1/firmware";

fn image(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 / 7) as u8).collect()
}

fn header(chip: &str, image: &[u8]) -> Header {
    Header {
        product: "ofmon".try_into().unwrap(),
        chip: chip.try_into().unwrap(),
        version: "0.2.0".parse().unwrap(),
        minimum: "0.1.0".parse().unwrap(),
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(image).into(),
        signature: [0; 64],
    }
}

fn file(chip: &str, image_bytes: usize) -> Vec<u8> {
    let image = image(image_bytes);
    [&header(chip, &image).to_bytes()[..], &image].concat()
}

/// Nothing was begun: the other slot is as it was, and nobody asked for a restart.
fn assert_untouched(meter: TestMeter) {
    assert_eq!(meter.restarts(), 0);
    let mut slots = meter.into_slots();
    assert_eq!(slots.named(), Ok(Slot::Zero));
    assert_eq!(slots.flash().counters().operations, 0);
    let other = &slots.flash().bytes()[Slot::One.offset() as usize..];
    assert!(other.iter().all(|byte| *byte == 0xff));
}

#[tokio::test]
async fn an_update_is_taken_and_the_meter_restarts() {
    if !TAKES_UNSIGNED {
        return;
    }
    let meter = TestMeter::set_up(3).await;
    // As long as images get, and not in whole pages.
    let file = file(CHIP, 921_599);
    let answer = meter.signed("POST", PATH, &file).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let Updated { version } = answer.json();
    assert_eq!((version.as_str(), meter.restarts()), ("0.2.0", 1));
    let events: Events = meter
        .signed("GET", "/api/v1/events?from=0", b"")
        .await
        .json();
    let last = &events.events.last().unwrap().what;
    assert_eq!(*last, What::FirmwareTaken { version });
    let mut slots = meter.into_slots();
    assert_eq!(
        (slots.named(), slots.can_leave()),
        (Ok(Slot::One), Ok(false))
    );
    let bytes = slots.flash().bytes();
    assert!(bytes[Slot::One.offset() as usize..].starts_with(&file[256..]));
    // The slot that ran before the update has no header and was not confirmed; from it, the update can be started.
    let mut before = device::slots::Slots::open(slots.into_flash(), Some(Slot::Zero)).unwrap();
    assert_eq!(before.can_leave(), Ok(true));
}

#[tokio::test]
async fn a_build_for_the_wall_takes_no_image_without_a_signature() {
    if TAKES_UNSIGNED {
        return;
    }
    let meter = TestMeter::set_up(0).await;
    let answer = meter.signed("POST", PATH, &file(CHIP, 50_000)).await;
    assert_eq!(code(&answer), (403, "unsigned".into()));
    assert_untouched(meter);
}

#[tokio::test]
async fn what_is_no_update_for_this_meter_is_refused_with_a_reason() {
    let meter = TestMeter::set_up(0).await;
    let too_long = vec![0; 256 + 921_601];
    for (body, expected) in [
        (&file("esp32c6", 50_000)[..], (409, "wrong_chip")),
        (&[7; 6_000][..], (400, "not_an_update")),
        (&file(CHIP, 10)[..200], (400, "not_an_update")),
        (&[], (400, "not_an_update")),
        (&too_long, (413, "wrong_size")),
    ] {
        let answer = meter.signed("POST", PATH, body).await;
        assert_eq!(code(&answer), (expected.0, expected.1.into()));
    }
    let wrong_method = meter.plain("PUT", PATH, b"").await;
    assert_eq!(code(&wrong_method), (405, "method_not_allowed".into()));
    assert_untouched(meter);
}

#[tokio::test]
async fn who_has_no_token_cannot_begin_an_update() {
    let meter = TestMeter::set_up(0).await;
    let file = file(CHIP, 50_000);
    let answer = meter.plain("POST", PATH, &file).await;
    assert_eq!(code(&answer), (401, "not_authentic".into()));
    let answer = meter
        .signed_with("another-token-of-20c", "POST", PATH, &file)
        .await;
    assert_eq!(code(&answer), (401, "not_authentic".into()));
    assert_untouched(meter);
    let fresh = TestMeter::fresh().await;
    let answer = fresh.plain("POST", PATH, &file).await;
    assert_eq!(code(&answer), (403, "not_set_up".into()));
    assert_untouched(fresh);
}

/// Returns the head of a request with the MAC of `announced`.
async fn head(meter: &TestMeter, path: &str, announced: &[u8], stated: usize) -> String {
    let (nonce, hash) = (meter.nonce().await, BodyHash::of(announced));
    let mac = Key::derive(TOKEN, meter.device).request_mac("POST", path, &hash, &nonce);
    let authorization = Authorization { nonce, mac };
    format!(
        "POST {path} HTTP/1.1\r\nHost: meter\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         {BODY_HASH_HEADER}: {hash}\r\nContent-Length: {stated}\r\n\r\n"
    )
}

/// Sends `sent` with the MAC of `announced`, as someone between collector and meter could.
async fn altered(meter: &TestMeter, announced: &[u8], sent: &[u8], stated: usize) -> Vec<u8> {
    let head = head(meter, PATH, announced, stated).await;
    meter.exchange(&[head.as_bytes(), sent].concat()).await
}

#[tokio::test]
async fn an_update_that_is_altered_or_cut_on_its_way_is_not_started() {
    let meter = TestMeter::set_up(0).await;
    let (good, whole) = (file(CHIP, 50_000), 50_256);
    let mut other = file(CHIP, 50_000);
    other[30_000] ^= 1;
    let answer = altered(&meter, &good, &other, whole).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        text.contains(" 400 ") && text.contains("wrong_hash"),
        "{text}"
    );
    // Another whole update with a right hash of its own is not what was authenticated either.
    let shorter = file(CHIP, 40_000);
    let answer = altered(&meter, &good, &shorter, shorter.len()).await;
    assert!(String::from_utf8_lossy(&answer).contains("wrong_hash"));
    altered(&meter, &good, &good[..20_000], whole).await;
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert_eq!((info.boot, meter.restarts()), (1, 0));
    // What was begun does not stand in the way of the next one.
    let answer = meter.signed("POST", PATH, &good).await;
    assert_eq!(answer.status, if TAKES_UNSIGNED { 200 } else { 403 });
    let mut slots = meter.into_slots();
    let expected = if TAKES_UNSIGNED {
        Slot::One
    } else {
        Slot::Zero
    };
    assert_eq!(slots.named(), Ok(expected));
}
