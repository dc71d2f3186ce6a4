//! Power is cut at every flash operation of every scenario, and again during the recovery.

use flash_store::RunParams;
use store_trials::{Scale, run};

use crate::truth::{NEXT, Op, PARAMS, format, mount};

#[test]
fn store_survives_every_cut() {
    let outcome = run(Scale::TEST, 2);
    for (name, points) in &outcome.scenarios {
        println!("{points:>7} {name}");
    }
    println!("{:>7} cuts", outcome.points);
    for failure in &outcome.failures {
        println!("{failure:?}");
    }
    assert!(outcome.failures.is_empty());
    assert!(outcome.scenarios.iter().all(|&(_, points)| points >= 3));
}

#[test]
fn store_knows_what_it_was_told_through_all_tiers() {
    let (mut store, mut truth) = format(3);
    assert!(truth.apply(&mut store, &Op::Boot));
    let mut turn = 0;
    while truth.given_up.gone_below == 0 {
        let op = match turn % 50 {
            7 => Op::Event,
            _ => NEXT,
        };
        assert!(truth.apply(&mut store, &op), "turn {turn}");
        if turn % 1000 == 999 {
            truth.check(&mut store);
            store = mount(store.into_flash());
            truth.check(&mut store);
        }
        turn += 1;
        assert!(turn < 30_000, "something has to go at last");
    }
    truth.check(&mut store);
    let given_up = &truth.given_up;
    assert!(given_up.coarsest_below > given_up.gone_below);
}

#[test]
fn readings_of_a_minute_become_quarters_before_any_goes() {
    let slow = RunParams {
        interval_ms: 60_000,
        ..PARAMS
    };
    let (mut store, mut truth) = format(3);
    assert!(truth.apply(&mut store, &Op::Boot));
    for _ in 0..1500 {
        assert!(truth.apply(&mut store, &Op::Append(slow, 60_000)));
        let given_up = &truth.given_up;
        assert!(given_up.gone_below == 0 || given_up.coarsest_below > given_up.gone_below);
    }
    assert!(truth.given_up.coarsest_below > 0, "room had to be made");
    truth.check(&mut store);
}
