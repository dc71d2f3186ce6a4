//! The time line holds what it states, on random histories; `./x report time` runs more of them.

use std::time::Duration;

use anyhow::Context as _;
use collector::{WallClock, client::Client};
use e2e::{simulated, time::run};
use protocol::messages::Setup;

#[test]
fn random_histories_are_resolved_as_well_as_logic_allows() {
    let outcome = run(1_000_000, 150, 150);
    assert_eq!(outcome.histories, 150);
    assert!(outcome.moments > 10_000, "{}", outcome.moments);
    assert_eq!(outcome.outside, 0);
    assert_eq!(outcome.too_wide, 0);
    assert_eq!(outcome.falsely_flagged, 0);
    assert!(outcome.stated_over_half_window_max <= 2.0);
    assert!(outcome.errors_ms.len() > 500, "{}", outcome.errors_ms.len());
    assert!(
        outcome.error_ms(0.5) <= 100.0,
        "{} ms",
        outcome.error_ms(0.5)
    );
}

#[test]
fn lies_that_contradict_anything_are_flagged_and_move_nothing() {
    let outcome = run(2_000_000, 0, 300);
    assert!(
        outcome.conflict_histories > 100,
        "{}",
        outcome.conflict_histories
    );
    assert_eq!(outcome.conflicts_missed, 0);
    assert!(
        outcome.honest_majorities > 80,
        "{}",
        outcome.honest_majorities
    );
    assert_eq!(outcome.outside_with_lies, 0);
}

/// The meter's uptime and this computer's clock run alike here, so a look at both tells what an anchor should have said.
#[tokio::test(flavor = "multi_thread")]
async fn time_is_told_within_50_ms_and_as_well_as_is_stated() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = WallClock {
        uncertainty_ms: 0,
        ..WallClock::default()
    };
    let minute = Duration::from_secs(60);
    let looks = simulated::with_meter(scratch.path(), minute, async |entry| {
        let client = Client::new(&entry.url)?;
        let token = "A1B2C3D4E5F6G7H8I9J0";
        let setup = Setup {
            token: token.try_into().ok().context("a token")?,
            name: "Cellar".try_into().ok().context("a name")?,
            ..Setup::default()
        };
        client.set_up(&setup).await?;
        let session = client.session(entry.id, token);
        let mut looks = Vec::new();
        for _ in 0..10 {
            let (told, anchored) = session.set_clock(&clock).await?;
            let before_ms = clock.now_ms();
            let uptime_ms = session.info().await?.uptime_ms;
            let after_ms = clock.now_ms();
            // The true UTC of the anchor's uptime lies between these.
            let since_ms = (uptime_ms - anchored.uptime_ms) as i64;
            looks.push((told, before_ms - since_ms - 1, after_ms - since_ms + 1));
        }
        Ok(looks)
    })
    .await
    .unwrap();
    for (told, earliest_ms, latest_ms) in looks {
        let least_error_ms = (earliest_ms - told.utc_ms)
            .max(told.utc_ms - latest_ms)
            .max(0);
        assert!(least_error_ms <= i64::from(told.uncertainty_ms), "{told:?}");
        let most_error_ms = (latest_ms - told.utc_ms).max(told.utc_ms - earliest_ms);
        assert!(most_error_ms <= 50, "{most_error_ms} ms, {told:?}");
        assert!(told.uncertainty_ms <= 50, "{told:?}");
    }
}
