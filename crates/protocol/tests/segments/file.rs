//! What goes into a segment comes out of it, as readings and as blocks.

use proptest::prelude::*;
use protocol::{
    ChannelReading, Packed, Run, Seq, Tier,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
    segment::{
        Full, Models,
        file::{NoBlock, SEGMENT_BYTES_MAX, Segment, SegmentWriter},
    },
};

use super::shared::{PARAMS, Plan, Written, any_plans, any_shape, identity, registers, write};

fn run(first: u64, skipped: u64) -> Run {
    Run {
        first,
        skipped,
        boot: 1,
        uptime_ms: 10_000,
        params: PARAMS,
        registers: registers(1, 0, 0),
    }
}

fn single(energy_quanta: i32) -> Packed {
    Packed::full(&[ChannelReading {
        energy_quanta,
        ..ChannelReading::default()
    }])
}

/// All blocks of a segment in order, each checked to be the same for all its numbers.
fn blocks(segment: &Segment<'_>) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut next = segment.base().0;
    while next < segment.end().0 {
        let mut buffer = vec![0; BLOCK_BYTES_MAX];
        let length = segment.write_block(next, &mut buffer).unwrap();
        buffer.truncate(length);
        let range = Block::parse(&buffer).unwrap().range();
        assert_eq!(range.start, next);
        for within in [range.start + (range.end - range.start) / 2, range.end - 1] {
            let mut again = vec![0xff; BLOCK_BYTES_MAX];
            let length = segment.write_block(within, &mut again).unwrap();
            assert_eq!(again[..length], buffer, "{within}");
        }
        next = range.end;
        blocks.push(buffer);
    }
    assert_eq!(next, segment.end().0);
    blocks
}

/// The readings and losses of blocks follow one another without a hole in numbers or energy.
fn check_blocks(segment: &Segment<'_>, written: &Written) {
    let blocks = blocks(segment);
    let blocks: Vec<_> = blocks
        .iter()
        .map(|bytes| Block::parse(bytes).unwrap())
        .collect();
    let mut running = blocks[0].header().registers.clone();
    let mut runs = written.runs.iter();
    for block in &blocks {
        assert_eq!(block.header().registers, running, "{block:?}");
        match block.kind() {
            Kind::NeverExisted => {}
            Kind::Lost => {
                for (running, lost) in running.iter_mut().zip(&block.lost_energy().unwrap()) {
                    running.import_mj += lost.import_mj;
                    running.export_mj += lost.export_mj;
                }
            }
            Kind::Readings => {
                let (run, pushed) = runs.next().unwrap();
                assert_eq!(block.tier(), segment.tier());
                let mut number = run.first;
                assert_eq!(block.readings().count(), pushed.len());
                for (reading, pushed) in block.readings().zip(pushed) {
                    let last = number + u64::from(pushed.span) - 1;
                    assert_eq!((reading.seq, reading.span), (Seq(number), pushed.span));
                    assert_eq!(reading.uptime_ms, run.uptime_ms_at(last - run.first));
                    assert_eq!(reading.interval_ms, PARAMS.interval_ms * pushed.span);
                    assert_eq!(reading.boot, run.boot);
                    assert_eq!(
                        (&reading.channels, &reading.extremes),
                        (&pushed.channels, &pushed.extremes)
                    );
                    pushed.advance(&mut running, PARAMS.quantum_mj());
                    assert_eq!(reading.registers, running);
                    number = last + 1;
                }
                assert_eq!(block.range(), run.first..number);
            }
        }
    }
    assert_eq!((runs.next(), &running), (None, segment.end_registers()));
}

/// Kinds and numbers of a segment's blocks.
fn ranges(segment: &Segment<'_>) -> Vec<(Kind, std::ops::Range<u64>)> {
    (blocks(segment).iter())
        .map(|bytes| Block::parse(bytes).unwrap())
        .map(|block| (block.kind(), block.range()))
        .collect()
}

proptest! {
    #[test]
    fn what_went_in_comes_out(
        ((channels, tier), plans) in any_shape().prop_flat_map(|(channels, tier)| {
            (Just((channels, tier)), any_plans(channels, tier))
        }),
        size in 250..5_000_usize,
        lost_last in prop_oneof![Just(0), 1..1_000_u64],
    ) {
        let written = write(channels, tier, &plans, size, lost_last);
        prop_assert!(written.bytes.len() <= size.min(SEGMENT_BYTES_MAX));
        if written.runs.is_empty() {
            prop_assert!(written.bytes.is_empty());
            return Ok(());
        }
        let segment = Segment::parse(&written.bytes).unwrap();
        prop_assert_eq!((segment.identity(), segment.tier()), (identity(channels), tier));
        prop_assert_eq!((segment.base().0, segment.end().0), (written.base, written.end));
        prop_assert_eq!(segment.end_registers(), &written.end_registers);
        prop_assert_eq!(segment.first_registers(), &written.runs[0].0.registers);
        prop_assert_eq!(segment.runs().count(), written.runs.len());
        let mut models = Models::new();
        for (view, (run, readings)) in segment.runs().zip(&written.runs) {
            prop_assert_eq!(&view.run, run);
            prop_assert_eq!(view.count, readings.iter().map(|reading| reading.span).sum::<u32>());
            let mut reader = view.readings(&mut models);
            for reading in readings {
                let found = reader.next_reading();
                prop_assert_eq!(found.as_ref(), Ok(reading));
            }
        }
        check_blocks(&segment, &written);
    }
}

