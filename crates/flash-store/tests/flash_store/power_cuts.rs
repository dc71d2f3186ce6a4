//! Power is cut at every flash operation of every scenario, and again during the recovery.

use flash_store::{FlashStore, Format, MountError, RunParams};
use nor_model::{Nor, Torn};
use protocol::StoreId;

use crate::truth::{CAPACITY_BYTES, DEVICE, Op, PARAMS, Truth, format, mix, mount};

const OTHER: RunParams = RunParams {
    interval_ms: 60_000,
    power_unit_mw: 100,
    calibration: 4,
};
const NEXT: Op = Op::Append(PARAMS, 10_000);

/// What happens after a cut: every kind of write once, some readings to see them continue.
fn recovery() -> Vec<Op> {
    vec![
        Op::Boot,
        Op::Event,
        NEXT,
        NEXT,
        Op::Acknowledge(50),
        Op::Config(77),
    ]
}

struct Cuts {
    points: u64,
}

impl Cuts {
    /// Does `ops` on the store that lies in `image`, with a cut at each flash operation, each kind of torn result; after
    /// each cut checks everything and does the recovery, cut at each operation in turn down to `depth` more levels.
    fn explore(&mut self, image: &[u8], truth: &Truth, ops: &[Op], depth: u32) {
        let (operations, gone) = reference(image, truth, ops);
        for operation in 0..operations {
            for torn in Torn::ALL {
                self.points += 1;
                let seed = mix(operation << 8 | u64::from(depth));
                let mut nor = Nor::from_bytes(image.to_vec());
                nor.cut_at(operation, torn, seed);
                let mut store = mount(nor);
                let mut truth = truth.clone();
                let cut = ops.iter().position(|op| !truth.apply(&mut store, op));
                let mut nor = store.into_flash();
                assert!(!nor.is_powered());
                // The cut may fall on the closing mark, whose loss stops nothing: then all was done.
                let reached = cut.unwrap_or(ops.len() - 1);
                truth.may_be_gone_below = truth.may_be_gone_below.max(gone[reached]);
                check_model(&nor);
                nor.power_on();
                let image = nor.bytes().to_vec();
                truth.check(&mut mount(nor));
                if depth > 0 {
                    self.explore(&image, &truth, &recovery(), depth - 1);
                }
                let mut store = mount(Nor::from_bytes(image));
                for op in recovery() {
                    assert!(truth.apply(&mut store, &op));
                }
                truth.check(&mut store);
                let nor = store.into_flash();
                check_model(&nor);
                truth.check(&mut mount(nor));
            }
        }
    }
}

/// Does the operations without a cut; returns the flash operations and `oldest` after each operation.
fn reference(image: &[u8], truth: &Truth, ops: &[Op]) -> (u64, Vec<u64>) {
    let mut truth = truth.clone();
    let mut store = mount(Nor::from_bytes(image.to_vec()));
    let mut oldest = Vec::new();
    for op in ops {
        assert!(truth.apply(&mut store, op));
        oldest.push(store.oldest().0);
    }
    truth.check(&mut store);
    (store.into_flash().counters().operations, oldest)
}

fn check_model(nor: &Nor) {
    assert_eq!(nor.counters().violations, 0, "no bit would have to be set");
    assert_eq!(
        nor.counters().reprogrammed_bytes,
        0,
        "bytes are programmed once"
    );
}

/// Makes a store, does `before`, then explores the cuts of `ops`.
fn survives(name: &str, channels: u8, before: &[Op], ops: &[Op], depth: u32) {
    let (mut store, mut truth) = format(channels);
    for op in before {
        assert!(truth.apply(&mut store, op));
    }
    let image = store.into_flash().bytes().to_vec();
    let mut cuts = Cuts { points: 0 };
    cuts.explore(&image, &truth, ops, depth);
    println!("{name}: {} cut points", cuts.points);
    assert!(cuts.points >= 3 * ops.len() as u64);
}

fn times(count: usize, op: &Op) -> Vec<Op> {
    vec![*op; count]
}

#[test]
fn a_fresh_store_survives_cuts_of_every_kind_of_write() {
    let ops = [
        Op::Boot,
        Op::Event,
        Op::Config(300),
        NEXT,
        NEXT,
        Op::Acknowledge(100),
        Op::Event,
        Op::Config(0),
        NEXT,
    ];
    survives("fresh", 1, &[], &ops, 1);
}

#[test]
fn readings_survive_cuts_while_runs_change() {
    let before = [vec![Op::Boot], times(30, &NEXT)].concat();
    let ops = [
        NEXT,
        Op::Append(OTHER, 60_000),
        Op::Append(OTHER, 60_000),
        Op::Append(OTHER, 90_000),
        Op::Boot,
        Op::Append(PARAMS, 10_000),
        NEXT,
    ];
    survives("runs", 2, &before, &ops, 1);
}

