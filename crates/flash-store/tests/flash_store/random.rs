//! Anything at random: operations with cuts against the truth, and images that no store wrote.

use flash_store::{FlashStore, RunParams};
use nor_model::{Nor, SECTOR_BYTES, Torn};
use proptest::{collection::vec, prelude::*};
use protocol::{ChannelReading, Seq, block::Block, event::What, limits::BLOCK_BYTES_MAX};

use crate::truth::{CAPACITY_BYTES, NEXT, Op, PARAMS, format, mount};

fn any_op() -> impl Strategy<Value = Op> {
    let other = RunParams {
        interval_ms: 60_000,
        power_unit_mw: 100,
        calibration: 9,
    };
    prop_oneof![
        20 => Just(NEXT),
        2 => (1..100_000u64).prop_map(|step_ms| Op::Append(PARAMS, step_ms)),
        2 => Just(Op::Append(other, 60_000)),
        2 => Just(Op::Boot),
        2 => (0..=100u64).prop_map(Op::Acknowledge),
        1 => (0..=100u64).prop_map(Op::Erase),
        2 => (0..=512usize).prop_map(Op::Config),
        3 => Just(Op::Event),
    ]
}

/// What happens between two starts.
#[derive(Clone, Debug)]
struct AnyBoot {
    ops: Vec<(Op, usize)>,
    /// The flash operation that is cut, and the kind of torn result.
    cut: Option<(u64, usize)>,
    seed: u64,
}

/// Some operations many times over, then a cut at one of the next flash operations, or none.
fn any_boot() -> impl Strategy<Value = AnyBoot> {
    let ops = vec((any_op(), 1..60usize), 1..8);
    let cut = proptest::option::of((0..120u64, 0..3usize));
    (ops, cut, any::<u64>()).prop_map(|(ops, cut, seed)| AnyBoot { ops, cut, seed })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_store_agrees_with_the_truth_whatever_happens(
        channels in 1..=3u8,
        boots in vec(any_boot(), 1..8),
    ) {
        let (store, mut truth) = format(channels);
        let mut nor = store.into_flash();
        for AnyBoot { ops, cut, seed } in boots {
            if let Some((operation, torn)) = cut {
                nor.cut_at(operation, Torn::ALL[torn], seed);
            }
            let mut store = mount(nor);
            let ops = ops.into_iter().flat_map(|(op, count)| vec![op; count]);
            for op in ops {
                if !truth.apply(&mut store, &op) {
                    break;
                }
            }
            nor = store.into_flash();
            nor.power_on();
            let mut store = mount(nor);
            truth.check(&mut store);
            nor = store.into_flash();
            prop_assert_eq!(nor.counters().violations, 0);
        }
    }
}

/// Uses everything that a store has, in bounded work; what it answers is its own matter.
fn exercise(nor: Nor) {
    let Ok(mut store) = FlashStore::mount(nor) else {
        return;
    };
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    for _ in 0..10_000 {
        let Ok(Some(length)) = store.read_block(from, &mut buffer) else {
            break;
        };
        let block = Block::parse(&buffer[..length]).expect("what it gives is a block");
        assert!(block.range().contains(&from.0), "reading gets on");
        from = Seq(block.range().end);
    }
    let _ = store.events(0, &mut |_| true);
    let _ = store.config_read(&mut buffer);
    let channels = vec![ChannelReading::default(); store.registers().len()];
    for turn in 0..60u64 {
        let _ = store.start_boot();
        let _ = store.append(&PARAMS, turn * 10_000, &channels);
        let _ = store.maintain();
        let _ = store.acknowledge(store.next());
        let _ = store.event_append(1, turn, What::SetUp);
        let written = store.config_write(&[turn as u8; 300]);
        let read = store.config_read(&mut buffer);
        assert!(written.is_err() || read == Ok(Some(300)));
    }
    let reads = store.flash().counters().reads;
    assert!(reads < 5_000_000, "{reads} reads");
}

/// A change to an image: fill, copy or exchange.
#[derive(Clone, Debug)]
enum Change {
    Fill(usize, usize, u8),
    Noise(usize, Vec<u8>),
    CopySector(usize, usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    let sectors = CAPACITY_BYTES / SECTOR_BYTES;
    let byte = prop_oneof![Just(0u8), Just(0xff), any::<u8>()];
    prop_oneof![
        (0..CAPACITY_BYTES, 1..6000usize, byte)
            .prop_map(|(at, length, byte)| Change::Fill(at, length, byte)),
        (0..CAPACITY_BYTES, vec(any::<u8>(), 1..300))
            .prop_map(|(at, bytes)| Change::Noise(at, bytes)),
        (0..sectors, 0..sectors).prop_map(|(from, to)| Change::CopySector(from, to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn noise_is_no_store_and_does_no_harm(pattern in vec(any::<u8>(), 1..5_000)) {
        let bytes = pattern.into_iter().cycle().take(CAPACITY_BYTES).collect();
        exercise(Nor::from_bytes(bytes));
    }

    #[test]
    fn a_store_that_was_tampered_with_does_no_harm(
        fill in 0..2_500usize,
        channels in 1..=3u8,
        changes in vec(any_change(), 1..12),
    ) {
        let (mut store, mut truth) = format(channels);
        for turn in 0..fill {
            let op = match turn % 40 {
                0 => Op::Event,
                1 => Op::Config(100),
                2 => Op::Boot,
                _ => NEXT,
            };
            prop_assert!(truth.apply(&mut store, &op));
        }
        let mut image = store.into_flash().bytes();
        for change in changes {
            match change {
                Change::Fill(at, length, byte) => {
                    let end = (at + length).min(image.len());
                    image[at..end].fill(byte);
                }
                Change::Noise(at, bytes) => {
                    let end = (at + bytes.len()).min(image.len());
                    image[at..end].copy_from_slice(&bytes[..end - at]);
                }
                Change::CopySector(from, to) => {
                    let from = from * SECTOR_BYTES;
                    image.copy_within(from..from + SECTOR_BYTES, to * SECTOR_BYTES);
                }
            }
        }
        exercise(Nor::from_bytes(image));
    }
}
