//! `GET /api/v1/live?stream=1`: one event a second, authentic where a MAC was sent.

use std::time::{Duration, Instant};

use protocol::{
    authentication::Key,
    frame::{FrameHeader, MAC_BYTES},
    messages::{ErrorAnswer, Live},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{TOKEN, TestMeter, sealed};

const PATH: &str = "/api/v1/live?stream=1";

async fn open(meter: &TestMeter) -> (Lines<BufReader<TcpStream>>, protocol::authentication::Mac) {
    let (headers, mac) = sealed(TOKEN, meter.nonce().await, "GET", PATH, b"");
    let mut stream = meter.connect().await;
    let head = format!("GET {PATH} HTTP/1.1\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    (BufReader::new(stream).lines(), mac)
}

/// Reads lines up to one that begins so; returns the rest of it.
async fn line(lines: &mut Lines<BufReader<TcpStream>>, beginning: &str) -> String {
    let search = async {
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("the stream goes on");
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    };
    timeout(Duration::from_secs(3), search).await.unwrap()
}

#[tokio::test]
async fn live_values_come_once_a_second_and_authentic_while_readings_go_on() {
    let meter = TestMeter::measuring(3).await;
    let (mut lines, request) = open(&meter).await;
    assert_eq!(line(&mut lines, "HTTP/1.1 ").await.trim(), "200");
    assert_eq!(
        line(&mut lines, "Content-Type: ").await,
        "text/event-stream"
    );
    let key = Key::derive(TOKEN, meter.device);
    let begun = Instant::now();
    let mut energy = Vec::new();
    for index in 0..4 {
        let id = line(&mut lines, "id: ").await;
        let data = line(&mut lines, "data: ").await;
        let (number, digits) = id.split_once(' ').expect("a MAC");
        assert_eq!(number, index.to_string());
        let header = FrameHeader {
            length: data.len(),
            index,
            last: false,
        };
        let mac = key.frame_mac(&request, header, data.as_bytes());
        let expected: String = mac.bytes()[..MAC_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digits, expected);
        let live: Live = serde_json::from_str(&data).unwrap();
        energy.push(live.channels[0].import_mj);
    }
    let took = begun.elapsed().as_millis();
    assert!((2_900..4_000).contains(&took), "{took} ms");
    assert!(
        energy.is_sorted_by(|earlier, later| earlier < later),
        "{energy:?}"
    );
}

#[tokio::test]
async fn two_streams_at_most_and_room_again_when_one_ends() {
    let meter = TestMeter::set_up(3).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (mut lines, _) = open(&meter).await;
        line(&mut lines, "data: ").await;
        streams.push(lines);
    }
    let third = meter.signed("GET", PATH, b"").await;
    let error: ErrorAnswer = third.json();
    assert_eq!((third.status, error.error.code.as_str()), (503, "busy"));
    streams.pop();
    // The meter notices with the next events that nobody reads them.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let (mut lines, _) = open(&meter).await;
    line(&mut lines, "data: ").await;
}

#[tokio::test]
async fn streams_make_room_where_there_is_none() {
    let meter = TestMeter::set_up(3).await;
    let (mut first, _) = open(&meter).await;
    line(&mut first, "data: ").await;
    let (mut second, _) = open(&meter).await;
    line(&mut second, "data: ").await;
    let silent = [meter.connect().await, meter.connect().await];
    let begun = Instant::now();
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(silent);
}

#[tokio::test]
async fn a_stream_asks_for_a_mac_and_a_known_wish() {
    let meter = TestMeter::set_up(3).await;
    assert_eq!(meter.plain("GET", PATH, b"").await.status, 401);
    let once = meter.signed("GET", "/api/v1/live?stream=0", b"").await;
    assert_eq!(once.json::<Live>().channels.len(), 1);
    let wrong = meter.signed("GET", "/api/v1/live?stream=yes", b"").await;
    assert_eq!(wrong.status, 400);
}
