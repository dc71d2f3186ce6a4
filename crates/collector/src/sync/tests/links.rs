//! Accounts, and which device on the server a meter is.

use crate::{
    Kind,
    store::StoreError,
    sync::{Choice, SyncError, account, change_token, choose, connect, link, logout, totals},
};

use super::*;

#[tokio::test]
async fn a_meter_is_created_on_the_server_with_its_token() {
    let bench = Bench::with_readings(1).await;
    bench
        .store
        .lock()
        .note_device(METER, "Cellar")
        .expect("kept");
    let made = link(&bench.store, &bench.secrets, &bench.server, METER)
        .await
        .expect("linked");
    assert_eq!((made.name.as_str(), made.label.as_str()), (NAME, "Cellar"));
    assert_eq!(bench.double.device_named(NAME).expect("there").token, TOKEN);
    let again = link(&bench.store, &bench.secrets, &bench.server, METER).await;
    assert_eq!(again.expect("linked again"), made);
    assert_eq!(bench.double.devices().len(), 1);
}

#[tokio::test]
async fn a_device_with_another_token_is_not_taken_for_the_meter() {
    let mut bench = Bench::with_readings(10).await;
    bench
        .double
        .add_device(NAME, "another token")
        .expect("made");
    let report = bench.sync().await;
    let error = only(&report).error.as_ref().expect("a reason");
    assert!(matches!(error, SyncError::OtherToken { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(only(&report).readings_left, 10);
    assert_eq!(bench.points_on_server(), 0);
}

#[tokio::test]
async fn a_meter_without_token_is_reported() {
    let mut bench = Bench::with_readings(10).await;
    bench.secrets.remove(&token_name(METER)).expect("removed");
    let report = bench.sync().await;
    let error = only(&report).error.as_ref().expect("a reason");
    assert!(matches!(error, SyncError::NoToken(METER)), "{error}");
}

#[tokio::test]
async fn a_device_that_was_deleted_on_the_server_gets_everything_again() {
    let mut bench = Bench::with_readings(400).await;
    assert!(bench.sync().await.is_complete());
    let device = bench.double.device_named(NAME).expect("the device").id;
    assert!(bench.double.remove_device(device));
    bench.put(LIFE, 400, 1, 401 * INTERVAL_MS, 10, 1);
    assert!(only(&bench.sync().await).error.is_some());
    link(&bench.store, &bench.secrets, &bench.server, METER)
        .await
        .expect("linked anew");
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(only(&report).readings_verified, 410);
    bench.assert_same();
}

#[tokio::test]
async fn totals_are_read_back_from_the_server() {
    let mut bench = Bench::with_readings(400).await;
    let none = totals(&bench.store, &bench.server, METER)
        .await
        .expect("none");
    assert_eq!((none.readings, none.energy_import_wh), (0, None));
    assert!(bench.sync().await.is_complete());
    let totals = totals(&bench.store, &bench.server, METER)
        .await
        .expect("totals");
    assert_eq!(totals.readings, 400);
    let latest = bench
        .store
        .lock()
        .latest(METER)
        .expect("a reading")
        .expect("one");
    let expected = latest.reading.registers[0].import_mj as f64 / 3.6e6;
    let wh = totals.energy_import_wh.expect("a register");
    assert!((wh - expected).abs() < 1e-3, "{wh} {expected}");
}

#[tokio::test]
async fn an_account_is_remembered_without_its_password_and_forgotten_on_request() {
    let mut bench = Bench::new().await;
    let known = account(&bench.store.lock())
        .expect("an account")
        .expect("one");
    assert_eq!(
        (known.address.to_string(), known.user.as_str()),
        (bench.double.url(), USER)
    );
    let server = connect(&bench.store.lock(), &bench.secrets, QUICK).expect("a session");
    server.check().await.expect("it holds");

    let mut kept = String::new();
    for entry in std::fs::read_dir(bench.directory.path()).expect("a directory") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        kept.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(!kept.contains("\"tenant\""), "the password is kept");
    assert!(kept.contains("eyJ"), "the refresh token is");

    let mut store = bench.store.lock();
    logout(&mut store, &mut bench.secrets).expect("forgotten");
    assert_eq!(account(&store).expect("no account"), None);
    let error = connect(&store, &bench.secrets, QUICK).expect_err("no session");
    assert!(matches!(error, SyncError::NotSignedIn), "{error}");
}

#[tokio::test]
async fn a_wrong_password_changes_nothing() {
    let mut bench = Bench::new().await;
    let before = bench.secrets.get("server-session").cloned();
    let address = ServerAddress::parse("http://127.0.0.1:9").expect("an address");
    let password = Secret::new("tenant".to_owned());
    let gone = login(
        &bench.store,
        &mut bench.secrets,
        address,
        USER,
        &password,
        QUICK,
    )
    .await;
    assert_eq!(gone.expect_err("nobody there").kind(), Kind::Unreachable);
    let address = ServerAddress::parse(&bench.double.url()).expect("an address");
    let wrong = Secret::new("wrong".to_owned());
    let refused = login(
        &bench.store,
        &mut bench.secrets,
        address,
        USER,
        &wrong,
        QUICK,
    )
    .await;
    assert_eq!(refused.expect_err("refused").kind(), Kind::Refused);
    let known = account(&bench.store.lock())
        .expect("an account")
        .expect("one");
    assert_eq!(known.address.to_string(), bench.double.url());
    assert_eq!(bench.secrets.get("server-session").cloned(), before);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_stops_the_sync_with_nothing_sent() {
    let mut bench = Bench::with_readings(300).await;
    link(&bench.store, &bench.secrets, &bench.server, METER)
        .await
        .expect("linked");
    bench
        .store
        .lock()
        .connection
        .execute_batch("PRAGMA query_only = 1")
        .expect("as on a disk that became read-only");
    let report = bench.sync().await;
    let error = only(&report).error.as_ref().expect("a reason");
    assert!(
        matches!(error, SyncError::Store(StoreError::Database(_))),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Storage);
    assert_eq!(bench.points_on_server(), 0);
}

#[tokio::test]
async fn a_token_that_changed_on_the_server_is_uploaded_with_and_waits_for_the_meter() {
    let mut bench = Bench::with_readings(400).await;
    assert!(bench.sync().await.is_complete());
    let device = bench.double.device_named(NAME).expect("the device").id;
    bench
        .double
        .set_token(device, "changed-on-server-20")
        .expect("set");
    bench.put(LIFE, 400, 1, 401 * INTERVAL_MS, 10, 1);
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert!(only(&report).token_waits);
    let next = bench.secrets.next_token(METER).expect("noted");
    assert_eq!(next.reveal(), "changed-on-server-20");
    assert_eq!(bench.secrets.token(METER).expect("kept").reveal(), TOKEN);
    // Also where there is nothing to send, and until the meter was visited.
    assert!(only(&bench.sync().await).token_waits);
    // An administrator who takes it back is followed too.
    bench.double.set_token(device, TOKEN).expect("set");
    assert!(!only(&bench.sync().await).token_waits);
    assert!(bench.secrets.is_settled(METER));
    bench.assert_same();
}

#[tokio::test]
async fn a_token_that_is_changed_here_is_changed_on_the_server_too() {
    let mut bench = Bench::with_readings(10).await;
    assert!(bench.sync().await.is_complete());
    let token = Secret::new("made-here-twenty-ch.".to_owned());
    let server = Some(&bench.server);
    change_token(&bench.store, &mut bench.secrets, server, METER, &token)
        .await
        .expect("changed");
    let there = bench.double.device_named(NAME).expect("the device");
    assert_eq!(there.token, "made-here-twenty-ch.");
    assert_eq!(bench.secrets.next_token(METER), Some(&token));
    bench.put(LIFE, 10, 1, 11 * INTERVAL_MS, 10, 1);
    let report = bench.sync().await;
    assert!(
        report.is_complete() && only(&report).token_waits,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_device_that_is_chosen_must_be_there_and_have_a_token() {
    let bench = Bench::with_readings(10).await;
    let chosen = |name: &str| Choice {
        device: Some(name.to_owned()),
        profile: None,
    };
    let missing = choose(
        &bench.store,
        &bench.secrets,
        &bench.server,
        METER,
        &chosen("Cellar"),
    )
    .await;
    let missing = missing.expect_err("there is none");
    assert!(
        matches!(missing, SyncError::NoSuchDevice { .. }),
        "{missing}"
    );
    assert_eq!(missing.kind(), Kind::NotFound);
    bench.double.add_device("Cellar", TOKEN).expect("made");
    let token = choose(
        &bench.store,
        &bench.secrets,
        &bench.server,
        METER,
        &chosen("Cellar"),
    )
    .await;
    assert_eq!(token.expect("there").expect("a token").reveal(), TOKEN);
    let linked = link(&bench.store, &bench.secrets, &bench.server, METER).await;
    assert_eq!(linked.expect("linked").name, "Cellar", "it is remembered");
    assert_eq!(bench.double.devices().len(), 1);
}

#[tokio::test]
async fn a_new_device_is_made_of_the_profile_that_is_chosen() {
    let bench = Bench::with_readings(10).await;
    let choice = Choice {
        device: None,
        profile: Some("Energy meters".to_owned()),
    };
    let token = choose(&bench.store, &bench.secrets, &bench.server, METER, &choice).await;
    assert_eq!(token.expect("asked"), None);
    link(&bench.store, &bench.secrets, &bench.server, METER)
        .await
        .expect("linked");
    let made = bench.double.device_named(NAME).expect("made");
    assert_eq!(
        (made.token.as_str(), made.profile.as_str()),
        (TOKEN, "Energy meters")
    );
    let requests = bench.double.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.path == "/api/device-with-credentials"),
        "the token goes in the body, not in the address"
    );
}

#[tokio::test]
async fn a_device_of_another_meter_is_not_taken_and_not_remembered() {
    let bench = Bench::with_readings(10).await;
    bench.double.add_device("Cellar", TOKEN).expect("made");
    let other = DeviceId([9; 6]);
    let choice = Choice {
        device: Some("Cellar".to_owned()),
        profile: None,
    };
    let taken = choose(&bench.store, &bench.secrets, &bench.server, other, &choice).await;
    assert!(matches!(taken, Err(SyncError::Taken { .. })), "{taken:?}");
    let none = Choice::default();
    let later = choose(&bench.store, &bench.secrets, &bench.server, other, &none).await;
    assert_eq!(later.expect("asked"), None, "a device of its own");
}
