//! The meter's own page: who gets in, for how long, and how a phone finds it.

mod day;

use std::{io::Read as _, time::Instant};

use device::http::{Access, ROUTES};
use protocol::messages::{Config, Health, SessionOpened};

use super::{
    code,
    harness::{Answer, TOKEN, TestMeter, parse},
};

const CODE: &str = "kettle-42";
const MINUTE_MS: u64 = 60_000;

async fn viewable() -> TestMeter {
    let meter = TestMeter::with_readings(3).await;
    let body = format!(r#"{{"token":"{TOKEN}","name":"Cellar","code":"{CODE}"}}"#);
    let answer = meter.plain("POST", "/api/v1/setup", body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    meter
}

async fn log_in(meter: &TestMeter, code: &str) -> Answer {
    let body = format!(r#"{{"code":"{code}"}}"#);
    meter
        .plain("POST", "/api/v1/session", body.as_bytes())
        .await
}

/// Opens a session and returns the header that a browser then sends.
async fn session(meter: &TestMeter) -> String {
    let answer = log_in(meter, CODE).await;
    assert_eq!(answer.status, 200);
    let set = answer.header("Set-Cookie").expect("a cookie");
    let cookie = set.split(';').next().unwrap();
    format!("Cookie: theme=dark; {cookie}\r\n")
}

async fn status_of(meter: &TestMeter, headers: &str) -> (u16, String) {
    let answer = meter.raw("GET", "/api/v1/live", headers, b"").await;
    match answer.status {
        200 => (200, String::new()),
        _ => code(&answer),
    }
}

#[tokio::test]
async fn each_route_is_open_to_those_whom_its_class_names() {
    let meter = viewable().await;
    let cookie = session(&meter).await;
    for (path, methods, access) in ROUTES {
        for method in *methods {
            if *path == "/" || *path == "/api/v1/session" {
                continue;
            }
            let without = meter.raw(method, path, "", b"").await;
            let with = meter.raw(method, path, &cookie, b"").await;
            let is_refused = |answer: &Answer| {
                (400..=401).contains(&answer.status) && {
                    code(answer) == (401, "not_authentic".into())
                }
            };
            let expected = match access {
                Access::Open => (false, false),
                Access::Viewer => (true, false),
                Access::Owner => (true, true),
            };
            let found = (is_refused(&without), is_refused(&with));
            assert_eq!(found, expected, "{method} {path}");
            if *access == Access::Viewer {
                assert!(with.header("Ofmon-Mac").is_none(), "{path}");
            }
        }
    }
    // A MAC opens what a viewer sees too, and a wrong one is not made good by a cookie.
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
    let wrong = format!(
        "{cookie}Authorization: OFMON-HMAC-SHA256 nonce={}, mac={}\r\nOfmon-Body-Sha256: {}\r\n",
        meter.nonce().await,
        "0".repeat(64),
        "0".repeat(64)
    );
    assert_eq!(
        status_of(&meter, &wrong).await,
        (401, "not_authentic".into())
    );
}

#[tokio::test]
async fn a_session_says_how_long_it_lasts_and_ends_then() {
    let meter = viewable().await;
    let answer = log_in(&meter, CODE).await;
    let cookie = answer.header("Set-Cookie").unwrap().to_owned();
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"),
        "{cookie}"
    );
    assert_eq!(cookie.split(';').next().unwrap().len(), "ofmon=".len() + 32);
    assert!(answer.header("Ofmon-Mac").is_none());
    let opened: SessionOpened = answer.json();
    assert_eq!(opened.seconds, 15 * 60);

    meter.advance(MINUTE_MS);
    let cookie = session(&meter).await;
    for _ in 0..3 {
        meter.advance(14 * MINUTE_MS);
        assert_eq!(status_of(&meter, &cookie).await.0, 200);
    }
    meter.advance(16 * MINUTE_MS);
    assert_eq!(
        status_of(&meter, &cookie).await,
        (401, "session_over".into())
    );

    let cookie = session(&meter).await;
    for _ in 0..60 {
        meter.advance(12 * MINUTE_MS);
        assert_eq!(status_of(&meter, &cookie).await.0, 200);
    }
    meter.advance(MINUTE_MS);
    assert_eq!(
        status_of(&meter, &cookie).await,
        (401, "session_over".into())
    );
    let health: Health = meter.signed("GET", "/api/v1/health", b"").await.json();
    assert_eq!(health.requests_refused, 0, "a session's end is no attack");
}

#[tokio::test]
async fn another_code_and_a_restart_end_a_session_and_another_name_does_not() {
    let meter = viewable().await;
    let cookie = session(&meter).await;
    let mut config: Config = meter.signed("GET", "/api/v1/config", b"").await.json();
    config.name = "Attic".try_into().unwrap();
    let body = serde_json::to_vec(&config).unwrap();
    let answer = meter.signed("PUT", "/api/v1/config", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(status_of(&meter, &cookie).await.0, 200);
    let mut config: Config = answer.json();
    config.code = Some(CODE.try_into().unwrap());
    let body = serde_json::to_vec(&config).unwrap();
    assert_eq!(
        meter.signed("PUT", "/api/v1/config", &body).await.status,
        200
    );
    let over = (401, "session_over".into());
    assert_eq!(status_of(&meter, &cookie).await, over);
    meter.advance(MINUTE_MS);
    let cookie = session(&meter).await;
    let meter = meter.restarted().await;
    assert_eq!(status_of(&meter, &cookie).await, over);
}

#[tokio::test]
async fn made_up_cookies_open_nothing() {
    let meter = viewable().await;
    let cookie = session(&meter).await;
    let forged = cookie.replace("ofmon=", "ofmon=0");
    let short = "Cookie: ofmon=\r\n".to_owned();
    let zeros = format!("Cookie: ofmon={}\r\n", "0".repeat(32));
    let named = cookie.replace("ofmon=", "xofmon=");
    for (headers, reason) in [
        (forged, "not_authentic"),
        (short, "session_over"),
        (zeros, "session_over"),
        (named, "not_authentic"),
    ] {
        assert_eq!(
            status_of(&meter, &headers).await,
            (401, reason.into()),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_code_is_not_guessed() {
    let meter = viewable().await;
    for attempt in 0..10 {
        let begun = Instant::now();
        assert_eq!(
            code(&log_in(&meter, "kettle-43").await),
            (401, "wrong_code".into()),
            "{attempt}"
        );
        assert!(begun.elapsed().as_millis() >= 1000, "{attempt}");
        // The meter's clock stood still: this try comes within the same second.
        if attempt == 0 {
            assert_eq!(code(&log_in(&meter, CODE).await), (429, "too_many".into()));
        }
        meter.advance(1000);
    }
    assert_eq!(code(&log_in(&meter, CODE).await), (429, "too_many".into()));
    // Nobody else is slowed down.
    let begun = Instant::now();
    assert_eq!(meter.signed("GET", "/api/v1/live", b"").await.status, 200);
    assert!(begun.elapsed().as_millis() < 900);
    meter.advance(58_000);
    assert_eq!(code(&log_in(&meter, CODE).await), (429, "too_many".into()));
    meter.advance(1_000);
    assert_eq!(log_in(&meter, CODE).await.status, 200);
}

#[tokio::test]
async fn without_setup_or_code_the_page_stays_closed() {
    let fresh = TestMeter::fresh().await;
    assert_eq!(
        code(&log_in(&fresh, CODE).await),
        (403, "not_set_up".into())
    );
    let zeros = format!("Cookie: ofmon={}\r\n", "0".repeat(32));
    assert_eq!(status_of(&fresh, &zeros).await, (403, "not_set_up".into()));
    assert_eq!(fresh.plain("GET", "/", b"").await.status, 200);
    let closed = TestMeter::set_up(0).await;
    assert_eq!(
        code(&log_in(&closed, CODE).await),
        (403, "not_viewable".into())
    );
    assert_eq!(
        code(&log_in(&closed, "").await),
        (403, "not_viewable".into())
    );
    let meter = viewable().await;
    assert_eq!(
        code(&log_in(&meter, &"x".repeat(33)).await),
        (400, "bad_json".into())
    );
}

#[tokio::test]
async fn other_pages_scripts_cannot_use_a_session() {
    let meter = viewable().await;
    let cookie = session(&meter).await;
    let own = format!(
        "{cookie}Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n",
        meter.address
    );
    assert_eq!(status_of(&meter, &own).await.0, 200);
    assert_eq!(
        status_of(&meter, &format!("{cookie}Sec-Fetch-Site: none\r\n"))
            .await
            .0,
        200
    );
    for foreign in [
        "Origin: http://example.com",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        let headers = format!("{cookie}{foreign}\r\n");
        assert_eq!(
            status_of(&meter, &headers).await,
            (403, "foreign_origin".into()),
            "{foreign}"
        );
    }
    let body = format!(r#"{{"code":"{CODE}"}}"#);
    meter.advance(MINUTE_MS);
    let headers = "Origin: http://example.com\r\n";
    let answer = meter
        .raw("POST", "/api/v1/session", headers, body.as_bytes())
        .await;
    assert_eq!(code(&answer), (403, "foreign_origin".into()));
}

/// Sends a GET as a system does that thinks it speaks to `host`.
async fn as_for(meter: &TestMeter, host: &str, path: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    parse(&meter.exchange(head.as_bytes()).await)
}

#[tokio::test]
async fn phones_are_brought_to_the_page() {
    let meter = TestMeter::fresh().await;
    let own = meter.address.to_string();
    let page = format!("http://{own}/");
    for (host, path) in [
        ("connectivitycheck.gstatic.com", "/generate_204"),
        ("www.google.com", "/gen_204"),
        ("captive.apple.com", "/hotspot-detect.html"),
        ("www.apple.com", "/library/test/success.html"),
        ("www.msftconnecttest.com", "/connecttest.txt"),
        ("www.msftncsi.com", "/ncsi.txt"),
        ("www.msftconnecttest.com", "/redirect"),
        ("detectportal.firefox.com", "/canonical.html"),
        ("detectportal.firefox.com", "/success.txt?ipv4"),
        ("nmcheck.gnome.org", "/check_network_status.txt"),
        ("connectivity-check.ubuntu.com", "/"),
        ("example.com", "/anything?at=all"),
        ("203.0.113.7", "/anything"),
        (&own, "/generate_204"),
    ] {
        let answer = as_for(&meter, host, path).await;
        assert_eq!(answer.status, 302, "{host}{path}");
        assert_eq!(answer.header("Location"), Some(&*page), "{host}{path}");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert!(answer.body.len() < 64);
    }
    for (host, path, status) in [
        (&*own, "/", 200),
        (&*own, "/nothing", 404),
        ("127.0.0.1:4000", "/", 200),
        ("localhost:4000", "/", 200),
        ("example.com", "/api/v1/info", 200),
        ("example.com", "/api/v1/nothing", 404),
    ] {
        assert_eq!(
            as_for(&meter, host, path).await.status,
            status,
            "{host}{path}"
        );
    }
}

#[tokio::test]
async fn the_page_is_one_small_file_that_needs_nothing_from_outside() {
    let meter = TestMeter::fresh().await;
    let answer = meter.plain("GET", "/", b"").await;
    assert!(answer.body.len() <= 9 * 1024, "{} bytes", answer.body.len());
    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    let policy = answer.header("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&*answer.body);
    unpacked.read_to_string(&mut text).unwrap();
    let foreign = text.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http://", "https://", "innerHTML", "onclick=", " style="] {
        assert!(!foreign.contains(forbidden), "{forbidden}");
    }
    let post = meter.plain("POST", "/", b"").await;
    assert_eq!(code(&post), (405, "method_not_allowed".into()));
}
