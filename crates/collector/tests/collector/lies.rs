//! A meter that knows the token and lies: an error each time, nothing of the lie stored, and never an endless loop.

use std::time::{Duration, Instant};

use collector::{Kind, client::ClientError, error::Error};
use protocol::{
    DeviceId, Seq,
    event::{Event, What},
    messages::Events,
};
use tokio::time::timeout;

use crate::{
    meter::{HISTORY, Liar, Meter, block, block_of, numbers},
    visits::{store, visit},
};

/// Visits a meter that holds 100 readings and sends what `liar` says; returns the error and the numbers that were kept.
async fn lied(liar: Liar) -> (Error, Vec<u64>) {
    let meter = Meter::start(100, 20).await;
    meter.inner().liar = Some(liar);
    let (_directory, store) = store();
    let visited = timeout(Duration::from_secs(20), visit(&store, &meter)).await;
    let (collected, ended) = visited.expect("a lie ends");
    let kept = numbers(&store.lock());
    assert_eq!(collected.cursor.0, kept.len() as u64);
    assert_eq!(meter.inner().acknowledged, None);
    (ended.unwrap_err(), kept)
}

async fn keeps_the_first_block_only(liar: Liar) {
    let (error, kept) = lied(liar).await;
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    assert_eq!(kept, (0..20).collect::<Vec<_>>(), "{error}");
}

#[tokio::test]
async fn a_block_of_another_meter_is_not_stored() {
    keeps_the_first_block_only(|_, _| {
        let mut other = HISTORY;
        other.device = DeviceId([9; 6]);
        (vec![block(0, 20), block_of(other, 20, 40)], true)
    })
    .await;
}

#[tokio::test]
async fn a_block_of_another_history_is_not_stored() {
    keeps_the_first_block_only(|_, _| {
        let mut other = HISTORY;
        other.store.0 ^= 1;
        (vec![block(0, 20), block_of(other, 20, 40)], true)
    })
    .await;
}

#[tokio::test]
async fn a_damaged_block_is_not_stored() {
    keeps_the_first_block_only(|_, _| {
        let mut damaged = block(20, 40);
        damaged[70] ^= 1;
        (vec![block(0, 20), damaged], true)
    })
    .await;
}

#[tokio::test]
async fn the_same_block_again_and_again_ends_the_visit() {
    keeps_the_first_block_only(|_, _| (vec![block(0, 20); 50], true)).await;
}

#[tokio::test]
async fn a_meter_that_leaves_out_what_it_says_it_holds_is_noticed() {
    let (error, kept) = lied(|_, _| (vec![block(40, 60)], true)).await;
    assert!(
        matches!(error, Error::Client(ClientError::WrongBlock)),
        "{error}"
    );
    assert!(kept.is_empty());
    // In the middle of a row the next request asks for what was left out.
    keeps_the_first_block_only(|_, from| match from {
        0 => (vec![block(0, 20), block(60, 80)], true),
        _ => (vec![block(60, 80)], true),
    })
    .await;
}

#[tokio::test]
async fn an_oldest_number_that_only_info_claims_makes_the_collector_skip_nothing() {
    let meter = Meter::start(100, 20).await;
    // A stranger who passes everything through could change this: it is not authenticated.
    meter.inner().oldest = 60;
    let (_directory, store) = store();
    visit(&store, &meter).await.1.unwrap();
    assert_eq!(numbers(&store.lock()), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_meter_that_says_nothing_is_not_asked_for_ever() {
    let (error, kept) = lied(|_, _| (vec![Vec::new()], true)).await;
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(kept.is_empty());
}

#[tokio::test]
async fn a_row_without_a_last_block_is_cut_short() {
    let (error, kept) = lied(|_, _| (vec![block(0, 20), block(20, 40)], false)).await;
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert_eq!(kept, (0..40).collect::<Vec<_>>(), "what came whole is kept");
}

#[tokio::test]
async fn a_row_longer_than_was_asked_for_is_cut_off() {
    let meter = Meter::start(0, 10).await;
    {
        let mut inner = meter.inner();
        inner.next = u64::MAX / 2;
        inner.liar = Some(|_, from| {
            let firsts = (0..5_000).map(|index| from + index * 240);
            (
                firsts.map(|first| block(first, first + 240)).collect(),
                false,
            )
        });
    }
    let (_directory, store) = store();
    let (collected, ended) = visit(&store, &meter).await;
    let error = ended.unwrap_err();
    assert!(
        matches!(error, Error::Client(ClientError::Endless)),
        "{error}"
    );
    assert!(collected.bytes < 1_100_000, "{collected:?}");
}

#[tokio::test]
async fn a_meter_that_counts_backwards_is_an_error() {
    let meter = Meter::start(100, 20).await;
    let (_directory, store) = store();
    visit(&store, &meter).await.1.unwrap();
    meter.inner().next = 50;
    let (_, ended) = visit(&store, &meter).await;
    let error = ended.unwrap_err();
    assert!(
        matches!(error, Error::Client(ClientError::WentBack { .. })),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(store.lock().cursor(HISTORY).unwrap(), Seq(100));
}

fn event(number: u64) -> Event {
    Event {
        number,
        boot: 1,
        uptime_ms: 5,
        what: What::SetUp,
    }
}

#[tokio::test]
async fn an_event_log_out_of_order_is_an_error_and_not_stored() {
    let liars: [fn(u64) -> Events; 3] = [
        |from| Events {
            events: [event(from + 1), event(from)].into_iter().collect(),
            next: 5,
        },
        |from| Events {
            events: [event(from), event(from)].into_iter().collect(),
            next: 5,
        },
        |from| Events {
            events: [event(from.wrapping_sub(1))].into_iter().collect(),
            next: 0,
        },
    ];
    for liar in liars {
        let meter = Meter::start(10, 10).await;
        meter.inner().event_liar = Some(liar);
        let (_directory, store) = store();
        let (collected, ended) = visit(&store, &meter).await;
        assert_eq!(ended.unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(collected.readings_new, 10, "the blocks are kept");
        assert!(store.lock().events(HISTORY).unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_event_log_without_end_is_left_for_the_next_visit() {
    let meter = Meter::start(10, 10).await;
    meter.inner().event_liar = Some(|from| Events {
        events: [event(from + 50_000)].into_iter().collect(),
        next: u64::MAX / 2,
    });
    let (_directory, store) = store();
    let begun = Instant::now();
    visit(&store, &meter).await.1.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(meter.inner().requests < 20);
}
