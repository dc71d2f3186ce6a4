//! What comes from a meter is held to what should come, before the store takes it.
//!
//! [Visits](crate::collect) and [saved files](crate::import) bring the same: blocks in a row, then events in a row. That a
//! part is authentic is checked where it is received; here it is held to the history and to its place, for a meter that
//! knows the token may still be broken, or lie.

use protocol::{Seq, block::Block, event::Event};

use crate::{
    client::ClientError,
    store::{History, PutBlock, PutSummary, Store, StoreError},
};

/// Bytes of blocks that are taken at a time; no meter has that much flash.
pub const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Events that are taken at a time; a meter's log holds a few thousand.
pub const EVENTS_MAX: u64 = 100_000;
/// Blocks that one transaction takes.
pub const BATCH_BLOCKS: usize = 64;

/// A checked block on its way to the disk.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The block as it came.
    pub bytes: Vec<u8>,
    /// Whether the meter holds nothing between the cursor and this block.
    pub nothing_before: bool,
}

/// A row of blocks of one history.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    history: History,
    at: u64,
}

/// A block that goes on with its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InRow {
    /// Its first number.
    pub first: u64,
    /// Whether numbers between the block before it and this one are missing.
    pub leaves_out: bool,
}

impl Row {
    /// Begins a row at the number that was asked for.
    #[must_use]
    pub fn new(history: History, from: Seq) -> Self {
        Self {
            history,
            at: from.0,
        }
    }

    /// Returns the number that is due.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Takes the next block of the row.
    ///
    /// # Errors
    /// [`ClientError::Block`] for what is no block, [`ClientError::WrongBlock`] for one of another meter or history, or one
    /// that brings nothing further; the row is as it was then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<InRow, ClientError> {
        let block = Block::parse(bytes)?;
        let (header, range) = (block.header(), block.range());
        if (header.device, header.store) != (self.history.device, self.history.store)
            || range.end <= self.at
        {
            return Err(ClientError::WrongBlock);
        }
        let leaves_out = range.start > self.at;
        self.at = range.end;
        Ok(InRow {
            first: range.start,
            leaves_out,
        })
    }
}

/// Stores checked blocks in one transaction.
///
/// # Errors
/// As [`Store::put_blocks`].
pub fn put(
    store: &mut Store,
    history: History,
    arrived: &[Arrived],
    received_ms: i64,
) -> Result<PutSummary, StoreError> {
    let blocks: Vec<PutBlock<'_>> = arrived
        .iter()
        .map(|block| PutBlock {
            bytes: &block.bytes,
            nothing_before: block.nothing_before,
        })
        .collect();
    store.put_blocks(history, &blocks, received_ms)
}

/// Returns the number behind the last of some events that were asked for from `from` on; `none` where there are none.
///
/// # Errors
/// [`ClientError::WrongEvents`] where they are not in order.
pub fn behind(events: &[Event], from: u64, none: u64) -> Result<u64, ClientError> {
    let next = events
        .last()
        .map_or(none, |last| last.number.saturating_add(1));
    let ascending = events.is_sorted_by(|a, b| a.number < b.number);
    if !ascending || next < from || events.first().is_some_and(|first| first.number < from) {
        return Err(ClientError::WrongEvents);
    }
    Ok(next)
}
