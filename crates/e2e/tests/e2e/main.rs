//! The main job, small: what `./x report main` measures at length.

mod firmware;

use std::time::Duration;

use e2e::scenario::{self, Difference, cuts, kills, replay, restarts, throughput};

/// Processes that simulate meters at speed share two cores badly: one scenario at a time.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn energy_of_two_hours_comes_out_as_it_went_in() {
    let _alone = alone();
    let scratch = tempfile::tempdir().unwrap();
    let profile = scenario::profile(scratch.path(), 120).unwrap();
    let outcome = replay::run(&profile, Duration::from_secs(120)).unwrap();
    assert_eq!(outcome.minutes, 120);
    assert!(outcome.samples >= 120 * 60 * 2000, "{outcome:?}");
    assert!(outcome.energy_error_percent.abs() < 0.5, "{outcome:?}");
    assert!(outcome.minute_power_within_percent >= 99.0, "{outcome:?}");
}

#[test]
fn restarts_of_meters_lose_and_double_nothing() {
    let _alone = alone();
    let scratch = tempfile::tempdir().unwrap();
    let profile = scenario::profile(scratch.path(), 60).unwrap();
    let plan = restarts::Plan {
        profile: &profile,
        restarts: 12,
        speed: 800.0,
        seed: 11,
    };
    let outcome = restarts::run(&plan).unwrap();
    assert_eq!(outcome.difference, Difference::default(), "{outcome:?}");
    assert_eq!(outcome.forgotten, 0, "{outcome:?}");
    assert!(
        outcome.readings >= 360 && outcome.meter_restarts == 12,
        "{outcome:?}"
    );
    assert!(outcome.energy_error_percent.abs() < 0.5, "{outcome:?}");
}

#[test]
fn kills_of_collectors_lose_and_double_nothing() {
    let _alone = alone();
    let scratch = tempfile::tempdir().unwrap();
    let outcome = kills::run(7, 12, 12, scratch.path()).unwrap();
    assert_eq!(outcome.collector_kills, 12);
    assert_eq!(outcome.difference, Difference::default(), "{outcome:?}");
}

#[test]
fn cut_connections_lose_and_double_nothing() {
    let _alone = alone();
    let scratch = tempfile::tempdir().unwrap();
    let profile = scenario::profile(scratch.path(), 10).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime
        .block_on(cuts::run(&profile, 97, &scratch.path().join("cuts")))
        .unwrap();
    assert!(outcome.connection_cuts > 10, "{outcome:?}");
    assert!(outcome.cuts_before_the_end_of_the_block > 3, "{outcome:?}");
    assert!(outcome.cuts_behind_the_block > 3, "{outcome:?}");
    assert_eq!(outcome.difference, Difference::default(), "{outcome:?}");
}

#[test]
fn a_collection_tells_what_it_cost() {
    let _alone = alone();
    let scratch = tempfile::tempdir().unwrap();
    let outcome = throughput::run(7, scratch.path()).unwrap();
    assert_eq!(outcome.readings / 60, 7 * 8640 / 60);
    assert!(outcome.bytes_per_reading_store < 30.0, "{outcome:?}");
}
