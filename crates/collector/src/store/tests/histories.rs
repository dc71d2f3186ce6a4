//! Whatever comes in whatever order, the finest of each number is given, once, with its energy.

use proptest::prelude::*;
use protocol::{
    Packed, Tier,
    block::{write_never_existed, write_packed},
    merge::Merger,
    segment::{Models, RunWriter},
};

use super::*;
use crate::store::{
    cover::{self, Cover},
    parts,
};

/// Numbers of the made-up history.
pub(super) const NUMBERS: u64 = 700;
/// Quanta of the largest power below and above 0.
const SWING: i32 = 550;

/// Returns what the meter measured: it takes and gives.
pub(super) fn signed(seq: u64) -> ChannelReading {
    ChannelReading {
        energy_quanta: power_w(seq) - SWING,
        ..channel(seq)
    }
}

/// Returns the registers before number `seq`.
pub(super) fn registers(seq: u64) -> Registers {
    (0..seq).fold(Registers::default(), |registers, seq| {
        registers.advanced(signed(seq).energy_quanta, QUANTUM_MJ)
    })
}

fn signed_header(first: u64) -> Header {
    Header {
        registers: [registers(first)].into_iter().collect(),
        ..header(first)
    }
}

/// Returns numbers `first..end` as the journal sends them.
pub(super) fn journal(first: u64, end: u64) -> Vec<u8> {
    packed(&signed_header(first), (first..end).map(signed))
}

/// Returns numbers `first..end` as a segment of a tier sends them; a reading stands for `numbers` of them at the most.
pub(super) fn segment(first: u64, end: u64, tier: Tier, numbers: u32) -> Vec<u8> {
    segment_of(first, end, tier, numbers, signed)
}

pub(super) fn segment_of(
    first: u64,
    end: u64,
    tier: Tier,
    numbers: u32,
    channel: impl Fn(u64) -> ChannelReading,
) -> Vec<u8> {
    let header = signed_header(first);
    let params = protocol::RunParams {
        interval_ms: header.interval_ms,
        power_unit_mw: header.power_unit_mw,
        calibration: header.calibration,
    };
    let (mut stream, mut models) = (vec![0; BLOCK_BYTES_MAX - 128], Models::new());
    let mut writer = RunWriter::new(&mut stream, &mut models, tier, 1, &params).unwrap();
    let mut merger = Merger::new(numbers.min(tier.numbers_max(params.interval_ms)));
    for seq in first..end {
        let reading = Packed::full(&[channel(seq)]);
        if tier == Tier::Full {
            writer.push(&reading).unwrap();
        } else if let Some(merged) = merger.push(&reading) {
            writer.push(&merged).unwrap();
        }
    }
    if let Some(merged) = merger.finish() {
        writer.push(&merged).unwrap();
    }
    assert_eq!(u64::from(writer.numbers()), end - first);
    let length = writer.finish();
    let mut bytes = vec![0; BLOCK_BYTES_MAX];
    let count = (end - first) as u32;
    let length = write_packed(&mut bytes, &header, tier, count, &stream[..length]).unwrap();
    bytes.truncate(length);
    bytes
}

/// Something that a meter says of some numbers.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Journal,
    Segment,
    Minute(u32),
    Quarter(u32),
    NeverExisted,
    Lost,
}

impl Said {
    fn bytes(&self, first: u64, end: u64) -> Vec<u8> {
        match *self {
            Self::Journal => journal(first, end),
            Self::Segment => segment(first, end, Tier::Full, 1),
            Self::Minute(numbers) => segment(first, end, Tier::Minute, numbers),
            Self::Quarter(numbers) => segment(first, end, Tier::Quarter, numbers),
            Self::NeverExisted => {
                let mut buffer = vec![0; 256];
                let count = (end - first) as u32;
                let length = write_never_existed(&mut buffer, &header(first), count).unwrap();
                buffer.truncate(length);
                buffer
            }
            Self::Lost => lost(first, (end - first) as u32),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Journal | Self::Segment => 0,
            Self::Minute(_) => 1,
            Self::Quarter(_) => 2,
            Self::NeverExisted => 3,
            Self::Lost => 4,
        }
    }
}

fn said() -> impl Strategy<Value = (Said, u64, u64)> {
    let of = |said: Said, longest: u64| (Just(said), 0..NUMBERS, 1..longest);
    prop_oneof![
        3 => of(Said::Journal, 60),
        3 => of(Said::Segment, 200),
        3 => (2..7u32).prop_flat_map(move |numbers| of(Said::Minute(numbers), 250)),
        3 => (7..91u32).prop_flat_map(move |numbers| of(Said::Quarter(numbers), 400)),
        1 => of(Said::NeverExisted, 20),
        1 => of(Said::Lost, 300),
    ]
    .prop_map(|(said, first, count)| (said, first, NUMBERS.min(first + count)))
}

fn cover_of(store: &Store) -> Cover {
    let id = cover::history_id(&store.connection, HISTORY).unwrap();
    cover::cover(&store.connection, id.unwrap()).unwrap()
}

