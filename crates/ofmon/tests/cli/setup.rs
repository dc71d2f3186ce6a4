//! Setting meters up.

use std::{fs, path::Path};

use serde_json::{Value, json};
use thingsboard_double::{Double, Options};

use crate::{
    program::{Ended, Place, get, request},
    way::{READINGS, meters},
};

const MARK: &str = "X-Ofmon: 1";
const JSON: &str = "Content-Type: application/json";

/// Returns the list of simulated meters.
pub(crate) fn air(place: &Place) -> Vec<Value> {
    let text = fs::read_to_string(place.path("air/meters.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Returns a secret of the data directory.
pub(crate) fn kept(place: &Place, name: &str) -> Option<String> {
    let text = fs::read_to_string(place.data().join("secrets.json")).unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    kept[name].as_str().map(ToOwned::to_owned)
}

/// Runs a command with a secret in the environment.
pub(crate) fn run_with(place: &Place, variable: &str, value: &str, arguments: &[&str]) -> Ended {
    let mut command = place.command(arguments);
    let output = command.env(variable, value).output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        printed: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn meters_are_found_set_up_and_collected() {
    let place = Place::new();
    let air = meters(&place, "2");
    assert_eq!(air.document["meters"].as_array().unwrap().len(), 2);
    assert_eq!(air.document["fast_history"], true);
    let id = air.document["meters"][0]["id"].as_str().unwrap().to_owned();

    let new = place.run(&["scan", "--json"]).done().json();
    assert_eq!(
        (&new[0]["id"], &new[0]["known"], &new[0]["set_up"]),
        (&id.as_str().into(), &false.into(), &false.into())
    );
    place
        .run(&["collect", "--json"])
        .assert_failed(3, "unreachable");
    place
        .run(&["setup", "--local", "nobody", "--json"])
        .assert_failed(3, "unreachable");
    place
        .run(&["setup", &id, "--json"])
        .assert_failed(2, "usage");

    let one = place
        .run(&["setup", "--local", &id, "--name", "Cellar", "--json"])
        .done()
        .json();
    assert_eq!(
        (&one[0]["name"], &one[0]["result"]),
        (&"Cellar".into(), &"set_up".into())
    );
    let reading = &one[0]["reading"][0];
    assert!(
        (reading["voltage_v"].as_f64().unwrap() - 230.0).abs() < 20.0,
        "{one}"
    );
    assert!(reading["power_w"].as_f64().unwrap() > 0.0, "{one}");
    assert_eq!(
        (&one[0]["clock_set"], &one[0]["warnings"]),
        (&true.into(), &serde_json::json!([]))
    );
    let all = place
        .run(&["setup", "--local", "--all", "--json"])
        .done()
        .json();
    assert_eq!(
        (&all[0]["result"], &all[0]["name"]),
        (&"already_ours".into(), &"Cellar".into())
    );
    assert_eq!(all[1]["result"], "set_up");

    let came = place.run(&["collect", "cellar", "--json"]).done().json();
    assert_eq!(came.as_array().unwrap().len(), 1);
    assert!(came[0]["readings"].as_u64().unwrap() >= READINGS, "{came}");
    assert!(
        came[0]["flash_used_bytes"].as_u64().unwrap() > 0 && came[0]["error"].is_null(),
        "{came}"
    );
    let again = place.run(&["collect", "--json"]).done().json();
    assert!(
        again[0]["readings"].as_u64().unwrap() < 60,
        "collected twice: {again}"
    );
    assert!(
        again[1]["readings"].as_u64().unwrap() >= READINGS,
        "{again}"
    );
    let known = place.run(&["scan", "--json"]).done().json();
    assert_eq!(
        (&known[0]["known"], &known[0]["name"]),
        (&true.into(), &"Cellar".into())
    );

    others_leave_them_alone(&place.path("air"), &id);
    assert_eq!(air.interrupt().0, 0);

    let gone = place.run(&["collect", "--json"]);
    assert_eq!(
        (gone.code, &gone.json()[0]["error"]["code"]),
        (3, &"unreachable".into()),
        "{gone:?}"
    );
    assert!(
        gone.json()[0]["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("in range")
    );
}

/// Another collector finds the meters taken, leaves them alone, and says so where it was told to take one.
fn others_leave_them_alone(air: &Path, id: &str) {
    let other = Place::new();
    let state = air.to_str().unwrap();
    let left = other
        .run(&["setup", "--local", "--all", "--sim", state, "--json"])
        .done()
        .json();
    assert_eq!(
        (&left[0]["result"], &left[1]["result"]),
        (&"not_ours".into(), &"not_ours".into())
    );
    let refused = other.run(&["setup", "--local", id, "--sim", state, "--json"]);
    assert_eq!(
        (refused.code, &refused.json()[0]["error"]["code"]),
        (4, &"refused".into())
    );
}

#[test]
fn the_password_of_the_label_opens_the_meter_and_is_kept() {
    let place = Place::new();
    let _air = meters(&place, "1");
    let meter = air(&place)[0].clone();
    let (id, ssid) = (
        meter["id"].as_str().unwrap(),
        meter["ssid"].as_str().unwrap(),
    );
    let password = meter["password"].as_str().unwrap();
    let wrong = format!("WIFI:T:WPA;S:{ssid};P:{}X;;", &password[1..]);
    let refused = place.run(&["setup", "--local", "--label", &wrong, "--json"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    let message = refused.json()[0]["error"]["message"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("access-point password is not this meter's"),
        "{message}"
    );
    assert_eq!(
        get(meter["url"].as_str().unwrap(), "/api/v1/info").json()["set_up"],
        false
    );
    let wrong = run_with(
        &place,
        "OFMON_AP_PASSWORD",
        "no-such-password",
        &["setup", "--local", id, "--json"],
    );
    assert_eq!(wrong.code, 4, "{wrong:?}");
    for none in [
        "",
        "WIFI:T:WPA;S:Home;P:no-such-password;;",
        "no-such-password",
    ] {
        let ended = place.run(&["setup", "--local", "--label", none, "--json"]);
        ended.assert_failed(2, "usage");
        assert!(!ended.printed.contains("no-such-password"), "{ended:?}");
    }
    let right = format!("WIFI:S:{ssid};T:WPA;P:{password};;");
    let done = place
        .run(&["setup", "--local", "--label", &right, "--json"])
        .done()
        .json();
    assert_eq!(done[0]["result"], "set_up");
    assert_eq!(
        kept(&place, &format!("wifi:{id}")).as_deref(),
        Some(password)
    );
}

#[test]
fn a_viewing_code_is_made_and_shown_once() {
    let place = Place::new();
    let _air = meters(&place, "3");
    let ids: Vec<String> = air(&place)
        .iter()
        .map(|meter| meter["id"].as_str().unwrap().to_owned())
        .collect();
    let said = place.run(&["setup", "--local", &ids[0]]).done().printed;
    let code = kept(&place, &format!("code:{}", ids[0])).unwrap();
    assert_eq!((code.len(), said.matches(&code).count()), (8, 1), "{said}");
    let again = place.run(&["setup", "--local", &ids[0]]).done().printed;
    assert!(!again.contains(&code), "{again}");
    assert_eq!(kept(&place, &format!("code:{}", ids[0])), Some(code));
    let given = run_with(
        &place,
        "OFMON_CODE",
        "open-sesame",
        &["setup", "--local", &ids[1], "--json"],
    );
    assert!(
        given.code == 0 && !given.printed.contains("open-sesame"),
        "{given:?}"
    );
    assert_eq!(
        kept(&place, &format!("code:{}", ids[1])).as_deref(),
        Some("open-sesame")
    );
    place
        .run(&["setup", "--local", &ids[2], "--no-code"])
        .done();
    assert_eq!(kept(&place, &format!("code:{}", ids[2])), None);
    let short = run_with(
        &place,
        "OFMON_CODE",
        "short",
        &["setup", "--local", &ids[2], "--json"],
    );
    assert_eq!(
        (short.code, &short.json()[0]["error"]["code"]),
        (2, &"usage".into()),
        "{short:?}"
    );
}

#[test]
fn settings_that_do_not_fit_are_refused_before_anything_is_sent() {
    let place = Place::new();
    let _air = meters(&place, "1");
    let meter = air(&place)[0].clone();
    let id = meter["id"].as_str().unwrap();
    for (arguments, code) in [
        (&["--channel", "A=2000", "--channel", "B=2000"][..], 2),
        (&["--channel", "A=0"], 2),
        (&["--channel", "A=many"], 2),
        (&["--interval", "0.1s"], 2),
        (&["--interval", "2h"], 2),
        (&["--name", ""], 2),
        (&["--device", "x"], 2),
        (&["--code", "--no-code"], 2),
    ] {
        let ended = place.run(&[&["setup", "--local", id, "--json"], arguments].concat());
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
    }
    assert_eq!(
        get(meter["url"].as_str().unwrap(), "/api/v1/info").json()["set_up"],
        false
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_becomes_the_device_that_is_chosen_on_the_server() {
    let double = Double::start(Options::default()).await.unwrap();
    double
        .add_device("Cellar north", "token-of-cellar-nrth")
        .unwrap();
    let url = double.url().trim_end_matches('/').to_owned();
    let chosen = tokio::task::spawn_blocking(move || {
        let place = Place::new();
        let running = meters(&place, "2");
        let ids: Vec<String> = air(&place)
            .iter()
            .map(|meter| meter["id"].as_str().unwrap().to_owned())
            .collect();
        let login = ["login", &url, "--user", "tenant@thingsboard.org"];
        assert_eq!(run_with(&place, "OFMON_PASSWORD", "tenant", &login).code, 0);
        let missing = place.run(&["setup", &ids[0], "--device", "Nowhere", "--json"]);
        assert_eq!(
            (missing.code, &missing.json()[0]["error"]["code"]),
            (2, &"not_found".into())
        );
        let call = [
            "setup",
            &ids[0],
            "--device",
            "Cellar north",
            "--name",
            "North",
            "--json",
        ];
        place.run(&call).done();
        let twice = place.run(&["setup", &ids[1], "--device", "Cellar north", "--json"]);
        assert_eq!(twice.code, 4, "{twice:?}");
        place
            .run(&["setup", &ids[1], "--device-profile", "Meters", "--json"])
            .done();
        place.run(&["collect", "--json"]).done();
        place.run(&["sync", "--json"]).done();
        drop(running);
        (
            kept(&place, &format!("token:{}", ids[0])),
            ids[1].to_uppercase(),
        )
    });
    let (token, other) = chosen.await.unwrap();
    assert_eq!(token.as_deref(), Some("token-of-cellar-nrth"));
    let device = double.device_named("Cellar north").unwrap();
    assert!(double.points(device.id, "power").len() as u64 >= READINGS);
    let made = double.device_named(&format!("OFMON-{other}")).unwrap();
    assert_eq!(made.profile, "Meters");
    assert_eq!(double.devices().len(), 2);
}

#[test]
fn the_page_sets_meters_up() {
    let place = Place::new();
    let _air = meters(&place, "1");
    let meter = air(&place)[0].clone();
    let id = meter["id"].as_str().unwrap();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let url = server.document["url"].as_str().unwrap();
    let post =
        |order: &Value| request(url, "POST /api/v1/setup", &[MARK, JSON], &order.to_string());
    let garbage = request(
        url,
        "POST /api/v1/setup",
        &[MARK, JSON],
        "{\"password\":\"hunter2hunter2\",",
    );
    assert!(
        garbage.status == 400 && !garbage.body.contains("hunter2"),
        "{garbage:?}"
    );
    assert_eq!(
        request(url, "POST /api/v1/setup", &[JSON], "{}").status,
        403,
        "not marked"
    );
    let order = json!({"device": id, "local": true, "password": "hunter2hunter2"});
    let refused = post(&order);
    assert!(
        refused.status == 502 && !refused.body.contains("hunter2"),
        "{refused:?}"
    );
    assert_eq!(
        post(&json!({"device": "020f6dffffff", "local": true})).status,
        502
    );
    let order = json!({"device": id, "local": true, "password": meter["password"], "name": "Cellar",
        "interval_ms": 5_000, "channels": [{"name": "House", "ct_ratio": 2_000}], "code": "letmein-1"});
    let done = post(&order);
    assert_eq!(done.status, 200, "{done:?}");
    let view = done.json();
    assert_eq!(
        (&view["result"], &view["name"], &view["clock_set"]),
        (&"set_up".into(), &"Cellar".into(), &true.into())
    );
    assert!(
        view["reading"][0]["voltage_v"].as_f64().unwrap() > 200.0,
        "{view}"
    );
    assert!(!done.body.contains("letmein"), "{done:?}");
    assert_eq!(
        post(&json!({"device": id, "local": true})).json()["result"],
        "already_ours"
    );
}
