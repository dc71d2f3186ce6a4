//! Bits flip and sectors die: what is hit is told, and nothing else is.

use std::sync::OnceLock;

use flash_store::FlashStore;
use nor_model::{Fault, Nor, SECTOR_BYTES};
use protocol::{
    Registers, Seq,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
    segment::file::Segment,
};

use crate::truth::{NEXT, Op, Served, Truth, config, events, format, mount, serve};

const COUNTERS: usize = 2;
const EVENTS: usize = 6;
const JOURNAL: usize = 10;
pub const FILES: usize = 26;
pub const SECTORS: usize = 60;

/// A store with a bit of everything: three tiers of segments, readings in the journal, events in ring and files.
pub fn lived() -> (Nor, Truth) {
    static LIVED: OnceLock<(Vec<u8>, Truth)> = OnceLock::new();
    let (bytes, truth) = LIVED.get_or_init(|| {
        let (mut store, mut truth) = format(1);
        for turn in 0..3_300 {
            let op = match turn % 300 {
                0 => Op::Boot,
                1 => Op::Started,
                2 => Op::Config(300),
                3..60 if turn % 2 == 0 => Op::Event,
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

/// What damage cost.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub readings: u64,
    pub events: usize,
    pub energy: Registers,
}

/// Reads everything. What is served must be what was told; returns what is not.
pub fn cost(store: &mut FlashStore<Nor>, truth: &Truth) -> Cost {
    let mut cost = Cost::default();
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
        let block = Block::parse(&buffer[..length]).unwrap();
        let range = block.range();
        assert!(range.contains(&from.0));
        let before = |number: u64| {
            truth
                .readings
                .before(number)
                .map(|reading| reading.registers[0])
        };
        match block.kind() {
            Kind::Readings => {
                let registers = block.header().registers[0];
                assert_eq!(
                    Some(registers),
                    before(range.start).or(Some(Registers::default()))
                );
                for reading in block.readings() {
                    let end = reading.seq.0 + u64::from(reading.span);
                    assert_eq!(
                        Some(reading.registers[0]),
                        before(end),
                        "registers at {end}"
                    );
                    if reading.extremes.is_empty() {
                        assert_eq!(truth.readings.get(reading.seq.0), Some(&reading));
                    }
                }
            }
            Kind::Lost => {
                let energy = block.lost_energy().unwrap()[0];
                cost.energy.import_mj += energy.import_mj;
                cost.readings += truth.readings.range(range.clone()).count() as u64;
            }
            Kind::NeverExisted => {
                cost.readings += truth.readings.range(range.clone()).count() as u64;
            }
        }
        from = Seq(range.end);
    }
    assert!(from.0 >= truth.readings.last().unwrap().seq.0);
    let there = events(store);
    for (number, event) in &there {
        assert_eq!(truth.events.get(number), Some(event));
    }
    let expected = truth.events.len() - truth.given_up.events.len();
    cost.events = expected - there.len();
    cost
}

/// Goes on after damage: numbers, boots and events never come again.
fn goes_on(mut store: FlashStore<Nor>, truth: &Truth) {
    let last = truth.readings.last().unwrap().seq.0;
    assert!(store.next().0 > last, "numbers do not come again");
    let newest = truth.events.keys().next_back().unwrap();
    assert!(
        store.next_event() > *newest,
        "event numbers do not come again"
    );
    let boot = store.start_boot().unwrap();
    assert!(boot >= truth.boot, "boot {boot} came again");
    let channel = truth.readings.last().unwrap().channels.clone();
    let seq = store
        .append(&crate::truth::PARAMS, 10_000, &channel)
        .unwrap();
    let registers = store.registers();
    let mut store = mount(store.into_flash());
    assert_eq!(store.registers(), registers);
    assert!(matches!(
        serve(&mut store).get(&seq.0),
        Some(Served::Reading(_))
    ));
}

#[test]
fn a_flipped_bit_costs_what_it_hits_and_nothing_else() {
    let (image, truth) = lived();
    assert_eq!(cost(&mut mount(image.snapshot()), &truth), Cost::default());
    for (part, first, end, readings_max) in [
        ("identity", 0, COUNTERS, 0),
        ("counters", COUNTERS, EVENTS, 0),
        ("events", EVENTS, JOURNAL, 0),
        ("journal", JOURNAL, FILES, 400),
        ("files", FILES, SECTORS, 3_000),
    ] {
        let (mut hits, mut readings, mut lost_events) = (0, 0, 0);
        let bytes = (end - first) * SECTOR_BYTES;
        for turn in 0..if part == "files" { 120 } else { 60 } {
            let at =
                first * SECTOR_BYTES + crate::truth::mix(turn * 7 + first as u64) as usize % bytes;
            let mut nor = image.snapshot();
            nor.flip(at, 1 << (turn % 8)).unwrap();
            let mut store = mount(nor);
            let cost = cost(&mut store, &truth);
            assert!(cost.readings <= readings_max, "{part} at {at}: {cost:?}");
            assert!(
                cost.events == 0 || matches!(part, "events" | "files"),
                "{part}: {cost:?}"
            );
            match part {
                "files" => {}
                _ => assert_eq!(config(&mut store), truth.config),
            }
            hits += u64::from(cost != Cost::default());
            readings = readings.max(cost.readings);
            lost_events = lost_events.max(cost.events);
            goes_on(store, &truth);
        }
        println!("{part}: {hits} flips cost at most {readings} readings, {lost_events} events");
    }
}

/// Finds the sector that takes readings: the one that was opened last.
fn newest_journal_sector(image: &Nor) -> usize {
    let bytes = image.bytes();
    let sequence = |&sector: &usize| {
        let header = &bytes[sector * SECTOR_BYTES..][..16];
        (header[..4] == *b"OFMS").then(|| u32::from_le_bytes(header[12..].try_into().unwrap()))
    };
    (JOURNAL..FILES).max_by_key(sequence).unwrap()
}

/// Returns a sector, and where it holds a segment all others that hold some of its numbers: what was merged is still there
/// until its block is taken, and would be served in its place.
fn same_numbers(image: &Nor, sector: usize) -> Vec<usize> {
    let bytes = image.bytes();
    let numbers = |sector: usize| {
        let bytes = &bytes[sector * SECTOR_BYTES..][..SECTOR_BYTES];
        let length = u16::from_le_bytes([bytes[8], bytes[9]]).into();
        let segment = Segment::parse(bytes.get(..length)?).ok()?;
        Some(segment.base().0..segment.end().0)
    };
    let Some(hit) = numbers(sector) else {
        return vec![sector];
    };
    let overlaps = |other: &usize| {
        numbers(*other).is_some_and(|other| other.start < hit.end && hit.start < other.end)
    };
    (FILES..SECTORS).filter(overlaps).collect()
}

#[test]
fn the_energy_of_lost_readings_is_told_to_the_millijoule() {
    let (image, truth) = lived();
    let (mut lossy, mut coarse) = (0, 0);
    let mut store = mount(image.snapshot());
    let last_run = store.next().0 - 40;
    let mut buffer = [0; BLOCK_BYTES_MAX];
    // In the header, in the middle and near the end of a segment, or among readings of the journal.
    let hits = (JOURNAL..SECTORS).flat_map(|sector| [40, 400, 1_800].map(|at| (sector, at)));
    for (sector, at) in hits {
        let mut nor = image.snapshot();
        for sector in same_numbers(&image, sector) {
            nor.flip(sector * SECTOR_BYTES + at, 0x10).unwrap();
        }
        store = mount(nor);
        if store.registers()[..] != truth.registers {
            // The newest readings were hit, and no run behind them says what they added up to.
            let newest = newest_journal_sector(&image);
            assert_eq!(sector, newest, "registers after a flip at {at} of {sector}");
            let shown = store.registers();
            let back = (truth.readings.range(last_run - 8..u64::MAX))
                .any(|reading| reading.registers == shown);
            assert!(
                back,
                "registers lack more than a run after a flip at {at} of {sector}"
            );
            continue;
        }
        let mut from = store.oldest();
        while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
            let block = Block::parse(&buffer[..length]).unwrap();
            let range = block.range();
            if let Some(energy) = block.lost_energy().filter(|_| range.end < last_run) {
                let before = |number| match truth.readings.before(number) {
                    Some(reading) => reading.registers[0],
                    None => Registers::default(),
                };
                let (begin, end) = (before(range.start), before(range.end));
                assert_eq!(
                    energy[0].import_mj,
                    end.import_mj - begin.import_mj,
                    "{range:?}"
                );
                assert_eq!(
                    energy[0].export_mj,
                    end.export_mj - begin.export_mj,
                    "{range:?}"
                );
                lossy += 1;
                coarse += u32::from(range.end - range.start > 400);
            }
            from = Seq(range.end);
        }
    }
    println!("{lossy} losses, {coarse} of them coarse");
    assert!(lossy >= 8 && coarse >= 2, "{lossy} {coarse}");
}

#[test]
fn many_flips_serve_nothing_wrong() {
    let (image, truth) = lived();
    for seed in 0..40 {
        let mut nor = image.snapshot();
        let (first, end) = [
            (COUNTERS, EVENTS),
            (EVENTS, JOURNAL),
            (JOURNAL, FILES),
            (FILES, SECTORS),
        ][seed as usize % 4];
        let range = first * SECTOR_BYTES..end * SECTOR_BYTES;
        nor.flip_random(range, 1 << (seed / 5), seed).unwrap();
        let mut store = mount(nor);
        cost(&mut store, &truth);
        goes_on(store, &truth);
    }
}

#[test]
fn an_erased_sector_costs_what_lay_in_it() {
    let (image, truth) = lived();
    for sector in 0..SECTORS {
        let mut bytes = image.bytes();
        bytes[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0xff);
        let mut store = mount(Nor::from_bytes(bytes));
        let cost = cost(&mut store, &truth);
        match sector {
            0..EVENTS => assert_eq!(cost, Cost::default(), "sector {sector}"),
            EVENTS..JOURNAL => assert_eq!(cost.readings, 0, "sector {sector}"),
            _ => {}
        }
        goes_on(store, &truth);
    }
}

#[test]
fn an_erased_part_does_not_give_numbers_again() {
    let (image, truth) = lived();
    for part in [COUNTERS..EVENTS, EVENTS..JOURNAL, JOURNAL..FILES] {
        let mut bytes = image.bytes();
        bytes[part.start * SECTOR_BYTES..part.end * SECTOR_BYTES].fill(0xff);
        let mut store = mount(Nor::from_bytes(bytes));
        cost(&mut store, &truth);
        goes_on(store, &truth);
    }
}

#[test]
fn a_sector_that_dies_while_running_costs_no_acknowledged_reading() {
    let (image, truth) = lived();
    for fault in [Fault::Refuses, Fault::Silent, Fault::Weak { seed: 9 }] {
        for sector in (0..SECTORS).step_by(3) {
            let mut nor = image.snapshot();
            nor.break_sector(sector, fault);
            let mut store = mount(nor);
            let mut truth = truth.clone();
            let _ = store.start_boot();
            let first = store.next().0;
            let mut kept = Vec::new();
            for turn in 0..400u64 {
                let channels = truth.readings.values().next().unwrap().channels.clone();
                truth.turn += 1;
                if let Ok(seq) = store.append(&crate::truth::PARAMS, (turn + 1) * 10_000, &channels)
                {
                    kept.push(seq.0);
                }
                let _ = store.maintain();
                let _ = store.event_append(1, turn, protocol::event::What::SetUp);
            }
            assert!(
                kept.len() >= 390,
                "{fault:?} of sector {sector}: {}",
                kept.len()
            );
            let registers = store.registers();
            let mut store = mount(store.into_flash());
            assert_eq!(store.registers(), registers);
            let served = serve(&mut store);
            for seq in kept.iter().filter(|&&seq| seq >= first) {
                assert!(
                    matches!(served[seq], Served::Reading(_)),
                    "{seq}: {fault:?} of {sector}"
                );
            }
        }
    }
}
