//! Visits at an honest meter: everything comes once, whatever breaks in between.

use std::time::Instant;

use collector::{
    Kind, WallClock,
    client::Client,
    collect::{Collected, Progress, collect},
    error::Error,
    store::{History, SharedStore, Store},
};
use protocol::{Seq, StoreId};
use tempfile::TempDir;

use crate::meter::{DEVICE, HISTORY, Meter, STORE, TOKEN, block, block_of, held, numbers};

pub(crate) fn store() -> (TempDir, SharedStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, SharedStore::new(store))
}

pub(crate) async fn visit(store: &SharedStore, meter: &Meter) -> (Collected, Result<(), Error>) {
    collect(store, &meter.session(), &WallClock::default(), &mut |_| {}).await
}

#[tokio::test]
async fn a_visit_brings_everything_and_the_next_one_only_what_is_new() {
    let meter = Meter::start(2_000, 240).await;
    let (_directory, store) = store();
    let mut steps = Vec::new();
    let mut note = |progress: Progress| steps.push(progress.done);
    let (collected, ended) =
        collect(&store, &meter.session(), &WallClock::default(), &mut note).await;
    ended.unwrap();
    assert_eq!((collected.readings_new, collected.blocks), (2_000, 9));
    assert_eq!(
        (collected.cursor, collected.target),
        (Seq(2_000), Seq(2_000))
    );
    assert!(
        steps.is_sorted() && steps.last() == Some(&2_000),
        "{steps:?}"
    );
    assert_eq!(meter.inner().acknowledged, Some(Seq(2_000)));
    assert_eq!(numbers(&store.lock()), (0..2_000).collect::<Vec<_>>());
    let device = store.lock().device(DEVICE).unwrap();
    assert_eq!((device.name.as_str(), device.readings), ("Cellar", 2_000));
    let latest = device.latest.unwrap().time;
    assert!(
        !latest.estimated && latest.uncertainty_ms < 2_100,
        "the visit told the time: {latest:?}"
    );
    assert!((WallClock::default().now_ms() - 500 - latest.utc_ms).abs() < 2_000);

    // The open block has grown, as blocks from a journal do.
    {
        let mut inner = meter.inner();
        inner.blocks.pop();
        inner.blocks.push(block(1_920, 2_100));
        inner.next = 2_100;
    }
    let (again, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!(
        (again.readings_new, again.blocks, again.conflicts),
        (100, 1, 0)
    );
    assert_eq!(numbers(&store.lock()), (0..2_100).collect::<Vec<_>>());
    let (nothing, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!((nothing.readings_new, nothing.blocks), (0, 0));
    assert_eq!(store.lock().anchors(HISTORY).unwrap().len(), 3);
}

#[tokio::test]
async fn a_connection_cut_at_every_byte_of_a_block_keeps_what_came_whole() {
    let meter = Meter::start(60, 20).await;
    let frame = block(20, 40).len() + 25;
    let (_directory, store) = store();
    store.lock().put_block(HISTORY, &block(0, 20), 1).unwrap();
    for cut in 0..=frame {
        meter.inner().cut_after = Some(cut);
        let (collected, ended) = visit(&store, &meter).await;
        assert_eq!(
            ended.unwrap_err().kind(),
            Kind::Unreachable,
            "cut after {cut}"
        );
        assert_eq!(collected.cursor.0, store.lock().cursor(HISTORY).unwrap().0);
        let expected = if cut < frame { 20 } else { 40 };
        assert_eq!(collected.cursor, Seq(expected), "cut after {cut}");
        assert_eq!(numbers(&store.lock()), (0..expected).collect::<Vec<_>>());
        assert_eq!(
            meter.inner().acknowledged,
            None,
            "nothing is acknowledged that broke off"
        );
    }
    meter.inner().cut_after = None;
    let (collected, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!(collected.readings_new, 20);
    assert_eq!(numbers(&store.lock()), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_meter_that_forgot_its_oldest_readings_gives_the_rest() {
    let meter = Meter::start(1_000, 100).await;
    let (_directory, store) = store();
    let late = {
        let mut inner = meter.inner();
        inner.next = 200;
        inner.blocks.split_off(2)
    };
    visit(&store, &meter).await.1.unwrap();
    {
        let mut inner = meter.inner();
        inner.blocks = late.into_iter().skip(3).collect();
        (inner.oldest, inner.next) = (500, 1_000);
    }
    let (collected, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!(
        (collected.readings_new, collected.cursor),
        (500, Seq(1_000))
    );
    let expected: Vec<u64> = (0..200).chain(500..1_000).collect();
    assert_eq!(numbers(&store.lock()), expected);
}

#[tokio::test]
async fn an_erased_meter_is_collected_as_another_history() {
    let meter = Meter::start(300, 100).await;
    let (_directory, store) = store();
    visit(&store, &meter).await.1.unwrap();
    let reborn = History {
        store: StoreId(0xbeef),
        ..HISTORY
    };
    {
        let mut inner = meter.inner();
        inner.store = reborn.store;
        inner.blocks = vec![block_of(reborn, 0, 50)];
        inner.next = 50;
        inner.events.clear();
    }
    let (collected, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!(
        (collected.readings_new, collected.history),
        (50, Some(reborn))
    );
    assert_eq!(store.lock().histories(DEVICE).unwrap(), [HISTORY, reborn]);
    assert_eq!(held(&store.lock()).len(), 350);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_nothing_changes() {
    let meter = Meter::start(100, 50).await;
    let (_directory, store) = store();
    let session = Client::new(&meter.url)
        .unwrap()
        .session(DEVICE, "another token, no good");
    let (collected, ended) = collect(&store, &session, &WallClock::default(), &mut |_| {}).await;
    assert_eq!(ended.unwrap_err().kind(), Kind::Refused);
    assert_eq!(collected.readings_new, 0);
    assert!(store.lock().devices().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_directory, store) = store();
    let session = Client::new(&url).unwrap().session(DEVICE, TOKEN);
    let (_, ended) = collect(&store, &session, &WallClock::default(), &mut |_| {}).await;
    assert_eq!(ended.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test]
async fn a_meter_without_a_token_says_so() {
    let meter = Meter::start(10, 10).await;
    meter.inner().token = None;
    let (_directory, store) = store();
    let (_, ended) = visit(&store, &meter).await;
    assert!(format!("{}", ended.unwrap_err()).contains("the meter answered"));
}

/// A month at 10 s, in blocks as a meter packs them.
#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_collected_quickly_enough() {
    let meter = Meter::start(259_200, 240).await;
    let (_directory, store) = store();
    let begun = Instant::now();
    let (collected, ended) = visit(&store, &meter).await;
    ended.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = store.lock().bytes().unwrap();
    assert_eq!((collected.readings_new, bytes.readings), (259_200, 259_200));
    println!(
        "{:.0} readings/s, {:.2} bytes a reading in blocks, {:.2} in the store",
        259_200.0 / seconds,
        bytes.block_bytes as f64 / 259_200.0,
        bytes.database_bytes as f64 / 259_200.0
    );
    assert!(seconds < 259_200.0 / 20_000.0, "{seconds} s");
    assert_eq!(
        collected.history,
        Some(History {
            device: DEVICE,
            store: STORE
        })
    );
}

#[tokio::test]
async fn visit_whose_clock_is_off_is_told_and_overruled_by_the_others() {
    let meter = Meter::start(100, 20).await;
    let (_directory, store) = store();
    let right = WallClock::default();
    // As of a computer whose zone was set wrong, or whose clock was set back after.
    let wrong = WallClock {
        offset_ms: -3 * 3_600_000,
        ..right
    };
    let mut conflicts_ms = Vec::new();
    for clock in [right, wrong, right, right] {
        // The made-up meter does not count on by itself.
        meter.inner().uptime_ms = 1_000_500 + conflicts_ms.len() as u64;
        let (collected, ended) = collect(&store, &meter.session(), &clock, &mut |_| {}).await;
        ended.unwrap();
        conflicts_ms.push(collected.clock_conflict_ms);
        let latest = store.lock().device(DEVICE).unwrap().latest.unwrap().time;
        let error_ms = (right.now_ms() - latest.utc_ms).unsigned_abs();
        assert!(
            error_ms <= latest.uncertainty_ms + 500,
            "the truth is never outside: {latest:?}"
        );
        // One against one: nobody knows. Two against one: it is known again.
        let is_known = conflicts_ms.len() != 2;
        assert_eq!(latest.estimated, !is_known, "{latest:?}");
        assert_eq!(latest.uncertainty_ms < 2_100, is_known, "{latest:?}");
    }
    let is_three_hours = |ms: Option<u64>| ms.is_some_and(|ms| ms.abs_diff(10_800_000) < 3_000);
    assert_eq!(conflicts_ms[0], None);
    assert!(is_three_hours(conflicts_ms[1]), "{conflicts_ms:?}");
    assert!(is_three_hours(conflicts_ms[2]), "{conflicts_ms:?}");
    assert_eq!(conflicts_ms[3], None, "it is told once");
    let line = store.lock().time_line(HISTORY).unwrap();
    assert_eq!(line.contradictory().len(), 1);
}
