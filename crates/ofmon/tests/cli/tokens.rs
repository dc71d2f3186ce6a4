//! Tokens of meters: another one, and one that is lost.

use std::fs;

use serde_json::json;

use crate::{
    program::{Place, request},
    setup::{air, kept},
    way::meters,
};

const JSON: &str = "Content-Type: application/json";

/// Nothing that comes over the network makes a meter forget its token, or take one without the old.
#[test]
fn a_lost_token_is_told_of_plainly_and_no_request_helps() {
    let place = Place::new();
    let _air = meters(&place, "1");
    let meter = air(&place)[0].clone();
    let (id, url) = (
        meter["id"].as_str().unwrap(),
        meter["url"].as_str().unwrap(),
    );
    place.run(&["setup", "--local", id]).done();
    let setup = json!({"token": "a-token-of-a-thief-20", "name": "Mine"}).to_string();
    let sealed = json!({"sealed": "00".repeat(65)}).to_string();
    let erase = json!({"store": "0000000000000001", "through": 5, "force": true}).to_string();
    for (line, body) in [
        ("POST /api/v1/setup", &setup),
        ("PUT /api/v1/token", &sealed),
        ("PUT /api/v1/config", &setup),
        ("POST /api/v1/erase", &erase),
        ("POST /api/v1/firmware", &setup),
        ("DELETE /api/v1/setup", &setup),
        ("PUT /api/v1/setup", &setup),
        ("GET /reset", &setup),
        ("POST /api/v1/reset", &setup),
    ] {
        let answer = request(url, line, &[JSON], body);
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
    }
    place.run(&["collect", "--json"]).done();
    // The thief, or the owner who lost the data directory.
    let lost = Place::new();
    let state = place.path("air");
    let refused = lost.run(&["setup", "--local", id, "--sim", state.to_str().unwrap()]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.printed.contains("hold the meter's button for 10 s"),
        "{refused:?}"
    );
    fs::write(
        lost.data().join("secrets.json"),
        json!({format!("token:{id}"): "a-token-of-a-thief-20"}).to_string(),
    )
    .unwrap();
    let refused = lost.run(&["collect", "--json", "--sim", state.to_str().unwrap()]);
    let error = &refused.json()[0]["error"];
    assert_eq!(
        (refused.code, &error["code"]),
        (4, &"refused".into()),
        "{refused:?}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("button for 10 s"),
        "{error}"
    );
}

#[test]
fn a_meter_gets_another_token_and_the_old_one_opens_nothing() {
    let place = Place::new();
    let running = meters(&place, "1");
    let id = air(&place)[0]["id"].as_str().unwrap().to_owned();
    place.run(&["setup", "--local", &id]).done();
    let old = kept(&place, &format!("token:{id}")).unwrap();
    let done = place
        .run(&["token", &id, "--change", "--json"])
        .done()
        .json();
    assert_eq!(done, json!({"id": id, "changed": true}));
    let new = kept(&place, &format!("token:{id}")).unwrap();
    assert_ne!(new, old);
    place.run(&["collect", "--json"]).done();
    let thief = Place::new();
    copy_token(&thief, &id, &old);
    let state = place.path("air");
    let refused = thief.run(&["collect", "--json", "--sim", state.to_str().unwrap()]);
    assert_eq!(refused.code, 4, "{refused:?}");
    // Out of range it waits for the next visit.
    drop(running);
    let waits = place
        .run(&["token", &id, "--change", "--json"])
        .done()
        .json();
    assert_eq!(waits["changed"], false);
    let _running = meters(&place, "1");
    let came = place.run(&["collect", "--json"]).done().json();
    assert_eq!(came[0]["token_changed"], true, "{came}");
    assert_ne!(kept(&place, &format!("token:{id}")).unwrap(), new);
    assert_eq!(kept(&place, &format!("next-token:{id}")), None);
    assert_eq!(kept(&place, &format!("pending-token:{id}")), None);
}

fn copy_token(place: &Place, id: &str, token: &str) {
    fs::create_dir_all(place.data()).unwrap();
    let secrets = json!({format!("token:{id}"): token}).to_string();
    fs::write(place.data().join("secrets.json"), secrets).unwrap();
}
