//! The last 24 hours in bars.

use protocol::messages::Day;

use crate::{code, harness::TestMeter};

const MINUTE_MS: u64 = 60_000;

/// Mean of the harness's readings with these numbers in W.
fn mean_w(numbers: std::ops::Range<i32>) -> Option<i32> {
    let count = numbers.len() as i32;
    let sum: i32 = numbers.map(|number| 374 + number % 50).sum();
    Some((2 * sum + count) / (2 * count))
}

#[tokio::test]
async fn the_last_day_is_there_in_bars_also_after_a_restart() {
    // 33 h and 20 min at 10 s: most of it lies in segments, the rest in the journal.
    let meter = TestMeter::set_up(12_000).await;
    meter.advance(120_000_000);
    let day: Day = meter
        .signed("GET", "/api/v1/day?channel=1", b"")
        .await
        .json();
    assert_eq!((day.channel, day.step_ms, day.boot), (1, 300_000, 1));
    assert_eq!((day.uptime_ms, day.power_w.len()), (120_000_000, 288));
    for (bar, power_w) in day.power_w.iter().enumerate() {
        let first = (120_000 - 86_400 + bar as i32 * 300) / 10;
        assert_eq!(*power_w, mean_w(first..first + 30), "{bar}");
    }
    // What nobody measured is not made up, and what is known does not change.
    meter.advance(10 * MINUTE_MS);
    let later: Day = meter
        .signed("GET", "/api/v1/day?channel=1", b"")
        .await
        .json();
    assert_eq!(later.uptime_ms, 120_600_000);
    assert_eq!(later.power_w[..286], day.power_w[2..]);
    assert_eq!(later.power_w[286..], [None, None]);

    let meter = meter.restarted().await;
    let after: Day = meter.signed("GET", "/api/v1/day", b"").await.json();
    assert_eq!((after.boot, after.uptime_ms), (2, 0));
    assert_eq!(after.power_w, day.power_w);
}

#[tokio::test]
async fn a_young_meter_has_an_empty_day_and_no_channel_that_it_has_not() {
    let meter = TestMeter::set_up(5).await;
    let day: Day = meter
        .signed("GET", "/api/v1/day?channel=1", b"")
        .await
        .json();
    assert_eq!(day.power_w.len(), 288);
    assert!(day.power_w.iter().all(Option::is_none));
    for (query, reason) in [
        ("channel=0", "bad_query"),
        ("channel=2", "bad_query"),
        ("channel=18446744073709551615", "bad_query"),
        ("channel=x", "bad_query"),
    ] {
        let answer = meter
            .signed("GET", &format!("/api/v1/day?{query}"), b"")
            .await;
        assert_eq!(code(&answer), (400, reason.into()), "{query}");
    }
}
