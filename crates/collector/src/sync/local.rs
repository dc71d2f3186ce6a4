//! The store's readings, cut into windows.

use std::ops::Range;

use protocol::{Reading, Seq, StoreId};

use crate::store::{History, Resolved, Span, Store, StoreError};

use super::{
    error::SyncError,
    frozen::{self, Frozen},
    plan::{self, Known, Placement},
    rows::Rows,
    state::{self, Place, WindowRow},
};

/// A history with its row number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) id: i64,
    pub(super) history: History,
}

/// Readings that are to be sent with their timestamps.
pub(super) type Dated = Vec<(i64, Reading)>;

/// A stretch of readings that no window holds.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) source: Source,
    pub(super) range: Range<u64>,
}

/// What came of beginning a window.
#[derive(Debug)]
pub(super) struct Begun {
    /// The window with its readings; `None` where there was none to begin.
    pub(super) window: Option<(WindowRow, Dated)>,
    /// Where to go on.
    pub(super) next: u64,
    /// Why some readings were passed over.
    pub(super) trouble: Option<SyncError>,
}

/// Returns the histories of a meter, oldest first.
pub(super) fn sources(store: &Store, place: Place) -> Result<Vec<Source>, StoreError> {
    let mut query = store.connection.prepare_cached(
        "SELECT history.id, device.device, history.store FROM history
         JOIN device ON device.id = history.device WHERE device.id = ?1 ORDER BY history.id",
    )?;
    let rows = query.query_map([place.device], |row| {
        Ok(Source {
            id: row.get(0)?,
            history: History {
                device: protocol::DeviceId(row.get(1)?),
                store: StoreId(u64::from_be_bytes(row.get(2)?)),
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the numbers of the readings that are held of a history, ascending and joined.
fn held(store: &Store, source: Source) -> Result<Vec<Range<u64>>, StoreError> {
    let mut query = store.connection.prepare_cached(
        "SELECT first, first + count FROM block WHERE history = ?1 AND kind = 0 ORDER BY first",
    )?;
    let mut rows = query.query([source.id])?;
    let mut held: Vec<Range<u64>> = Vec::new();
    while let Some(row) = rows.next()? {
        let first = row.get::<_, i64>(0)?.cast_unsigned();
        let end = row.get::<_, i64>(1)?.cast_unsigned();
        match held.last_mut().filter(|last| first <= last.end) {
            Some(last) => last.end = last.end.max(end),
            None => held.push(first..end),
        }
    }
    Ok(held)
}

/// Returns what is held and not in any window, oldest first.
pub(super) fn gaps(store: &Store, place: Place) -> Result<Vec<Gap>, StoreError> {
    let windows = state::windows(&store.connection, place)?;
    let mut gaps = Vec::new();
    for source in sources(store, place)? {
        let own = windows.iter().filter(|row| row.history == source.id);
        let begun: Vec<Range<u64>> = own.map(WindowRow::range).collect();
        let missing = plan::missing(&held(store, source)?, &begun);
        gaps.extend(missing.into_iter().map(|range| Gap { source, range }));
    }
    Ok(gaps)
}

/// Counts the numbers of which readings are held and not verified.
pub(super) fn left(store: &Store, place: Place) -> Result<u64, StoreError> {
    let missing: u64 = gaps(store, place)?
        .iter()
        .map(|gap| gap.range.end - gap.range.start)
        .sum();
    let windows = state::windows(&store.connection, place)?;
    let unverified = windows.iter().filter(|row| !row.verified);
    let unverified = unverified.map(|row| row.numbers(row.frozen.count));
    Ok(missing + unverified.sum::<u64>())
}

/// Loads the first readings of a range of numbers, at most `readings_max`; a damaged block is passed over and reported.
fn load(
    store: &Store,
    history: History,
    range: Range<u64>,
    readings_max: u64,
) -> Result<(Vec<Resolved>, Option<StoreError>), StoreError> {
    let mut damage = None;
    let mut readings = Vec::new();
    for reading in store.readings(history.device, numbers(history, range))? {
        match reading {
            Ok(reading) => readings.push(reading),
            Err(error @ StoreError::Damaged { .. }) => damage = damage.or(Some(error)),
            Err(error) => return Err(error),
        }
        if readings.len() as u64 >= readings_max {
            break;
        }
    }
    Ok((readings, damage))
}

fn numbers(history: History, range: Range<u64>) -> Span {
    Span::Numbers {
        store: history.store,
        from: Seq(range.start),
        to: Seq(range.end),
    }
}

/// Loads the readings of a window with its fixed timestamps.
///
/// Where finer readings came since the window was begun, they are merged into those that it has.
pub(super) fn dated(store: &Store, source: Source, row: &WindowRow) -> Result<Dated, StoreError> {
    let span = numbers(source.history, row.range());
    let mut rows = Rows::new(row.first, row.span);
    for resolved in store.readings(source.history.device, span)? {
        rows.push(&resolved?.reading);
    }
    let readings = rows.finish();
    let index = |reading: &Reading| (reading.seq.0 - row.first) / u64::from(row.span);
    let dated = |reading: Reading| (row.frozen.at(index(&reading)), reading);
    Ok(readings.into_iter().map(dated).collect())
}

/// Fixes the next window of a gap, from `gap.range.start` on and of `readings_max` readings at the most.
pub(super) fn begin(
    store: &Store,
    place: Place,
    gap: &Gap,
    readings_max: u64,
) -> Result<Begun, StoreError> {
    let range = gap.range.clone();
    let mut begun = Begun {
        window: None,
        next: range.end,
        trouble: None,
    };
    let (mut readings, damage) = load(store, gap.source.history, range, readings_max.max(1))?;
    begun.trouble = damage.map(SyncError::Store);
    readings.truncate(alike(&readings));
    let Some(first) = readings.first() else {
        return Ok(begun);
    };
    let number = first.reading.seq.0;
    let bounds = state::bounds(&store.connection, place, gap.source.id, number)?;
    let times_ms: Vec<i64> = readings.iter().map(|reading| reading.time.utc_ms).collect();
    let Ok(frozen) = frozen::freeze(&times_ms, bounds) else {
        let readings = readings.len() as u64 * u64::from(first.reading.span);
        begun.next = number + readings;
        begun.trouble = begun.trouble.or(Some(SyncError::NoRoom { readings }));
        return Ok(begun);
    };
    let row = window_row(gap.source, first, frozen);
    state::insert(&store.connection, place, &row)?;
    readings.truncate(frozen.count as usize);
    begun.next = row.range().end;
    let dated = (0..).zip(readings);
    let dated = dated.map(|(index, resolved)| (row.frozen.at(index), resolved.reading));
    begun.window = Some((row, dated.collect()));
    Ok(begun)
}

fn window_row(source: Source, first: &Resolved, frozen: Frozen) -> WindowRow {
    let (first_uptime_ms, interval_ms) = (first.reading.uptime_ms, first.reading.interval_ms);
    WindowRow {
        history: source.id,
        first: first.reading.seq.0,
        frozen,
        boot: first.reading.boot,
        first_uptime_ms,
        last_uptime_ms: first_uptime_ms + (frozen.count - 1) * u64::from(interval_ms),
        interval_ms,
        span: first.reading.span,
        estimated: first.time.estimated,
        sent: 0,
        verified: false,
    }
}

/// Counts the readings at the beginning that follow each other without a gap, in the same boot, equally long and equally
/// sure.
fn alike(readings: &[Resolved]) -> usize {
    let follows = |pair: &[Resolved]| {
        let [before, after] = pair else { return false };
        let (one, two) = (&before.reading, &after.reading);
        two.seq.0 == one.seq.0 + u64::from(one.span)
            && two.span == one.span
            && two.boot == one.boot
            && two.interval_ms == one.interval_ms
            && two.channels.len() == one.channels.len()
            && two.uptime_ms == one.uptime_ms + u64::from(two.interval_ms)
            && before.time.estimated == after.time.estimated
    };
    let steps = readings.windows(2).take_while(|pair| follows(pair)).count();
    readings.len().min(steps + 1)
}

/// Exchanges the windows that lie elsewhere now for deletions; returns how many numbers become missing by that.
pub(super) fn give_up_moved(store: &mut Store, place: Place) -> Result<u64, StoreError> {
    let rows = state::windows(&store.connection, place)?;
    let mut lines = Vec::new();
    for source in sources(store, place)? {
        lines.push((source.id, store.time_line(source.history)?));
    }
    let known: Vec<Known> = rows
        .iter()
        .map(|row| {
            let line = lines.iter().find(|(id, _)| *id == row.history);
            let place = |uptime_ms| line.and_then(|(_, line)| line.resolve(row.boot, uptime_ms));
            Known {
                frozen: row.frozen,
                estimated: row.estimated,
                interval_ms: row.interval_ms,
                movable: row.verified,
                now: match (place(row.first_uptime_ms), place(row.last_uptime_ms)) {
                    (Some(first), Some(last)) => Placement {
                        first_ms: first.utc_ms,
                        last_ms: last.utc_ms,
                        estimated: first.estimated,
                    },
                    // Nothing is known of the boot any more: it stays where it is.
                    _ => Placement {
                        first_ms: row.frozen.first_ms,
                        last_ms: row.frozen.last_ms,
                        estimated: row.estimated,
                    },
                },
            }
        })
        .collect();
    let moved = plan::moves(&known);
    for (index, row) in rows.iter().enumerate() {
        let is_sure_now = row.verified && row.estimated && !known[index].now.estimated;
        if is_sure_now && !moved.contains(&index) {
            state::set_sure(&store.connection, place, row)?;
        }
    }
    let moved: Vec<WindowRow> = moved.into_iter().map(|index| rows[index]).collect();
    state::give_up(&mut store.connection, place, &moved)?;
    Ok(moved.iter().map(|row| row.numbers(row.frozen.count)).sum())
}
