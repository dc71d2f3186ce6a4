//! The whole way: simulated meters, collection, page, server.

use std::{fs, thread, time::Duration};

use serde_json::Value;
use thingsboard_double::{Double, Options};

use crate::program::{Place, Running, get, request};

/// Readings of an hour of history.
pub(crate) const READINGS: u64 = 360;

pub(crate) fn meters(place: &Place, count: &str) -> Running {
    let air = place.path("air");
    let state = air.to_str().unwrap();
    let arguments = [
        "sim",
        "--json",
        "--devices",
        count,
        "--state",
        state,
        "--history",
        "1h",
        "--fast-history",
    ];
    place.start(&arguments)
}

#[test]
fn three_phases_are_measured_and_exported_each() {
    let place = Place::new();
    let air = place.path("air");
    let state = air.to_str().unwrap();
    let call = ["sim", "--json", "--channels", "3", "--state", state];
    let running = place.start(&[&call[..], &["--history", "61s"]].concat());
    // 2,000 pairs a second on each of the three, nothing left out.
    assert!(running.document["samples"].as_u64().unwrap() >= 3 * 61 * 2_000);
    place.run(&["setup", "--local", "--all"]).done();
    place.run(&["collect"]).done();
    let rows = place.run(&["export", "--format", "json"]).done().json();
    let rows = rows.as_array().unwrap();
    let number = |row: &Value, field: &str| row[field].as_f64().unwrap();
    let mut energies = Vec::new();
    for channel in 1..=3 {
        let of_channel: Vec<&Value> = rows
            .iter()
            .filter(|row| row["channel"] == channel)
            .collect();
        assert!(of_channel.len() >= 6, "{} readings", of_channel.len());
        let mut energy_wh = 0.0;
        for (seq, row) in of_channel.iter().enumerate() {
            assert_eq!(row["seq"], seq as u64);
            assert!((number(row, "voltage_v") - 230.0).abs() < 10.0, "{row}");
            energy_wh += number(row, "power_w") * number(row, "interval_s") / 3_600.0;
            let net_wh = number(row, "energy_import_wh") - number(row, "energy_export_wh");
            assert!((net_wh - energy_wh).abs() < 1e-5, "{row}");
        }
        energies.push((energy_wh * 1e6).round() as i64);
    }
    energies.dedup();
    assert_eq!(energies.len(), 3, "each phase has a load of its own");
    drop(running);
    // The flash is one of three channels.
    let other = ["sim", "--json", "--channels", "2", "--state", state];
    place.run(&other).assert_failed(1, "failed");
    let none = ["sim", "--json", "--channels", "4", "--state", "new"];
    place.run(&none).assert_failed(2, "usage");
}

