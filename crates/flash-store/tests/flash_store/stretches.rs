//! The newest readings, backwards.

use flash_store::FlashStore;
use nor_model::Nor;
use protocol::{ChannelReading, Seq, Tier, block::Block, limits::BLOCK_BYTES_MAX};

use crate::{
    behaviour::apply,
    life::Life,
    truth::{NEXT, Op, format, mount},
};

/// Boot, uptime at the end, span, channels.
type Met = (u32, u64, u32, Vec<ChannelReading>);

fn backwards(store: &mut FlashStore<Nor>) -> Vec<Met> {
    let (mut all, mut end) = (Vec::new(), store.next());
    loop {
        let mut stretch: Vec<Met> = Vec::new();
        let mut last_ms = 0;
        let begin = store.visit_before(end, &mut |of, reading| {
            last_ms = of.end_ms;
            stretch.push((
                of.boot,
                reading.end_ms,
                reading.span,
                reading.channels.to_vec(),
            ));
        });
        let Some(begin) = begin.unwrap() else {
            break;
        };
        assert!(begin < end, "each call gets on");
        if let Some((_, end_ms, ..)) = stretch.last() {
            assert_eq!(*end_ms, last_ms);
        }
        all.splice(0..0, stretch);
        end = begin;
    }
    all
}

fn forwards(store: &mut FlashStore<Nor>) -> Vec<Met> {
    let mut buffer = vec![0; BLOCK_BYTES_MAX];
    let (mut all, mut from) = (Vec::new(), store.oldest());
    while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
        let block = Block::parse(&buffer[..length]).unwrap();
        all.extend(block.readings().map(|reading| {
            let channels = reading.channels.to_vec();
            (reading.boot, reading.uptime_ms, reading.span, channels)
        }));
        from = Seq(block.range().end);
    }
    all
}

#[test]
fn backwards_comes_what_blocks_hold_in_journal_and_segments() {
    for channels in 1..=3 {
        let (mut store, mut truth) = format(channels);
        assert_eq!(store.visit_before(Seq(9), &mut |_, _| panic!()), Ok(None));
        for count in [1, 30, 800, 2, 900, 700, 5] {
            apply(&mut truth, &mut store, Op::Boot, 1);
            apply(&mut truth, &mut store, NEXT, count);
            assert_eq!(
                backwards(&mut store),
                forwards(&mut store),
                "{channels} {count}"
            );
        }
        assert!(store.segments(Tier::Full) > 0);
        let mut store = mount(store.into_flash());
        assert_eq!(backwards(&mut store), forwards(&mut store));
    }
}

#[test]
fn coarse_readings_come_with_their_span() {
    let mut life = Life::begin(80, 1);
    life.go_on(60_000);
    assert!(life.store.segments(Tier::Minute) + life.store.segments(Tier::Quarter) > 0);
    let met = backwards(&mut life.store);
    assert!(met.iter().any(|(_, _, span, _)| *span > 1));
    assert_eq!(met, forwards(&mut life.store));
}
