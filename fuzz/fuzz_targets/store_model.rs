//! Anything is done to a store in any order, with power cuts and bits that flip: it agrees with what it was told.
//!
//! Flips come last, since a truth does not know what they may cost: behind them nothing wrong may be served, and the store
//! goes on.
#![no_main]

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use flash_store::{FlashStore, RunParams};
use libfuzzer_sys::fuzz_target;
use nor_model::{Nor, Torn};
use protocol::{
    Seq,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
};
use store_trials::{
    operation::{CAPACITY_BYTES, NEXT, Op, PARAMS, Values, format_store, mount},
    truth::Truth,
};

/// What happens between two starts.
#[derive(Arbitrary, Debug)]
struct Session {
    steps: Vec<Step>,
    /// The flash operation that is cut, and what is left of it.
    cut: Option<(u8, u8, u64)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Append(u8),
    AppendAfterGap(u16),
    AppendMinutes(u8),
    AppendFine(u8),
    Boot,
    Acknowledge(u8),
    Erase(u8),
    Config(u16),
    Event(u8),
    Started,
    Calibrated,
}

#[derive(Arbitrary, Debug)]
struct Input {
    /// Begins with a store that is full, or with an empty one of so many channels.
    is_full: bool,
    channels: u8,
    sessions: Vec<Session>,
    flips: Vec<(u32, u8)>,
}

impl Step {
    fn operation(&self) -> (Op, usize) {
        let minutes = RunParams {
            interval_ms: 60_000,
            ..PARAMS
        };
        let fine = RunParams {
            power_unit_mw: 100,
            calibration: 9,
            ..PARAMS
        };
        match *self {
            Self::Append(count) => (NEXT, count.into()),
            Self::AppendAfterGap(step_ms) => (Op::Append(PARAMS, u64::from(step_ms) + 1), 1),
            Self::AppendMinutes(count) => (Op::Append(minutes, 60_000), count.into()),
            Self::AppendFine(count) => (Op::Append(fine, 10_000), count.into()),
            Self::Boot => (Op::Boot, 1),
            Self::Acknowledge(percent) => (Op::Acknowledge(u64::from(percent) % 101), 1),
            Self::Erase(percent) => (Op::Erase(u64::from(percent) % 101), 1),
            Self::Config(length) => (Op::Config(usize::from(length) % 513), 1),
            Self::Event(count) => (Op::Event, count.into()),
            Self::Started => (Op::Started, 1),
            Self::Calibrated => (Op::Calibrated, 1),
        }
    }
}

/// A store of three channels in which all tiers are, with what it was told.
fn full() -> (Nor, Truth) {
    static FULL: OnceLock<(Vec<u8>, Truth)> = OnceLock::new();
    let (bytes, truth) = FULL.get_or_init(|| {
        let mut store = format_store(Nor::new(CAPACITY_BYTES), 3);
        let mut truth = Truth::new(3, Values::Wild);
        for turn in 0..1_500 {
            let op = match turn % 100 {
                0 => Op::Boot,
                1 => Op::Started,
                2..10 => Op::Event,
                _ => NEXT,
            };
            assert!(truth.apply(&mut store, &op));
        }
        truth.check(&mut store);
        truth.settle();
        (store.into_flash().bytes(), truth)
    });
    (Nor::from_bytes(bytes.clone()), truth.clone())
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let (mut nor, mut truth) = match input.is_full {
        true => full(),
        false => {
            let channels = input.channels % 3 + 1;
            let store = format_store(Nor::new(CAPACITY_BYTES), channels);
            (store.into_flash(), Truth::new(channels, Values::Wild))
        }
    };
    let mut steps_left = 600;
    for session in input.sessions.iter().take(6) {
        nor = live(nor, &mut truth, session, &mut steps_left);
    }
    if input.flips.is_empty() {
        return;
    }
    for &(at, mask) in &input.flips {
        nor.flip(at as usize % CAPACITY_BYTES, mask)
            .expect("it is in memory");
    }
    if let Ok(store) = FlashStore::mount(nor) {
        look(store, &truth);
    }
});

/// Does what happens between two starts, and checks everything behind it.
fn live(mut nor: Nor, truth: &mut Truth, session: &Session, steps_left: &mut usize) -> Nor {
    if let Some((operation, torn, seed)) = session.cut {
        nor.cut_at(
            operation.into(),
            Torn::ALL[usize::from(torn) % Torn::ALL.len()],
            seed,
        );
    }
    let mut store = mount(nor);
    let operations = (session.steps.iter()).flat_map(|step| {
        let (op, count) = step.operation();
        std::iter::repeat_n(op, count)
    });
    for op in operations {
        if *steps_left == 0 || !truth.apply(&mut store, &op) {
            break;
        }
        *steps_left -= 1;
    }
    nor = store.into_flash();
    nor.power_on();
    let mut store = mount(nor);
    truth.check(&mut store);
    store.into_flash()
}

/// Checks that a damaged store serves nothing wrong and goes on.
fn look(mut store: FlashStore<Nor>, truth: &Truth) {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    while let Ok(Some(length)) = store.read_block(from, &mut buffer) {
        let block = Block::parse(&buffer[..length]).expect("a block is a block");
        assert!(block.range().contains(&from.0));
        if block.kind() == Kind::Readings {
            for reading in block.readings() {
                let end = reading.seq.0 + u64::from(reading.span);
                let last = truth.readings.get(end - 1).expect("nothing is made up");
                assert_eq!(last.registers, reading.registers);
                if reading.extremes.is_empty() {
                    assert_eq!(last, &reading);
                }
            }
        }
        from = Seq(block.range().end);
    }
    let channels = truth.channels.into();
    let reading = vec![protocol::ChannelReading::default(); channels];
    for turn in 0..30 {
        let _ = store.append(&PARAMS, (turn + 1) * 10_000, &reading);
        let _ = store.maintain();
    }
    let before = (store.next(), store.registers());
    let store = mount(store.into_flash());
    assert_eq!(before, (store.next(), store.registers()));
}
