//! What a store does while nothing goes wrong.

use flash_store::{AppendError, FlashStore, ReadError, RunParams};
use littlefs::{Littlefs, Region};
use nor_model::{Fault, Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, Registers, Seq, Tier,
    block::{Block, Kind},
    event::{Event, What},
    limits::BLOCK_BYTES_MAX,
};

use crate::truth::{
    NEXT, Op, PARAMS, Served, Shared, Truth, Values, events, format, format_on, mount, serve,
};

pub fn apply(truth: &mut Truth, store: &mut FlashStore<Nor>, op: Op, count: usize) {
    for _ in 0..count {
        assert!(truth.apply(store, &op));
    }
}

fn read_block(store: &mut FlashStore<Nor>, from: u64) -> Option<Vec<u8>> {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let length = store.read_block(Seq(from), &mut buffer).unwrap()?;
    Some(buffer[..length].to_vec())
}

/// Lists the segments: first number, count, tier and bytes.
fn segments(store: &FlashStore<Nor>) -> Vec<(u64, u64, u64, u32)> {
    let layout = store.layout();
    let region = Region {
        first_sector: layout.first_file_sector(),
        sectors: layout.file_sectors,
    };
    let mut nor = store.flash().snapshot();
    let mut files = Littlefs::mount(&mut nor, region).unwrap();
    let mut segments = Vec::new();
    for (tier, directory) in ["/full", "/minutes", "/quarters"].into_iter().enumerate() {
        let mut take = |name: &str, bytes| {
            let (base, count) = name.split_once('-').unwrap();
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            segments.push((number(base), number(count), tier as u64, bytes));
            true
        };
        files.list(&mut nor, directory, &mut take).unwrap();
    }
    segments.sort();
    segments
}

#[test]
fn everything_is_there_after_a_restart() {
    for channels in 1..=3 {
        let (mut store, mut truth) = format(channels);
        for op in [Op::Boot, Op::Event, Op::Config(200), NEXT, NEXT] {
            apply(&mut truth, &mut store, op, 1);
        }
        apply(&mut truth, &mut store, NEXT, 270);
        apply(&mut truth, &mut store, Op::Acknowledge(50), 1);
        truth.check(&mut store);
        let mut store = mount(store.into_flash());
        truth.check(&mut store);
        apply(&mut truth, &mut store, Op::Boot, 1);
        apply(&mut truth, &mut store, NEXT, 3);
        truth.check(&mut store);
    }
}

#[test]
fn mounting_twice_changes_nothing() {
    let (mut store, mut truth) = format(2);
    apply(&mut truth, &mut store, NEXT, 900);
    let mut nor = store.into_flash();
    let bytes = nor.bytes();
    for _ in 0..2 {
        nor.reset_counters();
        let mut store = mount(nor);
        truth.check(&mut store);
        assert_eq!(store.flash().counters().operations, 0);
        nor = store.into_flash();
    }
    assert_eq!(nor.bytes(), bytes);
}

#[test]
fn every_number_is_found_in_segments_and_journal_and_reading_on_leaves_nothing_out() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 2000);
    assert!(segments(&store).len() >= 3);
    let end = segments(&store).iter().map(|each| each.0 + each.1).max();
    let mut from = store.oldest().0;
    let (mut blocks, mut joins) = (0, 0);
    while let Some(bytes) = read_block(&mut store, from) {
        let block = Block::parse(&bytes).unwrap();
        let range = block.range();
        assert_eq!(range.start, from, "no gap, no overlap");
        for seq in [from, (from + range.end) / 2, range.end - 1] {
            assert_eq!(read_block(&mut store, seq).unwrap(), bytes);
        }
        joins += usize::from(Some(from) == end);
        from = range.end;
        blocks += 1;
    }
    assert_eq!(
        (from, joins),
        (2000, 1),
        "the journal goes on where segments end"
    );
    assert!(blocks >= 5);
    assert_eq!(read_block(&mut store, 2000), None);
    assert_eq!(read_block(&mut store, u64::MAX), None);
    let short = store.read_block(Seq(0), &mut [0; 100]);
    assert_eq!(short, Err(ReadError::BufferTooSmall));
}

