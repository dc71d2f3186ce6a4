//! What is said at a set-up is what the meter goes by.

use std::{thread, time::Duration};

use collector::client::Client;
use protocol::{DeviceId, messages::Config};
use serde_json::{Value, json};

use crate::{
    program::{Place, get, request},
    setup::{air, kept, run_with},
    way::meters,
};

const JSON: &str = "Content-Type: application/json";

/// Asks a simulated meter itself for its settings, as whoever has its token.
fn config(place: &Place, meter: &Value) -> Config {
    let (url, id) = (
        meter["url"].as_str().unwrap(),
        meter["id"].as_str().unwrap(),
    );
    let device: DeviceId = id.parse().unwrap();
    let token = kept(place, &format!("token:{id}")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = Client::new(url).unwrap().session(device, &token);
    runtime.block_on(session.config()).unwrap()
}

/// Tells which status the meter's page answers a viewing code with; it allows a try a second.
fn opened_with(meter: &Value, code: &str) -> u16 {
    let url = meter["url"].as_str().unwrap();
    let body = json!({ "code": code }).to_string();
    let open = || request(url, "POST /api/v1/session", &[JSON], &body).status;
    for _ in 0..20 {
        match open() {
            429 => thread::sleep(Duration::from_millis(250)),
            status => return status,
        }
    }
    429
}

fn is_viewable(meter: &Value) -> bool {
    let info = get(meter["url"].as_str().unwrap(), "/api/v1/info").json();
    info["viewable"].as_bool().unwrap()
}

#[test]
fn code_interval_and_ratio_of_a_set_up_are_in_the_meter() {
    let place = Place::new();
    let _air = meters(&place, "1");
    let meter = air(&place)[0].clone();
    let id = meter["id"].as_str().unwrap();
    let set_up = |code: &str, arguments: &[&str]| {
        let call = [&["setup", "--local", id, "--json"], arguments].concat();
        run_with(&place, "OFMON_CODE", code, &call).done();
    };

    set_up(
        "open-sesame",
        &[
            "--name",
            "Cellar",
            "--interval",
            "5s",
            "--channel",
            "Heat pump=1000",
        ],
    );
    let first = config(&place, &meter);
    assert_eq!((first.name.as_str(), first.interval_ms), ("Cellar", 5_000));
    let [channel] = &first.channels[..] else {
        panic!("{first:?}");
    };
    assert_eq!(
        (channel.name.as_str(), channel.ct_ratio),
        ("Heat pump", 1_000)
    );
    assert!(is_viewable(&meter));
    assert_eq!(opened_with(&meter, "open-sesame"), 200);
    assert_eq!(opened_with(&meter, "open-barley"), 401);

    // The same command changes what it names and nothing else.
    set_up("open-barley", &["--interval", "1m"]);
    let second = config(&place, &meter);
    assert_eq!(
        (second.name.as_str(), second.interval_ms),
        ("Cellar", 60_000)
    );
    assert_eq!(second.channels, first.channels);
    assert_eq!(opened_with(&meter, "open-barley"), 200);
    assert_eq!(opened_with(&meter, "open-sesame"), 401);

    place.run(&["setup", "--local", id, "--no-code"]).done();
    assert!(!is_viewable(&meter));
    assert_eq!(opened_with(&meter, "open-barley"), 403);
}
