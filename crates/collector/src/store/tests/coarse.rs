//! Coarse readings beside fine ones.

use jiff::tz::TimeZone;
use protocol::{
    Tier,
    block::write_packed,
    event::{Event, What},
};

use super::{
    histories::{assert_true, journal, registers, segment, segment_of, signed},
    *,
};
use crate::store::parts;

const START_MS: i64 = 1_774_699_200_000;

fn spans(store: &Store) -> Vec<(u64, u32)> {
    let readings = held(store);
    assert_true(&readings);
    readings
        .iter()
        .map(|reading| (reading.seq.0, reading.span))
        .collect()
}

fn minute(first: u64, end: u64) -> Vec<u8> {
    segment(first, end, Tier::Minute, 6)
}

fn quarter(first: u64, end: u64) -> Vec<u8> {
    segment(first, end, Tier::Quarter, 90)
}

#[test]
fn a_journal_block_across_two_segments_goes_with_the_second() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &journal(80, 120), 1).unwrap();
    let first = store
        .put_block(HISTORY, &segment(0, 100, Tier::Full, 1), 1)
        .unwrap();
    assert_eq!((first.readings_new, block_count(&store)), (80, 2));
    let second = store
        .put_block(HISTORY, &segment(100, 300, Tier::Full, 1), 1)
        .unwrap();
    assert_eq!((second.readings_new, block_count(&store)), (180, 2));
    assert_eq!(held(&store).len(), 300);
    let again = store.put_block(HISTORY, &journal(80, 120), 1).unwrap();
    assert_eq!(
        (again.blocks_known, again.readings_new),
        (1, 0),
        "the segments hold all of it"
    );
}

#[test]
fn coarse_readings_never_take_the_place_of_finer_ones() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &journal(0, 60), 1).unwrap();
    let known = store.put_block(HISTORY, &minute(0, 60), 1).unwrap();
    assert_eq!((known.blocks_known, block_count(&store)), (1, 1));
    // 60 to 90 are new, 30 to 60 are not.
    let beyond = store.put_block(HISTORY, &quarter(30, 90), 1).unwrap();
    assert_eq!((beyond.readings_new, beyond.conflicts), (30, 0));
    assert_eq!(spans(&store)[59..], [(59, 1), (60, 30)]);
    let device = store.device(DEVICE).unwrap();
    assert_eq!((device.readings, device.next), (90, Seq(90)));
}

#[test]
fn finer_readings_that_come_later_replace_the_coarse_ones_that_they_cover() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &quarter(0, 180), 1).unwrap();
    assert_eq!(spans(&store), [(0, 90), (90, 90)]);
    let finer = store.put_block(HISTORY, &minute(0, 90), 1).unwrap();
    assert_eq!((finer.readings_new, block_count(&store)), (0, 2));
    let rest = store.put_block(HISTORY, &minute(90, 180), 1).unwrap();
    assert_eq!((rest.conflicts, block_count(&store)), (0, 2));
    assert_eq!(spans(&store).len(), 30);
    store.put_block(HISTORY, &journal(0, 180), 1).unwrap();
    assert_eq!(block_count(&store), 1);
}

#[test]
fn what_is_left_of_a_coarse_reading_has_its_own_end_and_energy() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &quarter(0, 90), 1).unwrap();
    store.put_block(HISTORY, &journal(20, 30), 1).unwrap();
    store.put_block(HISTORY, &minute(50, 56), 1).unwrap();
    let spans = spans(&store);
    assert_eq!(spans[0], (0, 20));
    assert_eq!(spans[11..], [(30, 20), (50, 6), (56, 34)]);
    let readings = held(&store);
    let front = &readings[0];
    assert_eq!((front.uptime_ms, front.interval_ms), (200_000, 200_000));
    let net: i32 = (0..20).map(|seq| signed(seq).energy_quanta).sum();
    assert_eq!(front.channels[0].energy_quanta, net);
    let mean = (f64::from(net) * 1e3 / 20.0).round() as i64;
    assert_eq!(front.active_power_mw(0), Some(mean));
}

