//! What fits a meter, what is kept, and what became of an update.

use protocol::{DeviceId, StoreId, messages::Info};

use super::*;

const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);

fn package(chip: &str, version: &str, minimum: &str, image: &[u8]) -> Package {
    Package::new(chip, version, minimum, image).unwrap()
}

fn info(chip: &str, firmware: &str) -> Info {
    let json = serde_json::json!({
        "device": DEVICE, "product": "ofmon", "firmware": firmware, "chip": chip, "api": 1,
        "store": StoreId(7), "set_up": true, "name": "Cellar", "boot": 3, "uptime_ms": 1,
        "oldest": 0, "next": 0, "next_event": 9, "clock_set": false, "interval_ms": 10_000,
        "channels": 1, "nonce": "0".repeat(40),
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn update_that_is_not_for_a_meter_is_told_apart_before_it_is_sent() {
    let meter = info("esp32c3", "1.2.0");
    let checked = |chip, version, minimum| check(&package(chip, version, minimum, b"i"), &meter);
    assert!(checked("esp32c3", "1.2.0", "1.2.0").is_ok());
    assert!(checked("esp32c3", "2.0.0", "1.0.0").is_ok());
    assert!(matches!(
        checked("esp32c6", "2.0.0", "1.0.0"),
        Err(PushError::Chip { .. })
    ));
    assert!(matches!(
        checked("esp32c3", "1.2.0-rc.1", "1.0.0"),
        Err(PushError::Older { .. })
    ));
    assert!(matches!(
        checked("esp32c3", "3.0.0", "1.2.1"),
        Err(PushError::TooFarAhead { .. })
    ));
    let unknown = info("esp32c3", "?");
    assert!(check(&package("esp32c3", "0.0.1", "0.0.1", b"i"), &unknown).is_ok());
}

#[test]
fn packages_are_kept_once_and_damaged_ones_are_told_of() {
    let data = tempfile::tempdir().unwrap();
    let packages = Packages::of(data.path());
    assert!(packages.list().unwrap().is_empty());
    let one = package("esp32c3", "1.0.0", "0.0.0", b"one");
    let path = packages.add(&one).unwrap();
    assert!(path.ends_with("firmware/1.0.0-esp32c3.ofmon"));
    assert_eq!(packages.add(&one).unwrap(), path);
    packages
        .add(&package("esp32c6", "1.0.0", "0.0.0", b"two"))
        .unwrap();
    let other = packages.add(&package("esp32c3", "1.0.0", "0.0.0", b"another"));
    assert!(matches!(other, Err(FileError::Differs(_))));
    // The same image with a signature takes its place.
    let signed = one.signed(&firmware_package::SecretKey::generate().unwrap());
    packages.add(&signed).unwrap();
    assert_eq!(read(&path).unwrap(), signed);
    fs::write(data.path().join("firmware/2.0.0-esp32c3.ofmon"), b"torn").unwrap();
    let listed = packages.list().unwrap();
    let whole: Vec<bool> = listed.iter().map(|(_, package)| package.is_ok()).collect();
    assert_eq!(whole, [true, true, false]);
}

fn pushed() -> Push {
    Push {
        device: DEVICE,
        store: StoreId(7),
        version: "2.0.0".into(),
        image_hash: [1; 32],
        before: "1.0.0".into(),
        boot: 3,
        event: 9,
        pushed_ms: 1,
        outcome: PushOutcome::OnTrial,
    }
}

fn state(version: &str, confirmed: bool) -> FirmwareState {
    FirmwareState {
        version: version.try_into().unwrap(),
        confirmed,
        upload: None,
    }
}

fn event(number: u64, what: What) -> Event {
    Event {
        number,
        boot: 4,
        uptime_ms: 1,
        what,
    }
}

fn taken(version: &str) -> What {
    let version = version.try_into().unwrap();
    What::FirmwareTaken { version }
}

fn confirmed(version: &str) -> What {
    let version = version.try_into().unwrap();
    What::FirmwareConfirmed { version }
}

fn left(version: &str) -> What {
    let version = version.try_into().unwrap();
    What::FirmwareLeft { version }
}

#[test]
fn what_became_of_an_update_is_told_by_the_log_first_and_else_by_what_runs() {
    use PushOutcome::{Confirmed, Left, OnTrial};
    let judged =
        |state: FirmwareState, boot, events: &[Event]| judge(&pushed(), &state, boot, events);
    // It has not restarted yet, runs on trial, was confirmed, is back.
    assert_eq!(judged(state("1.0.0", true), 3, &[]), OnTrial);
    assert_eq!(judged(state("2.0.0", false), 4, &[]), OnTrial);
    assert_eq!(judged(state("2.0.0", true), 4, &[]), Confirmed);
    assert_eq!(judged(state("1.0.0", true), 9, &[]), Left);
    // The log knows more than the moment: someone updated it again since.
    let ours = event(9, taken("2.0.0"));
    let events = [
        ours.clone(),
        event(10, confirmed("2.0.0")),
        event(11, taken("3.0.0")),
        event(12, left("3.0.0")),
    ];
    assert_eq!(judged(state("2.0.0", true), 9, &events), Confirmed);
    // What an image calls itself is its own affair.
    let events = [ours.clone(), event(10, confirmed("1.0.0"))];
    assert_eq!(judged(state("1.0.0", true), 9, &events), Confirmed);
    // What was logged before the push is about an earlier one.
    let events = [event(8, left("2.0.0"))];
    assert_eq!(judged(state("2.0.0", false), 4, &events), OnTrial);
    let events = [event(8, confirmed("2.0.0")), ours, event(11, left("2.0.0"))];
    assert_eq!(judged(state("1.0.0", true), 9, &events), Left);
}

#[test]
fn pushes_are_kept_with_what_became_of_them() {
    let data = tempfile::tempdir().unwrap();
    let mut store = crate::store::Store::open(data.path()).unwrap();
    assert_eq!(store.last_push(DEVICE).unwrap(), None);
    store.note_push(&pushed()).unwrap();
    assert_eq!(store.last_push(DEVICE).unwrap(), Some(pushed()));
    let second = Push {
        version: "3.0.0".into(),
        ..pushed()
    };
    store.note_push(&second).unwrap();
    store.note_outcome(DEVICE, PushOutcome::Left).unwrap();
    let last = store.last_push(DEVICE).unwrap().unwrap();
    assert_eq!(
        (last.version.as_str(), last.outcome),
        ("3.0.0", PushOutcome::Left)
    );
    assert_eq!(store.firmware(DEVICE).unwrap(), "");
    store.note_firmware(DEVICE, "3.0.0").unwrap();
    assert_eq!(store.firmware(DEVICE).unwrap(), "3.0.0");
    let outcomes: Vec<u8> = store
        .connection
        .prepare("SELECT outcome FROM firmware_push ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        outcomes,
        [PushOutcome::Replaced as u8, PushOutcome::Left as u8]
    );
}
