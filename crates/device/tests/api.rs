//! The device API over real connections: each route, and what it does with bad input.

mod configuring;
mod crowds;
mod harness;
mod limits;
mod page;
mod saves;
mod strangers;
mod streams;
mod updates;

use harness::{Answer, NOW_UTC_MS, TOKEN, TestMeter};
use protocol::{
    Seq, StoreId,
    authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key, Nonce},
    block::{Block, Kind},
    event::What,
    messages::{Acknowledge, Anchored, Clock, Config, ErrorAnswer, Events, Health, Info, Live},
};

fn code(answer: &Answer) -> (u16, String) {
    let error: ErrorAnswer = serde_json::from_slice(&answer.body).expect("an error is JSON");
    (answer.status, error.error.code.as_str().to_owned())
}

#[tokio::test]
async fn info_answers_without_authentication_and_tells_no_secret() {
    let meter = TestMeter::set_up(20).await;
    let answer = meter.plain("GET", "/api/v1/info", b"").await;
    assert_eq!(answer.status, 200);
    let info: Info = answer.json();
    assert_eq!(
        (info.oldest, info.next, info.set_up),
        (Seq(0), Seq(20), true)
    );
    assert_eq!(
        (info.boot, info.name.as_str(), info.channels),
        (1, "Cellar", 1)
    );
    let text = String::from_utf8(answer.body).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
}

#[tokio::test]
async fn before_set_up_only_info_and_setup_answer() {
    let meter = TestMeter::fresh().await;
    for (method, path) in [
        ("GET", "/api/v1/live"),
        ("GET", "/api/v1/blocks"),
        ("POST", "/api/v1/clock"),
    ] {
        let answer = meter.plain(method, path, b"").await;
        assert_eq!(code(&answer), (403, "not_set_up".into()), "{path}");
    }
}

#[tokio::test]
async fn setup_takes_a_token_once() {
    let meter = TestMeter::fresh().await;
    let bad = meter
        .plain(
            "POST",
            "/api/v1/setup",
            br#"{"token":"short","name":"Cellar"}"#,
        )
        .await;
    assert_eq!(code(&bad), (400, "bad_token".into()));
    let bad = meter
        .plain(
            "POST",
            "/api/v1/setup",
            br#"{"token":"A1B2C3D4E5F6G7H8I9J0","name":" "}"#,
        )
        .await;
    assert_eq!(code(&bad), (400, "bad_name".into()));
    let good = br#"{"token":"A1B2C3D4E5F6G7H8I9J0","name":"Cellar"}"#;
    assert_eq!(meter.plain("POST", "/api/v1/setup", good).await.status, 200);
    assert_eq!(
        code(&meter.plain("POST", "/api/v1/setup", good).await),
        (409, "already_set_up".into())
    );
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
}