#[test]
fn a_question_that_ends_within_a_coarse_reading_gets_a_part_of_it() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &quarter(0, 90), 1).unwrap();
    let part = |from, to| {
        let span = Span::Numbers {
            store: HISTORY.store,
            from: Seq(from),
            to: Seq(to),
        };
        let readings: Vec<_> = store.readings(DEVICE, span).unwrap().collect();
        assert_eq!(readings.len(), 1);
        readings[0].as_ref().unwrap().reading.clone()
    };
    let (left, right) = (part(0, 40), part(40, 90));
    assert_eq!((left.seq, left.span, left.uptime_ms), (Seq(0), 40, 400_000));
    assert_eq!((right.seq, right.span), (Seq(40), 50));
    assert_eq!(left.registers, parts::registers_before(&right));
    assert_eq!(right.registers[0], registers(90));
    assert_eq!(parts::registers_before(&left)[0], registers(0));
}

#[test]
fn coarse_readings_with_other_energy_are_a_conflict() {
    let wrong = |first, end| segment_of(first, end, Tier::Minute, 6, |seq| signed(seq + 1));
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &journal(0, 60), 1).unwrap();
    let other = store.put_block(HISTORY, &wrong(0, 90), 2).unwrap();
    assert_eq!((other.conflicts, other.readings_new), (1, 30));
    assert_eq!(block_count(&store), 2, "both are kept");
    assert_eq!(store.device(DEVICE).unwrap().conflicts, 1);
    assert_eq!(
        held(&store)[..60],
        expected_signed(0, 60),
        "the finer ones are believed"
    );
    // The true ones again: held already, at a better resolution.
    let known = store.put_block(HISTORY, &quarter(10, 50), 3).unwrap();
    assert_eq!((known.conflicts, known.blocks_known), (0, 1));
}

fn expected_signed(first: u64, end: u64) -> Vec<Reading> {
    Block::parse(&journal(first, end))
        .unwrap()
        .readings()
        .collect()
}

#[test]
fn a_coarse_block_of_which_another_time_is_told_is_a_conflict() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &journal(0, 60), 1).unwrap();
    let bytes = quarter(0, 60);
    let truth = Block::parse(&bytes).unwrap();
    let mut header = truth.header().clone();
    header.uptime_ms += 1;
    let at = 56 + 16;
    let stream = &bytes[at..bytes.len() - 4];
    let mut later = vec![0; BLOCK_BYTES_MAX];
    let length = write_packed(&mut later, &header, Tier::Quarter, 60, stream).unwrap();
    let summary = store.put_block(HISTORY, &later[..length], 1).unwrap();
    assert_eq!(summary.conflicts, 1);
    let known = store.put_block(HISTORY, &bytes, 1).unwrap();
    assert_eq!((known.conflicts, known.blocks_known), (0, 1));
}

#[test]
fn only_what_nobody_holds_counts_as_lost() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &quarter(0, 50), 1).unwrap();
    store.put_block(HISTORY, &lost(20, 100), 1).unwrap();
    let device = store.device(DEVICE).unwrap();
    assert_eq!((device.readings, device.lost), (50, 70));
    store.put_block(HISTORY, &journal(100, 110), 1).unwrap();
    assert_eq!(store.device(DEVICE).unwrap().lost, 60);
    store.put_block(HISTORY, &minute(50, 120), 1).unwrap();
    assert_eq!(store.device(DEVICE).unwrap().lost, 0);
    assert_eq!(block_count(&store), 3, "the news of the loss is gone");
}

#[test]
fn no_more_readings_than_a_run_may_have_are_taken() {
    let (_directory, mut store) = store();
    for count in [65_537, u32::MAX] {
        for tier in Tier::ALL {
            for stream in [&[][..], &[0; 100], &[255; 100]] {
                let mut bytes = vec![0; BLOCK_BYTES_MAX];
                let length = write_packed(&mut bytes, &header(0), tier, count, stream).unwrap();
                let summary = store.put_block(HISTORY, &bytes[..length], 1);
                let Ok(summary) = summary else { continue };
                let most = 65_536 * u64::from(tier.numbers_max(INTERVAL_MS as u32));
                assert!(summary.readings_new <= most);
                assert!(held(&store).len() <= 65_536);
            }
        }
    }
}

