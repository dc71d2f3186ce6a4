//! What the program says of a store whose content is known to the bit.

use std::path::Path;

use collector::store::{History, Store};
use protocol::{
    ChannelReading, DeviceId, Flags, Registers, Seq, StoreId,
    block::{Header, Writer},
    event::{Event, What},
    limits::BLOCK_BYTES_MAX,
};

use crate::program::{Place, files, get};

const METER: &str = "020f6d000001";
const HISTORY: History = History {
    device: DeviceId([2, 0x0f, 0x6d, 0, 0, 1]),
    store: StoreId(7),
};
/// When uptime 0 was: 2026-10-25T00:59:30Z, half a minute before Berlin's clocks go back.
const EPOCH_MS: i64 = 1_792_889_970_000;
const EXPORT: &str = "\
device,channel,seq,time_utc,uncertainty_ms,estimated,interval_s,power_w,reactive_power_var,voltage_v,current_a,frequency_hz,energy_import_wh,energy_export_wh,coverage,flags
020f6d000001,1,0,2026-10-25T00:59:40.000Z,502,false,10.0,1500.0,-20,230.1,6.55,50.01,4.166667,0.0,1.0,
020f6d000001,2,0,2026-10-25T00:59:40.000Z,502,false,10.0,-360.0,0,230.1,1.57,50.01,1000.0,3.0,0.5,clipped
020f6d000001,1,1,2026-10-25T00:59:50.000Z,502,false,10.0,1500.0,-20,230.1,6.55,50.01,8.333333,0.0,1.0,
020f6d000001,2,1,2026-10-25T00:59:50.000Z,502,false,10.0,-360.0,0,230.1,1.57,50.01,1000.0,4.0,0.5,clipped
020f6d000001,1,2,2026-10-25T01:00:00.000Z,501,false,10.0,1500.0,,,6.55,,12.5,0.0,1.0,no_voltage
020f6d000001,2,2,2026-10-25T01:00:00.000Z,501,false,10.0,-360.0,0,230.1,1.57,50.01,1000.0,5.0,0.5,clipped
";

/// Makes a store of three readings of two channels, placed by an anchor.
fn fill(data: &Path) {
    let mut store = Store::open(data).unwrap();
    let registers = [
        Registers::default(),
        Registers {
            import_mj: 3_600_000_000,
            export_mj: 7_200_000,
        },
    ];
    let header = Header {
        device: HISTORY.device,
        store: HISTORY.store,
        first: Seq(0),
        boot: 1,
        uptime_ms: 10_000,
        interval_ms: 10_000,
        power_unit_mw: 1_000,
        calibration: 0,
        registers: registers.into_iter().collect(),
    };
    let first = ChannelReading {
        energy_quanta: 1_500,
        reactive_power_var: -20,
        voltage_dv: 2_301,
        current_ca: 655,
        frequency_chz: 5_001,
        ..ChannelReading::default()
    };
    let blind = ChannelReading {
        voltage_dv: 0,
        frequency_chz: 0,
        flags: Flags::NO_VOLTAGE,
        ..first
    };
    let second = ChannelReading {
        energy_quanta: -360,
        reactive_power_var: 0,
        current_ca: 157,
        coverage_permille: 500,
        flags: Flags::CLIPPED,
        ..first
    };
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer, &header).unwrap();
    for channels in [[first, second], [first, second], [blind, second]] {
        writer.push(&channels).unwrap();
    }
    let length = writer.finish();
    store
        .put_block(HISTORY, &buffer[..length], EPOCH_MS + 60_000)
        .unwrap();
    let what = What::Anchor {
        utc_ms: EPOCH_MS + 30_000,
        uncertainty_ms: 500,
    };
    store
        .put_event(
            HISTORY,
            &Event {
                number: 0,
                boot: 1,
                uptime_ms: 30_000,
                what,
            },
        )
        .unwrap();
    store.note_device(HISTORY.device, "Cellar").unwrap();
}

fn filled() -> Place {
    let place = Place::new();
    fill(&place.data());
    place
}

#[test]
fn an_export_has_the_agreed_columns_and_values() {
    let place = filled();
    let printed = place.run(&["export"]).done().printed;
    // Behind the anchor's own 500 ms, what the crystal may drift until then is rounded up.
    assert_eq!(printed, EXPORT);
    assert_eq!(place.run(&["export", "cellar"]).done().printed, printed);
}

#[test]
fn an_export_as_json_has_the_same_names_and_values() {
    let rows = filled().run(&["export", "--format", "json"]).done().json();
    let rows = rows.as_array().unwrap();
    let mut lines = EXPORT.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(rows.len(), lines.clone().count());
    for (row, line) in rows.iter().zip(lines) {
        let names: Vec<&str> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names.len(), columns.len());
        for (column, wanted) in columns.iter().zip(line.split(',')) {
            let value = &row[*column];
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            let wanted = if wanted.is_empty() && *column != "flags" {
                "null"
            } else {
                wanted
            };
            assert!(text == wanted, "{column}: {text} instead of {wanted}");
        }
    }
}

