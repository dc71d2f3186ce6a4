//! Times that improve after they were sent.

use thingsboard_double::Faults;

use crate::sync::SyncError;

use super::*;

/// A bench with a boot that nobody told the time, between two that were.
async fn with_estimate() -> Bench {
    let bench = Bench::new().await;
    bench.put(LIFE, 0, 1, INTERVAL_MS, 100, 1);
    bench.put(LIFE, 100, 2, INTERVAL_MS, 100, 1);
    bench.put(LIFE, 200, 3, INTERVAL_MS, 100, 1);
    bench.anchor(LIFE, 0, 1, 0, EPOCH_MS);
    bench.anchor(LIFE, 1, 3, 0, EPOCH_MS + 20_000_000);
    bench
}

#[tokio::test]
async fn estimated_readings_move_when_their_time_is_told_and_the_old_points_go() {
    let mut bench = with_estimate().await;
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    bench.assert_same();
    let device = bench.double.device_named(NAME).expect("the device").id;
    let before = bench.double.points(device, "power");

    bench.anchor(LIFE, 2, 2, 500, EPOCH_MS + 1_500_000);
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    let counts = (
        only(&report).readings_resent,
        only(&report).readings_verified,
    );
    assert_eq!(counts, (100, 100), "only the boot in the middle");
    bench.assert_same();
    let after = bench.double.points(device, "power");
    let gone = before.keys().filter(|ms| !after.contains_key(ms)).count();
    assert_eq!(gone, 100);

    let posts = bench.double.statistics().telemetry_posts;
    let report = bench.sync().await;
    assert_eq!(only(&report).readings_resent, 0, "it stays there");
    assert_eq!(bench.double.statistics().telemetry_posts, posts);
}

#[tokio::test]
async fn a_time_that_improves_by_less_than_half_an_interval_stays_frozen() {
    let mut bench = Bench::new().await;
    bench.put(LIFE, 0, 1, INTERVAL_MS, 300, 1);
    bench.anchor(LIFE, 0, 1, 0, EPOCH_MS);
    assert!(bench.sync().await.is_complete());
    let device = bench.double.device_named(NAME).expect("the device").id;
    let before = bench.double.points(device, "power");
    // 40 ppm of drift over the 3,000,000 ms: 120 ms.
    bench.anchor(LIFE, 1, 1, 3_000_000, EPOCH_MS + 3_000_120);
    let report = bench.sync().await;
    assert!(report.is_complete());
    assert_eq!(only(&report).readings_resent, 0);
    assert_eq!(bench.double.points(device, "power"), before);

    // What comes after goes on strictly behind.
    bench.put(LIFE, 300, 1, 301 * INTERVAL_MS, 50, 1);
    assert!(bench.sync().await.is_complete());
    assert_eq!(bench.points_on_server(), 350);
}

#[tokio::test]
async fn nothing_is_sent_while_a_deletion_is_due() {
    let mut bench = with_estimate().await;
    assert!(bench.sync().await.is_complete());
    bench.anchor(LIFE, 2, 2, 500, EPOCH_MS + 1_500_000);
    bench.options.backoff.failures_max = 3;
    bench.double.set_faults(Faults {
        only_paths_containing: "timeseries/delete".to_owned(),
        unavailable: thingsboard_double::FOREVER,
        ..Faults::default()
    });
    let posts = bench.double.statistics().telemetry_posts;
    let report = bench.sync().await;
    let device = only(&report);
    assert!(
        matches!(device.error, Some(SyncError::Server(_))),
        "{device:?}"
    );
    assert_eq!(device.readings_left, 100);
    assert_eq!(bench.double.statistics().telemetry_posts, posts);
    assert_eq!(bench.points_on_server(), 300);

    bench.double.set_faults(Faults::default());
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
}

#[tokio::test]
async fn readings_that_are_unverified_are_finished_before_they_move() {
    let mut bench = with_estimate().await;
    bench.options.resends_max = 0;
    bench.double.set_faults(Faults {
        drop_fraction: 0.1,
        ..Faults::default()
    });
    let report = bench.sync().await;
    assert!(only(&report).error.is_some());
    bench.anchor(LIFE, 2, 2, 500, EPOCH_MS + 1_500_000);
    bench.double.set_faults(Faults::default());
    bench.options.resends_max = 3;
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    bench.assert_same();
}
