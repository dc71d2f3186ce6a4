//! Recorded waveforms through the whole way, and files that are none.

use std::{f64::consts::TAU, fmt::Write as _, fs};

use serde_json::Value;

use crate::program::{Place, files};

/// Longer than four intervals of 10 s by a second, so that the fourth is complete within history.
const SECONDS: u32 = 41;
const VOLTAGE_V: f64 = 230.0;
const CURRENT_A: f64 = 5.0;

/// Volts and amperes, in phase.
fn sample(index: u32, rate_hz: u32) -> [f64; 2] {
    let sine = (f64::from(index) / f64::from(rate_hz) * 50.0 * TAU).sin() * 2_f64.sqrt();
    [VOLTAGE_V * sine, CURRENT_A * sine]
}

fn text(rate_hz: u32, seconds: u32) -> String {
    let mut text = String::from("t_s,v,i\n");
    for index in 0..rate_hz * seconds {
        let [v, i] = sample(index, rate_hz);
        let at_s = f64::from(index) / f64::from(rate_hz);
        writeln!(text, "{at_s:.6},{v:.2},{i:.4}").unwrap();
    }
    text
}

/// A file of 16-bit samples whose full scale is 400 V and 10 A.
fn wav(rate_hz: u32, seconds: u32) -> Vec<u8> {
    let bytes = rate_hz * seconds * 4;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz * 4).to_le_bytes());
    file.extend(b"\x04\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    for index in 0..rate_hz * seconds {
        let [v, i] = sample(index, rate_hz);
        for share in [v / 400.0, i / 10.0] {
            file.extend(((share * 32_768.0).round() as i16).to_le_bytes());
        }
    }
    file
}

/// Replays a file, collects from the meter and returns the first four readings.
fn readings(place: &Place, file: &str, more: &[&str]) -> Vec<Value> {
    let call = ["sim", "--json", "--state", "air", "--replay", file];
    let air = place.start(&[&call, more].concat());
    place.run(&["setup", "--local", "--all"]).done();
    place.run(&["collect"]).done();
    let rows = place.run(&["export", "--format", "json"]).done().json();
    assert_eq!(air.interrupt().0, 0);
    let mut rows: Vec<Value> = rows.as_array().unwrap().clone();
    assert!(rows.len() >= 4, "{rows:?}");
    rows.truncate(4);
    rows
}

#[track_caller]
fn assert_near(reading: &Value, field: &str, expected: f64, share: f64) {
    let value = reading[field].as_f64().unwrap();
    let near = (value - expected).abs() <= share * expected;
    assert!(near, "{field} is not {expected}: {reading}");
}

#[test]
fn samples_are_measured_at_their_own_rate() {
    let place = Place::new();
    // A rate that no second divides into tenths.
    fs::write(place.path("scope.csv"), text(2_048, SECONDS)).unwrap();
    let rows = readings(&place, "scope.csv", &[]);
    for row in &rows[1..] {
        // The chip's converter: a watt of rounding and its noise.
        assert_near(row, "power_w", VOLTAGE_V * CURRENT_A, 0.01);
        assert_near(row, "voltage_v", VOLTAGE_V, 0.01);
        assert_near(row, "current_a", CURRENT_A, 0.01);
        assert_near(row, "frequency_hz", 50.0, 0.0005);
        assert_near(row, "coverage", 1.0, 0.0);
    }
    let energy = |row: &Value| row["energy_import_wh"].as_f64().unwrap();
    let made_wh = energy(&rows[3]) - energy(&rows[0]);
    let true_wh = VOLTAGE_V * CURRENT_A * 30.0 / 3_600.0;
    assert!(
        (made_wh / true_wh - 1.0).abs() < 0.01,
        "{made_wh} {true_wh}"
    );
}

#[test]
fn fast_history_holds_the_means_of_a_recording() {
    let place = Place::new();
    fs::write(place.path("mains"), wav(8_000, SECONDS)).unwrap();
    let scale = ["--wav-volts", "400", "--wav-amperes", "10"];
    let rows = readings(&place, "mains", &[&scale[..], &["--fast-history"]].concat());
    for row in &rows {
        assert_near(row, "power_w", VOLTAGE_V * CURRENT_A, 0.001);
        assert_near(row, "current_a", CURRENT_A, 0.001);
    }
    let true_wh = VOLTAGE_V * CURRENT_A * 40.0 / 3_600.0;
    assert_near(&rows[3], "energy_import_wh", true_wh, 0.001);
}

#[test]
fn a_file_that_cannot_be_replayed_ends_with_2_and_leaves_nothing_behind() {
    let place = Place::new();
    let (samples, sound) = (text(2_000, 1), wav(2_000, 1));
    let slow = wav(1_000, 2);
    let uneven = samples.replacen("0.100000,", "0.100010,", 1);
    let scale = ["--wav-volts", "400", "--wav-amperes", "10"];
    let cases: [(&[u8], &[&str], &[&str]); 10] = [
        (b"hello\n", &[], &["Date;Time;", "t_s,v,i", "WAV"]),
        (b"", &[], &["Date;Time;", "t_s,v,i", "WAV"]),
        (uneven.as_bytes(), &[], &["line 202:", "510.000 µs"]),
        (b"t_s,v,i\n0,1\n", &[], &["line 2: three columns"]),
        (samples.as_bytes(), &scale, &["only a WAV file"]),
        (b"Date;Time;\n", &scale, &["only a WAV file"]),
        (b"Date;Time;\n", &[], &["line 1", "no load profile"]),
        (
            &sound,
            &[],
            &["full scale", "--wav-volts 400 --wav-amperes 50"],
        ),
        (&sound[..999], &scale, &["ends at sample 239 of 2000"]),
        (&slow, &scale, &["1000 Hz", "2000 to 50000 Hz"]),
    ];
    for (content, more, said) in cases {
        fs::write(place.path("file"), content).unwrap();
        let call = ["sim", "--json", "--state", "air", "--replay", "file"];
        let ended = place.run(&[&call, more].concat());
        ended.assert_failed(2, "usage");
        for words in said {
            assert!(ended.printed.contains(words), "{words}: {ended:?}");
        }
    }
    for call in [
        &["--replay", "none"][..],
        &["--replay", "file", "--wav-volts", "400"],
        &["--replay", "file", "--wav-volts", "0", "--wav-amperes", "1"],
        &[
            "--replay",
            "file",
            "--wav-volts",
            "1",
            "--wav-amperes",
            "inf",
        ],
        &scale,
    ] {
        let ended = place.run(&[&["sim", "--json", "--state", "air"], call].concat());
        ended.assert_failed(2, "usage");
    }
    assert!(!place.path("air").exists());
    assert_eq!(files(&place.data()), Vec::<String>::new());
}

#[test]
fn help_shows_the_files_that_can_be_replayed() {
    let help = Place::new().run(&["sim", "--help"]).done().printed;
    for words in [
        "Date;Time;Global_active_power;",
        "t_s,v,i\n",
        "--replay mains.wav --wav-volts 400 --wav-amperes 50\n",
    ] {
        assert!(help.contains(words), "{words} is not in {help}");
    }
}
