//! Calibrating a simulated meter through which a steady load flows.

use std::{fs, process::Stdio, thread, time::Duration};

use collector::{
    client::{Client, Session},
    secrets::Secrets,
};
use protocol::messages::CaptureOutcome;
use serde_json::Value;

use crate::program::{Ended, Place, Running};

/// What flows through the meter.
const WATTS: f64 = 1_150.0;
const VOLTS: f64 = 230.0;
/// Windows whose mean is compared. One scatters by 0.23 %: 3 codes of noise, 0.23 A, over the root of 400 samples.
const WINDOWS: u32 = 12;
/// How far means of so many may be apart: four times what two of them scatter by, and half of what is calibrated.
const LIVE_PERCENT: f64 = 0.4;

/// A meter with a steady load, in a place of its own.
struct Bench {
    place: Place,
    air: Running,
}

impl Bench {
    fn new() -> Self {
        let place = Place::new();
        let profile = place.path("steady.txt");
        let header = "Date;Time;Global_active_power;Global_reactive_power;Voltage";
        let minute = format!("1/1/2026;00:00:00;{:.3};0.000;{VOLTS:.3}", WATTS / 1e3);
        fs::write(&profile, format!("{header}\n{minute}\n")).unwrap();
        let (state, profile) = (place.path("air"), profile.to_str().unwrap().to_owned());
        let state = state.to_str().unwrap();
        let air = place.start(&["sim", "--json", "--state", state, "--replay", &profile]);
        let id = air.document["meters"][0]["id"].as_str().unwrap();
        place
            .run(&["setup", "--local", id, "--name", "Cellar"])
            .done();
        Self { place, air }
    }

    fn calibrate(&self, arguments: &[&str]) -> Ended {
        let command = ["calibrate", "cellar", "--json"];
        self.place.run(&[&command[..], arguments].concat())
    }

    fn show(&self) -> Value {
        self.calibrate(&["--show"]).done().json()
    }