#[test]
fn the_page_collects_by_a_job() {
    let place = Place::new();
    let air = meters(&place, "1");
    place.run(&["setup", "--local", "--all"]).done();
    let id = air.document["meters"][0]["id"].as_str().unwrap().to_owned();
    let id = id.as_str();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    let nearby = get(url, "/api/v1/nearby").json();
    assert_eq!(
        (&nearby[0]["id"], &nearby[0]["known"], &nearby[0]["set_up"]),
        (&id.into(), &true.into(), &true.into())
    );
    let job = ended_job(url, "{\"devices\":null}");
    assert_eq!(job["state"], "done", "{job}");
    let progress = &job["progress"][0];
    assert_eq!(progress["device"], id);
    assert!(
        progress["done"] == progress["total"] && progress["done"].as_u64().unwrap() >= READINGS,
        "{job}"
    );
    let device = get(url, "/api/v1/devices").json()[0].clone();
    assert!(
        device["readings"].as_u64().unwrap() >= READINGS && device["last_collected_ms"].is_i64(),
        "{device}"
    );
    drop(air);
    let job = ended_job(url, &format!("{{\"devices\":[\"{id}\"]}}"));
    assert_eq!(job["state"], "failed", "{job}");
    assert!(
        job["progress"][0]["error"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{job}"
    );
}

/// Starts a collection and waits for its end.
fn ended_job(url: &str, body: &str) -> Value {
    let fields = ["X-Ofmon: 1", "Content-Type: application/json"];
    let begun = request(url, "POST /api/v1/collect", &fields, body);
    assert_eq!(begun.status, 200, "{begun:?}");
    let path = format!("/api/v1/jobs/{}", begun.json()["job"].as_str().unwrap());
    for _ in 0..200 {
        let job = get(url, &path).json();
        if job["state"] != "running" {
            return job;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("the job never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gets_everything_and_is_forgotten_on_request() {
    let double = Double::start(Options::default()).await.unwrap();
    let url = double.url();
    tokio::task::spawn_blocking(move || sync_with(url.trim_end_matches('/')))
        .await
        .unwrap();
    let devices = double.devices();
    assert_eq!(devices.len(), 1);
    assert!(double.points(devices[0].id, "power").len() as u64 >= READINGS);
}

fn sync_with(url: &str) {
    let place = Place::new();
    let _air = meters(&place, "1");
    place.run(&["sync", "--json"]).assert_failed(2, "usage");
    let login = ["login", url, "--user", "tenant@thingsboard.org", "--json"];
    place.run(&login).assert_failed(2, "usage");
    let with_password = |password: &str, arguments: &[&str]| {
        let output = place
            .command(arguments)
            .env("OFMON_PASSWORD", password)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, printed) = with_password("wrong-password", &login);
    assert!(
        code == Some(4) && printed.contains("refused") && !printed.contains("wrong-password"),
        "{printed}"
    );
    let (code, printed) = with_password("tenant", &login);
    assert_eq!(code, Some(0), "{printed}");
    let status = place.run(&["status", "--json"]).done().json();
    assert_eq!(
        (&status["server"], &status["server_user"]),
        (&url.into(), &"tenant@thingsboard.org".into())
    );
    place.run(&["setup", "--all"]).done();
    place.run(&["collect"]).done();
    let report = place.run(&["sync", "--json"]).done().json();
    assert!(
        report[0]["readings_verified"].as_u64().unwrap() >= READINGS,
        "{report}"
    );
    assert_eq!(
        (&report[0]["readings_left"], &report[0]["error"]),
        (&0.into(), &Value::Null)
    );
    let again = place.run(&["sync", "--json"]).done().json();
    assert_eq!(again[0]["readings_sent"], 0);
    place.run(&["logout"]).done();
    assert_eq!(
        place.run(&["status", "--json"]).done().json()["server"],
        Value::Null
    );
    place.run(&["sync", "--json"]).assert_failed(2, "usage");
}

#[test]
fn a_demonstration_shows_what_came_and_leaves_nothing_behind() {
    let place = Place::new();
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = place.command(&["demo", "--once", "--json"]);
    let output = command.env("TMPDIR", &temporary).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for meter in report["meters"].as_array().unwrap() {
        assert!(meter["readings"].as_u64().unwrap() >= 14 * 8_640, "{meter}");
        assert!(
            meter["energy_import_wh"].as_f64().unwrap() > 10_000.0,
            "{meter}"
        );
        let bytes = meter["store_bytes_per_reading"].as_f64().unwrap();
        // A household that changes little packs into less than a byte a reading.
        assert!((0.2..40.0).contains(&bytes), "{meter}");
    }
    assert_eq!(report["meters"].as_array().unwrap().len(), 3);
    assert_eq!(crate::program::files(&temporary), Vec::<String>::new());
    assert!(
        !place.data().exists(),
        "the demonstration touched the user's own data"
    );
}

#[test]
fn a_demonstration_ends_cleanly_and_can_be_gone_on_with() {
    let place = Place::new();
    let data = place.path("demo");
    let arguments = [
        "demo",
        "--port",
        "0",
        "--json",
        "--data",
        data.to_str().unwrap(),
    ];
    let demo = place.start(&arguments);
    let url = demo.document["url"].as_str().unwrap();
    let devices = get(url, "/api/v1/devices").json();
    assert_eq!(devices.as_array().unwrap().len(), 3);
    let first = devices[0]["readings"].as_u64().unwrap();
    assert_eq!(demo.interrupt(), (0, String::new()));
    let again = place.start(&arguments);
    let readings = again.document["meters"][0]["readings"].as_u64().unwrap();
    assert!(
        (first..first + 100).contains(&readings),
        "{first} readings became {readings}"
    );
    assert_eq!(again.interrupt().0, 0);
}

#[test]
fn meters_can_live_in_another_time() {
    let place = Place::new();
    let air = place.path("air");
    let state = air.to_str().unwrap();
    let arguments = [
        "sim",
        "--json",
        "--state",
        state,
        "--history",
        "1h",
        "--fast-history",
        "--start",
        "2026-01-01T12:00:00Z",
    ];
    for _ in 0..2 {
        let meters = place.start(&arguments);
        place.run(&["setup", "--local", "--all"]).done();
        place.run(&["collect"]).done();
        drop(meters);
    }
    let rows = place.run(&["export", "--format", "json"]).done().json();
    let times: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["time_utc"].as_str().unwrap())
        .collect();
    assert!(
        times.len() as u64 >= READINGS && times.is_sorted(),
        "{times:?}"
    );
    // The first interval ends 10 s after the start, give or take the seconds that making the history took.
    assert!(
        ("2026-01-01T12:00:05"..="2026-01-01T12:00:20").contains(&times[0]),
        "{}",
        times[0]
    );
    assert!(
        times[times.len() - 1] < "2026-01-01T13:05",
        "{}",
        times[times.len() - 1]
    );
    fs::write(air.join("clock.json"), "{}").unwrap();
    place
        .run(&["collect", "--json"])
        .assert_failed(5, "corrupt");
}

#[test]
fn a_command_that_waits_can_be_interrupted() {
    let place = Place::new();
    fs::create_dir(place.path("air")).unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let entry = serde_json::json!([{"id": "020f6d000001", "ssid": "OFMON-020F6D000001", "url": url, "password": "x"}]);
    fs::write(place.path("air/meters.json"), entry.to_string()).unwrap();
    let mut command = place.command(&["scan", "--json"]);
    let scanning = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let connection = silent.accept().unwrap();
    let pid = scanning.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = scanning.wait_with_output().unwrap();
    drop(connection);
    assert_eq!(output.status.code(), Some(130));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["error"]["code"], "interrupted");
}
