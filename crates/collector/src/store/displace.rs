//! What a new block makes of the stored ones that overlap it.

use std::{cmp::Reverse, ops::Range};

use protocol::block::Block;
use rusqlite::Transaction;

use super::{
    StoreError,
    agree::Unpacked,
    cover::{self, BlockRow, Rank},
};

/// What comparing a new block with the stored ones came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Those that agree with it.
    pub(super) trusted: Vec<BlockRow>,
    /// Those that were damaged on this disk.
    pub(super) damaged: Vec<BlockRow>,
    /// Those that contradict it.
    pub(super) conflicting: Vec<i64>,
}

impl Compared {
    /// Returns what may go, what tells least first: the coarsest, then the smallest.
    pub(super) fn replaceable(&self) -> Vec<BlockRow> {
        let mut rows = [&self.damaged[..], &self.trusted[..]].concat();
        rows.sort_by_key(|row| (Reverse(row.rank), row.count, row.id));
        rows
    }
}

/// Compares a new block with those that overlap it, one at a time: a coarse one may overlap many.
pub(super) fn compare(
    transaction: &Transaction<'_>,
    near: &[BlockRow],
    block: &Block<'_>,
) -> Result<Compared, StoreError> {
    let mut unpacked = None;
    let mut compared = Compared::default();
    for row in near {
        let bytes = cover::block_bytes(transaction, row.id)?;
        let Ok(held) = Block::parse(&bytes) else {
            compared.damaged.push(*row);
            continue;
        };
        if unpacked
            .get_or_insert_with(|| Unpacked::new(block))
            .agrees(&held)
        {
            compared.trusted.push(*row);
        } else {
            compared.conflicting.push(row.id);
        }
    }
    Ok(compared)
}

/// Removes the blocks that are not needed any more beside the new one `id`; of two that could replace each other, one.
pub(super) fn clear(
    transaction: &Transaction<'_>,
    (history, count_max): (i64, u64),
    id: i64,
    range: &Range<u64>,
    rank: Rank,
    candidates: Vec<BlockRow>,
) -> Result<(), StoreError> {
    for row in candidates {
        // What the new block tells less of, it does not make superfluous.
        if rank > row.rank {
            continue;
        }
        let is_covered = range.start <= row.first && row.end() <= range.end;
        if is_covered || is_held_by_others(transaction, (history, count_max), id, &row)? {
            remove(transaction, row.id)?;
        }
    }
    Ok(())
}

/// Tells whether blocks of at least its rank that do not contradict it, the new one `id` among them, hold every number of
/// a block.
fn is_held_by_others(
    transaction: &Transaction<'_>,
    (history, count_max): (i64, u64),
    id: i64,
    row: &BlockRow,
) -> Result<bool, StoreError> {
    let mut query = transaction.prepare_cached(
        "SELECT held + arrived - ?1 FROM conflict WHERE held = ?1 OR arrived = ?1",
    )?;
    let conflicting: Vec<i64> = query
        .query_map([row.id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let range = row.range();
    let mut others = cover::overlapping(transaction, history, count_max, &range)?;
    others.retain(|other| {
        other.id != row.id && other.rank <= row.rank && !conflicting.contains(&other.id)
    });
    if cover::uncovered(&range, others.iter()) > 0 {
        return Ok(false);
    }
    // What was damaged on this disk holds nothing.
    let mut whole = Vec::with_capacity(others.len());
    for other in others {
        if other.id == id || Block::parse(&cover::block_bytes(transaction, other.id)?).is_ok() {
            whole.push(other);
        }
    }
    Ok(cover::uncovered(&range, whole.iter()) == 0)
}

fn remove(transaction: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM conflict WHERE held = ?1 OR arrived = ?1")?
        .execute([id])?;
    transaction
        .prepare_cached("DELETE FROM block WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}
