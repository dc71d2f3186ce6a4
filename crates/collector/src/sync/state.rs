//! How far each meter is on each server, in the store.
//!
//! A window is written down before the first of its readings is sent, so that a timestamp is fixed before any server can
//! have seen it; every later step is one transaction. Whatever moment the process dies at, the next run finds what may be
//! on the server and does the same step again, which changes nothing where it was done already.

use std::ops::Range;

use protocol::DeviceId;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use crate::{
    store::StoreError,
    thingsboard::{ServerDeviceId, Window},
};

use super::frozen::{Bounds, Frozen};

/// Readings that verified windows are joined up to; a move sends so many anew at the most.
const JOINED_MAX: u64 = 20_000;

/// One meter on one server, by the rows' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: i64,
    pub(super) device: i64,
}

/// A window as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowRow {
    /// Row number of the history.
    pub(super) history: i64,
    /// Number of the first reading.
    pub(super) first: u64,
    pub(super) frozen: Frozen,
    pub(super) boot: u32,
    /// Uptime at the end of the first and of the last reading, in ms.
    pub(super) first_uptime_ms: u64,
    pub(super) last_uptime_ms: u64,
    /// Of a reading.
    pub(super) interval_ms: u32,
    /// Numbers that each reading stands for.
    pub(super) span: u32,
    pub(super) estimated: bool,
    /// How many were acknowledged.
    pub(super) sent: u64,
    pub(super) verified: bool,
}

impl WindowRow {
    /// Returns the numbers of the readings.
    pub(super) fn range(&self) -> Range<u64> {
        self.first..self.first + self.numbers(self.frozen.count)
    }

    /// Returns how many numbers so many readings stand for.
    pub(super) fn numbers(&self, readings: u64) -> u64 {
        readings * u64::from(self.span)
    }

    /// Returns the span of time on the server.
    pub(super) fn window(&self) -> Window {
        Window {
            first_ms: self.frozen.first_ms,
            last_ms: self.frozen.last_ms,
        }
    }
}

const COLUMNS: &str = "history, first, count, first_ms, last_ms, boot, first_uptime_ms, last_uptime_ms, interval_ms, \
                       span, estimated, sent, verified";

fn window_row(row: &Row<'_>) -> rusqlite::Result<WindowRow> {
    let unsigned = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
    Ok(WindowRow {
        history: row.get(0)?,
        first: unsigned(1)?,
        frozen: Frozen {
            count: unsigned(2)?,
            first_ms: row.get(3)?,
            last_ms: row.get(4)?,
        },
        boot: row.get(5)?,
        first_uptime_ms: unsigned(6)?,
        last_uptime_ms: unsigned(7)?,
        interval_ms: row.get(8)?,
        span: row.get(9)?,
        estimated: row.get(10)?,
        sent: unsigned(11)?,
        verified: row.get(12)?,
    })
}

/// Numbers of readings stay below 2⁶³, see the store's limits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Notes which device on a server a meter is. Where it was another one before, that one's data does not count any more.
pub(super) fn set_link(
    connection: &mut Connection,
    url: &str,
    device: DeviceId,
    server_device: &ServerDeviceId,
) -> Result<(), StoreError> {
    let transaction = begin(connection)?;
    transaction.execute("INSERT OR IGNORE INTO sync_target (url) VALUES (?1)", [url])?;
    transaction.execute(
        "INSERT OR IGNORE INTO device (device) VALUES (?1)",
        [device.0],
    )?;
    let target: i64 =
        transaction.query_row("SELECT id FROM sync_target WHERE url = ?1", [url], |row| {
            row.get(0)
        })?;
    let id: i64 = transaction.query_row(
        "SELECT id FROM device WHERE device = ?1",
        [device.0],
        |row| row.get(0),
    )?;
    let known: Option<String> = transaction
        .query_row(
            "SELECT server_device FROM sync_device WHERE target = ?1 AND device = ?2",
            (target, id),
            |row| row.get(0),
        )
        .optional()?;
    if known.as_deref() != Some(server_device.as_str()) {
        forget(&transaction, Place { target, device: id })?;
        transaction.execute(
            "INSERT OR REPLACE INTO sync_device (target, device, server_device) VALUES (?1, ?2, ?3)",
            (target, id, server_device.as_str()),
        )?;
    }
    transaction.commit()?;
    Ok(())
}

