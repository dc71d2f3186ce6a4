//! A set-up that breaks at any of its requests: by a cut, a crash or a power cut. Each leaves a stated state, and the same
//! command finishes it (the table is in `collector::setup`).

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use thingsboard_double::{Double, Faults, Options};

use crate::{
    gate::{Cut, Gate},
    program::{Ended, Place, Running, get},
};

/// Requests before the one that sets up, and before the first that is answered with the new token.
const SET_UP: usize = 1;
const PROOF: usize = 3;
/// Requests of a set-up: four to make the meter ours, four round trips, the time, a reading. A busy computer tells the time
/// again and makes it a few more.
const REQUESTS: usize = 10;

/// Simulated meters that no collector can see: each test puts one of them behind a gate.
struct Fleet {
    place: Place,
    _running: Running,
    entries: Vec<Value>,
}

impl Fleet {
    fn new(count: usize) -> Self {
        let place = Place::new();
        let running = Self::start(&place, count);
        let text = fs::read_to_string(place.path("fleet/meters.json")).unwrap();
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        Self {
            place,
            _running: running,
            entries,
        }
    }

    fn start(place: &Place, count: usize) -> Running {
        let state = place.path("fleet");
        let state = state.to_str().unwrap();
        let (history, count) = (["--history", "11s", "--fast-history"], count.to_string());
        let call = ["sim", "--json", "--state", state, "--devices", &count];
        place.start(&[&call[..], &history[..]].concat())
    }
}

/// A collector that sees one meter, through a gate.
struct Case {
    place: Place,
    gate: Gate,
    meter: String,
    id: String,
}

impl Case {
    fn new(entry: &Value) -> Self {
        let place = Place::new();
        let meter = entry["url"].as_str().unwrap().to_owned();
        let case = Self {
            gate: Gate::new(&meter),
            id: entry["id"].as_str().unwrap().to_owned(),
            meter,
            place,
        };
        case.show(entry, &case.gate.url);
        case
    }

    fn show(&self, entry: &Value, url: &str) {
        let mut shown = entry.clone();
        shown["url"] = url.into();
        fs::create_dir_all(self.place.path("air")).unwrap();
        fs::write(
            self.place.path("air/meters.json"),
            json!([shown]).to_string(),
        )
        .unwrap();
    }

    fn set_up(&self) -> Ended {
        self.place.run(&["setup", "--local", &self.id, "--json"])
    }

