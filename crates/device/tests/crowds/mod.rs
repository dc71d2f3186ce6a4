//! More connections than a meter has places: whoever has a good request is answered within a second, also meanwhile.

use std::time::{Duration, Instant};

use protocol::messages::{ErrorAnswer, Health, Info};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::harness::{TOKEN, TestMeter, parse, sealed};

const RECOVERY_MAX: Duration = Duration::from_secs(1);

/// Asks for something with a MAC; returns how long that took.
async fn answered(meter: &TestMeter) -> Duration {
    let begun = Instant::now();
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert_eq!(health.storage_errors, 0);
    begun.elapsed()
}

/// Opens as many connections as there are places, each of which says `word` and nothing more.
async fn occupied(meter: &TestMeter, word: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..device::http::CONNECTIONS {
        let mut stream = meter.connect().await;
        stream.write_all(word).await.unwrap();
        streams.push(stream);
    }
    // All are served by now.
    sleep(Duration::from_millis(50)).await;
    streams
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_keep_nobody_out() {
    let meter = TestMeter::measuring(20).await;
    for word in [
        &b""[..],
        b"G",
        b"GET /api/v1/info HTTP/1.1\r\nHost: me",
        b"POST /api/v1/setup HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/clock HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/firmware HTTP/1.1\r\nContent-Length: 900000\r\n\r\n{",
        // Answered, and then kept open.
        b"GET /api/v1/info HTTP/1.1\r\n\r\n",
        b"GET /api/v1/live HTTP/1.1\r\n\r\n",
        b"garbage\r\n\r\n",
    ] {
        let streams = occupied(&meter, word).await;
        for round in 0..3 {
            let took = answered(&meter).await;
            let word = String::from_utf8_lossy(word);
            assert!(took < RECOVERY_MAX, "{word}, round {round}: {took:?}");
        }
        drop(streams);
        assert!(answered(&meter).await < RECOVERY_MAX);
    }
    assert_eq!(meter.restarts(), 0);
}

#[tokio::test]
async fn who_asks_without_a_pause_keeps_nobody_out() {
    let meter = TestMeter::measuring(20).await;
    let talkers: Vec<_> = (0..device::http::CONNECTIONS)
        .map(|_| tokio::spawn(talk(meter.address)))
        .collect();
    sleep(Duration::from_millis(50)).await;
    for round in 0..3 {
        let took = answered(&meter).await;
        assert!(took < RECOVERY_MAX, "round {round}: {took:?}");
    }
    talkers.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(meter.restarts(), 0);
}

/// Asks who the meter is as often as it answers, on one connection until that ends.
async fn talk(address: std::net::SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let mut answer = [0; 4096];
    loop {
        let asked = stream.write_all(b"GET /api/v1/info HTTP/1.1\r\n\r\n").await;
        match (asked, stream.read(&mut answer).await) {
            (Ok(()), Ok(1..)) => {}
            _ => return,
        }
    }
}

#[tokio::test]
async fn fifty_connections_at_once_are_answered_and_one_with_a_mac_behind_them_too() {
    let meter = TestMeter::measuring(20).await;
    let before: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let ask = async || meter.plain("GET", "/api/v1/info", b"").await.status;
    let asks: Vec<_> = (0..50).map(|_| ask()).collect();
    let statuses = futures_util::future::join_all(asks).await;
    assert_eq!(statuses, [200; 50]);
    // Those who leave without a word hold nobody up.
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(meter.connect().await);
    }
    drop(streams);
    assert!(answered(&meter).await < RECOVERY_MAX);
    sleep(Duration::from_millis(100)).await;
    let after: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert!(after.next > before.next, "it measures on");
}

#[tokio::test]
async fn who_was_let_in_by_a_mac_is_not_ended_for_others() {
    let meter = TestMeter::measuring(20).await;
    let (path, body) = ("/api/v1/firmware", [7; 20_000]);
    let (headers, _) = sealed(TOKEN, meter.nonce().await, "POST", path, &body);
    let mut stream = meter.connect().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let streams = occupied(&meter, b"").await;
    // Slow, and for longer than others may wait.
    for part in body.chunks(1_000) {
        sleep(Duration::from_millis(100)).await;
        stream.write_all(part).await.unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = parse(&answer);
    let error: ErrorAnswer = answer.json();
    assert_eq!(error.error.code.as_str(), "not_an_update");
    drop(streams);
}

#[tokio::test]
async fn random_bytes_do_nothing() {
    let meter = TestMeter::measuring(100).await;
    let before = meter.readings(100).await;
    let mut random = StdRng::seed_from_u64(6);
    for round in 0..300 {
        let mut bytes = vec![0; random.random_range(1..3_000)];
        random.fill_bytes(&mut bytes);
        // Half of them begin like a request, so that they get further.
        if round % 2 == 0 {
            let head = b"POST /api/v1/clock HTTP/1.1\r\nContent-Length: 60\r\n\r\n";
            let kept = random.random_range(1..=head.len());
            bytes.splice(0..0, head[..kept].iter().copied());
        }
        meter.garbage(&bytes).await;
    }
    assert!(answered(&meter).await < RECOVERY_MAX);
    assert_eq!(meter.readings(100).await, before);
    assert_eq!(meter.restarts(), 0);
}
