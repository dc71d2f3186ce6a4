//! What people tell a meter, over the wire: settings, another token, what may be erased.

use protocol::{
    Seq, StoreId,
    authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key, Nonce},
    block::{Block, Kind},
    event::What,
    messages::{Config, Erase, Erased, Events, Health, Info, TokenChange},
};

use crate::{
    code,
    harness::{Answer, TOKEN, TestMeter},
};

const OTHER_TOKEN: &str = "the-other-token-of-24-ch";

/// Sends a token as the owner does; the answer's MAC is checked with the token that was in force.
async fn change_token(meter: &TestMeter, new: &str) -> Answer {
    let (key, nonce) = (Key::derive(TOKEN, meter.device), meter.nonce().await);
    let sealed = key.seal_token(&nonce, &new.try_into().unwrap());
    let body = serde_json::to_vec(&TokenChange { sealed }).unwrap();
    let hash = BodyHash::of(&body);
    let mac = key.request_mac("PUT", "/api/v1/token", &hash, &nonce);
    let authorization = Authorization { nonce, mac };
    let headers = format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
    let answer = meter.raw("PUT", "/api/v1/token", &headers, &body).await;
    assert!(answer.is_authentic(&key, &mac), "the old token answers");
    answer
}

#[tokio::test]
async fn before_set_up_token_and_erase_do_not_answer() {
    let meter = TestMeter::fresh().await;
    for (method, path) in [("PUT", "/api/v1/token"), ("POST", "/api/v1/erase")] {
        let answer = meter.plain(method, path, b"{}").await;
        assert_eq!(code(&answer), (403, "not_set_up".into()), "{path}");
    }
}

