//! Updates that come over several connections.

use ed25519_dalek::SigningKey;
use protocol::messages::FirmwareState;

use super::{signed::sign, *};
use crate::harness::Build;

const IMAGE_BYTES: usize = 50_001;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

async fn meter() -> TestMeter {
    TestMeter::set_up_as(&Build {
        keys: vec![key().verifying_key().to_bytes()],
        ..Build::default()
    })
    .await
}

fn update() -> Vec<u8> {
    let mut file = file(CHIP, IMAGE_BYTES);
    sign(&mut file, &key());
    file
}

/// What is to be sent where `from` bytes of the image came.
fn rest(file: &[u8], from: usize) -> Vec<u8> {
    [&file[..256], &file[256 + from..]].concat()
}

async fn state(meter: &TestMeter) -> FirmwareState {
    meter.signed("GET", PATH, b"").await.json()
}

async fn came(meter: &TestMeter) -> Option<u32> {
    state(meter).await.upload.map(|upload| upload.came)
}

/// Sends so many bytes of the body that goes on at `from`, and breaks the connection.
async fn broken(meter: &TestMeter, file: &[u8], from: usize, sent: usize) {
    let (path, body) = (path(from), rest(file, from));
    let head = head(meter, &path, &body, body.len()).await;
    meter
        .exchange(&[head.as_bytes(), &body[..sent]].concat())
        .await;
}

fn path(from: usize) -> String {
    match from {
        0 => PATH.into(),
        _ => format!("{PATH}?from={from}"),
    }
}

async fn go_on(meter: &TestMeter, file: &[u8], from: usize) -> crate::harness::Answer {
    meter.signed("POST", &path(from), &rest(file, from)).await
}

#[tokio::test]
async fn update_goes_on_where_its_connection_broke() {
    let (meter, file) = (meter().await, update());
    let fresh = state(&meter).await;
    assert_eq!(
        (fresh.version.as_str(), fresh.confirmed, fresh.upload),
        ("0.1.0", false, None)
    );
    // In the header: nothing came. Then within a page, at the end of one and of a sector, and one byte before the end.
    broken(&meter, &file, 0, 200).await;
    assert_eq!(came(&meter).await, None);
    let mut from = 0;
    for end in [1, 255, 256, 257, 4_096, 20_001, IMAGE_BYTES - 1] {
        broken(&meter, &file, from, 256 + end - from).await;
        from = end;
        let upload = state(&meter).await.upload.expect("it is kept");
        assert_eq!(upload.came as usize, from);
        assert_eq!(upload.version.as_str(), "0.2.0");
        assert_eq!(upload.image_bytes as usize, IMAGE_BYTES);
        assert_eq!(upload.image_hash.0, header(CHIP, &file[256..]).image_hash);
    }
    let answer = go_on(&meter, &file, from).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!((answer.status, meter.restarts()), (200, 1), "{text}");
    assert_eq!(came(&meter).await, None);
    let mut slots = meter.into_slots();
    assert_eq!(slots.named(), Ok(Slot::One));
    let bytes = slots.flash().bytes();
    assert!(bytes[Slot::One.offset() as usize..].starts_with(&file[256..]));
}

#[tokio::test]
async fn update_goes_on_only_where_the_meter_is_and_with_the_same_header() {
    let (meter, file) = (meter().await, update());
    for from in [1, IMAGE_BYTES, 60_000] {
        let body = rest(&file, from.min(IMAGE_BYTES));
        let answer = meter.signed("POST", &path(from), &body).await;
        assert_eq!(code(&answer), (409, "wrong_offset".into()));
    }
    broken(&meter, &file, 0, 256 + 10_000).await;
    for from in [1, 9_999, 10_001, 10_256] {
        let answer = go_on(&meter, &file, from).await;
        assert_eq!(code(&answer), (409, "wrong_offset".into()));
    }
    let answer = meter
        .signed("POST", &format!("{PATH}?from=x"), &rest(&file, 10_000))
        .await;
    assert_eq!(code(&answer), (400, "bad_query".into()));
    // The same image under another version is another update.
    let mut other = file.clone();
    other[40..45].copy_from_slice(b"0.3.0");
    sign(&mut other, &key());
    let answer = go_on(&meter, &other, 10_000).await;
    assert_eq!(code(&answer), (409, "wrong_offset".into()));
    assert_eq!(came(&meter).await, Some(10_000));
    assert_eq!(go_on(&meter, &file, 10_000).await.status, 200);
}

#[tokio::test]
async fn part_that_was_altered_on_its_way_is_found_at_the_end_and_dropped() {
    let (meter, file) = (meter().await, update());
    let mut altered = file.clone();
    altered[256 + 5_000] ^= 1;
    // Nobody vouches for what comes before a connection breaks.
    broken(&meter, &altered, 0, 256 + 30_000).await;
    assert_eq!(came(&meter).await, Some(30_000));
    let answer = go_on(&meter, &file, 30_000).await;
    assert_eq!(code(&answer), (400, "wrong_image".into()));
    assert_eq!((came(&meter).await, meter.restarts()), (None, 0));
    let answer = go_on(&meter, &file, 30_000).await;
    assert_eq!(code(&answer), (409, "wrong_offset".into()));
    assert_eq!(go_on(&meter, &file, 0).await.status, 200);
}

#[tokio::test]
async fn whole_body_that_was_altered_is_dropped_too() {
    let (meter, file) = (meter().await, update());
    let mut other = file.clone();
    other[256 + 5_000] ^= 1;
    altered(&meter, &file, &other, file.len()).await;
    assert_eq!((came(&meter).await, meter.restarts()), (None, 0));
    assert_eq!(go_on(&meter, &file, 0).await.status, 200);
}

#[tokio::test]
async fn another_update_takes_the_place_of_the_one_that_broke_off_and_a_restart_forgets_it() {
    let (meter, file) = (meter().await, update());
    broken(&meter, &file, 0, 256 + 10_000).await;
    let mut other = file.clone();
    other[40..45].copy_from_slice(b"0.3.0");
    sign(&mut other, &key());
    broken(&meter, &other, 0, 256 + 5_000).await;
    let upload = state(&meter).await.upload.unwrap();
    assert_eq!((upload.version.as_str(), upload.came), ("0.3.0", 5_000));
    // One that is refused does not.
    let refused = crate::updates::file("esp32c6", 10);
    assert_eq!(code(&go_on(&meter, &refused, 0).await).1, "wrong_chip");
    assert_eq!(came(&meter).await, Some(5_000));
    let meter = meter.restarted().await;
    assert_eq!(came(&meter).await, None);
}
