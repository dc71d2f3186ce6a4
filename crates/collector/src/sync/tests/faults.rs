//! What goes wrong between here and the server.

use std::time::{Duration, Instant};

use protocol::{DeviceId, StoreId};
use thingsboard_double::{FOREVER, Faults, RateLimit};

use crate::{
    Kind,
    secrets::{Secret, token_name},
    store::History,
    sync::SyncError,
    thingsboard::{Server, ServerAddress, ServerError, pack},
};

use super::*;

fn on_telemetry(faults: Faults) -> Faults {
    Faults {
        only_paths_containing: "telemetry".to_owned(),
        ..faults
    }
}

#[tokio::test]
async fn readings_that_were_acknowledged_and_dropped_are_noticed_and_sent_again() {
    let mut bench = Bench::with_readings(600).await;
    bench.double.set_faults(Faults {
        drop_fraction: 0.1,
        ..Faults::default()
    });
    // The queue recovers after the first window.
    let mend = |double: &Double| double.set_faults(Faults::default());
    let report = bench.sync_struck(300, mend).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(only(&report).readings_resent, 300);
    assert_eq!(only(&report).readings_verified, 600);
    let lost = bench.double.statistics().points_dropped;
    assert!(lost > 0, "the fault struck");
    bench.assert_same();
}

#[tokio::test]
async fn a_server_that_keeps_losing_readings_is_reported_and_nothing_counts_as_stored() {
    let mut bench = Bench::with_readings(300).await;
    bench.options.resends_max = 1;
    bench.double.set_faults(Faults {
        drop_fraction: 1.0,
        ..Faults::default()
    });
    let report = bench.sync().await;
    let device = only(&report);
    assert!(!report.is_complete());
    assert_eq!((device.readings_verified, device.readings_left), (0, 300));
    let error = device.error.as_ref().expect("a reason");
    assert!(
        matches!(error, SyncError::Unverified { readings: 300 }),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Partial);

    bench.double.set_faults(Faults::default());
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
}

#[tokio::test]
async fn a_window_that_is_lost_does_not_hold_up_the_others() {
    let mut bench = Bench::with_readings(900).await;
    bench.options.resends_max = 0;
    bench.double.set_faults(Faults {
        drop_fraction: 1.0,
        ..Faults::default()
    });
    let mend = |double: &Double| double.set_faults(Faults::default());
    let report = bench.sync_struck(400, mend).await;
    let device = only(&report);
    assert!(
        matches!(device.error, Some(SyncError::Unverified { .. })),
        "{device:?}"
    );
    assert_eq!(device.readings_verified, 300);
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
}

#[tokio::test]
async fn a_slow_queue_is_waited_for_and_nothing_is_sent_twice() {
    let mut bench = Bench::with_readings(600).await;
    bench.double.set_faults(Faults {
        store_delay_ms: 60,
        ..Faults::default()
    });
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(only(&report).readings_resent, 0);
    bench.assert_same();
}

#[tokio::test]
async fn others_points_in_a_window_do_not_hide_a_loss() {
    let mut bench = Bench::with_readings(200).await;
    assert!(bench.sync().await.is_complete());
    // Another collector's points lie between ours; then a window of ours loses a part.
    let mut others = Vec::new();
    bench.put(LIFE, 200, 1, 201 * INTERVAL_MS, 100, 1);
    for resolved in bench
        .store
        .lock()
        .readings(METER, Span::All)
        .expect("readings")
    {
        let resolved = resolved.expect("a reading");
        others.push((resolved.time.utc_ms + 1_234, resolved.reading));
    }
    for part in others.chunks(100) {
        let packed = pack(part).expect("readings");
        bench.server.upload(TOKEN, &packed).await.expect("taken");
    }
    bench.options.resends_max = 0;
    bench.double.set_faults(Faults {
        drop_fraction: 0.2,
        ..Faults::default()
    });
    let report = bench.sync().await;
    let device = only(&report);
    assert!(
        matches!(device.error, Some(SyncError::Unverified { readings: 20 })),
        "{device:?}"
    );
    bench.double.set_faults(Faults::default());
    let report = bench.sync().await;
    assert!(
        report.is_complete(),
        "others' points are no obstacle: {report:?}"
    );
    assert_eq!(bench.points_on_server(), 600);
}

#[tokio::test]
async fn a_rate_limit_is_met_by_smaller_batches_and_patience() {
    let mut bench = Bench::with_readings(30).await;
    bench.options.backoff.failures_max = 30;
    bench.double.set_faults(Faults {
        rate_limit: Some(RateLimit {
            points: 120,
            seconds: 1,
        }),
        ..Faults::default()
    });
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    bench.assert_same();
}

#[tokio::test]
async fn bodies_that_are_too_large_are_halved() {
    let mut bench = Bench::with_readings(300).await;
    bench.double.set_faults(Faults {
        body_bytes_max: Some(3_000),
        ..Faults::default()
    });
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    bench.assert_same();
    let requests = bench.double.requests();
    let refused = requests
        .iter()
        .filter(|one| one.status == Some(413))
        .count();
    assert!((1..=5).contains(&refused), "{refused} refusals");
}

