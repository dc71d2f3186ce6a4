//! Dumps of a meter's flash: looked into, and salvaged.

use std::{fs, path::Path};

use flash_store::{FlashStore, Format, RunParams};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{ChannelReading, DeviceId, StoreId, event::What};
use serde_json::Value;

use crate::program::{Place, files};

const METER: &str = "020f6d000001";
const TOKEN: &[u8] = b"A1-TEST-TOKEN-THAT-NOBODY-SEES";
const EPOCH_MS: i64 = 1_792_889_970_000;
const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1000,
    calibration: 0,
};

/// Makes the flash of a meter that recorded so many readings, and was told the time at the tenth.
fn flash(sectors: usize, readings: u64) -> Vec<u8> {
    let format = Format {
        device: DeviceId([2, 0x0f, 0x6d, 0, 0, 1]),
        store: StoreId(7),
        channels: 1,
        password: None,
    };
    let mut store = FlashStore::format(Nor::new(sectors * SECTOR_BYTES), &format).unwrap();
    store.config_write(TOKEN).unwrap();
    store.start_boot().unwrap();
    for index in 0..readings {
        let channel = ChannelReading {
            energy_quanta: power(index),
            voltage_dv: 2_300,
            current_ca: 500,
            frequency_chz: 5_000,
            ..ChannelReading::default()
        };
        let uptime_ms = (index + 1) * 10_000;
        store.append(&PARAMS, uptime_ms, &[channel]).unwrap();
        store.maintain().unwrap();
        if index == 10 {
            let what = What::Anchor {
                utc_ms: EPOCH_MS + uptime_ms as i64,
                uncertainty_ms: 500,
            };
            store.event_append(1, uptime_ms, what).unwrap();
        }
    }
    store.into_flash().bytes()
}

fn power(index: u64) -> i32 {
    (index * index * 7_919 % 1_999) as i32
}