#[tokio::test]
async fn blocks_carry_every_reading_from_where_it_was_asked() {
    let meter = TestMeter::set_up(600).await;
    for from in [0, 1, 299, 599] {
        let mut seen = Vec::new();
        for payload in meter
            .stream(&format!("/api/v1/blocks?from={from}&max=1000000"))
            .await
            .0
        {
            let block = Block::parse(&payload).unwrap();
            assert_eq!(block.kind(), Kind::Readings);
            seen.extend(block.readings().map(|reading| reading.seq.0));
        }
        assert!(seen[0] <= from, "{from}: {}", seen[0]);
        assert_eq!(seen, (seen[0]..600).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_stream_stops_at_the_limit_and_says_that_it_is_whole() {
    let meter = TestMeter::set_up(2000).await;
    let (all, whole) = meter.stream("/api/v1/blocks?from=0&max=100000000").await;
    assert!(all.len() > 3 && whole);
    let (some, whole) = meter.stream("/api/v1/blocks?from=0&max=1").await;
    assert!(
        some.len() < all.len() && whole,
        "{} of {}",
        some.len(),
        all.len()
    );
    let (none, whole) = meter.stream("/api/v1/blocks?from=2000").await;
    assert!(none.is_empty() && whole);
}

#[tokio::test]
async fn clock_becomes_an_anchor_and_a_time_before_the_build_is_refused() {
    let meter = TestMeter::set_up(1).await;
    let body = serde_json::to_vec(&Clock {
        utc_ms: NOW_UTC_MS,
        uncertainty_ms: 40,
    })
    .unwrap();
    let anchored: Anchored = meter.signed("POST", "/api/v1/clock", &body).await.json();
    let events: Events = meter
        .signed("GET", "/api/v1/events?from=0", b"")
        .await
        .json();
    let anchor = events
        .events
        .iter()
        .find(|event| event.number == anchored.event)
        .unwrap();
    assert_eq!(
        anchor.what,
        What::Anchor {
            utc_ms: NOW_UTC_MS,
            uncertainty_ms: 40
        }
    );
    assert!(matches!(events.events[0].what, What::Started { .. }));
    let early = meter
        .signed(
            "POST",
            "/api/v1/clock",
            br#"{"utc_ms":1000,"uncertainty_ms":1}"#,
        )
        .await;
    assert_eq!(code(&early), (400, "wrong_time".into()));
}

#[tokio::test]
async fn acknowledging_what_does_not_exist_is_refused() {
    let meter = TestMeter::set_up(5).await;
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let acknowledge = |store, next| {
        serde_json::to_vec(&Acknowledge {
            store,
            next: Seq(next),
        })
        .unwrap()
    };
    let good = meter
        .signed("POST", "/api/v1/ack", &acknowledge(info.store, 5))
        .await;
    assert_eq!(good.status, 200);
    let beyond = meter
        .signed("POST", "/api/v1/ack", &acknowledge(info.store, 6))
        .await;
    assert_eq!(code(&beyond), (409, "unknown_reading".into()));
    let foreign = meter
        .signed("POST", "/api/v1/ack", &acknowledge(StoreId(1), 5))
        .await;
    assert_eq!(code(&foreign), (409, "unknown_reading".into()));
}

#[tokio::test]
async fn config_changes_name_the_version_they_replace() {
    let meter = TestMeter::set_up(1).await;
    let config: Config = meter.signed("GET", "/api/v1/config", b"").await.json();
    let changed = Config {
        interval_ms: 60_000,
        ..config.clone()
    };
    let body = serde_json::to_vec(&changed).unwrap();
    let after: Config = meter.signed("PUT", "/api/v1/config", &body).await.json();
    assert_eq!(
        (after.interval_ms, after.version),
        (60_000, config.version + 1)
    );
    assert_eq!(
        code(&meter.signed("PUT", "/api/v1/config", &body).await),
        (409, "conflict".into())
    );
}

#[tokio::test]
async fn live_and_health_show_what_was_measured() {
    let meter = TestMeter::set_up(3).await;
    let live: Live = meter.signed("GET", "/api/v1/live", b"").await.json();
    assert_eq!(live.channels.len(), 1);
    assert!(live.channels[0].import_mj > 0, "{live:?}");
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert!(
        health.flash_used_bytes > 0 && health.storage_errors == 0,
        "{health:?}"
    );
    assert_eq!((health.starts, health.firmware_confirmed), (1, false));
    assert_eq!((health.samples_lost, health.flash_stop_us), (7, 45_000));
    assert_eq!(
        (health.stack_free_bytes, health.heap_free_bytes),
        (Some(5_000), None)
    );
}

#[tokio::test]
async fn requests_that_are_not_authentic_are_refused_and_counted() {
    let meter = TestMeter::set_up(3).await;
    let wrong_key = meter
        .signed_with("another-token-of-20c", "GET", "/api/v1/live", b"")
        .await;
    assert_eq!(code(&wrong_key), (401, "not_authentic".into()));
    let unsigned = meter.plain("GET", "/api/v1/live", b"").await;
    assert_eq!(code(&unsigned), (401, "not_authentic".into()));
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert_eq!(health.requests_refused, 2);
}

#[tokio::test]
async fn a_request_cannot_be_sent_twice_or_altered() {
    let meter = TestMeter::set_up(3).await;
    let key = Key::derive(TOKEN, meter.device);
    let nonce: Nonce = meter.nonce().await;
    let body = br#"{"utc_ms":1800000000000,"uncertainty_ms":40}"#;
    let hash = BodyHash::of(body);
    let mac = key.request_mac("POST", "/api/v1/clock", &hash, &nonce);
    let headers = format!(
        "Authorization: {}\r\n{BODY_HASH_HEADER}: {hash}\r\n",
        Authorization { nonce, mac }
    );
    let altered = br#"{"utc_ms":1900000000000,"uncertainty_ms":40}"#;
    let other_path = meter.raw("POST", "/api/v1/ack", &headers, body).await;
    assert_eq!(code(&other_path), (401, "not_authentic".into()));
    assert_eq!(
        meter
            .raw("POST", "/api/v1/clock", &headers, body)
            .await
            .status,
        200
    );
    let again = meter.raw("POST", "/api/v1/clock", &headers, body).await;
    assert_eq!(code(&again), (401, "stale_nonce".into()));

    let nonce = meter.nonce().await;
    let mac = key.request_mac("POST", "/api/v1/clock", &hash, &nonce);
    let headers = format!(
        "Authorization: {}\r\n{BODY_HASH_HEADER}: {hash}\r\n",
        Authorization { nonce, mac }
    );
    let swapped = meter.raw("POST", "/api/v1/clock", &headers, altered).await;
    assert_eq!(code(&swapped), (400, "wrong_hash".into()));
}

#[tokio::test]
async fn bad_requests_get_a_reason_and_the_meter_goes_on() {
    let meter = TestMeter::set_up(3).await;
    assert_eq!(
        code(&meter.plain("GET", "/nothing", b"").await),
        (404, "not_found".into())
    );
    assert_eq!(
        code(&meter.plain("POST", "/api/v1/info", b"").await),
        (405, "method_not_allowed".into())
    );
    assert_eq!(
        code(&meter.plain("PROPFINDER", "/api/v1/info", b"").await),
        (405, "method_not_allowed".into())
    );
    let long = format!("/api/v1/info?{}", "x".repeat(520));
    assert_eq!(
        code(&meter.plain("GET", &long, b"").await),
        (414, "path_too_long".into())
    );
    let headers = format!("X-Filler: {}\r\n", "x".repeat(2100));
    assert_eq!(
        code(&meter.raw("GET", "/api/v1/info", &headers, b"").await),
        (431, "headers_too_large".into())
    );
    assert_eq!(
        code(&meter.plain("POST", "/api/v1/setup", &[b'x'; 5000]).await),
        (413, "too_large".into())
    );
    assert_eq!(
        code(&meter.signed("POST", "/api/v1/clock", b"not json").await),
        (400, "bad_json".into())
    );
    assert_eq!(
        code(&meter.signed("GET", "/api/v1/blocks?from=x", b"").await),
        (400, "bad_query".into())
    );
    assert_eq!(
        code(
            &meter
                .raw("GET", "/api/v1/live", "Authorization: Basic eA==\r\n", b"")
                .await
        ),
        (400, "bad_header".into())
    );
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\r\n",
        b"",
    ] {
        meter.garbage(garbage).await;
    }
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let meter = TestMeter::set_up(50).await;
    let before: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let meter = meter.restarted().await;
    let after: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert_eq!(
        (after.boot, after.next, after.store),
        (before.boot + 1, before.next, before.store)
    );
    assert_eq!((after.set_up, after.name), (true, before.name));
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
}

#[tokio::test]
async fn damaged_settings_stop_no_measuring_and_open_the_meter_to_nobody() {
    let meter = TestMeter::set_up(50).await;
    let before: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let mut hits = 0;
    let meter = meter
        .restarted_on_damaged(|bytes| {
            for at in 0..bytes.len() - TOKEN.len() {
                if bytes[at..].starts_with(TOKEN.as_bytes()) {
                    bytes[at] ^= 1;
                    hits += 1;
                }
            }
        })
        .await;
    assert!(hits > 0, "the token lies somewhere");
    let after: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert_eq!((after.boot, after.next), (before.boot + 1, before.next));
    assert!(!after.set_up);
    let body = format!(r#"{{"token":"{TOKEN}","name":"Mine"}}"#);
    let answer = meter.plain("POST", "/api/v1/setup", body.as_bytes()).await;
    assert_eq!(code(&answer), (503, "settings_damaged".to_owned()));
}

#[tokio::test]
async fn answers_look_as_documented() {
    let meter = TestMeter::set_up(2).await;
    for (name, path) in [("live", "/api/v1/live"), ("config", "/api/v1/config")] {
        let answer = meter.signed("GET", path, b"").await;
        let json: serde_json::Value = answer.json();
        insta::assert_json_snapshot!(name, json);
    }
}
