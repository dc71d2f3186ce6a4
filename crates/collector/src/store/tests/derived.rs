//! Times, energies and series.

use jiff::{Timestamp, tz::TimeZone};
use protocol::event::{ChannelScale, Event, ResetReason, What};

use super::*;

/// 2026-03-28T12:00:00Z, the day before clocks change in Europe.
const START_MS: i64 = 1_774_699_200_000;
const HOUR_MS: i64 = 3_600_000;

fn anchor(number: u64, uptime_ms: u64, utc_ms: i64) -> Event {
    Event {
        number,
        boot: 1,
        uptime_ms,
        what: What::Anchor {
            utc_ms,
            uncertainty_ms: 5,
        },
    }
}

/// Returns a store with readings `ranges` of the history, which began at [`START_MS`].
fn filled(ranges: &[(u64, u64)]) -> (TempDir, Store) {
    let (directory, mut store) = store();
    for &(first, end) in ranges {
        for at in (first..end).step_by(240) {
            store
                .put_block(
                    HISTORY,
                    &block(at, end.min(at + 240)),
                    START_MS + 1_000_000_000,
                )
                .unwrap();
        }
    }
    store.put_event(HISTORY, &anchor(0, 0, START_MS)).unwrap();
    (directory, store)
}

/// Returns the energy in mJ that the history took in readings `first..end`.
fn energy_mj(first: u64, end: u64) -> u64 {
    import_before_mj(end) - import_before_mj(first)
}

#[test]
fn readings_end_where_the_anchor_puts_them() {
    let (_directory, store) = filled(&[(0, 500)]);
    for resolved in store.readings(DEVICE, Span::All).unwrap() {
        let resolved = resolved.unwrap();
        let end_ms = START_MS + (resolved.reading.seq.0 as i64 + 1) * INTERVAL_MS as i64;
        assert_eq!(resolved.time.utc_ms, end_ms);
        assert!(!resolved.time.estimated);
    }
    let latest = store.latest(DEVICE).unwrap().unwrap();
    assert_eq!(latest.reading.seq, Seq(499));
    assert_eq!(
        store.extent_ms(DEVICE).unwrap(),
        Some((START_MS, START_MS + 5_000_000))
    );
}

#[test]
fn spans_choose_by_number_and_by_time() {
    let (_directory, store) = filled(&[(0, 1_000)]);
    let chosen = |span| -> Vec<u64> {
        let readings = store.readings(DEVICE, span).unwrap();
        readings
            .map(|resolved| resolved.unwrap().reading.seq.0)
            .collect()
    };
    let by_number = Span::Numbers {
        store: HISTORY.store,
        from: Seq(238),
        to: Seq(243),
    };
    assert_eq!(chosen(by_number), [238, 239, 240, 241, 242]);
    let by_time = Span::Time {
        from_ms: START_MS + 20_000,
        to_ms: START_MS + 40_000,
    };
    assert_eq!(
        chosen(by_time),
        [2, 3],
        "a reading that ends at the begin lies before it"
    );
    let none = Span::Time {
        from_ms: 0,
        to_ms: 1_000,
    };
    assert!(chosen(none).is_empty());
    assert!(
        store
            .readings(
                DEVICE,
                Span::Time {
                    from_ms: 2,
                    to_ms: 1
                }
            )
            .is_err()
    );
}

#[test]
fn a_later_anchor_moves_readings_that_are_already_stored() {
    let (_directory, mut store) = store();
    store
        .put_block(HISTORY, &block(0, 100), START_MS + 5_000_000)
        .unwrap();
    let before = store.latest(DEVICE).unwrap().unwrap().time;
    assert!(before.estimated);
    assert!(
        (before.utc_ms - (START_MS + 5_000_000)).abs() < 3_000,
        "as late as the receipt allows"
    );
    store.put_event(HISTORY, &anchor(0, 0, START_MS)).unwrap();
    let after = store.latest(DEVICE).unwrap().unwrap().time;
    assert_eq!(
        (after.utc_ms, after.estimated),
        (START_MS + 1_000_000, false)
    );
}

#[test]
fn events_are_kept_once_and_a_changed_one_is_an_error() {
    let (_directory, mut store) = store();
    let started = Event {
        number: 0,
        boot: 1,
        uptime_ms: 0,
        what: What::Started {
            reason: ResetReason::PowerOn,
            next: Seq(0),
        },
    };
    store
        .put_events(HISTORY, &[started.clone(), anchor(1, 5, START_MS)], Some(2))
        .unwrap();
    store
        .put_events(HISTORY, std::slice::from_ref(&started), None)
        .unwrap();
    let changed = [anchor(7, 5, START_MS), anchor(1, 6, START_MS)];
    let error = store.put_events(HISTORY, &changed, Some(8)).unwrap_err();
    assert!(matches!(error, StoreError::EventChanged { number: 1 }));
    assert_eq!(
        store.events(HISTORY).unwrap(),
        [started, anchor(1, 5, START_MS)]
    );
    assert_eq!(store.event_cursor(HISTORY).unwrap(), 2);
    store.put_event(HISTORY, &anchor(9, 9, START_MS)).unwrap();
    assert_eq!(
        store.event_cursor(HISTORY).unwrap(),
        2,
        "numbers 2 to 8 were not asked for"
    );
    store.put_event(HISTORY, &anchor(2, 7, START_MS)).unwrap();
    assert_eq!(store.event_cursor(HISTORY).unwrap(), 3);
    assert_eq!(store.anchors(HISTORY).unwrap().len(), 3);
}