#[test]
fn a_gap_in_time_or_other_parameters_begin_another_block_also_in_a_segment() {
    let (mut store, mut truth) = format(2);
    let with = |change: fn(&mut RunParams)| {
        let mut params = PARAMS;
        change(&mut params);
        Op::Append(params, params.interval_ms.into())
    };
    let minute = with(|params| params.interval_ms = 60_000);
    let fine = with(|params| params.power_unit_mw = 100);
    let calibrated = with(|params| params.calibration = 9);
    let ops = [NEXT, NEXT, Op::Append(PARAMS, 10_001), NEXT, minute];
    let ops = ops
        .into_iter()
        .chain([fine, calibrated, calibrated, Op::Boot, NEXT]);
    for op in ops {
        apply(&mut truth, &mut store, op, 1);
    }
    let starts = [0, 2, 4, 5, 6, 8];
    let check = |store: &mut FlashStore<Nor>| {
        for (index, &from) in starts.iter().enumerate().take(5) {
            let bytes = read_block(store, from).unwrap();
            assert_eq!(
                Block::parse(&bytes).unwrap().range(),
                from..starts[index + 1]
            );
        }
    };
    check(&mut store);
    apply(&mut truth, &mut store, NEXT, 1000);
    assert!(!segments(&store).is_empty());
    check(&mut store);
    truth.check(&mut store);
}

#[test]
fn intervals_from_a_second_to_a_quarter_of_an_hour_become_coarse_as_they_may() {
    for (interval_ms, tiers) in [(1_000, 3), (60_000, 2), (900_000, 1)] {
        let (mut store, mut truth) = format(3);
        truth.values = Values::Wild;
        let params = RunParams {
            interval_ms,
            ..PARAMS
        };
        apply(
            &mut truth,
            &mut store,
            Op::Append(params, interval_ms.into()),
            2_500,
        );
        truth.check(&mut store);
        let spans: Vec<_> = (serve(&mut store).into_values())
            .filter_map(|served| match served {
                Served::Coarse(reading) => Some(reading.span),
                _ => None,
            })
            .collect();
        let longest = spans.iter().max().copied().unwrap_or(1);
        println!("{interval_ms} ms: a coarse reading stands for up to {longest}");
        match tiers {
            1 => assert_eq!(longest, 1),
            2 => assert!((2..=15).contains(&longest)),
            _ => assert!((2..=900).contains(&longest)),
        }
        let mut store = mount(store.into_flash());
        truth.check(&mut store);
    }
}

#[test]
fn a_journal_that_waits_for_three_quarters_is_sealed_though_no_block_is_full() {
    let (mut store, mut truth) = format(1);
    // Always the same: 12 bytes in the journal, next to nothing in a segment.
    let channel = ChannelReading {
        energy_quanta: 7,
        ..ChannelReading::default()
    };
    let mut waited = 0;
    while segments(&store).is_empty() {
        truth
            .append(&mut store, &PARAMS, 10_000, &[channel])
            .unwrap();
        store.maintain().unwrap();
        waited += 1;
        assert!(store.used_bytes() <= 14 * SECTOR_BYTES as u32);
    }
    let (base, count, tier, bytes) = segments(&store)[0];
    println!("{waited} readings waited, {count} in {bytes} bytes");
    assert!((base, tier) == (0, 0) && bytes < 2_000 && count > 3_000);
    truth.check(&mut store);
}

#[test]
fn acknowledged_segments_go_first_and_nothing_becomes_coarse() {
    let (mut store, mut truth) = format(3);
    for _ in 0..60 {
        apply(&mut truth, &mut store, NEXT, 50);
        apply(&mut truth, &mut store, Op::Acknowledge(100), 1);
    }
    assert!(store.oldest().0 > 1_000);
    assert!(
        segments(&store)
            .iter()
            .all(|each| each.2 == Tier::Full as u64)
    );
    assert_eq!(truth.losses().count(), 0);
    truth.check(&mut store);
}

#[test]
fn what_nobody_collected_goes_last_and_is_told_once_with_its_energy() {
    let (mut store, mut truth) = format(3);
    // Longest readings, each after a gap: merging them saves nothing.
    for turn in 0..2_500 {
        apply(&mut truth, &mut store, Op::Append(PARAMS, 20_000 + turn), 1);
    }
    truth.check(&mut store);
    let oldest = store.oldest().0;
    assert!(oldest > 500, "{oldest}");
    let mut end = 0;
    for event in events(&mut store).into_values() {
        let What::Lost {
            first,
            count,
            energy,
        } = event.what
        else {
            panic!("{event:?}");
        };
        assert_eq!(
            (first, energy.len()),
            (Seq(end), 3),
            "losses follow one another"
        );
        end += count;
    }
    assert_eq!(end, oldest);
    let mut store = mount(store.into_flash());
    truth.check(&mut store);
}

