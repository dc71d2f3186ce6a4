//! Secrets appear in no log, no error, no address, no `--json`, no export, no database and no answer of the server.
//!
//! Planted ones go through a whole run, with everything logged and with a server that fails in every way. Two places may
//! hold them: `secrets.json`, and the line that shows a viewing code once. `meters.json` stands for labels. On its way to
//! ThingsBoard a token is part of the address, because its device API has it so; no log and no error repeats it.

use std::{
    fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, thread, time::Duration,
};

use serde_json::{Value, json};
use thingsboard_double::{Double, Faults, Options};

use crate::program::{Place, get, request};

const DEVICE_TOKEN: &str = "PLANTED-device-token";
const NEW_TOKEN: &str = "PLANTED-newer-tokens";
const AP_PASSWORD: &str = "PLANTED-wifi-pass";
const CODE: &str = "PLANTED-code";
const NO_CODE: &str = "PLANTED and none";
const WRONG: &str = "PLANTED-wrong-one";
/// The password of the double's user.
const ACCOUNT_PASSWORD: &str = "tenant";

/// Everything that was printed, logged, answered or written.
struct Traces {
    place: Place,
    said: Vec<(String, String)>,
}

impl Traces {
    fn note(&mut self, what: impl Into<String>, text: impl Into<String>) {
        self.said.push((what.into(), text.into()));
    }

    /// Runs a command with all secrets in its environment and everything logged, as text and as JSON.
    fn run(&mut self, arguments: &[&str]) {
        for json in [&[][..], &["--json"]] {
            self.run_once(
                &[arguments, json].concat(),
                CODE,
                AP_PASSWORD,
                ACCOUNT_PASSWORD,
            );
        }
    }

    fn run_once(&mut self, arguments: &[&str], code: &str, wifi: &str, account: &str) {
        let mut command = self
            .place
            .command(&[arguments, &["--log", "trace"]].concat());
        command
            .env("OFMON_CODE", code)
            .env("OFMON_AP_PASSWORD", wifi);
        let output = command.env("OFMON_PASSWORD", account).output().unwrap();
        let (printed, logged) = (text(&output.stdout), text(&output.stderr));
        // The one place where a code is shown.
        let shown = |line: &&str| !line.starts_with("Viewing code of");
        self.note(
            format!("{arguments:?} printed"),
            printed.lines().filter(shown).collect::<Vec<_>>().join("\n"),
        );
        self.note(format!("{arguments:?} logged"), logged);
    }

