//! Updates that stall, or come too slowly.

use std::time::{Duration, Instant};

use protocol::messages::FirmwareState;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::*;
use crate::harness::Build;

/// A second here is so many of the meter's.
const SPEED: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(20);

async fn meter() -> TestMeter {
    TestMeter::set_up_as(&Build {
        speed: SPEED,
        ..Build::default()
    })
    .await
}

/// Begins an update and sends some of it.
async fn begun(meter: &TestMeter, file: &[u8], sent: usize) -> TcpStream {
    let head = head(meter, PATH, file, file.len()).await;
    let mut stream = meter.connect().await;
    let bytes = [head.as_bytes(), &file[..sent]].concat();
    stream.write_all(&bytes).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    timeout(PATIENCE, read).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn upload_that_stalls_is_ended_and_what_came_is_kept() {
    if !TAKES_UNSIGNED {
        return;
    }
    let (meter, file) = (meter().await, file(CHIP, 50_001));
    let begun_at = Instant::now();
    let stalled = begun(&meter, &file, 256 + 20_000).await;
    let text = answer(stalled).await;
    assert!(
        text.contains(" 408 ") && text.contains("too_slow"),
        "{text}"
    );
    // 10 s of the meter's.
    assert!(begun_at.elapsed() >= Duration::from_secs(10) / SPEED as u32);
    let state: FirmwareState = meter.signed("GET", PATH, b"").await.json();
    assert_eq!(state.upload.unwrap().came, 20_000);
    let rest = [&file[..256], &file[256 + 20_000..]].concat();
    let path = format!("{PATH}?from=20000");
    assert_eq!(meter.signed("POST", &path, &rest).await.status, 200);
}

#[tokio::test]
async fn upload_that_trickles_is_ended_after_its_time() {
    if !TAKES_UNSIGNED {
        return;
    }
    let (meter, file) = (meter().await, file(CHIP, 50_001));
    let begun_at = Instant::now();
    let (mut read, mut write) = begun(&meter, &file, 256).await.into_split();
    // A byte every 5 s of the meter's: never idle for long enough, and never done in 600 s.
    let trickle = tokio::spawn(async move {
        for byte in &file[256..] {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(5) / SPEED as u32).await;
        }
    });
    let mut answer = Vec::new();
    // The connection may be reset behind the answer: bytes are still coming.
    let ended = timeout(PATIENCE, read.read_to_end(&mut answer)).await;
    trickle.abort();
    assert!(ended.is_ok(), "it is not ended while bytes trickle");
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains(" 408 ") && text.contains("too_slow"),
        "{text}"
    );
    assert!(begun_at.elapsed() >= Duration::from_secs(600) / SPEED as u32);
    assert_eq!(meter.restarts(), 0);
}