#[test]
fn what_a_loss_and_a_calibration_tell_is_kept() {
    let (_directory, mut store) = store();
    let energy = Registers {
        import_mj: u64::MAX,
        export_mj: 129,
    };
    let scale = ChannelScale {
        voltage_nv_per_code: 264_700_000,
        current_na_per_code: 23_000_000,
        current_skew_ns: -41_000,
        current_noise_na: 69_000_000,
        no_load_mw: 900,
    };
    let whats = [
        What::Lost {
            first: Seq(3),
            count: 9,
            energy: [energy; 3].into_iter().collect(),
        },
        What::Calibrated {
            version: 1,
            utc_ms: START_MS,
            channels: [scale; 3].into_iter().collect(),
        },
    ];
    let event = |(number, what)| Event {
        number,
        boot: 1,
        uptime_ms: 5,
        what,
    };
    let events: Vec<Event> = (0..).zip(whats).map(event).collect();
    store.put_events(HISTORY, &events, Some(2)).unwrap();
    // The same again is no change; another energy is one.
    store.put_events(HISTORY, &events, Some(2)).unwrap();
    assert_eq!(store.events(HISTORY).unwrap(), events);
    let mut changed = events;
    if let What::Lost { energy, .. } = &mut changed[0].what {
        energy[2].export_mj += 1;
    }
    let error = store.put_events(HISTORY, &changed, None).unwrap_err();
    assert!(matches!(error, StoreError::EventChanged { number: 0 }));
}

#[test]
fn hours_add_up_to_the_register_exactly() {
    let (_directory, store) = filled(&[(0, 3_000)]);
    let zone = TimeZone::UTC;
    let range = (START_MS, START_MS + 9 * HOUR_MS);
    let bars = store
        .energy_by_period(DEVICE, 0, &zone, Period::Hour, range)
        .unwrap();
    assert_eq!(bars.len(), 9);
    for (hour, bar) in bars.iter().take(8).enumerate() {
        let first = hour as u64 * 360;
        assert_eq!(bar.import_mj, energy_mj(first, first + 360));
        assert_eq!(
            (bar.export_mj, bar.complete, bar.covered_ms),
            (0, true, HOUR_MS)
        );
    }
    assert!(!bars[8].complete);
    let sum: u64 = bars.iter().map(|bar| bar.import_mj).sum();
    assert_eq!(sum, energy_mj(0, 3_000));
}

#[test]
fn a_cut_within_a_reading_divides_its_energy() {
    let (directory, mut store) = store();
    store
        .put_block(HISTORY, &block(0, 720), START_MS + 1_000_000_000)
        .unwrap();
    // The hour ends 4 s into reading 359.
    store
        .put_event(HISTORY, &anchor(0, 0, START_MS + 6_000))
        .unwrap();
    let range = (START_MS, START_MS + 2 * HOUR_MS);
    let bars = store
        .energy_by_period(DEVICE, 0, &TimeZone::UTC, Period::Hour, range)
        .unwrap();
    assert_eq!(
        bars[0].import_mj,
        energy_mj(0, 359) + energy_mj(359, 360) * 4 / 10
    );
    drop(directory);
}

#[test]
fn the_day_of_the_clock_change_has_23_hours() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let (_directory, store) = filled(&[(0, 18_000)]);
    let range = (START_MS, START_MS + 40 * HOUR_MS);
    let bars = store
        .energy_by_period(DEVICE, 0, &zone, Period::Day, range)
        .unwrap();
    let start = Timestamp::from_millisecond(bars[1].start_ms).unwrap();
    assert_eq!(start.to_string(), "2026-03-28T23:00:00Z");
    assert_eq!(bars[1].end_ms - bars[1].start_ms, 23 * HOUR_MS);
    // From 11 h after the start, 23 hours.
    assert_eq!(bars[1].import_mj, energy_mj(11 * 360, 34 * 360));
    assert!(bars[1].complete && !bars[0].complete);
    let months = store
        .energy_by_period(DEVICE, 0, &zone, Period::Month, range)
        .unwrap();
    assert_eq!(months[0].import_mj, energy_mj(0, 18_000));
}