fn forget(transaction: &Transaction<'_>, place: Place) -> Result<(), StoreError> {
    let key = (place.target, place.device);
    transaction.execute(
        "DELETE FROM sync_delete WHERE target = ?1 AND device = ?2",
        key,
    )?;
    transaction.execute(
        "DELETE FROM sync_window WHERE target = ?1 AND history IN (SELECT id FROM history WHERE device = ?2)",
        key,
    )?;
    Ok(())
}

/// Returns where a meter's data goes on a server; `None` where it is not linked.
pub(super) fn link(
    connection: &Connection,
    url: &str,
    device: DeviceId,
) -> Result<Option<(Place, ServerDeviceId)>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT sync_device.target, sync_device.device, server_device FROM sync_device
         JOIN sync_target ON sync_target.id = sync_device.target
         JOIN device ON device.id = sync_device.device
         WHERE url = ?1 AND device.device = ?2",
    )?;
    let found: Option<(i64, i64, String)> = query
        .query_row((url, device.0), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    Ok(found.and_then(|(target, device, id)| {
        Some((Place { target, device }, ServerDeviceId::parse(&id)?))
    }))
}

/// Returns all windows of a meter, in the order of its histories and numbers.
pub(super) fn windows(connection: &Connection, place: Place) -> Result<Vec<WindowRow>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sync_window
         WHERE target = ?1 AND history IN (SELECT id FROM history WHERE device = ?2) ORDER BY history, first"
    ))?;
    let rows = query.query_map((place.target, place.device), window_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the timestamps on either side of where the reading `first` of a history belongs.
pub(super) fn bounds(
    connection: &Connection,
    place: Place,
    history: i64,
    first: u64,
) -> Result<Bounds, StoreError> {
    let value = |sql: &str| -> Result<Option<i64>, StoreError> {
        let key = (place.target, place.device, history, signed(first));
        let mut query = connection.prepare_cached(sql)?;
        Ok(query.query_row(key, |row| row.get(0)).optional()?.flatten())
    };
    let beside = "FROM sync_window WHERE target = ?1 AND ?2 = ?2 AND history = ?3 AND first";
    let elsewhere = "FROM sync_window WHERE target = ?1 AND ?4 = ?4 \
                     AND history IN (SELECT id FROM history WHERE device = ?2 AND id";
    let after_ms = match value(&format!(
        "SELECT last_ms {beside} < ?4 ORDER BY first DESC LIMIT 1"
    ))? {
        Some(ms) => Some(ms),
        None => value(&format!("SELECT max(last_ms) {elsewhere} < ?3)"))?,
    };
    let before_ms = match value(&format!(
        "SELECT first_ms {beside} > ?4 ORDER BY first LIMIT 1"
    ))? {
        Some(ms) => Some(ms),
        None => value(&format!("SELECT min(first_ms) {elsewhere} > ?3)"))?,
    };
    Ok(Bounds {
        after_ms,
        before_ms,
    })
}

/// Fixes a window that nothing of was sent.
pub(super) fn insert(
    connection: &Connection,
    place: Place,
    row: &WindowRow,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO sync_window (target, {COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, 0)"
        ))?
        .execute((
            place.target,
            row.history,
            signed(row.first),
            signed(row.frozen.count),
            row.frozen.first_ms,
            row.frozen.last_ms,
            row.boot,
            signed(row.first_uptime_ms),
            signed(row.last_uptime_ms),
            row.interval_ms,
            row.span,
            row.estimated,
        ))?;
    Ok(())
}

/// Notes how many readings of a window were acknowledged.
pub(super) fn set_sent(
    connection: &Connection,
    place: Place,
    row: &WindowRow,
    sent: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE sync_window SET sent = ?4 WHERE target = ?1 AND history = ?2 AND first = ?3",
        )?
        .execute((place.target, row.history, signed(row.first), signed(sent)))?;
    Ok(())
}

