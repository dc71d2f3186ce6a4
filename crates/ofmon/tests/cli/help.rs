//! Help, wrong calls and exit codes.

use crate::program::{Place, files};

const COMMANDS: [&str; 19] = [
    "demo",
    "sim",
    "scan",
    "setup",
    "collect",
    "calibrate",
    "status",
    "devices",
    "readings",
    "events",
    "export",
    "import",
    "firmware",
    "flash",
    "token",
    "login",
    "logout",
    "sync",
    "serve",
];

#[test]
fn every_command_teaches_by_example() {
    let place = Place::new();
    let overview = place.run(&["--help"]).done().printed;
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} is not in the overview"
        );
        let help = place.run(&[command, "--help"]).done().printed;
        assert!(
            help.contains("Examples:") && help.contains(&format!("ofmon {command}")),
            "{help}"
        );
        assert!(help.contains("--json") && help.contains("--data"), "{help}");
    }
}

#[test]
fn the_overview_tells_the_exit_codes() {
    let overview = Place::new().run(&["--help"]).done().printed;
    for code in [
        "0 done",
        "1 failed",
        "2 wrong call",
        "3 unreachable",
        "4 refused",
        "5 corrupt",
        "6 storage",
        "130 interrupted",
    ] {
        assert!(
            overview.replace('\n', " ").contains(code),
            "{code} is not in {overview}"
        );
    }
}

#[test]
fn a_wrong_call_ends_with_2_and_makes_nothing() {
    let place = Place::new();
    for call in [
        &["fly", "--json"][..],
        &["collect", "--all", "cellar", "--json"],
        &["readings", "--json"],
        &["setup", "--json"],
        &["setup", "cellar", "--all", "--json"],
        &["sim", "--json"],
        &["sim", "--json", "--state", "air", "--devices", "0"],
        &["sim", "--json", "--state", "air", "--speed", "-1"],
        &["sim", "--json", "--state", "air", "--history", "soon"],
        &["sim", "--json", "--state", "air", "--start", "soon"],
        &[
            "sim",
            "--json",
            "--state",
            "air",
            "--start",
            "2026-01-01",
            "--speed",
            "5",
        ],
        &[
            "sim", "--json", "--state", "air", "--replay", "none", "--days", "1",
        ],
        &[
            "sim",
            "--json",
            "--state",
            "air",
            "--firmware",
            "none",
            "--rom",
            "none",
        ],
        &[
            "sim",
            "--json",
            "--state",
            "air",
            "--firmware",
            "none",
            "--fast-history",
        ],
        &[
            "sim",
            "--json",
            "--state",
            "air",
            "--firmware",
            "none",
            "--start",
            "2026-01-01",
        ],
        &[
            "sim",
            "--json",
            "--state",
            "air",
            "--firmware",
            "none",
            "--channels",
            "3",
        ],
        &["serve", "--json", "--listen", "here"],
        &["export", "--json", "--format", "xls"],
        &["status", "--json", "--tz", "Nowhere/Land"],
        &["status", "--json", "--log", "ofmon=loud"],
    ] {
        place.run(call).assert_failed(2, "usage");
    }
    assert!(!place.data().exists());
    assert_eq!(files(&place.path("air")), Vec::<String>::new());
}

#[test]
fn a_wrong_call_without_json_speaks_on_standard_error_only() {
    let ended = Place::new().run(&["status", "--tz", "Nowhere/Land"]);
    assert_eq!((ended.code, ended.printed.as_str()), (2, ""));
    assert!(
        ended.said.contains("error: there is no time zone") && ended.said.contains("hint: "),
        "{ended:?}"
    );
}

#[test]
fn before_anything_was_collected_lists_are_empty_and_readings_missing() {
    let place = Place::new();
    assert_eq!(
        place.run(&["devices", "--json"]).done().printed.trim(),
        "[]"
    );
    assert_eq!(
        place.run(&["status", "--json"]).done().json()["readings"],
        0
    );
    assert_eq!(place.run(&["scan", "--json"]).done().printed.trim(), "[]");
    place.run(&["export", "--json"]).assert_failed(6, "storage");
    place
        .run(&["readings", "cellar", "--json"])
        .assert_failed(6, "storage");
    assert!(!place.data().exists(), "reading made a data directory");
}