/// Asserts that no block is held that others make superfluous.
fn assert_lean(store: &Store) {
    let id = cover::history_id(&store.connection, HISTORY).unwrap();
    let all = cover::overlapping(&store.connection, id.unwrap(), NUMBERS, &(0..NUMBERS)).unwrap();
    for row in &all {
        let others = all
            .iter()
            .filter(|other| other.id != row.id && other.rank <= row.rank);
        assert!(
            cover::uncovered(&row.range(), others) > 0,
            "{row:?} is held by others"
        );
    }
}

/// Asserts that the readings are those of the truth, with ends, energies and registers of their own.
pub(super) fn assert_true(readings: &[Reading]) {
    for reading in readings {
        let end = parts::end(reading);
        assert_eq!(reading.uptime_ms, end * INTERVAL_MS);
        assert_eq!(
            u64::from(reading.interval_ms),
            u64::from(reading.span) * INTERVAL_MS
        );
        assert_eq!(reading.registers[0], registers(end), "{reading:?}");
        let begin = parts::registers_before(reading)[0];
        assert_eq!(begin, registers(reading.seq.0), "{reading:?}");
    }
}

fn check(all: &[(Said, u64, u64)]) {
    let (_directory, mut store) = store();
    store
        .connection
        .pragma_update(None, "synchronous", "OFF")
        .unwrap();
    let mut best: Vec<Option<u8>> = vec![None; NUMBERS as usize];
    for (said, first, end) in all {
        let range = *first as usize..*end as usize;
        let held = |best: &[Option<u8>]| best.iter().flatten().filter(|rank| **rank < 3).count();
        let before = held(&best);
        for best in &mut best[range] {
            *best = Some(best.map_or(said.rank(), |best| best.min(said.rank())));
        }
        let summary = store
            .put_block(HISTORY, &said.bytes(*first, *end), 1)
            .unwrap();
        assert_eq!(summary.readings_new, (held(&best) - before) as u64);
        assert_eq!(summary.conflicts, 0, "{said:?} {first}..{end}");
        let missing = best.iter().position(Option::is_none);
        assert_eq!(summary.cursor.0, missing.map_or(NUMBERS, |at| at as u64));
    }
    assert_lean(&store);

    let finest = |seq: u64| best[seq as usize].filter(|rank| *rank < 3);
    let mut given: Vec<Option<u8>> = vec![None; NUMBERS as usize];
    for piece in cover_of(&store).pieces {
        for given in &mut given[piece.from as usize..piece.to as usize] {
            assert_eq!(*given, None, "a number is given once");
            *given = (0..3).find(|tier| piece.row.rank == cover::Rank::of_columns(0, *tier));
        }
    }
    assert_eq!(given, (0..NUMBERS).map(finest).collect::<Vec<_>>());

    let readings = held(&store);
    let numbers = readings
        .iter()
        .flat_map(|reading| reading.seq.0..parts::end(reading));
    let expected_numbers = (0..NUMBERS).filter(|seq| finest(*seq).is_some());
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        expected_numbers.collect::<Vec<_>>()
    );
    assert_true(&readings);
    for reading in &readings {
        if finest(reading.seq.0) == Some(0) {
            assert_eq!(
                (reading.span, &reading.channels[0]),
                (1, &signed(reading.seq.0))
            );
        }
    }
    let device = store.device(DEVICE).unwrap();
    let count =
        |wanted: fn(u8) -> bool| best.iter().flatten().filter(|best| wanted(**best)).count();
    assert_eq!(device.readings, count(|rank| rank < 3) as u64);
    assert_eq!(device.lost, count(|rank| rank == 4) as u64);
    assert_total(&store, &readings);
}

/// Asserts that hours add up to what the registers gained.
fn assert_total(store: &Store, readings: &[Reading]) {
    let (Some(first), Some(last)) = (readings.first(), readings.last()) else {
        return;
    };
    let (begin_ms, end_ms) = store.extent_ms(DEVICE).unwrap().unwrap();
    let bars = store
        .energy_by_period(
            DEVICE,
            0,
            &jiff::tz::TimeZone::UTC,
            Period::Hour,
            (begin_ms, end_ms),
        )
        .unwrap();
    let (begin, end) = (registers(first.seq.0), registers(parts::end(last)));
    let import: u64 = bars.iter().map(|bar| bar.import_mj).sum();
    let export: u64 = bars.iter().map(|bar| bar.export_mj).sum();
    assert_eq!(import, end.import_mj - begin.import_mj);
    assert_eq!(export, end.export_mj - begin.export_mj);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Against the plainest model: the best rank of each number.
    #[test]
    fn the_finest_that_ever_came_is_given_once(
        all in prop::collection::vec(said(), 1..25),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut all = all;
        for index in again {
            let copy = all[index.index(all.len())].clone();
            all.push(copy);
        }
        check(&all);
    }
}