fn write(place: &Place, name: &str, bytes: &[u8]) -> String {
    let path = place.path(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Puts a store into the flash of a chip, with a program before it.
fn chip(store: &[u8]) -> Vec<u8> {
    let mut chip = vec![0x5a; 0x20_0000];
    chip.extend_from_slice(store);
    chip.resize(0x40_0000, 0xff);
    chip
}

/// Asserts that every row of a CSV is a reading as it was recorded; returns how many numbers there are.
fn assert_true_rows(csv: &str) -> usize {
    let mut count = 0;
    for row in csv.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let number: u64 = cells[2].parse().unwrap();
        assert_eq!(cells[0], METER);
        assert_eq!(
            cells[7].parse::<f64>().unwrap(),
            f64::from(power(number)),
            "{row}"
        );
        assert_eq!(cells[5], "false", "an anchor was saved: {row}");
        count += 1;
    }
    count
}

fn only(list: &Value) -> &Value {
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    &list[0]
}

#[test]
fn a_dump_of_the_whole_chip_says_what_lies_in_it() {
    let place = Place::new();
    let dump = write(&place, "dump.bin", &chip(&flash(80, 6_000)));
    let inspected = place
        .run(&["flash", "inspect", &dump, "--json"])
        .done()
        .json();
    let store = only(&inspected["stores"]);
    assert_eq!(
        (&store["device"], &store["channels"]),
        (&METER.into(), &1.into())
    );
    assert_eq!(
        (&store["offset_bytes"], &store["unusable"]),
        (&0x20_0000.into(), &Value::Null)
    );
    let contents = &store["contents"];
    assert_eq!(contents["next_seq"], 6_000);
    assert_eq!(contents["oldest_seq"], 0);
    assert_eq!(
        (&contents["boot"], &contents["settings"]),
        (&1.into(), &"there".into())
    );
    assert_eq!(contents["lost"], Value::Array(vec![]));
    let energy_wh: f64 = (0..6_000)
        .map(|index| f64::from(power(index)) / 360.0)
        .sum();
    let register = contents["registers"][0]["energy_import_wh"]
        .as_f64()
        .unwrap();
    assert!(
        (register - energy_wh).abs() < 0.01,
        "{register} {energy_wh}"
    );
    let tier = only(&contents["tiers"]);
    let waiting = contents["journal_waiting"].as_u64().unwrap();
    assert_eq!(tier["readings"].as_u64().unwrap() + waiting, 6_000);
    assert_eq!(inspected["damaged"], Value::Array(vec![]));
    let map: String = (inspected["map"].as_array().unwrap().iter())
        .map(|line| line.as_str().unwrap().split_once("  ").unwrap().1)
        .collect();
    assert_eq!(map.len(), 1024);
    assert!(map[512..].starts_with("IIC"), "{map}");
    assert_eq!(map[..512], "-".repeat(512));
    assert_eq!(
        map.matches('0').count() as u64,
        tier["segments"].as_u64().unwrap()
    );

    let told = place.run(&["flash", "inspect", &dump]).done().printed;
    for said in [
        METER,
        "0x200000",
        "settings there",
        "No sector is damaged",
        "J journal",
    ] {
        assert!(told.contains(said), "{said} is not in {told}");
    }
    let secret = std::str::from_utf8(TOKEN).unwrap();
    assert!(!told.contains(secret) && !inspected.to_string().contains(secret));
    assert_eq!(files(&place.data()), Vec::<String>::new());
}

#[test]
fn a_salvage_of_a_broken_flash_is_as_good_as_a_collection() {
    let place = Place::new();
    let mut bytes = flash(80, 6_000);
    // Both copies of the identity, the roots of the file system, and one sector of the journal.
    for sector in [0, 1, 12, 26, 27] {
        bytes[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES].fill(0);
    }
    let dump = write(&place, "dump.bin", &chip(&bytes));
    let inspected = place
        .run(&["flash", "inspect", &dump, "--json"])
        .done()
        .json();
    let unusable = &only(&inspected["stores"])["unusable"];
    assert!(unusable.is_string(), "{inspected}");
    assert!(
        inspected["damaged"].as_array().unwrap().len() >= 3,
        "{inspected}"
    );

    let saved = place
        .run(&["flash", "salvage", &dump, "--json"])
        .done()
        .json();
    let meter = only(&saved["meters"]);
    let full = only(&meter["tiers"]);
    assert_eq!(full["tier"], "full");
    let (numbers, lost) = (
        full["numbers"].as_u64().unwrap(),
        meter["lost"].as_u64().unwrap(),
    );
    assert_eq!(numbers + lost, 6_000, "{meter}");
    assert!(lost < 400, "{meter}");
    assert_eq!(meter["readings_new"], numbers);
    assert_eq!(meter["conflicts"], 0);

    let devices = place.run(&["devices", "--json"]).done().json();
    let device = only(&devices);
    assert_eq!(
        (&device["id"], &device["readings"]),
        (&METER.into(), &numbers.into())
    );
    let csv = place.run(&["export"]).done().printed;
    assert_eq!(assert_true_rows(&csv) as u64, numbers);

    // Again: nothing is new, nothing changes.
    let again = place
        .run(&["flash", "salvage", &dump, "--json"])
        .done()
        .json();
    assert_eq!(only(&again["meters"])["readings_new"], 0);
    assert_eq!(place.run(&["export"]).done().printed, csv);
}

#[test]
fn a_salvage_as_csv_is_the_same_and_touches_nothing_else() {
    let place = Place::new();
    let dump = write(&place, "dump.bin", &flash(80, 3_000));
    let file = place.path("saved.csv");
    let name = file.to_str().unwrap();
    let told = place
        .run(&["flash", "salvage", &dump, "--csv", name])
        .done()
        .printed;
    assert!(
        told.contains("3000 full") && told.contains("3000 rows"),
        "{told}"
    );
    assert_eq!(files(&place.data()), Vec::<String>::new());
    let csv = fs::read_to_string(&file).unwrap();
    assert_eq!(assert_true_rows(&csv), 3_000);
    place.run(&["flash", "salvage", &dump]).done();
    assert_eq!(place.run(&["export"]).done().printed, csv);
}

#[test]
fn readings_in_three_tiers_are_saved_with_all_energy() {
    let place = Place::new();
    let dump = write(&place, "dump.bin", &flash(60, 60_000));
    let saved = place
        .run(&["flash", "salvage", &dump, "--json"])
        .done()
        .json();
    let meter = only(&saved["meters"]);
    let tiers: Vec<&str> = (meter["tiers"].as_array().unwrap().iter())
        .map(|tier| tier["tier"].as_str().unwrap())
        .collect();
    assert_eq!(tiers, ["full", "minute", "quarter"]);
    assert_eq!(
        (&meter["lost"], &meter["conflicts"]),
        (&0.into(), &0.into())
    );
    let energy_wh: f64 = (0..60_000)
        .map(|index| f64::from(power(index)) / 360.0)
        .sum();
    let rows = place.run(&["export", "--json"]).done().json();
    let rows = rows.as_array().unwrap();
    let register = rows.last().unwrap()["energy_import_wh"].as_f64().unwrap();
    assert!((register - energy_wh).abs() < 0.1, "{register} {energy_wh}");
    let of_rows: f64 = (rows.iter())
        .map(|row| row["power_w"].as_f64().unwrap() * row["interval_s"].as_f64().unwrap() / 3600.0)
        .sum();
    let first = meter["first_seq"].as_u64().unwrap();
    let before_wh: f64 = (0..first)
        .map(|index| f64::from(power(index)) / 360.0)
        .sum();
    assert!(
        (of_rows + before_wh - energy_wh).abs() < 1.0,
        "{of_rows} {before_wh} {energy_wh}"
    );
}

#[test]
fn several_stores_on_one_chip_are_all_listed() {
    let place = Place::new();
    let store = flash(60, 100);
    let mut bytes = store.clone();
    let mut other = FlashStore::format(
        Nor::new(60 * SECTOR_BYTES),
        &Format {
            device: DeviceId([9; 6]),
            store: StoreId(9),
            channels: 2,
            password: None,
        },
    )
    .unwrap();
    other.start_boot().unwrap();
    bytes.extend_from_slice(&other.into_flash().bytes());
    let dump = write(&place, "dump.bin", &bytes);
    let told = place.run(&["flash", "inspect", &dump]).done().printed;
    assert!(told.contains("2 stores lie in this dump"), "{told}");
    assert!(
        told.contains(METER) && told.contains("090909090909"),
        "{told}"
    );
    let offset = store.len().to_string();
    let one = place
        .run(&["flash", "inspect", &dump, "--offset", &offset, "--json"])
        .done()
        .json();
    assert_eq!(only(&one["stores"])["device"], "090909090909");
    let length = place
        .run(&["flash", "inspect", &dump, "--length", &offset, "--json"])
        .done()
        .json();
    assert_eq!(only(&length["stores"])["device"], METER);
}

#[test]
fn what_is_no_dump_ends_with_a_hint() {
    let place = Place::new();
    let missing = place.path("missing.bin");
    let short = write(&place, "short.bin", b"short");
    let noise: Vec<u8> = (0..0x4_0000u32)
        .map(|at| (at.wrapping_mul(at) >> 7) as u8)
        .collect();
    let noise = write(&place, "noise.bin", &noise);
    let erased = write(&place, "erased.bin", &[0xff; 64 * SECTOR_BYTES]);
    for action in ["inspect", "salvage"] {
        let run = |image: &str, rest: &[&str]| {
            let call = [&["flash", action, image, "--json"], rest].concat();
            place.run(&call)
        };
        let missing = Path::to_str(&missing).unwrap();
        run(missing, &[]).assert_failed(2, "not_found");
        run(place.path(".").to_str().unwrap(), &[]).assert_failed(6, "storage");
        for image in [&short, &noise, &erased] {
            let ended = run(image, &[]);
            ended.assert_failed(5, "corrupt");
            assert!(ended.printed.contains("esptool read-flash"), "{ended:?}");
        }
        run(&noise, &["--offset", "100"]).assert_failed(2, "usage");
        run(&noise, &["--offset", "soon"]).assert_failed(2, "usage");
    }
    assert_eq!(files(&place.data()), Vec::<String>::new());
}