#[test]
fn a_range_is_cut_by_the_end_of_the_interval() {
    let place = filled();
    let sequence = |arguments: &[&str]| {
        let printed = place.run(arguments).done().printed;
        let rows = printed
            .lines()
            .filter(|row| row.split(',').nth(1) == Some("1"));
        rows.filter_map(|row| row.split(',').nth(2)?.parse().ok())
            .collect::<Vec<u64>>()
    };
    let from = "2026-10-25T00:59:40Z";
    assert_eq!(sequence(&["export", "--from", from]), [1, 2]);
    assert_eq!(sequence(&["export", "--to", from]), [0]);
    // 2 o'clock in the morning comes twice in Berlin; without an offset the first is meant.
    assert_eq!(
        sequence(&[
            "export",
            "--tz",
            "Europe/Berlin",
            "--to",
            "2026-10-25T02:59:50"
        ]),
        [0, 1]
    );
    place
        .run(&["export", "--json", "--from", from, "--to", from])
        .assert_failed(2, "usage");
}

#[test]
fn a_file_appears_when_it_is_whole_and_replaces_the_one_before() {
    let place = filled();
    let file = place.path("out/readings.csv");
    let name = file.to_str().unwrap();
    place
        .run(&["export", "--json", "--output", name])
        .assert_failed(6, "storage");
    std::fs::create_dir(place.path("out")).unwrap();
    std::fs::write(&file, "before").unwrap();
    let written = place
        .run(&["export", "--json", "--output", name])
        .done()
        .json();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, EXPORT);
    assert_eq!(written["rows"], 6);
    assert_eq!(written["bytes"], text.len());
    place
        .run(&["export", "--json", "--output", name, "garage"])
        .assert_failed(2, "not_found");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(files(&place.path("out")), ["readings.csv"]);
    place
        .run(&[
            "export",
            "--json",
            "--output",
            place.path("out").to_str().unwrap(),
        ])
        .assert_failed(2, "usage");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let place = filled();
    let mut command = place.command(&["export"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), b"".as_slice())
    );
}

#[test]
fn readings_are_the_last_ones_or_those_of_a_range() {
    let place = filled();
    let last = place
        .run(&["readings", "CELLAR", "--last", "1", "--json"])
        .done()
        .json();
    let numbers = |rows: &serde_json::Value| -> Vec<u64> {
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["seq"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&last), [2, 2]);
    assert_eq!(last[0]["flags"], "no_voltage");
    let ranged = place
        .run(&["readings", METER, "--to", "2026-10-25T00:59:50Z", "--json"])
        .done()
        .json();
    assert_eq!(numbers(&ranged), [0, 0, 1, 1]);
    let text = place
        .run(&["readings", METER, "--tz", "Europe/Berlin"])
        .done()
        .printed;
    assert!(
        text.contains("2026-10-25 02:59:40") && text.contains("Times are those of Europe/Berlin."),
        "{text}"
    );
    place
        .run(&["readings", "garage", "--json"])
        .assert_failed(2, "not_found");
}

#[test]
fn devices_and_status_tell_what_is_held() {
    let place = filled();
    let device = &place.run(&["devices", "--json"]).done().json()[0];
    let text = serde_json::to_string_pretty(device).unwrap();
    insta::assert_snapshot!("device", text);
    let status = place.run(&["status", "--json"]).done().json();
    assert_eq!(
        (&status["devices"], &status["readings"]),
        (&1.into(), &3.into())
    );
    assert!(status["store_bytes"].as_u64().unwrap() > 0);
    assert_eq!(status["server"], serde_json::Value::Null);
}

#[test]
fn the_server_answers_with_the_same_figures() {
    let place = filled();
    let server = place.start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--tz",
        "Europe/Berlin",
    ]);
    let url = server.document["url"].as_str().unwrap();
    let device = format!("/api/v1/devices/{METER}");
    assert_eq!(
        get(url, "/api/v1/devices").json()[0],
        get(url, &device).json()
    );
    assert_eq!(
        get(url, &device).json(),
        place.run(&["devices", "--json"]).done().json()[0]
    );
    let range = format!("from_ms={}&to_ms={}", EPOCH_MS - 10_000, EPOCH_MS + 40_000);
    let answers = serde_json::json!({
        "latest": get(url, &format!("{device}/latest")).json(),
        "power": get(url, &format!("{device}/power?{range}&points=100&channel=2")).json(),
        "hours": get(url, &format!("{device}/energy?{range}&by=hour")).json(),
        "days": get(url, &format!("{device}/energy?{range}&by=day")).json(),
    });
    insta::assert_snapshot!("figures", serde_json::to_string_pretty(&answers).unwrap());
    for query in [
        format!("power?{range}&points=0"),
        format!("power?{range}&points=5000"),
        format!("power?{range}&points=10&channel=0"),
        "power?from_ms=5&to_ms=5&points=10".to_owned(),
        "energy?from_ms=5&to_ms=4&by=day".to_owned(),
        "energy?from_ms=0&to_ms=1795248000000&by=hour".to_owned(),
    ] {
        let answer = get(url, &format!("{device}/{query}"));
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &"usage".into()),
            "{query}"
        );
    }
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let database = place.data().join("ofmon.db");
    let noise = vec![7; 20_000];
    std::fs::write(&database, &noise).unwrap();
    for command in [
        &["devices", "--json"][..],
        &["export", "--json"],
        &["collect", "--json"],
    ] {
        place.run(command).assert_failed(5, "corrupt");
    }
    assert_eq!(std::fs::read(&database).unwrap(), noise);
}
