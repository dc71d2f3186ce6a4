//! Files that a meter saves, from a real one into stores of their own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use protocol::{
    DeviceId,
    authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key},
    messages::Info,
};
use serde_json::Value;

use crate::program::{Place, Running};

/// Readings of an hour of history.
const READINGS: u64 = 360;

fn meter(place: &Place) -> Running {
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
    ];
    place.start(&arguments)
}

/// Sends a request as it is written and returns headers and body, the chunks of it joined.
fn exchange(host: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let (head, mut rest) = (
        String::from_utf8(answer[..end].to_vec()).unwrap(),
        &answer[end + 4..],
    );
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    if !head.contains("chunked") {
        return (head, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..line]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (head, body);
        }
        body.extend(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 4 + length..];
    }
}

/// Returns the one meter of a place, and its token.
fn owned(place: &Place) -> (DeviceId, String, String) {
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let meters = read(&place.path("air/meters.json"));
    let id = meters[0]["id"].as_str().unwrap().to_owned();
    let url = meters[0]["url"].as_str().unwrap();
    let host = url
        .strip_prefix("http://")
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    let secrets = read(&place.data().join("secrets.json"));
    let token = secrets[format!("token:{id}")].as_str().unwrap().to_owned();
    (id.parse().unwrap(), host, token)
}

/// Saves everything that the meter of a place holds, as its own page does; returns the name that the meter gives the file.
fn save(place: &Place, to: &str) -> String {
    let (device, host, token) = owned(place);
    let (_, info) = exchange(&host, "/api/v1/info", "");
    let info: Info = serde_json::from_slice(&info).unwrap();
    let (path, hash) = ("/api/v1/save", BodyHash::of(b""));
    let mac = Key::derive(&token, device).request_mac("GET", path, &hash, &info.nonce);
    let nonce = info.nonce;
    let authorization = Authorization { nonce, mac };
    let headers = format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
    let (head, file) = exchange(&host, path, &headers);
    fs::write(place.path(to), file).unwrap();
    let name = head.split_once("filename=\"").unwrap().1;
    name.split_once('"').unwrap().0.to_owned()
}

/// Gives a place the tokens of another.
fn with_tokens_of(other: &Place) -> Place {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    let name = "secrets.json";
    fs::copy(other.data().join(name), place.data().join(name)).unwrap();
    place
}

fn import(place: &Place, file: &Path) -> Value {
    let ended = place
        .run(&["import", "--json", file.to_str().unwrap()])
        .done();
    assert!(!ended.said.contains("error"), "{ended:?}");
    ended.json()[0].clone()
}

/// Asserts how the import of one file failed, and returns what it says.
#[track_caller]
fn refused(place: &Place, file: &Path, code: i32, word: &str) -> Value {
    let ended = place.run(&["import", "--json", file.to_str().unwrap()]);
    let view = ended.json()[0].clone();
    assert_eq!(
        (ended.code, &view["error"]["code"]),
        (code, &word.into()),
        "{ended:?}"
    );
    assert_ne!(view["error"]["hint"], "", "{view}");
    let (_, _, token) = owned_if_any(place);
    assert!(token.is_empty() || !format!("{ended:?}").contains(&token));
    view
}

fn owned_if_any(place: &Place) -> (DeviceId, String, String) {
    if place.path("air/meters.json").exists() {
        return owned(place);
    }
    (DeviceId([0; 6]), String::new(), String::new())
}

fn export(place: &Place) -> String {
    place.run(&["export"]).done().printed
}

#[test]
fn an_import_brings_what_a_collection_would() {
    let place = Place::new();
    let _air = meter(&place);
    place.run(&["setup", "--local", "--all"]).done();
    place.run(&["collect"]).done();
    let collected = export(&place);
    let name = save(&place, "saved.ofms");
    let (device, ..) = owned(&place);
    let file = place.path("saved.ofms");

    let other = with_tokens_of(&place);
    let view = import(&other, &file);
    let (readings, next) = (
        view["readings"].as_u64().unwrap(),
        view["to_seq"].as_u64().unwrap(),
    );
    assert!(readings >= READINGS && readings == next, "{view}");
    assert_eq!(name, format!("ofmon-{device}-{next}.ofms"));
    assert_eq!(view["device"], device.to_string());
    assert_eq!(view["next_seq"], next);
    assert_eq!(
        (&view["conflicts"], &view["error"]),
        (&0.into(), &Value::Null)
    );
    assert!(view["events"].as_u64().unwrap() >= 3, "{view}");
    let bytes = fs::metadata(&file).unwrap().len();
    assert_eq!(view["bytes"], bytes);
    let imported = export(&other);
    // A reading may have been added between collection and saving.
    assert!(imported.starts_with(&collected), "{imported}");
    let more = imported[collected.len()..].lines().count();
    assert!(
        more <= 2 && collected.lines().count() as u64 > READINGS,
        "{more}"
    );

    // Again, and where it was collected: nothing new but what came since.
    let again = import(&other, &file);
    assert_eq!(
        (&again["readings"], &again["conflicts"]),
        (&0.into(), &0.into())
    );
    assert_eq!(export(&other), imported);
    let here = import(&place, &file);
    assert_eq!(
        (&here["readings"], &here["conflicts"]),
        (&(more as u64).into(), &0.into())
    );
    assert_eq!(export(&place), imported);
    let devices = other.run(&["devices", "--json"]).done().json();
    assert_eq!(
        devices[0]["last_collected_ms"],
        Value::Null,
        "nobody was there"
    );
    // Text for people, and a collection that goes on behind the file.
    let text = place
        .run(&["import", file.to_str().unwrap()])
        .done()
        .printed;
    assert!(
        text.contains(&device.to_string()) && text.contains("done"),
        "{text}"
    );
    let on = place.run(&["collect", "--json"]).done().json();
    assert!(on[0]["readings"].as_u64().unwrap() < 60, "{on}");
}