    /// Reads every file below a directory but the two that may hold secrets.
    fn note_files(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                self.note_files(&path);
            } else if name != "secrets.json" && name != "meters.json" && !name.ends_with(".flash") {
                let bytes = fs::read(&path).unwrap();
                self.note(path.display().to_string(), text(&bytes));
            }
        }
    }

    fn found(&self, secrets: &[String]) -> Vec<String> {
        let holds = |(what, text): &(String, String)| {
            let of = |secret: &&String| text.contains(secret.as_str());
            secrets
                .iter()
                .find(of)
                .map(|secret| format!("{secret} in {what}"))
        };
        self.said.iter().filter_map(holds).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_show_nowhere() {
    let double = Double::start(Options::default()).await.unwrap();
    double.add_device("Planted", DEVICE_TOKEN).unwrap();
    let (traces, secrets) = tokio::task::spawn_blocking(move || whole_run(&double))
        .await
        .unwrap();
    let bytes: usize = traces.said.iter().map(|(_, text)| text.len()).sum();
    println!(
        "{} secrets, {} texts, {bytes} bytes",
        secrets.len(),
        traces.said.len()
    );
    assert!(
        secrets.len() >= 8 && traces.said.len() > 60 && bytes > 100_000,
        "too little was looked at"
    );
    assert!(
        secrets.iter().all(|secret| secret.len() >= 12),
        "one could be found by chance"
    );
    assert_eq!(traces.found(&secrets), Vec::<String>::new());
}

/// Lives through everything, and returns what was left behind and what must not be in it.
fn whole_run(double: &Double) -> (Traces, Vec<String>) {
    let mut traces = Traces {
        place: Place::new(),
        said: Vec::new(),
    };
    let air = traces.place.path("air");
    let call = [
        "sim",
        "--json",
        "--state",
        air.to_str().unwrap(),
        "--history",
        "1h",
        "--fast-history",
        "--log",
        "trace",
    ];
    let log = fs::File::create(traces.place.path("sim.log")).unwrap();
    let mut sim = traces.place.command(&call);
    let mut sim = sim.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let list = air.join("meters.json");
    while !list.exists() {
        thread::sleep(Duration::from_millis(50));
    }
    let mut entries: Value = serde_json::from_str(&fs::read_to_string(&list).unwrap()).unwrap();
    entries[0]["password"] = AP_PASSWORD.into();
    fs::write(&list, entries.to_string()).unwrap();
    let id = entries[0]["id"].as_str().unwrap().to_owned();
    let url = double.url();
    let login = [
        "login",
        url.trim_end_matches('/'),
        "--user",
        "tenant@thingsboard.org",
    ];
    traces.run_once(&login, WRONG, WRONG, WRONG);
    traces.run(&login);
    let label = format!("WIFI:T:WPA;S:OFMON-{};P:{WRONG};;", id.to_uppercase());
    for wrong in [
        &["setup", "--local", "--label", &label][..],
        &["setup", "--local", "--label", WRONG],
    ] {
        traces.run_once(wrong, CODE, AP_PASSWORD, ACCOUNT_PASSWORD);
    }
    traces.run_once(&["setup", &id], CODE, WRONG, ACCOUNT_PASSWORD);
    traces.run_once(&["setup", &id], NO_CODE, AP_PASSWORD, ACCOUNT_PASSWORD);
    let set_up = ["setup", &id, "--device", "Planted", "--name", "Cellar"];
    double.set_faults(connections("/credentials", 1, 0));
    traces.run_once(&set_up, CODE, AP_PASSWORD, ACCOUNT_PASSWORD);
    double.set_faults(Faults::default());
    traces.run(&set_up);
    let kept = fs::read_to_string(traces.place.data().join("secrets.json")).unwrap();
    assert!(
        kept.contains(DEVICE_TOKEN) && kept.contains(CODE) && kept.contains(AP_PASSWORD),
        "{kept}"
    );
    traces.run(&["collect"]);
    sync_with_faults(double, &mut traces);
    change_token(double, &mut traces);
    serve(&mut traces, &id);
    for command in [
        &["scan"][..],
        &["devices"],
        &["status"],
        &["readings", "cellar"],
        &["events", "cellar"],
        &["events", "cellar", "--json"],
        &["export"],
        &["export", "--format", "json"],
        &["firmware", "--help"],
        &["flash", "--help"],
        &["setup", "--help"],
        &["calibrate", "cellar", "--show"],
        &["import", "/nonexistent"],
    ] {
        traces.run(command);
    }
    let kept = fs::read_to_string(traces.place.data().join("secrets.json")).unwrap();
    traces.run(&["logout"]);
    sim.kill().unwrap();
    sim.wait().unwrap();
    let root = traces.place.path("");
    traces.note_files(&root);
    for request in double.requests() {
        let is_device_api = request.path.starts_with("/api/v1/");
        // ThingsBoard's device API has the token in the address.
        if !is_device_api {
            traces.note("an address at the server", request.path);
        }
    }
    let mode = fs::metadata(traces.place.data().join("secrets.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let mut secrets: Vec<String> = kept
        .as_object()
        .unwrap()
        .values()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect();
    // A session's token as a whole, and its middle part, which says who it is for.
    let session = kept["server-session"].as_str().unwrap();
    secrets.extend(
        session
            .split('.')
            .map(ToOwned::to_owned)
            .filter(|part| part.len() > 40),
    );
    // How every token of the account begins, those of hours too.
    let begin = session.get(..16).unwrap_or_default();
    let planted = [
        DEVICE_TOKEN,
        NEW_TOKEN,
        AP_PASSWORD,
        CODE,
        NO_CODE,
        WRONG,
        begin,
    ];
    secrets.extend(planted.map(ToOwned::to_owned));
    secrets.retain(|secret| secret.len() >= 12);
    secrets.sort();
    secrets.dedup();
    (traces, secrets)
}

fn connections(path: &str, before: u32, after: u32) -> Faults {
    Faults {
        only_paths_containing: path.to_owned(),
        close_before_handling: before,
        close_after_handling: after,
        ..Faults::default()
    }
}

/// Syncs through every way in which a server fails.
fn sync_with_faults(double: &Double, traces: &mut Traces) {
    let refused = Faults {
        refuse_tokens: 1,
        ..Faults::default()
    };
    // One after the other; each is waited out, or ends the sync.
    let uploads = Faults {
        unavailable: 1,
        html_page: 1,
        telemetry_errors: 1,
        ..connections("/telemetry", 1, 1)
    };
    let faults = [
        connections("/api/auth/token", 1, 0),
        connections("/credentials", 1, 0),
        connections("/credentials", 0, 1),
        refused,
        uploads.clone(),
        uploads,
        Faults::default(),
    ];
    for faults in faults {
        double.set_faults(faults);
        traces.run_once(&["sync"], CODE, AP_PASSWORD, ACCOUNT_PASSWORD);
    }
    double.expire_access_tokens();
    traces.run(&["sync"]);
}

/// Changes the token on the server, and lets the meter get it.
fn change_token(double: &Double, traces: &mut Traces) {
    let device = double.device_named("Planted").unwrap();
    assert!(double.point_count(device.id) > 0, "nothing was synced");
    double.set_token(device.id, NEW_TOKEN).unwrap();
    traces.run(&["sync"]);
    let kept = fs::read_to_string(traces.place.data().join("secrets.json")).unwrap();
    assert!(kept.contains(NEW_TOKEN), "the change was not seen");
    traces.run(&["collect"]);
    traces.run(&["sync"]);
}

/// Asks the local server for everything that it has.
fn serve(traces: &mut Traces, id: &str) {
    let log = fs::File::create(traces.place.path("serve.log")).unwrap();
    let mut command = traces.place.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--log",
        "trace",
    ]);
    let mut server = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut printed = String::new();
    let mut lines = std::io::BufReader::new(server.stdout.take().unwrap());
    let document: Value = loop {
        std::io::BufRead::read_line(&mut lines, &mut printed).unwrap();
        if let Ok(document) = serde_json::from_str(&printed) {
            break document;
        }
    };
    traces.note("serve printed", printed);
    let url = document["url"].as_str().unwrap();
    for path in [
        "/",
        "/api/v1/status",
        "/api/v1/devices",
        &format!("/api/v1/devices/{id}"),
        &format!("/api/v1/devices/{id}/latest"),
        "/api/v1/nearby",
        "/api/v1/nothing",
        "/secrets.json",
    ] {
        traces.note(format!("GET {path}"), format!("{:?}", get(url, path)));
    }
    let marked = ["X-Ofmon: 1", "Content-Type: application/json"];
    for body in [
        json!({"device": id, "local": true, "password": AP_PASSWORD, "code": CODE}).to_string(),
        json!({"device": id, "local": true, "password": WRONG, "code": CODE}).to_string(),
        json!({"device": id, "local": true, "password": AP_PASSWORD, "code": CODE, "unknown": WRONG}).to_string(),
        json!({"device": WRONG}).to_string(),
        format!("{{\"code\": \"{CODE}\", "),
    ] {
        let answer = request(url, "POST /api/v1/setup", &marked, &body);
        traces.note("POST /api/v1/setup", format!("{answer:?}"));
    }
    let answer = request(url, "POST /api/v1/collect", &marked, "{}");
    traces.note("POST /api/v1/collect", format!("{answer:?}"));
    thread::sleep(Duration::from_millis(500));
    traces.note(
        "GET /api/v1/jobs/1",
        format!("{:?}", get(url, "/api/v1/jobs/1")),
    );
    server.kill().unwrap();
    server.wait().unwrap();
}
