//! Taking blocks in.
//!
//! All blocks of one call are stored in one transaction. What a new block does to those that overlap it:
//!
//! | the stored one | the new one | then |
//! |---|---|---|
//! | has the same bytes | | nothing changes |
//! | agrees, and with others of at least the new one's rank holds all its numbers | | the new one is not needed |
//! | | agrees, and with others of at least the stored one's rank holds all its numbers | the stored one is replaced |
//! | holds some of the same numbers | | both stay, readings are told apart by number |
//! | has other content under the same number | | both stay, the conflict is recorded |
//!
//! Blocks rank by how fine they are: full resolution, a minute a reading, a quarter of an hour, numbers that never existed,
//! the news of a loss. So finer readings are never replaced by coarser ones, and readings never by the news of a loss;
//! finer ones that come later replace the coarse ones of which they hold every number. A reading holds the numbers from
//! its first one on that it stands for; all counts here are of numbers. Blocks of different resolution
//! [agree](super::agree) when the registers do where readings of both end.

use std::ops::Range;

use protocol::{
    Seq,
    block::{Block, Kind},
};
use rusqlite::{Transaction, TransactionBehavior};

use super::{
    History, Store, StoreError,
    cover::{self, Rank},
    displace::{clear, compare},
};
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
    /// Numbers for which there was no reading before, fine or coarse.
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
    let (range, rank) = (block.range(), Rank::of(block));
    let near = cover::overlapping(transaction, progress.id, progress.count_max, &range)?;
    advance(transaction, progress, &range, new.nothing_before)?;
    for row in &near {
        if row.range() == range && cover::block_bytes(transaction, row.id)? == new.bytes {
            summary.blocks_known += 1;
            return Ok(());
        }
    }
    let compared = compare(transaction, &near, block)?;
    let as_good = compared.trusted.iter().filter(|row| row.rank <= rank);
    if cover::uncovered(&range, as_good) == 0 {
        summary.blocks_known += 1;
        return Ok(());
    }
    if rank.is_readings() {
        let held = near.iter().filter(|row| row.rank.is_readings());
        summary.readings_new += cover::uncovered(&range, held);
    }
    let id = insert(transaction, progress.id, block, new.bytes, received_ms)?;
    progress.count_max = progress.count_max.max(range.end - range.start);
    note_boot(transaction, progress.id, block, received_ms)?;
    for held in &compared.conflicting {
        transaction.execute(
            "INSERT OR IGNORE INTO conflict (history, first, held, arrived, found_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            (progress.id, range.start as i64, held, id, received_ms),
        )?;
    }
    if !compared.conflicting.is_empty() {
        tracing::warn!(
            first = range.start,
            "readings came again with other content; both are kept"
        );
    }
    clear(
        transaction,
        (progress.id, progress.count_max),
        id,
        &range,
        rank,
        compared.replaceable(),
    )?;
    summary.blocks_stored += 1;
    summary.conflicts += u64::from(!compared.conflicting.is_empty());
    Ok(())
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
            "INSERT INTO block (history, first, count, kind, tier, boot, uptime_ms, interval_ms, received_ms, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            history,
            range.start as i64,
            (range.end - range.start) as i64,
            block.kind() as u8,
            block.tier() as u8,
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
