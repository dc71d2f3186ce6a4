//! The device API of a simulated meter: the recorded set of requests, and an update.

use std::time::Duration;

use collector::{
    client::{Client, ClientError},
    store::PushOutcome,
};
use e2e::{conformance, device, scenario::updates, simulated};
use protocol::{
    Seq,
    event::{ResetReason, What},
    messages::{Erase, Setup},
};

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
    let expected = [refused(409, "wrong_chip"), refused(409, "older")];
    assert_eq!(outcome.refusals, expected);
    assert_eq!(outcome.versions, ["0.1.0", "9.9.9"]);
    assert_eq!(outcome.readings, [8640, 8640]);
    assert_eq!(outcome.starts, 2);
    let continued = outcome.continued;
    assert!(continued.error_ms <= continued.stated_ms, "{continued:?}");
    assert!(continued.stated_ms <= 50, "{continued:?}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_measures_on_and_answers_within_a_second_whatever_strangers_do() {
    let scratch = tempfile::tempdir().unwrap();
    let outcome = device::simulated(scratch.path()).await.unwrap();
    let (recovery, abuse) = outcome.recovery_max;
    assert!(recovery < Duration::from_secs(1), "{abuse}: {recovery:?}");
    assert_eq!(outcome.wrong_answers, [""; 0]);
    assert!(outcome.abuses >= 13 && outcome.bad_requests >= 200);
    assert_eq!(outcome.fifty_answered, 50);
    assert_eq!((outcome.readings_lost, outcome.restarts), (0, 0));
    assert!(outcome.readings_new >= 1, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_gives_up_what_was_collected_and_nothing_else_unless_forced() {
    let scratch = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    simulated::with_meter(scratch.path(), hour, async |entry| {
        let client = Client::new(&entry.url)?;
        let token = "erasing-token-of-24-char";
        let setup = Setup {
            token: token.try_into().unwrap(),
            name: "Cellar".try_into().unwrap(),
            ..Setup::default()
        };
        client.set_up(&setup).await?;
        let session = client.session(entry.id, token);
        let info = session.info().await?;
        let mut erase = Erase {
            store: info.store,
            through: Seq(99),
            force: false,
        };
        let unread = session.erase(&erase).await;
        assert!(
            matches!(&unread, Err(ClientError::Answered { status: 409, code, .. }) if code == "unread"),
            "{unread:?}"
        );
        session.acknowledge(info.store, Seq(100)).await?;
        assert_eq!(session.erase(&erase).await?.oldest, Seq(100));
        (erase.through, erase.force) = (Seq(149), true);
        assert_eq!(session.erase(&erase).await?.oldest, Seq(150));
        let after = session.info().await?;
        assert_eq!(after.oldest, Seq(150));
        assert!(after.next >= info.next);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_update_goes_on_through_cuts_and_the_next_visit_tells_that_it_stays() {
    let scratch = tempfile::tempdir().unwrap();
    // In a head, in the header, within a page, in the middle, and near the end.
    let cuts = [100, 900, 20_000, 130_000, 1_000, 120_000];
    let resumed = updates::resumed(scratch.path(), &cuts).await.unwrap();
    let refused = |code: &str| (403, code.to_owned());
    let expected = [refused("unsigned"), refused("wrong_signature")];
    assert_eq!(resumed.refusals, expected);
    assert_eq!(resumed.cuts[0], resumed.cuts[1]);
    // What was there was not sent again: heads and questions aside, each byte once.
    let [image_bytes, requested] = resumed.bytes;
    assert!(requested >= image_bytes, "{resumed:?}");
    assert!(requested <= image_bytes + 60_000, "{resumed:?}");
    let [_, second, third] = resumed.seen;
    assert_eq!((second, third), (Some(PushOutcome::Confirmed), None));
    assert_eq!(resumed.version, "9.9.9");
}
