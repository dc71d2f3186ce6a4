//! Taking blocks in.
//!
//! All blocks of one call are stored in one transaction. What a new block does to those that overlap it:
//!
//! | the stored one | the new one | then |
//! |---|---|---|
//! | has the same bytes | | nothing changes |
//! | holds the same readings and more | | the new one is not needed |
//! | | holds the same readings and more | the stored one is replaced |
//! | has some of the same readings | | both stay, readings are told apart by number |
//! | has other content under the same number | | both stay, the conflict is recorded |
//!
//! Finer readings are never replaced by coarser ones, readings never by the news of a loss.

use std::ops::Range;

use protocol::{
    Seq,
    block::{Block, Kind},
};
use rusqlite::{Transaction, TransactionBehavior};

use super::{History, Store, StoreError, cover};
use crate::time_line::UPTIME_MS_MAX;

/// A block to be stored.
#[derive(Clone, Copy, Debug)]
pub struct PutBlock<'a> {
    /// The block as it came.
    pub bytes: &'a [u8],
    /// Whether the meter holds nothing between the cursor and this block, so that the cursor may pass over that.
    pub nothing_before: bool,
}

/// What storing some blocks came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutSummary {
    /// Readings that were not held before.
    pub readings_new: u64,
    /// Blocks that were stored.
    pub blocks_stored: u64,
    /// Blocks that brought nothing new.
    pub blocks_known: u64,
    /// Blocks whose readings contradict stored ones; they are kept beside those.
    pub conflicts: u64,
    /// The first number that is not held after this.
    pub cursor: Seq,
}

/// What the history's row says.
struct Progress {
    id: i64,
    cursor: u64,
    count_max: u64,
}

/// Orders blocks by how much they tell, best first: readings before the news of a loss, finer before coarser.
type Rank = (u8, u64);

/// A stored block that overlaps a new one.
struct Overlap {
    id: i64,
    range: Range<u64>,
    rank: Rank,
    bytes: Vec<u8>,
}

impl Store {
    /// Stores one block; see [`put_blocks`](Self::put_blocks).
    ///
    /// # Errors
    /// As for several.
    pub fn put_block(
        &mut self,
        history: History,
        bytes: &[u8],
        received_ms: i64,
    ) -> Result<PutSummary, StoreError> {
        let block = PutBlock {
            bytes,
            nothing_before: false,
        };
        self.put_blocks(history, &[block], received_ms)
    }

    /// Stores blocks of one history in one transaction: when this returns they are on the disk, all or none.
    ///
    /// # Errors
    /// [`StoreError::NotABlock`], [`StoreError::OtherHistory`], [`StoreError::OutOfRange`]; nothing is stored then.
    pub fn put_blocks(
        &mut self,
        history: History,
        blocks: &[PutBlock<'_>],
        received_ms: i64,
    ) -> Result<PutSummary, StoreError> {
        let parsed: Vec<Block<'_>> = blocks
            .iter()
            .map(|block| checked(history, block.bytes))
            .collect::<Result<_, _>>()?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut progress = open_history(&transaction, history)?;
        let mut summary = PutSummary::default();
        for (block, parsed) in blocks.iter().zip(&parsed) {
            put(
                &transaction,
                &mut progress,
                block,
                parsed,
                received_ms,
                &mut summary,
            )?;
        }
        transaction
            .prepare_cached("UPDATE history SET cursor = ?2, count_max = ?3 WHERE id = ?1")?
            .execute((
                progress.id,
                progress.cursor as i64,
                progress.count_max as i64,
            ))?;
        transaction.commit()?;
        summary.cursor = Seq(progress.cursor);
        Ok(summary)
    }

    /// Returns the first number that is not held yet; 0 for a history that is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub fn cursor(&self, history: History) -> Result<Seq, StoreError> {
        let Some(id) = cover::history_id(&self.connection, history)? else {
            return Ok(Seq(0));
        };
        let mut query = self
            .connection
            .prepare_cached("SELECT cursor FROM history WHERE id = ?1")?;
        let cursor: i64 = query.query_row([id], |row| row.get(0))?;
        Ok(Seq(cursor as u64))
    }

