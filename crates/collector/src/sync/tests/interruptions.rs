//! The process ends at any moment, and another one goes on.

use rusqlite::Connection;
use thingsboard_double::Faults;

use crate::sync::connect;

use super::*;

/// A small generator, so that the moments are the same in every run.
struct Moments(u64);

impl Moments {
    fn next(&mut self, span: std::ops::Range<u64>) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let step = (self.0 >> 33) % (span.end - span.start);
        Duration::from_micros(span.start + step)
    }
}

impl Bench {
    /// Ends the sync after a while and opens everything anew, as a new process would; tells whether it was done by then.
    async fn sync_for(&mut self, a_while: Duration, spare: &SharedStore) -> bool {
        let done = {
            let options = &self.options;
            let mut progress = |_: Progress| {};
            let syncing = sync(
                &self.store,
                &mut self.secrets,
                &self.server,
                &[METER],
                options,
                &mut progress,
            );
            let done = tokio::time::timeout(a_while, syncing).await;
            matches!(done, Ok(Ok(report)) if report.is_complete())
        };
        let path = self.directory.path().to_owned();
        // The old one must go before its lock is free.
        self.store = spare.clone();
        self.store = reopened(&path).await;
        self.secrets = Secrets::open(&path).expect("secrets");
        self.server = connect(&self.store.lock(), &self.secrets, QUICK).expect("a session");
        done
    }
}

#[tokio::test]
async fn a_sync_that_is_ended_at_fifty_moments_loses_and_doubles_nothing() {
    let mut bench = Bench::with_readings(3_000).await;
    bench.options.batch_readings = 40;
    bench.options.window_readings = 200;
    // Every request takes a while, so that most moments lie within one.
    bench.double.set_faults(Faults {
        delay_ms: 2,
        store_delay_ms: 3,
        ..Faults::default()
    });
    let spare = Bench::new().await;
    let mut moments = Moments(1);
    let mut kills = 0;
    while !bench
        .sync_for(moments.next(2_000..25_000), &spare.store)
        .await
    {
        kills += 1;
        assert!(kills < 2_000, "it never gets anywhere");
    }
    assert!(kills >= 50, "only {kills} interruptions");
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(only(&report).readings_sent, 0);
    bench.assert_same();
}

#[tokio::test]
async fn a_move_that_is_ended_at_any_moment_loses_and_doubles_nothing() {
    let mut bench = Bench::new().await;
    bench.put(LIFE, 0, 1, INTERVAL_MS, 800, 1);
    bench.put(LIFE, 800, 2, INTERVAL_MS, 200, 1);
    bench.anchor(LIFE, 0, 2, 0, EPOCH_MS + 90_000_000);
    assert!(bench.sync().await.is_complete());
    bench.assert_same();

    bench.anchor(LIFE, 1, 1, 0, EPOCH_MS);
    bench.options.batch_readings = 20;
    bench.options.window_readings = 100;
    bench.double.set_faults(Faults {
        delay_ms: 2,
        store_delay_ms: 3,
        ..Faults::default()
    });
    let spare = Bench::new().await;
    let mut moments = Moments(2);
    let mut kills = 0;
    while !bench
        .sync_for(moments.next(1_000..25_000), &spare.store)
        .await
    {
        kills += 1;
        assert!(kills < 2_000, "it never gets anywhere");
    }
    assert!(kills >= 20, "only {kills} interruptions");
    bench.assert_same();
}

#[tokio::test]
async fn timestamps_are_written_down_before_anything_is_sent() {
    let mut bench = Bench::with_readings(300).await;
    bench.double.set_faults(Faults {
        only_paths_containing: "/telemetry".to_owned(),
        stall: 1,
        ..Faults::default()
    });
    let spare = Bench::new().await;
    let path = bench.directory.path().join(crate::store::DATABASE_FILE);
    // The first upload hangs; by then the window must be there.
    assert!(
        !bench
            .sync_for(Duration::from_millis(300), &spare.store)
            .await
    );
    let requests = bench.double.statistics().telemetry_posts;
    assert_eq!(requests, 1, "one upload was begun");
    let (count, sent): (i64, i64) = Connection::open(path)
        .expect("the database")
        .query_row("SELECT sum(count), sum(sent) FROM sync_window", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("a row");
    assert_eq!((count, sent), (300, 0));
}
