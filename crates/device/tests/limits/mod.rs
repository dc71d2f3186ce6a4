//! Requests that are too long, too slow, malformed or cut: each gets an answer and loses nothing.

use std::time::{Duration, Instant};

use protocol::{
    authentication::NONCE_HEADER,
    messages::{ErrorAnswer, Health, Info},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use crate::harness::{Answer, TOKEN, TestMeter, parse, sealed};

/// Sends bytes, keeps the connection open and reads until the meter closes it.
async fn said(meter: &TestMeter, bytes: &[u8]) -> (Answer, usize) {
    let mut stream = meter.connect().await;
    // The meter may refuse before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let closing = timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
    closing.expect("the meter closes").unwrap();
    let statuses = answer.windows(9).filter(|part| *part == b"HTTP/1.1 ");
    (parse(&answer), statuses.count())
}

fn code(answer: &Answer) -> (u16, String) {
    let error: ErrorAnswer = serde_json::from_slice(&answer.body).expect("an error is JSON");
    (answer.status, error.error.code.as_str().to_owned())
}

async fn is_well(meter: &TestMeter) {
    let begun = Instant::now();
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!((health.storage_errors, meter.restarts()), (0, 0));
}

#[tokio::test]
async fn what_is_over_a_limit_or_malformed_gets_one_answer_and_the_connection_ends() {
    let meter = TestMeter::measuring(20).await;
    let get = "GET /api/v1/info HTTP/1.1\r\nHost: meter\r\n";
    let post = "POST /api/v1/setup HTTP/1.1\r\nHost: meter\r\n";
    let long = |bytes| "x".repeat(bytes);
    let cases = [
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", long(512)),
            414,
            "path_too_long",
        ),
        (format!("GET /{}", long(100_000)), 414, "path_too_long"),
        (long(100_000), 414, "path_too_long"),
        (
            format!("{get}A: {}\r\n\r\n", long(2_048)),
            431,
            "headers_too_large",
        ),
        (
            format!("{get}{}", "A: b\r\n".repeat(20_000)),
            431,
            "headers_too_large",
        ),
        (format!("{get}{}", long(100_000)), 431, "headers_too_large"),
        (
            format!("{post}Content-Length: 4097\r\n\r\n{}", long(4_097)),
            413,
            "too_large",
        ),
        // Nobody waits for what is not read anyway.
        (
            format!("{post}Content-Length: 900000000\r\n\r\n{{"),
            413,
            "too_large",
        ),
        (
            format!("{post}Content-Length: 18446744073709551615\r\n\r\n"),
            413,
            "too_large",
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
            411,
            "length_required",
        ),
        (
            format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
            400,
            "bad_request",
        ),
        (
            format!("{post}Content-Length: two\r\n\r\n{{}}"),
            400,
            "bad_request",
        ),
        (format!("{get}no colon\r\n\r\n"), 400, "bad_request"),
        (format!("{get} folded: 1\r\n\r\n"), 400, "bad_request"),
        ("GET\r\n\r\n".into(), 400, "bad_request"),
        ("GET / HTTP/3\r\n\r\n".into(), 400, "bad_request"),
        ("\r\n".into(), 400, "bad_request"),
        ("\0\u{1}\u{2}".into(), 400, "bad_request"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".into(), 400, "bad_request"),
    ];
    for (sent, status, expected) in cases {
        let what = &sent[..sent.len().min(60)];
        let (answer, answers) = said(&meter, sent.as_bytes()).await;
        assert_eq!(code(&answer), (status, expected.to_owned()), "{what:?}");
        assert_eq!(answers, 1, "{what:?}");
        assert_eq!(answer.header("Connection"), Some("close"), "{what:?}");
        assert!(answer.header(NONCE_HEADER).is_some(), "{what:?}");
        is_well(&meter).await;
    }
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert!(health.connections_ended >= 17, "{health:?}");
}

/// One request of each kind, as its owner sends it.
async fn kinds(meter: &TestMeter) -> Vec<Vec<u8>> {
    let clock = br#"{"utc_ms":1800000000000,"uncertainty_ms":40}"#.as_slice();
    let mut kinds = vec![b"GET /api/v1/info HTTP/1.1\r\nHost: meter\r\n\r\n".to_vec()];
    for (method, path, body) in [
        ("GET", "/api/v1/blocks?from=0", b"".as_slice()),
        ("POST", "/api/v1/clock", clock),
        ("POST", "/api/v1/firmware", &[7; 300]),
    ] {
        let (headers, _) = sealed(TOKEN, meter.nonce().await, method, path, body);
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n");
        kinds.push([head.as_bytes(), body].concat());
    }
    kinds
}

#[tokio::test]
async fn requests_cut_at_any_byte_change_nothing() {
    let meter = TestMeter::measuring(100).await;
    let before = meter.readings(100).await;
    let events: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    for request in kinds(&meter).await {
        for cut in 0..request.len() {
            let answer = meter.exchange(&request[..cut]).await;
            if cut > 0 {
                // A head that is whole uses its nonce up: with less of the body it is stale.
                let status = parse(&answer).status;
                assert!(matches!(status, 400 | 401), "{status} at {cut}");
            }
        }
    }
    let after: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert_eq!(after.next_event, events.next_event);
    assert!(after.next > events.next, "it measures on");
    assert_eq!(meter.readings(100).await, before);
    is_well(&meter).await;
}

#[tokio::test]
async fn a_request_may_come_in_any_pieces() {
    let meter = TestMeter::measuring(20).await;
    for request in kinds(&meter).await {
        for piece in [1, 7, 127, 128, 129] {
            let request = match request.starts_with(b"GET /api/v1/info") {
                true => request.clone(),
                // Each is let in once: this is about how it comes.
                false => kinds(&meter).await[2].clone(),
            };
            let mut stream = meter.connect().await;
            stream.set_nodelay(true).unwrap();
            for part in request.chunks(piece) {
                stream.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(parse(&answer).status, 200, "pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn requests_behind_one_another_are_all_answered() {
    let meter = TestMeter::measuring(20).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(kinds(&meter).await.concat());
    }
    let answer = meter.exchange(&all).await;
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 9, "{text}");
    assert_eq!(text.matches("HTTP/1.1 400").count(), 3, "{text}");
    // What comes behind the last whole request is a request that was cut.
    all.extend(b"GET /api/v1/in");
    let answer = meter.exchange(&all).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("cut_short"), "{text}");
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_cut_short_and_a_longer_one_is_another_request() {
    let meter = TestMeter::measuring(20).await;
    let head = "POST /api/v1/setup HTTP/1.1\r\nContent-Length:";
    let short = format!("{head} 9\r\n\r\n{{}}");
    let short = meter.exchange(short.as_bytes()).await;
    assert_eq!(code(&parse(&short)), (400, "cut_short".into()));
    let long = format!("{head} 2\r\n\r\n{{}}GET /api/v1/info HTTP/1.1\r\n\r\n");
    let long = meter.exchange(long.as_bytes()).await;
    let text = String::from_utf8_lossy(&long);
    assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
    is_well(&meter).await;
}

#[tokio::test]
async fn silence_ends_a_connection_after_ten_seconds_with_an_answer_where_one_is_due() {
    let meter = TestMeter::measuring(20).await;
    let clock = &kinds(&meter).await[2];
    let cases = [
        (&b""[..], None),
        (b"GET /api/v1/in", Some(408)),
        (b"GET /api/v1/info HTTP/1.1\r\nHost:", Some(408)),
        (&clock[..clock.len() - 5], Some(408)),
    ];
    let silent = cases.map(|(sent, expected)| {
        let meter = &meter;
        async move {
            let mut stream = meter.connect().await;
            stream.write_all(sent).await.unwrap();
            let begun = Instant::now();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let status = (!answer.is_empty()).then(|| code(&parse(&answer)));
            let expected = expected.map(|status| (status, "too_slow".to_owned()));
            assert_eq!(status, expected, "{}", String::from_utf8_lossy(sent));
            let took = begun.elapsed();
            assert!((9..13).contains(&took.as_secs()), "{took:?}");
        }
    });
    // Three at a time, so that nobody must make room.
    let [first, second, third, fourth] = silent;
    tokio::join!(first, second, third);
    fourth.await;
    is_well(&meter).await;
}

#[tokio::test]
async fn a_client_that_types_a_byte_each_100_ms_is_served_where_there_is_room() {
    let meter = TestMeter::measuring(20).await;
    let mut stream = meter.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /api/v1/info HTTP/1.1\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
}
