//! The meter's event log and what the time line is made from.

use protocol::{
    DeviceId,
    event::{Event, What},
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::{History, Store, StoreError, blocks::ensure_history, cover};
use crate::time_line::{Anchor, BootSpan, Link, TimeLine, UPTIME_MS_MAX};

impl Store {
    /// Stores events of a history in one transaction; known ones are left as they are. When all of the log up to
    /// `asked_up_to` was asked for, that is where the next question begins.
    ///
    /// # Errors
    /// [`StoreError::EventChanged`] where a number comes again with other content, [`StoreError::OutOfRange`]; nothing is
    /// stored then.
    pub fn put_events(
        &mut self,
        history: History,
        events: &[Event],
        asked_up_to: Option<u64>,
    ) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = ensure_history(&transaction, history)?;
        for event in events {
            put_event(&transaction, id, event)?;
        }
        if let Some(next) = asked_up_to {
            let next = i64::try_from(next).map_err(|_| StoreError::OutOfRange)?;
            transaction
                .prepare_cached(
                    "UPDATE history SET event_cursor = max(event_cursor, ?2) WHERE id = ?1",
                )?
                .execute((id, next))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Stores one event that was heard of before its turn, as the answer to telling the time is.
    ///
    /// # Errors
    /// As for several.
    pub fn put_event(&mut self, history: History, event: &Event) -> Result<(), StoreError> {
        let in_turn = self.event_cursor(history)? == event.number;
        let next = in_turn.then_some(event.number.saturating_add(1));
        self.put_events(history, std::slice::from_ref(event), next)
    }

    /// Returns the number of the first event that was not asked for yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn event_cursor(&self, history: History) -> Result<u64, StoreError> {
        let Some(id) = cover::history_id(&self.connection, history)? else {
            return Ok(0);
        };
        let mut query = self
            .connection
            .prepare_cached("SELECT event_cursor FROM history WHERE id = ?1")?;
        let cursor: i64 = query.query_row([id], |row| row.get(0))?;
        Ok(cursor as u64)
    }

    /// Returns the event log of a history in order.
    ///
    /// # Errors
    /// When the database fails or a row is damaged.
    pub fn events(&self, history: History) -> Result<Vec<Event>, StoreError> {
        let Some(id) = cover::history_id(&self.connection, history)? else {
            return Ok(Vec::new());
        };
        let mut query = self.connection.prepare_cached(
            "SELECT number, boot, uptime_ms, what FROM event WHERE history = ?1 ORDER BY number",
        )?;
        let mut rows = query.query([id])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(Event {
                number: row.get::<_, i64>(0)? as u64,
                boot: row.get(1)?,
                uptime_ms: row.get::<_, i64>(2)? as u64,
                what: serde_json::from_str(
                    row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?,
                )?,
            });
        }
        Ok(events)
    }

    /// Returns the anchors of a history in the order of their events.
    ///
    /// # Errors
    /// When the database fails.
    pub fn anchors(&self, history: History) -> Result<Vec<Anchor>, StoreError> {
        match cover::history_id(&self.connection, history)? {
            Some(id) => anchors(&self.connection, id),
            None => Ok(Vec::new()),
        }
    }

    /// Computes the time line of a history from what is known now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn time_line(&self, history: History) -> Result<TimeLine, StoreError> {
        match cover::history_id(&self.connection, history)? {
            Some(id) => time_line(&self.connection, id),
            None => Ok(TimeLine::default()),
        }
    }

    /// Returns the histories of a meter, oldest first; none for a meter that is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub fn histories(&self, device: DeviceId) -> Result<Vec<History>, StoreError> {
        let rows = cover::histories(&self.connection, device)?;
        Ok(rows.into_iter().map(|row| row.history).collect())
    }
}