/// A store whose uptime 0 was at [`START_MS`].
fn anchored() -> (TempDir, Store) {
    let (directory, mut store) = store();
    let what = What::Anchor {
        utc_ms: START_MS,
        uncertainty_ms: 5,
    };
    let anchor = Event {
        number: 0,
        boot: 1,
        uptime_ms: 0,
        what,
    };
    store.put_event(HISTORY, &anchor).unwrap();
    (directory, store)
}

#[test]
fn hours_of_coarse_and_fine_readings_add_up_exactly() {
    let (_directory, mut store) = anchored();
    let late = START_MS + 1_000_000_000;
    store.put_block(HISTORY, &quarter(0, 500), late).unwrap();
    store.put_block(HISTORY, &minute(400, 600), late).unwrap();
    store.put_block(HISTORY, &journal(450, 640), late).unwrap();
    let range = (START_MS, START_MS + 7_200_000);
    let bars = store
        .energy_by_period(DEVICE, 0, &TimeZone::UTC, Period::Hour, range)
        .unwrap();
    // An hour is four quarters.
    let (hour, end) = (registers(360), registers(640));
    assert_eq!(
        (bars[0].import_mj, bars[0].export_mj),
        (hour.import_mj, hour.export_mj)
    );
    assert_eq!(bars[1].import_mj, end.import_mj - hour.import_mj);
    assert_eq!(bars[1].export_mj, end.export_mj - hour.export_mj);
    assert!(bars[0].complete && !bars[1].complete);
}

#[test]
fn coarse_readings_are_shown_over_all_of_their_time() {
    let (_directory, mut store) = anchored();
    let late = START_MS + 1_000_000_000;
    store.put_block(HISTORY, &quarter(0, 180), late).unwrap();
    store.put_block(HISTORY, &journal(180, 240), late).unwrap();
    let mean_mw = |from, to| {
        let sum: i64 = (from..to)
            .map(|seq| i64::from(signed(seq).energy_quanta))
            .sum();
        (sum as f64 * 1e3 / (to - from) as f64).round() as i64
    };
    let extreme = |range: std::ops::Range<u64>, most: bool| {
        let power = range.map(|seq| i64::from(signed(seq).energy_quanta) * 1_000);
        if most { power.max() } else { power.min() }
    };
    // Ten points of 60 s, within the second quarter.
    let from_ms = START_MS + 1_000_000;
    let series = store
        .power_series(DEVICE, 0, (from_ms, from_ms + 600_000), 10)
        .unwrap();
    assert_eq!((series.resolution_ms, series.time_ms.len()), (60_000, 10));
    assert!(
        series
            .mean_mw
            .iter()
            .all(|mean| *mean == Some(mean_mw(90, 180)))
    );
    assert_eq!(series.minimum_mw[3], extreme(90..180, false));
    assert_eq!(series.maximum_mw[3], extreme(90..180, true));
    // Each number for itself.
    let series = store
        .power_series(DEVICE, 0, (from_ms, from_ms + 900_000), 90)
        .unwrap();
    assert_eq!((series.resolution_ms, series.time_ms.len()), (10_000, 90));
    assert_eq!(series.mean_mw[79], Some(mean_mw(90, 180)));
    assert_eq!(series.mean_mw[80], Some(mean_mw(180, 181)));
    assert_eq!(series.time_ms[0], from_ms + 10_000);
    // The whole, in hours of one bucket and a bit.
    let series = store
        .power_series(DEVICE, 0, (START_MS, START_MS + 2_400_000), 2)
        .unwrap();
    assert_eq!(series.time_ms, [START_MS + 1_200_000, START_MS + 2_400_000]);
    let first = (mean_mw(0, 90) * 900 + mean_mw(90, 180) * 300) / 1_200;
    assert_eq!(series.mean_mw[0], Some(first));
}