#[test]
fn a_gap_loses_no_energy_and_no_bar_that_touches_it_is_complete() {
    let (_directory, store) = filled(&[(0, 500), (1_000, 2_000)]);
    let range = (START_MS, START_MS + 6 * HOUR_MS);
    let bars = store
        .energy_by_period(DEVICE, 0, &TimeZone::UTC, Period::Hour, range)
        .unwrap();
    let sum: u64 = bars.iter().map(|bar| bar.import_mj).sum();
    assert_eq!(sum, energy_mj(0, 2_000));
    let complete: Vec<bool> = bars.iter().map(|bar| bar.complete).collect();
    assert_eq!(complete, [true, false, false, true, true, false]);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let (_directory, store) = filled(&[(0, 10)]);
    let zone = TimeZone::UTC;
    for range in [(5, 5), (6, 5), (i64::MIN, i64::MAX), (0, START_MS)] {
        let error = store
            .energy_by_period(DEVICE, 0, &zone, Period::Hour, range)
            .unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
    }
    for (range, points) in [
        ((5, 5), 10),
        ((0, 9), 0),
        ((0, 9), POINTS_MAX + 1),
        ((i64::MIN, i64::MAX), 5),
    ] {
        assert!(store.power_series(DEVICE, 0, range, points).is_err());
    }
}

#[test]
fn few_readings_are_shown_one_by_one_with_gaps() {
    let (_directory, store) = filled(&[(0, 30), (50, 60)]);
    let series = store
        .power_series(DEVICE, 0, (START_MS, START_MS + HOUR_MS), 100)
        .unwrap();
    assert_eq!(series.resolution_ms, INTERVAL_MS as i64);
    assert_eq!(series.time_ms.len(), 41, "forty readings and a gap");
    assert_eq!(series.mean_mw[7], Some(i64::from(power_w(7)) * 1_000));
    assert_eq!(
        (series.mean_mw[30], series.time_ms[30]),
        (None, START_MS + 500_000)
    );
    assert_eq!(series.time_ms[31], START_MS + 510_000);
}

#[test]
fn many_readings_are_summed_up_with_extremes_and_gaps() {
    let (_directory, store) = filled(&[(0, 1_200), (2_400, 3_600)]);
    let range = (START_MS, START_MS + 10 * HOUR_MS);
    let series = store.power_series(DEVICE, 0, range, 60).unwrap();
    assert_eq!((series.resolution_ms, series.time_ms.len()), (600_000, 60));
    let first = || (0..60).map(|seq| i64::from(power_w(seq)) * 1_000);
    assert_eq!(series.mean_mw[0], Some(first().sum::<i64>() / 60));
    assert_eq!(
        (series.minimum_mw[0], series.maximum_mw[0]),
        (first().min(), first().max())
    );
    assert_eq!(series.time_ms[0], START_MS + 600_000);
    let gaps: Vec<usize> = (0..60)
        .filter(|&index| series.mean_mw[index].is_none())
        .collect();
    assert_eq!(gaps, (20..40).collect::<Vec<_>>());
}

#[test]
fn meters_are_listed_before_and_after_their_first_collection() {
    let (_directory, mut store) = store();
    store.note_device(DEVICE, "Cellar").unwrap();
    let device = store.device(DEVICE).unwrap();
    assert_eq!(
        (device.name.as_str(), device.readings, device.latest),
        ("Cellar", 0, None)
    );
    store.put_block(HISTORY, &block(0, 5), 1).unwrap();
    store.note_device(DEVICE, "").unwrap();
    store.note_collected(DEVICE, 123).unwrap();
    let devices = store.devices().unwrap();
    assert_eq!(
        (devices[0].name.as_str(), devices[0].readings),
        ("Cellar", 5)
    );
    assert_eq!(
        (devices[0].last_collected_ms, devices[0].oldest),
        (Some(123), Some(Seq(0)))
    );
    let unknown = store.device(DeviceId([0; 6])).unwrap_err();
    assert_eq!(unknown.kind(), crate::Kind::NotFound);
}

#[test]
fn boot_that_continues_an_anchored_one_is_placed_as_well() {
    let (_directory, mut store) = store();
    let event = |number, boot, what| Event {
        number,
        boot,
        uptime_ms: 0,
        what,
    };
    let anchor = What::Anchor {
        utc_ms: START_MS,
        uncertainty_ms: 10,
    };
    let continued = What::Continued {
        uptime_ms: 60_000,
        uncertainty_ms: 40,
    };
    let events = [event(0, 1, anchor), event(1, 2, continued)];
    store.put_events(HISTORY, &events, Some(2)).unwrap();
    let line = store.time_line(HISTORY).unwrap();
    let time = line.resolve(2, 1_000).unwrap();
    assert_eq!(time.utc_ms, START_MS + 61_000);
    assert!(
        !time.estimated && time.uncertainty_ms <= 10 + 40 + 5,
        "{time:?}"
    );
}