    /// Starts a capture of 30 s and returns when it runs in the meter; the meter is asked past the store, which the
    /// program has for itself in its first moment.
    fn begin(&self, arguments: &[&str]) -> std::process::Child {
        let command = ["calibrate", "cellar", "--json", "--seconds", "30"];
        let mut command = self.place.command(&[&command[..], arguments].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let (runtime, session) = (tokio::runtime::Runtime::new().unwrap(), self.session());
        for _ in 0..100 {
            let capture = runtime.block_on(session.calibration()).unwrap().capture;
            if capture.is_some_and(|capture| capture.outcome == CaptureOutcome::Running) {
                return child;
            }
            thread::sleep(Duration::from_millis(50));
        }
        child.kill().unwrap();
        panic!("{arguments:?} never began: {:?}", ended(child));
    }

    /// Returns power and voltage of this moment: means over some windows.
    fn live(&self) -> (f64, f64) {
        let session = self.session();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (mut watts, mut volts) = (0.0, 0.0);
        for _ in 0..WINDOWS {
            thread::sleep(Duration::from_millis(210));
            let live = runtime.block_on(session.live()).unwrap();
            watts += live.channels[0].active_power_mw as f64 / 1e3 / f64::from(WINDOWS);
            volts += f64::from(live.channels[0].voltage_mv) / 1e3 / f64::from(WINDOWS);
        }
        (watts, volts)
    }

    fn session(&self) -> Session {
        let meter = &self.air.document["meters"][0];
        let device = meter["id"].as_str().unwrap().parse().unwrap();
        let secrets = Secrets::open(&self.place.data()).unwrap();
        let token = secrets.token(device).unwrap();
        let client = Client::new(meter["url"].as_str().unwrap()).unwrap();
        client.session(device, token.reveal())
    }
}

fn ended(child: std::process::Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        printed: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
fn assert_near(found: f64, expected: f64, percent: f64) {
    let off_percent = (found / expected - 1.0) * 100.0;
    assert!(
        off_percent.abs() <= percent,
        "{found} is {off_percent} % off {expected}"
    );
}

/// Three meters side by side, because a capture takes at least 30 s.
#[test]
fn a_capture_is_applied_refused_or_goes_on_alone() {
    thread::scope(|scope| {
        scope.spawn(a_load_is_applied_and_taken_back);
        scope.spawn(a_load_that_should_not_be_there_is_refused);
        scope.spawn(an_interrupted_capture_goes_on_in_the_meter);
    });
}

fn a_load_is_applied_and_taken_back() {
    let bench = Bench::new();
    let before = bench.live();
    assert_near(before.0, WATTS, LIVE_PERCENT);
    let load = ["--watts", "1160", "--volts", "231", "--seconds", "30"];
    let done = bench.calibrate(&load).done().json();
    assert_eq!(
        (&done["version_before"], &done["version"], &done["name"]),
        (&0.into(), &1.into(), &"Cellar".into()),
        "{done}"
    );
    let changed = &done["changed"][0];
    let number = |name: &str| changed[name].as_f64().unwrap();
    assert_near(number("voltage_change_percent"), 100.0 / 230.0, 5.0);
    // The power is off by both gains together.
    let current = (1_160.0 / 231.0) / (1_150.0 / 230.0) - 1.0;
    assert!(
        (number("current_change_percent") - current * 100.0).abs() < 0.05,
        "{done}"
    );
    assert!(number("phase_change_degrees").abs() < 0.1, "{done}");
    let now_ms = collector::WallClock::default().now_ms();
    let made_ms = done["utc_ms"].as_i64().unwrap();
    assert!((now_ms - 60_000..=now_ms).contains(&made_ms), "{done}");

    let after = bench.live();
    assert_near(after.0 / before.0, 1_160.0 / WATTS, LIVE_PERCENT);
    assert_near(after.1 / before.1, 231.0 / VOLTS, 0.05);
    let text = bench.place.run(&["calibrate", "cellar"]).done().printed;
    assert!(
        text.contains("Version 1, made 20") && text.contains("(load, channel 1) was applied"),
        "{text}"
    );

    let text = bench.place.run(&["calibrate", "cellar", "--undo"]).done();
    assert!(
        text.printed.contains("Calibration 2 of Cellar is in force") && text.printed.contains(" %"),
        "{text:?}"
    );
    assert_near(bench.live().0 / before.0, 1.0, LIVE_PERCENT);
    assert_eq!(bench.show()["channels"][0], changed["before"]);
}

fn a_load_that_should_not_be_there_is_refused() {
    let bench = Bench::new();
    let fresh = bench.show();
    assert_eq!(
        (&fresh["version"], &fresh["can_undo"], &fresh["capture"]),
        (&0.into(), &false.into(), &Value::Null)
    );
    let channel = &fresh["channels"][0];
    assert!(
        channel["voltage_nv_per_code"].as_u64().unwrap() > 0,
        "{fresh}"
    );
    let text = bench.place.run(&["calibrate", "cellar"]).done().printed;
    assert!(
        text.contains("no-load limit, W") && text.contains("Version 0: the scale"),
        "{text}"
    );
    let unknown = bench.calibrate(&["--no-load", "--channel", "2"]);
    unknown.assert_failed(2, "not_found");
    assert!(unknown.printed.contains("1 to 1"), "{unknown:?}");
    bench.calibrate(&["--undo"]).assert_failed(1, "failed");

    let capture = bench.begin(&["--no-load"]);
    let busy = bench.calibrate(&["--no-load"]);
    busy.assert_failed(1, "failed");
    assert!(
        busy.printed.contains("a capture runs") && busy.printed.contains("--show"),
        "{busy:?}"
    );
    let refused = ended(capture);
    refused.assert_failed(1, "failed");
    assert!(
        refused.printed.contains("a load is on") && refused.printed.contains("switch off"),
        "{refused:?}"
    );
    let now = bench.show();
    assert_eq!(
        (&now["channels"], &now["version"]),
        (&fresh["channels"], &0.into())
    );
    assert_eq!(now["capture"]["outcome"], "refused");
}

fn an_interrupted_capture_goes_on_in_the_meter() {
    let bench = Bench::new();
    let capture = bench.begin(&["--watts", "1160"]);
    // It hears of its capture as soon as the meter has answered.
    thread::sleep(Duration::from_millis(500));
    let pid = capture.id().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-INT", &pid]).status().unwrap().success());
    let interrupted = ended(capture);
    interrupted.assert_failed(130, "interrupted");
    assert!(
        interrupted.printed.contains("goes on in the meter"),
        "{interrupted:?}"
    );
    for _ in 0..60 {
        let shown = bench.show();
        match shown["capture"]["outcome"].as_str().unwrap() {
            "running" => assert_eq!(shown["version"], 0),
            outcome => {
                assert_eq!(
                    (outcome, &shown["version"]),
                    ("applied", &1.into()),
                    "{shown}"
                );
                return;
            }
        }
        thread::sleep(Duration::from_secs(1));
    }
    panic!("the capture never ended");
}

#[test]
fn figures_out_of_range_and_steps_that_do_not_go_together_are_wrong_calls() {
    let place = Place::new();
    for arguments in [
        &["--watts", "0.5"][..],
        &["--watts", "100001"],
        &["--watts", "much"],
        &["--watts", "NaN"],
        &["--watts", "1000", "--volts", "49"],
        &["--watts", "1000", "--volts", "501"],
        &["--volts", "230"],
        &["--not-resistive"],
        &["--no-load", "--volts", "230"],
        &["--undo", "--volts", "230"],
        &["--show", "--not-resistive"],
        &["--no-load", "--watts", "1000"],
        &["--no-load", "--undo"],
        &["--undo", "--channel", "1"],
        &["--show", "--seconds", "60"],
        &["--no-load", "--seconds", "29"],
        &["--no-load", "--seconds", "601"],
        &["--no-load", "--channel", "0"],
        &["--seconds", "60"],
        &["--channel", "1"],
    ] {
        let command = ["calibrate", "cellar", "--json"];
        let ended = place.run(&[&command[..], arguments].concat());
        assert_eq!(ended.code, 2, "{arguments:?}");
        ended.assert_failed(2, "usage");
    }
    place
        .run(&["calibrate", "--json"])
        .assert_failed(2, "usage");
    assert!(!place.data().exists());
    place
        .run(&["calibrate", "cellar", "--json"])
        .assert_failed(2, "not_found");
}