#[test]
fn numbers_without_readings_are_lost_or_never_existed() {
    let (mut buffer, mut models) = ([0; 4_096], Models::new());
    let zero = registers(1, 0, 0);
    let mut writer = SegmentWriter::new(
        &mut buffer,
        &mut models,
        identity(1),
        Tier::Full,
        Seq(90),
        &zero,
    )
    .unwrap();
    let mut second = run(113, 0);
    second.registers = registers(1, 50_000 + 7, 3);
    writer.begin_run(&run(100, 4)).unwrap();
    for energy in [2, 3] {
        writer.push(&single(energy)).unwrap();
    }
    writer.begin_run(&second).unwrap();
    writer.push(&single(1)).unwrap();
    let at_end = registers(1, 60_000 + 7, 5);
    let length = writer.finish(Seq(120), &at_end);
    let segment = Segment::parse(&buffer[..length]).unwrap();
    assert_eq!(
        ranges(&segment),
        [
            (Kind::Lost, 90..96),
            (Kind::NeverExisted, 96..100),
            (Kind::Readings, 100..102),
            (Kind::Lost, 102..113),
            (Kind::Readings, 113..114),
            (Kind::Lost, 114..120),
        ]
    );
    let energies: Vec<_> = (blocks(&segment).iter())
        .filter_map(|bytes| Block::parse(bytes).unwrap().lost_energy())
        .map(|energy| (energy[0].import_mj, energy[0].export_mj))
        .collect();
    assert_eq!(energies, [(0, 0), (7, 3), (0, 2)]);
    let mut block = [0; BLOCK_BYTES_MAX];
    for outside in [0, 89, 120, u64::MAX] {
        assert_eq!(
            segment.write_block(outside, &mut block),
            Err(NoBlock::NotCovered)
        );
    }
    for inside in [90, 96, 100, 119] {
        assert_eq!(
            segment.write_block(inside, &mut block[..70]),
            Err(NoBlock::Full)
        );
    }
}

#[test]
fn runs_that_cannot_follow_are_refused_and_empty_ones_vanish() {
    let (mut buffer, mut models) = ([0; 4_096], Models::new());
    let zero = registers(1, 0, 0);
    let mut writer = SegmentWriter::new(
        &mut buffer,
        &mut models,
        identity(1),
        Tier::Full,
        Seq(100),
        &zero,
    )
    .unwrap();
    assert_eq!(writer.push(&single(1)), Err(Full), "no run was begun");
    assert_eq!(writer.begin_run(&run(99, 0)), Err(Full), "before the base");
    assert_eq!(
        writer.begin_run(&run(100, 1)),
        Err(Full),
        "skips from before the base"
    );
    assert_eq!(
        writer.begin_run(&run(100 + (1 << 32), 0)),
        Err(Full),
        "too far"
    );
    assert_eq!(
        writer.begin_run(&run((1 << 60) + 1, 0)),
        Err(Full),
        "out of range"
    );
    let mut other = run(100, 0);
    other.registers = registers(2, 0, 0);
    assert_eq!(writer.begin_run(&other), Err(Full), "of two channels");

    writer.begin_run(&run(150, 0)).unwrap();
    writer.begin_run(&run(100, 0)).unwrap();
    writer.push(&single(1)).unwrap();
    assert_eq!(writer.begin_run(&run(100, 0)), Err(Full), "comes again");
    writer.begin_run(&run(101, 0)).unwrap();
    let length = writer.finish(Seq(0), &zero);
    let segment = Segment::parse(&buffer[..length]).unwrap();
    assert_eq!(ranges(&segment), [(Kind::Readings, 100..101)]);

    let mut writer = SegmentWriter::new(
        &mut buffer,
        &mut models,
        identity(1),
        Tier::Full,
        Seq(100),
        &zero,
    )
    .unwrap();
    writer.begin_run(&run(100, 0)).unwrap();
    assert_eq!(writer.finish(Seq(200), &zero), 0, "nothing was pushed");
}

#[test]
fn one_run_of_one_channel_takes_about_ninety_bytes_besides_its_readings() {
    let plan = Plan {
        lost: 0,
        lost_mj: 0,
        skipped: 0,
        readings: vec![single(374)],
    };
    let written = write(1, Tier::Full, &[plan], 4_096, 0);
    let segment = Segment::parse(&written.bytes).unwrap();
    let stream = segment.runs().next().unwrap().stream.len();
    let besides = written.bytes.len() - stream;
    assert!(besides <= 90, "{besides}");
}

#[test]
fn a_sector_takes_readings_up_to_its_end() {
    let readings: Vec<_> = (0..9_000).map(|n| single(n * 7_919 % 601)).collect();
    let plan = Plan {
        lost: 0,
        lost_mj: 0,
        skipped: 0,
        readings,
    };
    let written = write(1, Tier::Full, &[plan], 8_000, 0);
    assert!(
        (4_060..=4_096).contains(&written.bytes.len()),
        "{}",
        written.bytes.len()
    );
    check_blocks(&Segment::parse(&written.bytes).unwrap(), &written);
}