#[test]
fn a_file_that_is_cut_damaged_or_none_is_told_of_and_what_came_whole_is_kept() {
    let place = Place::new();
    let air = meter(&place);
    place.run(&["setup", "--local", "--all"]).done();
    save(&place, "saved.ofms");
    drop(air);
    let whole = fs::read(place.path("saved.ofms")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let full = import(&with_tokens_of(&place), &place.path("saved.ofms"));
    let blocks = full["blocks"].as_u64().unwrap();
    assert!(blocks >= 2, "{full}");

    let cut = with_tokens_of(&place);
    let view = refused(&cut, &write("cut", &whole[..whole.len() - 1]), 1, "partial");
    assert_eq!(
        view["readings"], full["readings"],
        "only the end is missing"
    );
    let cut = with_tokens_of(&place);
    let view = refused(&cut, &write("cut", &whole[..whole.len() / 2]), 1, "partial");
    let kept = view["readings"].as_u64().unwrap();
    assert!(
        view["error"]["message"].as_str().unwrap().contains("cut"),
        "{view}"
    );
    // The whole one brings the rest.
    let rest = import(&cut, &place.path("saved.ofms"));
    assert_eq!(
        rest["readings"].as_u64().unwrap() + kept,
        full["readings"].as_u64().unwrap()
    );
    assert_eq!(rest["conflicts"], 0);

    let mut damaged = whole.clone();
    let at = damaged.len() - 200;
    damaged[at] ^= 1;
    let view = refused(
        &with_tokens_of(&place),
        &write("damaged", &damaged),
        5,
        "corrupt",
    );
    assert!(view["blocks"].as_u64().unwrap() + 1 >= blocks, "{view}");
    damaged[30] ^= 1;
    let view = refused(
        &with_tokens_of(&place),
        &write("header", &damaged),
        4,
        "refused",
    );
    assert_eq!(
        (&view["device"], &view["blocks"]),
        (&Value::Null, &0.into())
    );

    let none = with_tokens_of(&place);
    refused(&none, &write("none", b"time,power\n1,2\n"), 5, "corrupt");
    refused(&none, &write("empty", b""), 5, "corrupt");
    refused(&none, &place.path("missing"), 2, "not_found");
    refused(&none, &place.path("air"), 6, "storage");
    none.run(&["import", "--json"]).assert_failed(2, "usage");
    // One bad file does not stop the others.
    let names = ["none", "saved.ofms"].map(|name| place.path(name));
    let both = names.each_ref().map(|path| path.to_str().unwrap());
    let ended = none.run(&["import", "--json", both[0], both[1]]);
    assert_eq!(
        (ended.code, &ended.json()[1]["readings"]),
        (1, &full["readings"]),
        "{ended:?}"
    );
}

#[test]
fn a_file_needs_the_token_of_the_meter_that_saved_it() {
    let place = Place::new();
    let air = meter(&place);
    place.run(&["setup", "--local", "--all"]).done();
    place.run(&["collect"]).done();
    save(&place, "before.ofms");
    let stranger = Place::new();
    let view = refused(&stranger, &place.path("before.ofms"), 4, "refused");
    let message = view["error"]["message"].as_str().unwrap();
    assert!(message.contains(&owned(&place).0.to_string()), "{view}");
    assert!(
        view["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("ofmon setup"),
        "{view}"
    );

    // Erased and set up anew, it counts another history under another token.
    drop(air);
    let old = with_tokens_of(&place);
    fs::remove_file(place.path(&format!("air/{}.flash", owned(&place).0))).unwrap();
    let _air = meter(&place);
    place.run(&["setup", "--local", "--all"]).done();
    save(&place, "after.ofms");
    let view = refused(&old, &place.path("after.ofms"), 4, "refused");
    assert_eq!(view["readings"], 0);
    refused(&place, &place.path("before.ofms"), 4, "refused");
    let known: u64 = place.run(&["devices", "--json"]).done().json()[0]["readings"]
        .as_u64()
        .unwrap();
    let first = place.run(&["devices", "--json"]).done().json()[0]["store_id"].clone();
    let view = import(&place, &place.path("after.ofms"));
    assert!(view["readings"].as_u64().unwrap() >= READINGS, "{view}");
    assert_ne!(view["store_id"], first);
    let both = place.run(&["devices", "--json"]).done().json();
    let readings = known + view["readings"].as_u64().unwrap();
    assert_eq!(
        (&both[0]["readings"], &both[0]["conflicts"]),
        (&readings.into(), &0.into())
    );
}
