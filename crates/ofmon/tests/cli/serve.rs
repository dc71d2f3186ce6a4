//! The web server: page, guards, errors.

use crate::program::{Answer, Place, get, request};

const MARK: &str = "X-Ofmon: 1";
const JSON: &str = "Content-Type: application/json";

#[test]
fn the_page_is_there_built_or_not() {
    let place = Place::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    let page = get(url, "/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let is_built = page.body.contains("<script");
    let says_how = page.body.contains("The page is not built") && page.body.contains("./x demo");
    assert!(is_built != says_how, "{}", page.body);
    let tag = page.header("etag").unwrap();
    assert_eq!(
        request(url, "GET /", &[&format!("If-None-Match: {tag}")], "").status,
        304
    );
    assert_eq!(get(url, "/no/such/file").status, 404);
    assert_eq!(get(url, "/../../etc/passwd").status, 404);
    assert_eq!(server.interrupt(), (0, String::new()));
}

#[test]
fn status_tells_who_answers() {
    let place = Place::new();
    let server = place.start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--tz",
        "Europe/Berlin",
    ]);
    let status = get(server.document["url"].as_str().unwrap(), "/api/v1/status").json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["time_zone"], "Europe/Berlin");
    assert_eq!(status["data_dir"], place.data().display().to_string());
    assert!(status["now_ms"].as_i64().unwrap() > 1_700_000_000_000);
}

#[test]
fn other_sites_are_kept_out() {
    let place = Place::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    for host in [
        "Host: example.org",
        "Host: 127.0.0.1.example.org:7373",
        "Host: ",
    ] {
        let answer = request(url, "GET /api/v1/devices", &[host], "");
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (421, &"usage".into()),
            "{host}"
        );
    }
    assert_eq!(
        request(url, "GET /api/v1/devices", &["Host: localhost:1"], "").status,
        200
    );
    let unmarked = request(url, "POST /api/v1/collect", &[JSON], "{}");
    assert_eq!(unmarked.status, 403);
    assert!(
        unmarked.json()["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("X-Ofmon")
    );
    for answer in [
        get(url, "/"),
        get(url, "/api/v1/status"),
        get(url, "/api/v1/nothing"),
        unmarked,
    ] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn bad_requests_get_an_error_in_the_agreed_form() {
    let place = Place::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    let unknown = "/api/v1/devices/020f00000001";
    for (status, path) in [
        (404, "/api/v1/nothing"),
        (404, "/api"),
        (400, "/api/v1/devices/cellar"),
        (404, unknown),
        (404, &format!("{unknown}/latest")),
        (404, &format!("{unknown}/power?from_ms=0&to_ms=9&points=10")),
        (400, &format!("{unknown}/power?from_ms=0&points=10")),
        (400, &format!("{unknown}/energy?from_ms=0&to_ms=9&by=year")),
        (404, "/api/v1/jobs/77"),
    ] {
        assert_refused(status, &get(url, path));
    }
    let collect = "POST /api/v1/collect";
    let long = format!("{{\"devices\":[{}]}}", "\"020f00000001\",".repeat(10_000));
    for (status, line, fields, body) in [
        (405, "DELETE /api/v1/status", &[MARK][..], ""),
        (415, collect, &[MARK], "{}"),
        (400, collect, &[MARK, JSON], "{"),
        (422, collect, &[MARK, JSON], "{\"devices\":[\"x\"]}"),
        (422, collect, &[MARK, JSON], "{\"device\":[]}"),
        (413, collect, &[MARK, JSON], &long),
    ] {
        assert_refused(status, &request(url, line, fields, body));
    }
}

#[track_caller]
fn assert_refused(status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["error"];
    assert!(error["code"].is_string() && error["hint"].is_string());
    let message = error["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{answer:?}");
}

#[test]
fn a_second_writer_is_told_who_the_first_is() {
    let place = Place::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let second = place.run(&["collect", "--json"]);
    second.assert_failed(6, "storage");
    let message = second.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains(&server.pid().to_string()), "{message}");
    place.run(&["devices", "--json"]).done();
    drop(server);
    place
        .run(&["serve", "--listen", "192.0.2.1:1", "--json"])
        .assert_failed(1, "failed");
}

#[test]
fn a_client_that_never_finishes_does_not_keep_the_server() {
    let place = Place::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut slow, b"GET / HTTP/1.1\r\nHost: ").unwrap();
    assert_eq!(get(url, "/api/v1/status").status, 200);
    let begun = std::time::Instant::now();
    assert_eq!(server.interrupt().0, 0);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}
