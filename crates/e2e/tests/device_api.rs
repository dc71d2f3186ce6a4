//! The device API of a simulated meter: the recorded set of requests, and an update.

use std::time::Duration;

use e2e::{conformance, scenario::updates, simulated};
use protocol::event::{ResetReason, What};

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_meter_conforms() {
    let scratch = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    let differences = simulated::with_meter(scratch.path(), hour, async |entry| {
        let run = move || conformance::run(&entry.url, "conforming-token-1");
        tokio::task::spawn_blocking(run).await?
    })
    .await
    .unwrap();
    assert_eq!(differences, []);
    assert!(conformance::count().unwrap() >= 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_takes_an_update_and_keeps_its_readings() {
    let scratch = tempfile::tempdir().unwrap();
    let outcome = updates::run(scratch.path()).await.unwrap();
    let refused = |status, code: &str| (status, code.to_owned());
    let expected = [
        refused(409, "wrong_chip"),
        refused(409, "older"),
        refused(400, "wrong_image"),
    ];
    assert_eq!(outcome.refusals, expected);
    assert_eq!(outcome.versions, ["0.1.0", "9.9.9"]);
    assert_eq!(outcome.readings, [8640, 8640]);
    assert_eq!(outcome.starts, 2);
    let version = |text: &str| text.try_into().unwrap();
    let [first, taken, started, last] = &outcome.told[..] else {
        panic!("{:?}", outcome.told);
    };
    let own = version("0.1.0");
    assert_eq!(*first, What::FirmwareConfirmed { version: own });
    let update: protocol::event::Version = version("9.9.9");
    let expected = What::FirmwareTaken {
        version: update.clone(),
    };
    assert_eq!(*taken, expected);
    let reason = ResetReason::Software;
    assert!(matches!(started, What::Started { reason: found, .. } if *found == reason));
    assert_eq!(*last, What::FirmwareConfirmed { version: update });
}
