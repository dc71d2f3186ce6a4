//! Each reading once, whatever comes how often.

use proptest::prelude::*;

use super::*;

#[test]
fn the_same_block_again_changes_nothing() {
    let (_directory, mut store) = store();
    let first = store.put_block(HISTORY, &block(0, 100), 1).unwrap();
    assert_eq!(
        (first.readings_new, first.blocks_stored, first.cursor),
        (100, 1, Seq(100))
    );
    let again = store.put_block(HISTORY, &block(0, 100), 2).unwrap();
    assert_eq!(
        (again.readings_new, again.blocks_known, again.cursor),
        (0, 1, Seq(100))
    );
    assert_eq!(block_count(&store), 1);
    assert_eq!(held(&store), expected(0..100));
}

#[test]
fn a_block_that_has_grown_replaces_those_that_it_covers() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 40), 1).unwrap();
    store.put_block(HISTORY, &block(40, 50), 1).unwrap();
    let grown = store.put_block(HISTORY, &block(0, 90), 2).unwrap();
    assert_eq!((grown.readings_new, grown.cursor), (40, Seq(90)));
    assert_eq!(block_count(&store), 1);
    let part = store.put_block(HISTORY, &block(10, 20), 3).unwrap();
    assert_eq!((part.readings_new, part.blocks_known), (0, 1));
    assert_eq!(block_count(&store), 1);
    assert_eq!(held(&store), expected(0..90));
}

#[test]
fn blocks_that_overlap_in_part_give_each_reading_once() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 60), 1).unwrap();
    let second = store.put_block(HISTORY, &block(40, 200), 1).unwrap();
    assert_eq!((second.readings_new, second.conflicts), (140, 0));
    assert_eq!(block_count(&store), 2);
    assert_eq!(held(&store), expected(0..200));
    assert_eq!(store.device(DEVICE).unwrap().readings, 200);
}

#[test]
fn contradicting_blocks_are_both_kept_and_reported() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 60), 1).unwrap();
    let other = store.put_block(HISTORY, &false_block(30, 50), 2).unwrap();
    assert_eq!((other.conflicts, other.readings_new), (1, 0));
    let again = store.put_block(HISTORY, &false_block(30, 50), 3).unwrap();
    assert_eq!(again.conflicts, 0, "it is reported once");
    assert_eq!(block_count(&store), 2);
    assert_eq!(store.device(DEVICE).unwrap().conflicts, 1);
    assert_eq!(held(&store), expected(0..60), "the larger block wins");
}

#[test]
fn blocks_of_another_meter_or_history_are_refused_with_all_that_came_along() {
    let (_directory, mut store) = store();
    let mut stranger = header(0);
    stranger.device = DeviceId([9; 6]);
    let mut reborn = header(0);
    reborn.store = StoreId(78);
    let good = block(0, 10);
    for header in [stranger, reborn] {
        let bad = packed(&header, (0..5).map(channel));
        let blocks = [&good, &bad].map(|bytes| PutBlock {
            bytes,
            nothing_before: false,
        });
        let error = store.put_blocks(HISTORY, &blocks, 1).unwrap_err();
        assert!(matches!(error, StoreError::OtherHistory { .. }), "{error}");
        assert_eq!(error.kind(), crate::Kind::Corrupt);
    }
    assert_eq!(block_count(&store), 0);
    assert!(
        store
            .put_block(HISTORY, &good[..good.len() - 1], 1)
            .is_err()
    );
    assert_eq!(store.cursor(HISTORY).unwrap(), Seq(0));
}

#[test]
fn the_cursor_is_the_first_number_that_is_missing() {
    let (_directory, mut store) = store();
    let mut put = |first, end| {
        store
            .put_block(HISTORY, &block(first, end), 1)
            .unwrap()
            .cursor
    };
    assert_eq!(put(10, 20), Seq(0));
    assert_eq!(put(30, 40), Seq(0));
    assert_eq!(put(0, 5), Seq(5));
    assert_eq!(put(3, 12), Seq(20));
    assert_eq!(put(20, 30), Seq(40));
    let beyond = block(100, 110);
    let put = PutBlock {
        bytes: &beyond,
        nothing_before: true,
    };
    let summary = store.put_blocks(HISTORY, &[put], 1).unwrap();
    assert_eq!(
        summary.cursor,
        Seq(110),
        "the meter has nothing from 40 to 100"
    );
}