/// Notes that a window's estimate turned out to be right.
pub(super) fn set_sure(
    connection: &Connection,
    place: Place,
    row: &WindowRow,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE sync_window SET estimated = 0 WHERE target = ?1 AND history = ?2 AND first = ?3",
        )?
        .execute((place.target, row.history, signed(row.first)))?;
    Ok(())
}

/// Notes that a window is stored on the server, and joins it to the one before where that continues it.
pub(super) fn set_verified(
    connection: &mut Connection,
    place: Place,
    row: &WindowRow,
) -> Result<(), StoreError> {
    let transaction = begin(connection)?;
    let key = (place.target, row.history, signed(row.first));
    let before = transaction
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM sync_window WHERE target = ?1 AND history = ?2 AND first < ?3
             ORDER BY first DESC LIMIT 1"
        ))?
        .query_row(key, window_row)
        .optional()?;
    match before.filter(|before| continues(before, row)) {
        Some(before) => {
            transaction
                .prepare_cached(
                    "DELETE FROM sync_window WHERE target = ?1 AND history = ?2 AND first = ?3",
                )?
                .execute(key)?;
            let count = before.frozen.count + row.frozen.count;
            transaction
                .prepare_cached(
                    "UPDATE sync_window SET count = ?4, sent = ?4, last_ms = ?5, last_uptime_ms = ?6
                     WHERE target = ?1 AND history = ?2 AND first = ?3",
                )?
                .execute((
                    place.target,
                    before.history,
                    signed(before.first),
                    signed(count),
                    row.frozen.last_ms,
                    signed(row.last_uptime_ms),
                ))?;
        }
        None => {
            transaction
                .prepare_cached(
                    "UPDATE sync_window SET verified = 1, sent = count
                     WHERE target = ?1 AND history = ?2 AND first = ?3",
                )?
                .execute(key)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Tells whether a window goes on where a verified one ends, at the same pace.
///
/// The timestamps of a verified window are needed for its place and its move only, so that interpolation over both may be
/// off by a few milliseconds.
fn continues(before: &WindowRow, row: &WindowRow) -> bool {
    let is_next = before.range().end == row.first
        && before.boot == row.boot
        && (before.interval_ms, before.span) == (row.interval_ms, row.span)
        && before.estimated == row.estimated
        && row.first_uptime_ms.checked_sub(before.last_uptime_ms)
            == Some(u64::from(row.interval_ms));
    let step_ms = row.frozen.first_ms.saturating_sub(before.frozen.last_ms);
    let is_even = step_ms.abs_diff(i64::from(row.interval_ms)) <= u64::from(row.interval_ms / 100);
    before.verified && is_next && is_even && before.frozen.count + row.frozen.count <= JOINED_MAX
}

/// Exchanges windows for the deletion of their points, all or none.
pub(super) fn give_up(
    connection: &mut Connection,
    place: Place,
    rows: &[WindowRow],
) -> Result<(), StoreError> {
    let transaction = begin(connection)?;
    for row in rows {
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO sync_delete (target, device, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                place.target,
                place.device,
                row.frozen.first_ms,
                row.frozen.last_ms,
            ))?;
        transaction
            .prepare_cached(
                "DELETE FROM sync_window WHERE target = ?1 AND history = ?2 AND first = ?3",
            )?
            .execute((place.target, row.history, signed(row.first)))?;
    }
    transaction.commit()?;
    Ok(())
}

/// Returns the deletions that are due, oldest first.
pub(super) fn deletions(connection: &Connection, place: Place) -> Result<Vec<Window>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT first_ms, last_ms FROM sync_delete WHERE target = ?1 AND device = ?2 ORDER BY first_ms",
    )?;
    let rows = query.query_map((place.target, place.device), |row| {
        Ok(Window {
            first_ms: row.get(0)?,
            last_ms: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that the points of a window are gone from the server.
pub(super) fn deleted(
    connection: &Connection,
    place: Place,
    window: Window,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM sync_delete WHERE target = ?1 AND device = ?2 AND first_ms = ?3 AND last_ms = ?4",
        )?
        .execute((place.target, place.device, window.first_ms, window.last_ms))?;
    Ok(())
}