#[test]
fn readings_survive_cuts_at_the_turn_of_a_run() {
    let before = [vec![Op::Boot], times(30, &NEXT)].concat();
    survives("long run", 1, &before, &times(4, &NEXT), 1);
}

/// Counts the readings of three channels that fill so many sectors, less a few.
fn readings_before_the_end_of(sectors: u32) -> usize {
    let (mut store, mut truth) = format(3);
    assert!(truth.apply(&mut store, &Op::Boot));
    let used_before = store.used_bytes();
    let mut count = 0;
    while store.used_bytes() - used_before < sectors * 4096 - 200 {
        assert!(truth.apply(&mut store, &NEXT));
        count += 1;
    }
    count
}

#[test]
fn readings_survive_cuts_at_the_turn_of_a_sector() {
    let count = readings_before_the_end_of(2);
    let before = [vec![Op::Boot], times(count, &NEXT)].concat();
    survives("sector", 3, &before, &times(6, &NEXT), 1);
}

#[test]
fn readings_survive_cuts_when_the_ring_is_full() {
    let count = readings_before_the_end_of(6);
    let before = [vec![Op::Boot], times(count, &NEXT)].concat();
    let ops = [times(6, &NEXT), vec![Op::Acknowledge(100)], times(2, &NEXT)].concat();
    survives("full ring", 3, &before, &ops, 1);
}

#[test]
fn readings_survive_cuts_over_a_whole_round_of_the_ring() {
    let count = readings_before_the_end_of(6);
    let before = [vec![Op::Boot], times(count, &NEXT)].concat();
    survives("round", 3, &before, &times(120, &NEXT), 0);
}

#[test]
fn settings_survive_cuts_at_the_turn_of_their_sectors() {
    let before = [vec![Op::Boot, NEXT, NEXT], times(6, &Op::Config(512))].concat();
    let turn = [
        Op::Config(500),
        Op::Acknowledge(50),
        Op::Boot,
        Op::Config(512),
    ];
    let ops = [&turn[..], &turn, &turn].concat();
    survives("settings", 1, &before, &ops, 1);
}

#[test]
fn settings_survive_cuts_over_a_whole_round_of_their_ring() {
    let before = [vec![Op::Boot], times(30, &Op::Config(512))].concat();
    let turn = [Op::Config(512), Op::Boot];
    survives("settings round", 1, &before, &turn.repeat(20), 0);
}

#[test]
fn events_survive_cuts_when_their_ring_is_full() {
    let (mut store, mut truth) = format(1);
    let mut count = 0;
    let used_before = store.used_bytes();
    while store.used_bytes() - used_before < 2 * 4096 - 100 {
        assert!(truth.apply(&mut store, &Op::Event));
        count += 1;
    }
    survives(
        "events",
        1,
        &times(count, &Op::Event),
        &times(8, &Op::Event),
        1,
    );
}

#[test]
fn formatting_that_is_cut_leaves_the_old_store_or_none() {
    let (mut store, mut truth) = format(1);
    for op in [vec![Op::Boot, Op::Config(9), Op::Event], times(900, &NEXT)].concat() {
        assert!(truth.apply(&mut store, &op));
    }
    let next = store.next();
    let image = store.into_flash().bytes().to_vec();
    let fresh = Format {
        device: DEVICE,
        store: StoreId(99),
        channels: 1,
    };
    let operations = {
        let nor = Nor::from_bytes(image.clone());
        FlashStore::format(nor, &fresh)
            .unwrap()
            .into_flash()
            .counters()
            .operations
    };
    assert_eq!(operations, (CAPACITY_BYTES / 4096) as u64 + 1);
    let (mut old, mut none) = (0, 0);
    for operation in 0..operations {
        for torn in Torn::ALL {
            let mut nor = Nor::from_bytes(image.clone());
            nor.cut_at(operation, torn, mix(operation));
            // The cut takes the flash along; the image of what it held is what counts.
            let cut = format_cut(nor, &fresh);
            match FlashStore::mount(Nor::from_bytes(cut)) {
                Ok(store) if store.store_id() == fresh.store => assert_eq!(store.next().0, 0),
                Ok(store) => {
                    old += 1;
                    assert!(store.next() >= next, "the old history cannot go back");
                }
                Err((error, _)) => {
                    none += 1;
                    assert!(
                        matches!(error, MountError::Damaged | MountError::Unformatted)
                            // The noise of a torn erase and nothing else could be anybody's.
                            || (error, torn) == (MountError::Foreign, Torn::Random),
                        "{error:?}"
                    );
                }
            }
        }
    }
    println!("format: old {old}, none {none}");
    assert!(old > 0 && none > 0);
}

fn format_cut(mut nor: Nor, fresh: &Format) -> Vec<u8> {
    assert!(FlashStore::format(&mut nor, fresh).is_err());
    nor.bytes().to_vec()
}