    /// Begins a set-up and kills it while the gate holds one of its requests.
    fn set_up_and_kill(&self) {
        let mut command = self
            .place
            .command(&["setup", "--local", &self.id, "--json"]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        self.gate.wait();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Returns whether the meter is set up, and which of its tokens are kept here.
    fn state(&self) -> (bool, Vec<String>) {
        let info = get(&self.meter, "/api/v1/info").json();
        let kept = fs::read_to_string(self.place.data().join("secrets.json"));
        let kept: Value = kept.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let names = kept.as_object().into_iter().flat_map(|kept| kept.keys());
        let tokens = names.filter_map(|name| name.strip_suffix(&format!("token:{}", self.id)));
        let tokens = tokens.map(|prefix| format!("{prefix}token")).collect();
        (info["set_up"].as_bool().unwrap(), tokens)
    }

    /// Asserts the state that a break leaves, and that the same command finishes.
    fn assert_recovers(&self, index: usize, cut: Cut) {
        let expected = match (index, cut) {
            (0, _) => (false, &[][..]),
            (SET_UP, Cut::Before) => (false, &["pending-token"][..]),
            (..=PROOF, _) => (true, &["pending-token"][..]),
            _ => (true, &["token"][..]),
        };
        let state = self.state();
        assert_eq!(
            (state.0, state.1.as_slice()),
            (
                expected.0,
                &expected
                    .1
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()[..]
            ),
            "request {index}, {cut:?}"
        );
        self.gate.open();
        let again = self.set_up().done().json();
        let result = if index > PROOF {
            "already_ours"
        } else {
            "set_up"
        };
        assert_eq!(again[0]["result"], result, "request {index}, {cut:?}");
        assert_eq!(again[0]["clock_set"], true);
        assert_eq!(self.state(), (true, vec!["token".to_owned()]));
        self.place.run(&["collect", "--json"]).done();
    }
}

#[test]
fn a_set_up_that_is_cut_or_killed_at_any_request_is_finished_by_the_same_command() {
    let fleet = Fleet::new(1 + REQUESTS * 5);
    let mut entries = fleet.entries.iter();
    let whole = Case::new(entries.next().unwrap());
    whole.set_up().done();
    let requests = whole.gate.requests();
    assert!(
        (REQUESTS..=REQUESTS + 2).contains(&requests),
        "{requests} requests"
    );
    for index in 0..REQUESTS {
        for cut in [Cut::Before, Cut::After, Cut::Within] {
            let case = Case::new(entries.next().unwrap());
            case.gate.cut(index, cut);
            let broken = case.set_up();
            assert_eq!(broken.code, 3, "request {index}, {cut:?}: {broken:?}");
            let error = &broken.json()[0]["error"];
            assert!(
                error["hint"].as_str().unwrap().contains("next try"),
                "{broken:?}"
            );
            case.assert_recovers(index, cut);
        }
        for cut in [Cut::Before, Cut::After] {
            let case = Case::new(entries.next().unwrap());
            case.gate.hold(index, cut);
            case.set_up_and_kill();
            case.assert_recovers(index, cut);
        }
    }
    println!("{requests} requests, {} breaks", REQUESTS * 5);
    drop(fleet.place);
}

#[test]
fn a_meter_that_loses_power_after_it_kept_the_set_up_is_ours_when_it_is_back() {
    for cut in [Cut::Before, Cut::After] {
        let place = Place::new();
        let running = Fleet::start(&place, 1);
        let entries = || -> Vec<Value> {
            let text = fs::read_to_string(place.path("fleet/meters.json")).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let case = Case::new(&entries()[0]);
        case.gate.hold(SET_UP, cut);
        let arguments = ["setup", "--local", &case.id, "--json"];
        let mut command = case.place.command(&arguments);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        case.gate.wait();
        // SIGKILL: nothing is written any more.
        drop(running);
        child.kill().unwrap();
        child.wait().unwrap();
        let _running = Fleet::start(&place, 1);
        let back = entries();
        case.show(&back[0], back[0]["url"].as_str().unwrap());
        let info = get(back[0]["url"].as_str().unwrap(), "/api/v1/info").json();
        assert_eq!(info["set_up"], cut == Cut::After, "{cut:?}");
        assert_eq!(case.set_up().done().json()[0]["result"], "set_up");
        case.place.run(&["collect", "--json"]).done();
    }
}

#[test]
fn of_two_people_at_once_one_gets_the_meter_and_the_other_is_told() {
    let fleet = Fleet::new(4);
    for entry in &fleet.entries {
        let cases = [Case::new(entry), Case::new(entry)];
        let started: Vec<_> = cases
            .iter()
            .map(|case| {
                let mut command = case
                    .place
                    .command(&["setup", "--local", &case.id, "--json"]);
                command.stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let ended: Vec<_> = started
            .into_iter()
            .map(|child| child.wait_with_output().unwrap())
            .collect();
        let mut codes: Vec<_> = ended
            .iter()
            .map(|output| output.status.code().unwrap())
            .collect();
        let loser = codes
            .iter()
            .position(|code| *code == 4)
            .unwrap_or_else(|| panic!("{ended:?}"));
        codes.sort_unstable();
        assert_eq!(codes, [0, 4]);
        let said: Value = serde_json::from_slice(&ended[loser].stdout).unwrap();
        assert_eq!(said[0]["error"]["code"], "refused", "{said}");
        assert!(
            said[0]["error"]["hint"]
                .as_str()
                .unwrap()
                .contains("button for 10 s"),
            "{said}"
        );
        cases[1 - loser].place.run(&["collect", "--json"]).done();
        assert_eq!(
            cases[loser].place.run(&["collect", "--json"]).code,
            3,
            "it knows no token"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_leaves_a_set_up_that_can_be_finished() {
    let double = Double::start(Options::default()).await.unwrap();
    let url = double.url();
    let fleet = tokio::task::spawn_blocking(|| Fleet::new(6)).await.unwrap();
    for (index, path) in [
        "/api/tenant/devices",
        "/api/device-with-credentials",
        "/api/auth/token",
    ]
    .into_iter()
    .enumerate()
    {
        for is_handled in [false, true] {
            let entry = &fleet.entries[index * 2 + usize::from(is_handled)];
            let case = Case::new(entry);
            let login = [
                "login",
                url.trim_end_matches('/'),
                "--user",
                "tenant@thingsboard.org",
            ];
            let mut command = case.place.command(&login);
            let login = command.env("OFMON_PASSWORD", "tenant").output();
            assert!(login.unwrap().status.success());
            double.set_faults(Faults {
                only_paths_containing: path.to_owned(),
                close_before_handling: u32::from(!is_handled),
                close_after_handling: u32::from(is_handled),
                ..Faults::default()
            });
            let (case, broken) = tokio::task::spawn_blocking(move || {
                let broken = case.place.run(&["setup", &case.id, "--json"]);
                (case, broken)
            })
            .await
            .unwrap();
            assert_eq!(broken.code, 3, "{path}, handled {is_handled}: {broken:?}");
            double.set_faults(Faults::default());
            let again = tokio::task::spawn_blocking(move || {
                case.place.run(&["setup", &case.id, "--json"]).done();
                case.place.run(&["collect", "--json"]).done();
                case.place.run(&["sync", "--json"]).done();
                case
            });
            let case = again.await.unwrap();
            let name = format!("OFMON-{}", case.id.to_uppercase());
            let made = double.device_named(&name).expect("made");
            let kept = fs::read_to_string(case.place.data().join("secrets.json")).unwrap();
            assert!(
                kept.contains(&made.token),
                "the meter has the device's token"
            );
        }
    }
    assert_eq!(double.devices().len(), 6, "each meter once");
}
