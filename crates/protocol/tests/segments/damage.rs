//! Any bytes are a segment or an error, and what passes decodes in bounded time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use protocol::{
    ChannelReading, Packed, Tier,
    block::{self, Block, BlockError, CRC, Kind},
    limits::BLOCK_BYTES_MAX,
    segment::{
        Full, Models, READINGS_MAX, RunWriter,
        file::{Segment, SegmentError},
    },
};

use super::shared::{PARAMS, Plan, any_plans, any_shape, identity, write};

fn small() -> Vec<u8> {
    let readings = |energies: [i32; 4]| {
        let reading = |energy_quanta| ChannelReading {
            energy_quanta,
            ..ChannelReading::default()
        };
        energies
            .map(|energy| Packed::full(&[reading(energy)]))
            .to_vec()
    };
    let plan = |lost, energies| Plan {
        lost,
        lost_mj: 1_000,
        skipped: 2,
        readings: readings(energies),
    };
    let plans = [
        plan(0, [1, 2, 300, -4]),
        plan(9, [5_000, 5_001, 5_003, 5_002]),
    ];
    write(1, Tier::Full, &plans, 4_096, 5).bytes
}

#[test]
fn each_cut_and_each_changed_bit_is_an_error() {
    let bytes = small();
    assert!(Segment::parse(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert_eq!(
            Segment::parse(&bytes[..length]),
            Err(SegmentError::Truncated),
            "{length}"
        );
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Segment::parse(&changed).is_err(), "bit {bit}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Segment::parse(&longer), Err(SegmentError::TooLong));
    assert_eq!(Segment::parse(&[0; 4_097]), Err(SegmentError::TooLong));
}

fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - 4;
    bytes[8..10].copy_from_slice(&((end + 4) as u16).to_le_bytes());
    let crc = CRC.checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn fields_are_held_to_their_ranges_behind_a_good_checksum() {
    let bytes = small();
    let with = |at: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[at] = value;
        seal(&mut changed);
        Segment::parse(&changed).map(drop)
    };
    assert_eq!(with(4, 0), Err(SegmentError::Unsupported), "format");
    assert_eq!(with(5, 3), Err(SegmentError::Unsupported), "tier");
    for (at, value) in [(6, 0), (6, 2), (6, 4), (7, 1), (30, 1), (31, 1), (39, 0xff)] {
        assert_eq!(with(at, value), Err(SegmentError::OutOfRange), "{at}");
    }
    // Runs and count.
    for (at, value) in [(10, 0), (10, 1), (10, 3), (12, 0), (12, 1), (12, 20)] {
        assert_eq!(with(at, value), Err(SegmentError::OutOfRange), "{at}");
    }
    // Count and stream of the first run, its first number, interval and unit.
    for (at, value) in [
        (56, 0),
        (56, 200),
        (60, 1),
        (60, 255),
        (62, 0x80),
        (70, 1),
        (71, 0xe9),
    ] {
        assert_eq!(with(at, value), Err(SegmentError::OutOfRange), "{at}");
    }
}

/// Looks at everything that a segment gives.
fn look(bytes: &[u8]) {
    let Ok(segment) = Segment::parse(bytes) else {
        return;
    };
    let mut models = Models::new();
    let mut buffer = vec![0; BLOCK_BYTES_MAX];
    for view in segment.runs() {
        let mut reader = view.readings(&mut models);
        let mut numbers = 0;
        while numbers < view.count {
            let Ok(reading) = reader.next_reading() else {
                break;
            };
            numbers += reading.span;
        }
        for number in [
            view.run.base().saturating_sub(1),
            view.run.base(),
            view.run.first,
            view.end(),
        ] {
            if let Ok(length) = segment.write_block(number, &mut buffer)
                && let Ok(block) = Block::parse(&buffer[..length])
            {
                assert!(block.range().contains(&number));
                let spans: u64 = (block.readings().map(|reading| u64::from(reading.span))).sum();
                let range = block.range();
                let is_read = block.kind() == Kind::Readings;
                assert_eq!(spans, if is_read { range.end - range.start } else { 0 });
            }
        }
    }
}

proptest! {
    #[test]
    fn damaged_segments_with_a_good_checksum_never_panic(
        ((channels, tier), plans) in any_shape().prop_flat_map(|(channels, tier)| {
            (Just((channels, tier)), any_plans(channels, tier))
        }),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = write(channels, tier, &plans, 4_096, 3).bytes;
        if bytes.is_empty() {
            return Ok(());
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes[..5].copy_from_slice(b"OFSG\x01");
        seal(&mut bytes);
        look(&bytes);
    }
}

#[test]
fn a_block_that_promises_more_than_it_holds_is_refused_soon() {
    let view = small();
    let segment = Segment::parse(&view).unwrap();
    let of = segment.runs().next().unwrap();
    let header = of.run.block_header(identity(1).device, identity(1).store);
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let begun = Instant::now();
    for tier in Tier::ALL {
        for count in [READINGS_MAX * 900 + 1, u32::MAX] {
            let length = block::write_packed(&mut buffer, &header, tier, count, &[]).unwrap();
            assert_eq!(Block::parse(&buffer[..length]), Err(BlockError::OutOfRange));
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn readings_that_take_nothing_are_bounded_too() {
    let mut buffer = [0; 4_096];
    let mut models = Models::new();
    let mut writer = RunWriter::new(&mut buffer, &mut models, Tier::Full, 1, &PARAMS).unwrap();
    let nothing = Packed::full(&[ChannelReading::default()]);
    let pushed = (0..).take_while(|_| writer.push(&nothing).is_ok()).count();
    assert_eq!(writer.push(&nothing), Err(Full));
    assert_eq!(pushed, READINGS_MAX as usize);
    assert_eq!(
        (writer.readings(), writer.numbers()),
        (READINGS_MAX, READINGS_MAX)
    );
    assert_eq!(writer.finish(), 0, "zeros at the end are left out");
}

#[test]
fn spans_of_a_block_add_up_to_its_count() {
    let bytes = small();
    let segment = Segment::parse(&bytes).unwrap();
    let view = segment.runs().next().unwrap();
    let header = view.run.block_header(identity(1).device, identity(1).store);
    let extremes = [Default::default()].into_iter().collect();
    let reading = Packed {
        span: 6,
        extremes,
        ..Packed::full(&[ChannelReading::default()])
    };
    let (mut stream, mut models) = ([0; 64], Models::new());
    let mut writer = RunWriter::new(&mut stream, &mut models, Tier::Minute, 1, &PARAMS).unwrap();
    writer.push(&reading).unwrap();
    writer.push(&reading).unwrap();
    let length = writer.finish();
    let mut buffer = [0; 256];
    for count in 1..30 {
        let packed =
            block::write_packed(&mut buffer, &header, Tier::Minute, count, &stream[..length]);
        let parsed = Block::parse(&buffer[..packed.unwrap()]).map(|block| block.range().count());
        match count {
            6 | 12 => assert_eq!(parsed, Ok(count as usize)),
            1..12 => assert_eq!(parsed, Err(BlockError::OutOfRange), "{count}"),
            // What follows the stream are zeros, and these may be readings.
            _ => {}
        }
    }
}