#[tokio::test]
async fn another_token_is_in_force_behind_the_answer_and_nonces_stay_valid() {
    let meter = TestMeter::set_up(3).await;
    let nonce: Nonce = meter.nonce().await;
    let refused = change_token(&meter, "short").await;
    assert_eq!(code(&refused), (400, "bad_token".into()));
    let answer = change_token(&meter, OTHER_TOKEN).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    assert!(!String::from_utf8_lossy(&answer.body).contains(OTHER_TOKEN));
    let old = meter.signed_with(TOKEN, "GET", "/api/v1/live", b"").await;
    assert_eq!(code(&old), (401, "not_authentic".into()));
    let key = Key::derive(OTHER_TOKEN, meter.device);
    let hash = BodyHash::of(b"");
    let mac = key.request_mac("GET", "/api/v1/live", &hash, &nonce);
    let authorization = Authorization { nonce, mac };
    let headers = format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
    let new = meter.raw("GET", "/api/v1/live", &headers, b"").await;
    assert!(new.status == 200 && new.is_authentic(&key, &mac));
    let events = "/api/v1/events?from=0";
    let events: Events = meter
        .signed_with(OTHER_TOKEN, "GET", events, b"")
        .await
        .json();
    assert_eq!(events.events.last().unwrap().what, What::TokenChanged);
    let meter = meter.restarted().await;
    let live = meter.signed_with(OTHER_TOKEN, "GET", "/api/v1/live", b"");
    assert_eq!(live.await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_not_sealed_for_this_request_is_refused() {
    let meter = TestMeter::set_up(3).await;
    let key = Key::derive(TOKEN, meter.device);
    let elsewhere = key.seal_token(&Nonce([1; 20]), &OTHER_TOKEN.try_into().unwrap());
    let elsewhere = serde_json::to_vec(&TokenChange { sealed: elsewhere }).unwrap();
    let unsigned = meter.plain("PUT", "/api/v1/token", &elsewhere).await;
    assert_eq!(code(&unsigned), (401, "not_authentic".into()));
    for (body, expected) in [
        (&elsewhere[..], "bad_token"),
        (br#"{"sealed":"00"}"#, "bad_json"),
        (br#"{"token":"A1B2C3D4E5F6G7H8I9J1"}"#, "bad_json"),
    ] {
        let answer = meter.signed("PUT", "/api/v1/token", body).await;
        assert_eq!(code(&answer), (400, expected.into()));
    }
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
}

#[tokio::test]
async fn set_up_and_settings_say_what_is_wrong_with_code_interval_and_channels() {
    let meter = TestMeter::fresh().await;
    let setup = |rest: &str| format!(r#"{{"token":"{TOKEN}","name":"Cellar",{rest}}}"#);
    for (rest, expected) in [
        (r#""code":"short""#, "bad_code"),
        (r#""interval_ms":1500"#, "bad_interval"),
        (r#""channels":[{"name":"a","ct_ratio":0}]"#, "bad_channels"),
        (
            r#""channels":[{"name":"a","ct_ratio":1},{"name":"b","ct_ratio":1}]"#,
            "bad_channels",
        ),
    ] {
        let body = setup(rest);
        let answer = meter.plain("POST", "/api/v1/setup", body.as_bytes());
        assert_eq!(code(&answer.await), (400, expected.into()), "{rest}");
    }
    let good = setup(
        r#""code":"green-door","interval_ms":60000,"channels":[{"name":"Heat pump","ct_ratio":4000}]"#,
    );
    let answer = meter.plain("POST", "/api/v1/setup", good.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert!(info.viewable && info.set_up);
    let answer = meter.signed("GET", "/api/v1/config", b"").await;
    assert!(!String::from_utf8_lossy(&answer.body).contains("code"));
    let config: Config = answer.json();
    assert_eq!(config.channels[0].name.as_str(), "Heat pump");
    assert_eq!(
        (config.channels[0].ct_ratio, config.interval_ms),
        (4_000, 60_000)
    );
    let without = Config {
        code: Some(protocol::messages::Code::new()),
        ..config
    };
    let body = serde_json::to_vec(&without).unwrap();
    assert_eq!(
        meter.signed("PUT", "/api/v1/config", &body).await.status,
        200
    );
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert!(!info.viewable);
}

#[tokio::test]
async fn erased_readings_are_not_served_again() {
    let meter = TestMeter::set_up(600).await;
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let erase = |store, through, force| {
        serde_json::to_vec(&Erase {
            store,
            through: Seq(through),
            force,
        })
        .unwrap()
    };
    for (body, expected) in [
        (erase(StoreId(1), 99, true), "unknown_reading"),
        (erase(info.store, 600, true), "unknown_reading"),
        (erase(info.store, 99, false), "unread"),
    ] {
        let answer = meter.signed("POST", "/api/v1/erase", &body).await;
        assert_eq!(code(&answer), (409, expected.into()));
    }
    let body = erase(info.store, 99, true);
    let erased: Erased = meter.signed("POST", "/api/v1/erase", &body).await.json();
    assert_eq!(erased.oldest, Seq(100));
    let mut meter = meter;
    for _ in 0..2 {
        let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
        assert_eq!((info.oldest, info.next), (Seq(100), Seq(600)));
        let (payloads, whole) = meter.stream("/api/v1/blocks?from=0&max=1000000").await;
        let blocks = payloads
            .iter()
            .map(|payload| Block::parse(payload).unwrap());
        let readings = blocks.filter(|block| block.kind() == Kind::Readings);
        let numbers: Vec<u64> = readings
            .flat_map(|block| {
                block
                    .readings()
                    .map(|reading| reading.seq.0)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert!(whole && numbers == (100..600).collect::<Vec<_>>());
        meter = meter.restarted().await;
    }
    let events = meter.signed("GET", "/api/v1/events?from=0", b"").await;
    let events: Events = events.json();
    let erased = What::Erased { through: Seq(99) };
    assert!(events.events.iter().any(|event| event.what == erased));
}

#[tokio::test]
async fn health_counts_writes() {
    let meter = TestMeter::set_up(700).await;
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert_eq!(health.readings_appended, 700);
    assert!(health.bytes_programmed > 700 * 8, "{health:?}");
}