#[test]
fn the_news_of_a_loss_takes_no_reading_away() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 50), 1).unwrap();
    let loss = store.put_block(HISTORY, &lost(0, 80), 2).unwrap();
    assert_eq!((loss.readings_new, loss.cursor), (0, Seq(80)));
    assert_eq!(held(&store), expected(0..50));
    let found = store.put_block(HISTORY, &block(50, 80), 3).unwrap();
    assert_eq!((found.readings_new, found.conflicts), (30, 0));
    assert_eq!(held(&store), expected(0..80));
}

#[test]
fn a_block_that_was_damaged_on_disk_is_an_error_until_the_meter_gives_it_again() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 50), 1).unwrap();
    store.put_block(HISTORY, &block(50, 90), 1).unwrap();
    store
        .connection
        .execute("UPDATE block SET bytes = zeroblob(200) WHERE first = 0", [])
        .unwrap();
    let results: Vec<_> = store.readings(DEVICE, Span::All).unwrap().collect();
    assert!(matches!(
        results[0],
        Err(StoreError::Damaged { first: Seq(0), .. })
    ));
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        40,
        "the others are given"
    );
    store.put_block(HISTORY, &block(0, 50), 2).unwrap();
    assert_eq!(held(&store), expected(0..90));
}

#[test]
fn an_erased_meter_begins_another_history() {
    let (_directory, mut store) = store();
    let reborn = History {
        store: StoreId(78),
        ..HISTORY
    };
    let mut fresh = header(0);
    fresh.store = reborn.store;
    store.put_block(HISTORY, &block(0, 30), 1).unwrap();
    store
        .put_block(reborn, &packed(&fresh, (0..7).map(channel)), 2)
        .unwrap();
    assert_eq!(store.histories(DEVICE).unwrap(), [HISTORY, reborn]);
    assert_eq!(
        (
            store.cursor(HISTORY).unwrap(),
            store.cursor(reborn).unwrap()
        ),
        (Seq(30), Seq(7))
    );
    let device = store.device(DEVICE).unwrap();
    assert_eq!(
        (device.readings, device.store, device.next),
        (37, Some(StoreId(78)), Seq(7))
    );
    assert_eq!(device.latest.unwrap().reading.seq, Seq(6));
}

#[test]
fn numbers_beyond_the_range_are_refused() {
    let (_directory, mut store) = store();
    let mut far = header(0);
    far.first = Seq(u64::MAX - 10);
    let mut old = header(0);
    old.uptime_ms = u64::MAX / 2;
    for header in [far, old] {
        let bytes = packed(&header, (0..5).map(channel));
        let error = store.put_block(HISTORY, &bytes, 1).unwrap_err();
        assert!(matches!(error, StoreError::OutOfRange), "{error}");
    }
}

#[test]
fn blocks_are_given_back_as_they_came() {
    let (_directory, mut store) = store();
    let blocks = [block(0, 30), block(30, 60), block(60, 90)];
    for bytes in &blocks {
        store.put_block(HISTORY, bytes, 1).unwrap();
    }
    assert_eq!(
        store.blocks_in(HISTORY, Seq(29)..Seq(31)).unwrap(),
        blocks[..2]
    );
    assert_eq!(
        store.blocks_in(HISTORY, Seq(0)..Seq(u64::MAX)).unwrap(),
        blocks
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against the plainest model: a set of numbers.
    #[test]
    fn any_cuts_in_any_order_give_each_reading_once(
        cuts in prop::collection::vec((0..300u64, 1..120u64), 1..25)
    ) {
        let (_directory, mut store) = store();
        store.connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let mut model = std::collections::BTreeSet::new();
        for (first, count) in cuts {
            let before = model.len() as u64;
            model.extend(first..first + count);
            let summary = store.put_block(HISTORY, &block(first, first + count), 1).unwrap();
            prop_assert_eq!(summary.readings_new, model.len() as u64 - before);
            prop_assert_eq!(summary.conflicts, 0);
            let missing = (0..).find(|seq| !model.contains(seq)).unwrap();
            prop_assert_eq!(summary.cursor, Seq(missing));
        }
        prop_assert_eq!(numbers(&store), model.iter().copied().collect::<Vec<_>>());
        let truth = expected(0..420);
        for reading in held(&store) {
            prop_assert_eq!(&reading, &truth[reading.seq.0 as usize]);
        }
    }
}