#[tokio::test]
async fn failures_that_pass_cost_time_and_no_reading() {
    let faults = [
        Faults {
            telemetry_errors: 4,
            ..Faults::default()
        },
        on_telemetry(Faults {
            unavailable: 4,
            ..Faults::default()
        }),
        on_telemetry(Faults {
            close_before_handling: 4,
            ..Faults::default()
        }),
        on_telemetry(Faults {
            close_after_handling: 4,
            ..Faults::default()
        }),
        on_telemetry(Faults {
            stall: 2,
            ..Faults::default()
        }),
    ];
    for faults in faults {
        let mut bench = Bench::with_readings(350).await;
        bench.double.set_faults(faults.clone());
        let report = bench.sync().await;
        assert!(report.is_complete(), "{faults:?}: {report:?}");
        assert_ne!(bench.double.faults(), faults, "the fault struck");
        bench.assert_same();
    }
}

#[tokio::test]
async fn questions_in_the_users_name_are_repeated_too() {
    let mut bench = Bench::with_readings(100).await;
    bench.double.set_faults(Faults {
        only_paths_containing: "values/timeseries".to_owned(),
        close_before_handling: 2,
        unavailable: 2,
        ..Faults::default()
    });
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(bench.double.faults().unavailable, 0);
    bench.assert_same();
}

#[tokio::test]
async fn a_dead_server_ends_the_sync_in_bounded_time_and_loses_nothing() {
    let mut bench = Bench::with_readings(350).await;
    bench.options.backoff.failures_max = 5;
    bench.double.set_faults(on_telemetry(Faults {
        close_before_handling: FOREVER,
        ..Faults::default()
    }));
    let begun = Instant::now();
    let report = bench.sync().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let device = only(&report);
    assert_eq!(device.readings_left, 350);
    let error = device.error.as_ref().expect("a reason");
    assert_eq!(error.kind(), Kind::Unreachable);
    bench.double.set_faults(Faults::default());
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
}

#[tokio::test]
async fn a_captive_portal_is_named_and_takes_nothing() {
    let mut bench = Bench::with_readings(100).await;
    bench.double.set_faults(on_telemetry(Faults {
        html_page: FOREVER,
        ..Faults::default()
    }));
    let report = bench.sync().await;
    let device = only(&report);
    let error = device.error.as_ref().expect("a reason");
    assert!(error.to_string().contains("captive portal"), "{error}");
    let counts = (device.readings_sent, device.readings_left);
    assert_eq!(counts, (0, 100));

    bench.double.set_faults(Faults {
        html_page: FOREVER,
        ..Faults::default()
    });
    let refused = bench.try_sync(&[METER], &mut |_| {}).await;
    assert!(
        matches!(
            refused,
            Err(SyncError::Server(ServerError::NotThingsBoard { .. }))
        ),
        "{refused:?}"
    );
    bench.double.set_faults(Faults::default());
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
}

#[tokio::test]
async fn a_token_that_is_refused_stops_its_meter_only() {
    let mut bench = Bench::with_readings(600).await;
    let other = DeviceId([2, 0x0f, 0x6d, 0, 0, 2]);
    let life = History {
        device: other,
        store: StoreId(9),
    };
    bench.put(life, 0, 1, INTERVAL_MS, 50, 1);
    bench.anchor(life, 0, 1, 0, EPOCH_MS);
    let token = Secret::new("another token of mine".to_owned());
    bench.secrets.set(&token_name(other), token).expect("kept");

    // The server's token is looked up at the beginning: it changes behind that.
    let fresh = |double: &Double| {
        let device = double.device_named(NAME).expect("linked").id;
        double
            .set_token(device, "a-fresh-one-20-chars")
            .expect("set");
    };
    let report = bench.sync_all_struck(&[METER, other], 300, fresh).await;
    let [first, second] = &report.devices[..] else {
        panic!("two reports");
    };
    let error = first.error.as_ref().expect("a reason");
    assert!(error.to_string().contains("sync again to fetch"), "{error}");
    assert!(!format!("{error:?}").contains(TOKEN));
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(first.readings_left, 300);
    assert!(second.error.is_none(), "{second:?}");
    assert_eq!(second.readings_verified, 50);
    let posts = bench.double.requests();
    let refused = posts.iter().filter(|one| one.status == Some(401)).count();
    assert_eq!(refused, 1, "it is not tried again and again");
    bench.assert_same_of(other, "OFMON-020F6D000002");

    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert!(only(&report).token_waits, "the meter is to get the new one");
    bench.assert_same();
}

#[tokio::test]
async fn a_session_that_ends_during_a_sync_is_renewed() {
    let mut bench = Bench::with_readings(900).await;
    let before = bench.server.refresh_token().map(|token| token.to_string());
    let report = bench.sync_struck(400, Double::expire_access_tokens).await;
    assert!(report.is_complete(), "{report:?}");
    let now = bench.secrets.get("server-session").expect("a session");
    assert_ne!(
        Some(now.reveal()),
        before.as_deref(),
        "the renewed one is kept"
    );
    bench.assert_same();
}

#[tokio::test]
async fn nobody_answering_at_all_is_unreachable_at_once() {
    let mut bench = Bench::with_readings(10).await;
    let nowhere = ServerAddress::parse("http://127.0.0.1:9").expect("an address");
    bench.server = Server::new(nowhere, QUICK).expect("a client");
    bench.server.resume("x");
    let error = bench
        .try_sync(&[METER], &mut |_| {})
        .await
        .expect_err("nobody listens");
    assert_eq!(error.kind(), Kind::Unreachable);
}