#[test]
fn registers_count_import_and_export_apart_and_survive_the_readings() {
    let (mut store, mut truth) = format(1);
    let channel = |energy_quanta| ChannelReading {
        energy_quanta,
        ..ChannelReading::default()
    };
    for turn in 0..3000 {
        let quanta = if turn % 3 == 0 { -5 } else { 7 };
        truth
            .append(&mut store, &PARAMS, 10_000, &[channel(quanta)])
            .unwrap();
    }
    let expected = Registers {
        import_mj: 2000 * 7 * 10_000,
        export_mj: 1000 * 5 * 10_000,
    };
    assert_eq!(store.registers().as_slice(), [expected]);
    assert_eq!(mount(store.into_flash()).registers().as_slice(), [expected]);
}

#[test]
fn events_are_numbered_and_those_that_must_stay_do() {
    let (mut store, mut truth) = format_on(Nor::new(64 * SECTOR_BYTES), 1);
    for turn in 0..120 {
        apply(&mut truth, &mut store, Op::Boot, 1);
        apply(&mut truth, &mut store, Op::Started, 1);
        apply(&mut truth, &mut store, Op::Event, 8);
        apply(&mut truth, &mut store, NEXT, 1);
        if turn % 20 == 0 {
            apply(&mut truth, &mut store, Op::Calibrated, 1);
        }
    }
    truth.check(&mut store);
    let kept = events(&mut store);
    assert!(kept.len() >= 400, "{}", kept.len());
    let mut page = Vec::new();
    let mut take = |event: &Event| {
        page.push(event.number);
        page.len() < 3
    };
    store.events(1080, &mut take).unwrap();
    assert_eq!(page, [1080, 1081, 1082]);
    let mut none = |_: &Event| panic!("there is none");
    store.events(store.next_event(), &mut none).unwrap();
}

#[test]
fn a_flash_that_takes_nothing_keeps_what_it_holds_and_the_energy_is_told_later() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 50);
    let import_before_mj = truth.registers[0].import_mj;
    let flash = Shared::new(store.into_flash());
    let mut store = FlashStore::mount(flash.clone())
        .map_err(|(error, _)| error)
        .unwrap();
    let channel = ChannelReading {
        energy_quanta: 360,
        ..ChannelReading::default()
    };
    flash.fail_writes(true);
    for turn in 0..20 {
        let failed = store.append(&PARAMS, 600_000 + turn * 10_000, &[channel]);
        assert!(matches!(failed, Err(AppendError::Flash(_))));
    }
    assert!(store.start_boot().is_err() && store.config_write(&[1]).is_err());
    assert!(store.event_append(0, 0, What::SetUp).is_err());
    assert_eq!(store.next(), Seq(70), "the numbers are used up");
    assert_eq!(
        serve(&mut mount(flash.copy())).len(),
        50,
        "nothing was touched"
    );

    flash.fail_writes(false);
    let appended = store.append(&PARAMS, 800_000, &[channel]).unwrap();
    assert_eq!(appended, Seq(70));
    let mut store = mount(flash.copy());
    let import_mj = store.registers()[0].import_mj;
    assert_eq!(import_mj, import_before_mj + 21 * 360 * 10_000);
    let block = read_block(&mut store, 50).unwrap();
    let block = Block::parse(&block).unwrap();
    assert_eq!((block.kind(), block.range()), (Kind::Lost, 50..70));
    assert_eq!(block.lost_energy().unwrap()[0].import_mj, 20 * 360 * 10_000);
    assert_eq!(block.header().registers[0].import_mj, import_before_mj);
}

#[test]
fn dead_sectors_are_passed_over() {
    for fault in [Fault::Refuses, Fault::Silent, Fault::Weak { seed: 3 }] {
        let (store, mut truth) = format(1);
        let mut nor = store.into_flash();
        for sector in [1, 3, 7, 12, 13, 20, 34, 40] {
            nor.break_sector(sector, fault);
        }
        let mut store = mount(nor);
        apply(&mut truth, &mut store, NEXT, 1500);
        apply(&mut truth, &mut store, Op::Event, 300);
        apply(&mut truth, &mut store, Op::Config(400), 30);
        truth.check(&mut store);
        truth.check(&mut mount(store.into_flash()));
    }
}