    /// Returns the stored blocks that overlap a range of numbers, by first number, as they came.
    ///
    /// # Errors
    /// When the database fails.
    pub fn blocks_in(
        &self,
        history: History,
        range: Range<Seq>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(id) = cover::history_id(&self.connection, history)? else {
            return Ok(Vec::new());
        };
        let bound = |seq: Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
        let mut query = self.connection.prepare_cached(
            "SELECT bytes FROM block WHERE history = ?1 AND first < ?3 AND first + count > ?2
             ORDER BY first, id",
        )?;
        let key = (id, bound(range.start), bound(range.end));
        let rows = query.query_map(key, |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Parses a block and holds it to the history and to what the columns take.
fn checked(history: History, bytes: &[u8]) -> Result<Block<'_>, StoreError> {
    let block = Block::parse(bytes).map_err(StoreError::NotABlock)?;
    let header = block.header();
    let found = History {
        device: header.device,
        store: header.store,
    };
    if found != history {
        return Err(StoreError::OtherHistory {
            expected: history,
            found,
        });
    }
    if i64::try_from(block.range().end).is_err() || last_uptime_ms(&block) > UPTIME_MS_MAX {
        return Err(StoreError::OutOfRange);
    }
    Ok(block)
}

fn last_uptime_ms(block: &Block<'_>) -> u64 {
    let range = block.range();
    let header = block.header();
    let later_ms = (range.end - range.start - 1) * u64::from(header.interval_ms);
    header.uptime_ms.saturating_add(later_ms)
}

/// Returns the history's row, made where there is none.
fn open_history(transaction: &Transaction<'_>, history: History) -> Result<Progress, StoreError> {
    let id = ensure_history(transaction, history)?;
    let mut query =
        transaction.prepare_cached("SELECT cursor, count_max FROM history WHERE id = ?1")?;
    Ok(query.query_row([id], |row| {
        Ok(Progress {
            id,
            cursor: row.get::<_, i64>(0)? as u64,
            count_max: row.get::<_, i64>(1)? as u64,
        })
    })?)
}

/// Makes the rows of a device and a history where there are none and returns the history's number.
pub(super) fn ensure_history(
    transaction: &Transaction<'_>,
    history: History,
) -> Result<i64, StoreError> {
    if let Some(id) = cover::history_id(transaction, history)? {
        return Ok(id);
    }
    let device = history.device.0;
    transaction.execute(
        "INSERT OR IGNORE INTO device (device) VALUES (?1)",
        [device],
    )?;
    transaction.execute(
        "INSERT INTO history (device, store) SELECT id, ?2 FROM device WHERE device = ?1",
        (device, history.store.0.to_be_bytes()),
    )?;
    Ok(transaction.last_insert_rowid())
}

fn put(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    new: &PutBlock<'_>,
    block: &Block<'_>,
    received_ms: i64,
    summary: &mut PutSummary,
) -> Result<(), StoreError> {
    let range = block.range();
    let overlaps = overlaps(transaction, progress, &range)?;
    advance(transaction, progress, &range, new.nothing_before)?;
    if overlaps.iter().any(|held| held.bytes == new.bytes) {
        summary.blocks_known += 1;
        return Ok(());
    }
    let (mut conflicting, mut replaced) = (Vec::new(), Vec::new());
    for held in &overlaps {
        let replaceable = rank(block) <= held.rank && covers(&range, &held.range);
        match Block::parse(&held.bytes) {
            Ok(held_block) if !agree(&held_block, block) => conflicting.push(held.id),
            // What was damaged on this disk gives way to what the meter still has.
            Ok(_) | Err(_) if replaceable => replaced.push(held.id),
            Ok(_) if held.rank <= rank(block) && covers(&held.range, &range) => {
                summary.blocks_known += 1;
                return Ok(());
            }
            Ok(_) | Err(_) => {}
        }
    }
    if block.kind() == Kind::Readings {
        summary.readings_new += uncovered(&range, &overlaps);
    }
    remove(transaction, &replaced)?;
    let id = insert(transaction, progress.id, block, new.bytes, received_ms)?;
    progress.count_max = progress.count_max.max(range.end - range.start);
    note_boot(transaction, progress.id, block, received_ms)?;
    for held in &conflicting {
        transaction.execute(
            "INSERT OR IGNORE INTO conflict (history, first, held, arrived, found_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            (progress.id, range.start as i64, held, id, received_ms),
        )?;
    }
    if !conflicting.is_empty() {
        tracing::warn!(
            first = range.start,
            "readings came again with other content; both are kept"
        );
    }
    summary.blocks_stored += 1;
    summary.conflicts += u64::from(!conflicting.is_empty());
    Ok(())
}

fn rank(block: &Block<'_>) -> Rank {
    rank_of(block.kind() as u8, block.header().interval_ms.into())
}

fn rank_of(kind: u8, interval_ms: u64) -> Rank {
    if kind == Kind::Readings as u8 {
        (0, interval_ms)
    } else {
        // The interval of a loss tells nothing.
        (1, 0)
    }
}

fn covers(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Tells whether two blocks say the same about every number that both hold readings for.
fn agree(held: &Block<'_>, new: &Block<'_>) -> bool {
    if held.kind() != Kind::Readings || new.kind() != Kind::Readings {
        return true;
    }
    let (held_range, new_range) = (held.range(), new.range());
    let from = held_range.start.max(new_range.start);
    let to = held_range.end.min(new_range.end);
    let common = |block: &Block<'_>, range: &Range<u64>| {
        let (skip, take) = ((from - range.start) as usize, (to - from) as usize);
        block.readings().skip(skip).take(take).collect::<Vec<_>>()
    };
    common(held, &held_range) == common(new, &new_range)
}

/// Returns how many numbers of `range` no block of readings among `overlaps` holds.
fn uncovered(range: &Range<u64>, overlaps: &[Overlap]) -> u64 {
    let mut at = range.start;
    let mut count = 0;
    for held in overlaps.iter().filter(|held| held.rank.0 == 0) {
        count += held.range.start.saturating_sub(at).min(range.end - at);
        at = at.max(held.range.end.min(range.end));
    }
    count + (range.end - at)
}

/// Returns the stored blocks that overlap a range, by first number.
fn overlaps(
    transaction: &Transaction<'_>,
    progress: &Progress,
    range: &Range<u64>,
) -> Result<Vec<Overlap>, StoreError> {
    let mut query = transaction.prepare_cached(
        "SELECT id, first, count, kind, interval_ms, bytes FROM block
         WHERE history = ?1 AND first > ?2 AND first < ?4 AND first + count > ?3 ORDER BY first, id",
    )?;
    // No block that begins before this reaches into the range.
    let lowest = range.start as i64 - progress.count_max as i64;
    let key = (progress.id, lowest, range.start as i64, range.end as i64);
    let rows = query.query_map(key, |row| {
        let first = row.get::<_, i64>(1)? as u64;
        let interval_ms = row.get::<_, i64>(4)? as u64;
        Ok(Overlap {
            id: row.get(0)?,
            range: first..first + row.get::<_, i64>(2)? as u64,
            rank: rank_of(row.get(3)?, interval_ms),
            bytes: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Moves the cursor over a block that is now held, and over held ones behind it.
fn advance(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    range: &Range<u64>,
    nothing_before: bool,
) -> Result<(), StoreError> {
    if progress.cursor >= range.end || (range.start > progress.cursor && !nothing_before) {
        return Ok(());
    }
    // A stored block that holds the new cursor begins at or behind the old one, else the old one would be further on.
    let mut query = transaction.prepare_cached(
        "SELECT first, first + count FROM block WHERE history = ?1 AND first >= ?2 ORDER BY first",
    )?;
    let mut rows = query.query((progress.id, progress.cursor as i64))?;
    progress.cursor = range.end;
    while let Some(row) = rows.next()? {
        let (first, end) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
        if first > progress.cursor {
            break;
        }
        progress.cursor = progress.cursor.max(end);
    }
    Ok(())
}

fn remove(transaction: &Transaction<'_>, blocks: &[i64]) -> Result<(), StoreError> {
    for id in blocks {
        transaction
            .prepare_cached("DELETE FROM conflict WHERE held = ?1 OR arrived = ?1")?
            .execute([id])?;
        transaction
            .prepare_cached("DELETE FROM block WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    history: i64,
    block: &Block<'_>,
    bytes: &[u8],
    received_ms: i64,
) -> Result<i64, StoreError> {
    let header = block.header();
    let range = block.range();
    transaction
        .prepare_cached(
            "INSERT INTO block (history, first, count, kind, boot, uptime_ms, interval_ms, received_ms, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            history,
            range.start as i64,
            (range.end - range.start) as i64,
            block.kind() as u8,
            header.boot,
            header.uptime_ms as i64,
            header.interval_ms,
            received_ms,
            bytes,
        ))?;
    Ok(transaction.last_insert_rowid())
}

/// Widens what is known of the block's boot.
fn note_boot(
    transaction: &Transaction<'_>,
    history: i64,
    block: &Block<'_>,
    received_ms: i64,
) -> Result<(), StoreError> {
    if block.kind() != Kind::Readings {
        return Ok(());
    }
    let header = block.header();
    let begin_ms = header.uptime_ms.saturating_sub(header.interval_ms.into());
    let end_ms = last_uptime_ms(block);
    let offset_ms = received_ms.saturating_sub(end_ms as i64);
    super::events::widen_boot(
        transaction,
        history,
        header.boot,
        begin_ms,
        end_ms,
        Some(offset_ms),
    )
}
