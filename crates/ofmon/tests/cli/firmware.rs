//! Keys, signatures, and updates for simulated meters.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::program::{Ended, Place, Running, files};

/// An image that no chip can run; simulated meters look no further than its hash.
fn image(place: &Place) -> String {
    let bytes: Vec<u8> = (0..60_001).map(|at| (at * 31 / 7) as u8).collect();
    let path = place.path("app.bin");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn sign(place: &Place, key: &str, chip: &str, version: &str) -> Ended {
    let image = image(place);
    let call = [
        "firmware",
        "sign",
        &image,
        "--key",
        key,
        "--chip",
        chip,
        "--version",
        version,
        "--json",
    ];
    place.run(&call)
}

fn meters(place: &Place, count: &str, key: &str) -> Running {
    let air = place.path("air");
    let call = [
        "sim",
        "--json",
        "--devices",
        count,
        "--state",
        air.to_str().unwrap(),
        "--history",
        "1h",
        "--fast-history",
        "--update-key",
        key,
    ];
    place.start(&call)
}

#[test]
fn a_pair_of_keys_is_made_once_and_its_private_half_is_nobody_elses() {
    let place = Place::new();
    let made = place
        .run(&["firmware", "keygen", "release", "--json"])
        .done();
    assert_eq!(files(&place.path("")), ["release.key", "release.pub"]);
    let private = fs::read_to_string(place.path("release.key")).unwrap();
    let secret = private.lines().nth(1).unwrap();
    assert!(!made.printed.contains(secret) && !made.said.contains(secret));
    assert_eq!(made.json()["fingerprint"].as_str().unwrap().len(), 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(place.path("release.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = place.run(&["firmware", "keygen", "release", "--json"]);
    again.assert_failed(2, "usage");
    fs::remove_file(place.path("release.key")).unwrap();
    let half = place.run(&["firmware", "keygen", "release", "--json"]);
    half.assert_failed(2, "usage");
    assert_eq!(files(&place.path("")), ["release.pub"]);
}

#[test]
fn an_image_is_signed_and_says_what_it_is() {
    let place = Place::new();
    place.run(&["firmware", "keygen", "release"]).done();
    let signed = sign(&place, "release.key", "esp32c3", "0.2.0")
        .done()
        .json();
    assert_eq!(signed["version"], "0.2.0");
    assert_eq!(signed["minimum"], "0.0.0");
    assert_eq!(signed["image_bytes"], 60_001);
    let path = signed["file"].as_str().unwrap();
    assert!(path.ends_with("0.2.0-esp32c3.ofmon"), "{path}");
    // Signed again, with another minimum; the rest stays.
    let call = [
        "firmware",
        "sign",
        path,
        "--key",
        "release.key",
        "--minimum",
        "0.1.5",
        "--output",
        "b.ofmon",
        "--json",
    ];
    let again = place.run(&call).done().json();
    assert_eq!(
        (&again["version"], &again["minimum"]),
        (&"0.2.0".into(), &"0.1.5".into())
    );
    let listed = place
        .run(&["firmware", "list", "--add", "b.ofmon", "--json"])
        .done()
        .json();
    assert_eq!(listed["packages"][0]["version"], "0.2.0");
    assert_eq!(listed["packages"][0]["signed"], true);
    // What cannot be signed.
    let image = image(&place);
    let call = |more: &[&str]| place.run(&[&["firmware", "sign", "--json"][..], more].concat());
    call(&[&image, "--key", "release.key"]).assert_failed(2, "usage");
    call(&[
        &image,
        "--key",
        "release.pub",
        "--chip",
        "esp32c3",
        "--version",
        "1.0.0",
    ])
    .assert_failed(5, "corrupt");
    call(&[
        &image,
        "--key",
        "release.key",
        "--chip",
        "esp32c3",
        "--version",
        "new",
    ])
    .assert_failed(2, "usage");
    call(&["nothing.ofmon", "--key", "release.key"]).assert_failed(2, "not_found");
    let mut torn = fs::read(place.path("b.ofmon")).unwrap();
    torn[30_000] ^= 1;
    fs::write(place.path("torn.ofmon"), torn).unwrap();
    call(&["torn.ofmon", "--key", "release.key"]).assert_failed(5, "corrupt");
}

/// Collects until the meter says what became of its update.
fn told(place: &Place) -> Value {
    for _ in 0..60 {
        let collected = place.run(&["collect", "--json"]);
        if collected.code == 0 {
            let seen = collected.json()[0]["firmware"].clone();
            let outcome = &seen["update"]["outcome"];
            if outcome.is_string() && outcome != "on_trial" {
                return seen;
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
    panic!("the meter does not tell");
}

#[test]
fn a_signed_update_is_pushed_and_the_next_collection_tells_that_it_stays() {
    let place = Place::new();
    place.run(&["firmware", "keygen", "release"]).done();
    place.run(&["firmware", "keygen", "stranger"]).done();
    let _running = meters(&place, "1", "release.pub");
    place.run(&["setup", "--local", "--all"]).done();
    let push = |update: &str| place.run(&["firmware", "push", update, "--all", "--json"]);
    let refused = |ended: Ended, code: i32, word: &str| {
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(ended.json()[0]["error"]["code"], word, "{ended:?}");
        assert!(ended.json()[0]["update"].is_null());
    };
    sign(&place, "stranger.key", "sim", "0.1.9").done();
    refused(push("0.1.9-sim.ofmon"), 1, "failed");
    sign(&place, "release.key", "esp32c3", "0.2.0").done();
    refused(push("0.2.0-esp32c3.ofmon"), 2, "usage");
    sign(&place, "release.key", "sim", "0.0.1").done();
    refused(push("0.0.1-sim.ofmon"), 2, "usage");
    push("9.9.9").assert_failed(2, "not_found");
    place
        .run(&["firmware", "push", "0.2.0", "--json"])
        .assert_failed(2, "usage");

    sign(&place, "release.key", "sim", "0.2.0").done();
    let pushed = push("0.2.0-sim.ofmon").done().json();
    assert_eq!(pushed[0]["update"]["version"], "0.2.0");
    assert_eq!(pushed[0]["update"]["before"], "0.1.0");
    let seen = told(&place);
    assert_eq!(seen["update"]["outcome"], "confirmed");
    assert_eq!(seen["version"], "0.2.0");
    // It is told once; the list keeps it.
    let next = place.run(&["collect", "--json"]).done().json();
    assert!(next[0]["firmware"]["update"].is_null());
    let listed = place.run(&["firmware", "list", "--json"]).done().json();
    assert_eq!(listed["meters"][0]["firmware"], "0.2.0");
    assert_eq!(listed["meters"][0]["update"]["outcome"], "confirmed");
    let text = place.run(&["firmware", "list"]).done().printed;
    assert!(
        text.contains("update 0.2.0 works and is confirmed"),
        "{text}"
    );
}

#[test]
fn a_meter_that_cannot_be_reached_stops_no_other() {
    let place = Place::new();
    place.run(&["firmware", "keygen", "release"]).done();
    let running = meters(&place, "2", "release.pub");
    place.run(&["setup", "--local", "--all"]).done();
    let ids: Vec<String> = running.document["meters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|meter| meter["id"].as_str().unwrap().to_owned())
        .collect();
    running.interrupt();
    let _one = meters(&place, "1", "release.pub");
    sign(&place, "release.key", "sim", "0.2.0").done();
    place
        .run(&["firmware", "list", "--add", "0.2.0-sim.ofmon"])
        .done();
    let ended = place.run(&["firmware", "push", "0.2.0", &ids[1], &ids[0], "--json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let pushed = ended.json();
    assert_eq!(pushed[0]["update"]["version"], "0.2.0");
    assert_eq!(pushed[1]["error"]["code"], "unreachable");
}