fn put_event(transaction: &Transaction<'_>, history: i64, event: &Event) -> Result<(), StoreError> {
    let number = i64::try_from(event.number).map_err(|_| StoreError::OutOfRange)?;
    if event.uptime_ms > UPTIME_MS_MAX {
        return Err(StoreError::OutOfRange);
    }
    let uptime_ms = event.uptime_ms as i64;
    let what = serde_json::to_string(&event.what)?;
    let held: Option<(u32, i64, String)> = transaction
        .prepare_cached(
            "SELECT boot, uptime_ms, what FROM event WHERE history = ?1 AND number = ?2",
        )?
        .query_row((history, number), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    match held {
        Some(held) if held == (event.boot, uptime_ms, what) => return Ok(()),
        Some(_) => {
            return Err(StoreError::EventChanged {
                number: event.number,
            });
        }
        None => {}
    }
    let what = serde_json::to_string(&event.what)?;
    transaction
        .prepare_cached("INSERT INTO event (history, number, boot, uptime_ms, what) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((history, number, event.boot, uptime_ms, what))?;
    if let What::Anchor {
        utc_ms,
        uncertainty_ms,
    } = event.what
    {
        transaction
            .prepare_cached(
                "INSERT INTO anchor (history, number, boot, uptime_ms, utc_ms, uncertainty_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                history,
                number,
                event.boot,
                uptime_ms,
                utc_ms,
                uncertainty_ms,
            ))?;
    }
    widen_boot(
        transaction,
        history,
        event.boot,
        event.uptime_ms,
        event.uptime_ms,
        None,
    )
}

/// Widens what is known of a boot to the uptimes `begin_ms..=end_ms`, and lowers its bound from receipts.
pub(super) fn widen_boot(
    transaction: &Transaction<'_>,
    history: i64,
    boot: u32,
    begin_ms: u64,
    end_ms: u64,
    received_offset_ms: Option<i64>,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO boot (history, boot, first_uptime_ms, last_uptime_ms, received_offset_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (history, boot) DO UPDATE SET
                 first_uptime_ms = min(first_uptime_ms, excluded.first_uptime_ms),
                 last_uptime_ms = max(last_uptime_ms, excluded.last_uptime_ms),
                 received_offset_ms = min(
                     ifnull(received_offset_ms, excluded.received_offset_ms),
                     ifnull(excluded.received_offset_ms, received_offset_ms))",
        )?
        .execute((
            history,
            boot,
            begin_ms as i64,
            end_ms as i64,
            received_offset_ms,
        ))?;
    Ok(())
}

fn anchors(connection: &Connection, history: i64) -> Result<Vec<Anchor>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT number, boot, uptime_ms, utc_ms, uncertainty_ms FROM anchor WHERE history = ?1 ORDER BY number",
    )?;
    let rows = query.query_map([history], |row| {
        Ok(Anchor {
            event: row.get::<_, i64>(0)? as u64,
            boot: row.get(1)?,
            uptime_ms: row.get::<_, i64>(2)? as u64,
            utc_ms: row.get(3)?,
            uncertainty_ms: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the links between boots; they are rare enough to be looked for among the events.
fn links(connection: &Connection, history: i64) -> Result<Vec<Link>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT boot, what FROM event WHERE history = ?1 AND what LIKE '{\"continued\":%'",
    )?;
    let mut rows = query.query([history])?;
    let mut links = Vec::new();
    while let Some(row) = rows.next()? {
        let what = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if let What::Continued {
            uptime_ms,
            uncertainty_ms,
        } = serde_json::from_str(what)?
        {
            links.push(Link {
                boot: row.get(0)?,
                uptime_ms,
                uncertainty_ms,
            });
        }
    }
    Ok(links)
}

/// Computes the time line of a history by its row number.
pub(super) fn time_line(connection: &Connection, history: i64) -> Result<TimeLine, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT boot, last_uptime_ms, received_offset_ms FROM boot WHERE history = ?1",
    )?;
    let rows = query.query_map([history], |row| {
        Ok(BootSpan {
            boot: row.get(0)?,
            last_uptime_ms: row.get::<_, i64>(1)? as u64,
            received_offset_ms: row.get(2)?,
        })
    })?;
    let spans: Vec<BootSpan> = rows.collect::<Result<_, _>>()?;
    Ok(TimeLine::new(
        &spans,
        &anchors(connection, history)?,
        &links(connection, history)?,
    ))
}
