//! Whoever has no token, or only heard what another sent: every endpoint, and nothing changes.

use std::time::Duration;

use device::http::ROUTES;
use protocol::{
    authentication::Nonce,
    messages::{Config, Events, Health, Info},
};

use crate::harness::{TOKEN, TestMeter, sealed};

/// What answers without any authentication: everything else is tried.
const OPEN: [&str; 4] = ["/", "/api/v1/info", "/api/v1/setup", "/api/v1/session"];

/// A body for each endpoint that a meter would take.
fn body(method: &str, path: &str) -> &'static [u8] {
    match (method, path) {
        ("PUT", "/api/v1/config") => br#"{"name":"Mine","interval_ms":1000,"version":1}"#,
        ("POST", "/api/v1/clock") => br#"{"utc_ms":1800000000000,"uncertainty_ms":40}"#,
        ("POST", "/api/v1/ack") => br#"{"store":"0000000000000007","next":3}"#,
        ("POST", "/api/v1/erase") => {
            br#"{"store":"0000000000000007","through":3,"force":true}"#
        }
        ("POST", "/api/v1/calibrate") => {
            br#"{"channel":1,"step":"no_load","seconds":30,"voltage_mv":null,"power_mw":null,"resistive":false,"utc_ms":0}"#
        }
        ("POST" | "PUT", _) => b"{}",
        _ => b"",
    }
}

/// Every endpoint that asks for authentication.
fn guarded() -> impl Iterator<Item = (&'static str, &'static str)> {
    let routes = ROUTES.iter().filter(|route| !OPEN.contains(&route.0));
    routes.flat_map(|route| route.1.iter().map(|method| (*method, route.0)))
}

/// All that a stranger could have changed.
async fn state(meter: &TestMeter) -> (Config, u64, String, u64, usize) {
    let config = meter.signed("GET", "/api/v1/config", b"").await.json();
    let events: Events = meter
        .signed("GET", "/api/v1/events?from=0", b"")
        .await
        .json();
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    let readings = info.next.0 - info.oldest.0;
    (
        config,
        events.next,
        info.name.to_string(),
        readings,
        meter.restarts(),
    )
}

#[tokio::test]
async fn strangers_change_and_learn_nothing_at_any_endpoint() {
    let meter = TestMeter::set_up(50).await;
    let before = state(&meter).await;
    let mut refused = 0;
    for (method, path) in guarded() {
        let body = body(method, path);
        let what = format!("{method} {path}");
        let none = meter.plain(method, path, body).await;
        assert_eq!(none.status, 401, "{what} without a MAC");
        let wrong = meter
            .signed_with("another-token-of-20c", method, path, body)
            .await;
        assert_eq!(wrong.status, 401, "{what} with a wrong MAC");
        // The nonce of another boot, or made up.
        let (headers, _) = sealed(TOKEN, Nonce([9; 20]), method, path, body);
        let foreign = meter.raw(method, path, &headers, body).await;
        assert_eq!(foreign.status, 401, "{what} with a foreign nonce");
        let nonce = meter.nonce().await;
        meter.pass(Duration::from_secs(301));
        let (headers, _) = sealed(TOKEN, nonce, method, path, body);
        let stale = meter.raw(method, path, &headers, body).await;
        assert_eq!(stale.status, 401, "{what} with a stale nonce");
        let (headers, _) = sealed(TOKEN, meter.nonce().await, method, path, body);
        let other_query = meter
            .raw(method, &format!("{path}?from=1"), &headers, body)
            .await;
        assert_eq!(other_query.status, 401, "{what} with another query");
        let (headers, _) = sealed(TOKEN, meter.nonce().await, "PATCH", path, body);
        let other_method = meter.raw(method, path, &headers, body).await;
        assert_eq!(other_method.status, 401, "{what} with another method");
        for answer in [none, wrong, foreign, stale, other_query, other_method] {
            assert!(answer.body.len() < 200, "{what}: an error says little");
            refused += 1;
        }
        let (headers, _) = sealed(TOKEN, meter.nonce().await, method, path, body);
        let altered = [body, b" "].concat();
        let altered = meter.raw(method, path, &headers, &altered).await;
        assert_eq!(altered.status, 400, "{what} with an altered body");
    }
    assert!(refused >= 6 * 12, "{refused}");
    assert_eq!(state(&meter).await, before);
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert_eq!(health.requests_refused, refused);
}

#[tokio::test]
async fn what_was_heard_cannot_be_sent_again_at_any_endpoint() {
    let meter = TestMeter::set_up(50).await;
    for (method, path) in guarded() {
        // Its body is refused by what it does, not by who sends it: nothing restarts or is erased meanwhile.
        let body = if body(method, path).is_empty() {
            b"".as_slice()
        } else {
            b"[]"
        };
        let (headers, _) = sealed(TOKEN, meter.nonce().await, method, path, body);
        let first = meter.raw(method, path, &headers, body).await;
        assert_ne!(first.status, 401, "{method} {path}");
        for _ in 0..2 {
            let again = meter.raw(method, path, &headers, body).await;
            assert_eq!(again.status, 401, "{method} {path} again");
        }
    }
    assert_eq!(meter.restarts(), 0);
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there_are_refused() {
    let meter = TestMeter::set_up(3).await;
    for route in ROUTES {
        for method in [
            "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get",
        ] {
            if !route.1.contains(&method) {
                let answer = meter.signed_with(TOKEN, method, route.0, b"").await;
                assert_eq!(answer.status, 405, "{method} {}", route.0);
            }
        }
    }
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/info/",
        "/api/v1/INFO",
        "//api/v1/info",
        "/api/v1/info%20",
        "/api/v2/info",
        "/../etc/passwd",
    ] {
        let answer = meter.signed_with(TOKEN, "GET", path, b"").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
