//! Blocks from the meter into the store.
//!
//! Two halves run side by side: one takes blocks from the network and checks that they go on where they should, the other
//! stores whatever has come meanwhile in one transaction. So the disk never waits for the network nor the network for
//! the disk, a visit that breaks off keeps every block that came whole, and nothing is counted before it is on the disk.
//!
//! Only the row of authenticated blocks moves the cursor. That a meter no longer holds some numbers is believed when the
//! block that it gives first, when asked for them, begins behind them; what `info` says is not authenticated and alone
//! would let a stranger make a collector skip readings.

use std::time::Duration;

use protocol::{Seq, limits::BLOCK_BYTES_MAX};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::timeout,
};

use super::{Collected, Progress};
use crate::{
    WallClock,
    client::{BlockStream, ClientError, Session},
    error::Error,
    intake::{self, Arrived, BATCH_BLOCKS, BYTES_MAX, Row},
    store::{History, SharedStore, StoreError},
};

/// Bytes of blocks that one request asks for.
const STREAM_BYTES: u64 = 1024 * 1024;
/// How long one block may take to come.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How a row of blocks ended.
enum Ended {
    /// With its last block.
    Complete,
    /// With a block that left numbers out: the meter's memory moved on meanwhile.
    Gap,
}

/// Moves blocks of one history.
pub(super) struct Transfer<'a> {
    pub(super) store: &'a SharedStore,
    pub(super) session: &'a Session,
    pub(super) clock: &'a WallClock,
    pub(super) history: History,
    /// Lowest number that the meter says it holds.
    pub(super) oldest: Seq,
    /// The number at which this visit ends.
    pub(super) target: Seq,
}

impl Transfer<'_> {
    /// Asks until everything below the target is stored.
    pub(super) async fn run(
        &self,
        collected: &mut Collected,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Error> {
        let total = self
            .target
            .0
            .saturating_sub(collected.cursor.max(self.oldest).0);
        let begun = self.target.0.saturating_sub(total);
        let mut report = |cursor: Seq| {
            let done = cursor.0.saturating_sub(begun).min(total);
            progress(Progress { done, total });
        };
        while collected.cursor < self.target && self.oldest < self.target {
            let before = collected.cursor;
            let stream = self.session.blocks(before, STREAM_BYTES).await?;
            let (to_disk, arrived) = mpsc::channel(BATCH_BLOCKS);
            let (read, stored) = tokio::join!(
                self.read(stream, before.0, to_disk),
                self.keep(arrived, collected, &mut report)
            );
            // Where the disk failed, the reader ended for want of a taker.
            stored?;
            let complete = matches!(read?, Ended::Complete);
            if collected.cursor <= before && complete {
                // A meter that answers without saying anything would be asked for ever.
                return Err(ClientError::WrongBlock.into());
            }
            if collected.bytes > BYTES_MAX {
                return Err(ClientError::Endless.into());
            }
        }
        Ok(())
    }

    /// Takes blocks from the network and hands on those that are in order.
    async fn read(
        &self,
        mut stream: BlockStream,
        from: u64,
        to_disk: Sender<Arrived>,
    ) -> Result<Ended, ClientError> {
        let mut row = Row::new(self.history, Seq(from));
        let mut bytes_left = STREAM_BYTES + BLOCK_BYTES_MAX as u64;
        loop {
            let next = timeout(BLOCK_TIMEOUT, stream.next());
            let Some(bytes) = next.await.map_err(|_| ClientError::TooSlow)?? else {
                return Ok(Ended::Complete);
            };
            bytes_left = bytes_left
                .checked_sub(bytes.len() as u64)
                .ok_or(ClientError::Endless)?;
            let is_first = row.at() == from;
            let block = row.take(&bytes)?;
            if block.leaves_out && !is_first {
                return Ok(Ended::Gap);
            }
            if block.leaves_out && !self.no_longer_held(block.first).await? {
                return Err(ClientError::WrongBlock);
            }
            let arrived = Arrived {
                bytes,
                nothing_before: block.leaves_out,
            };
            if to_disk.send(arrived).await.is_err() {
                return Ok(Ended::Complete);
            }
        }
    }

    /// Asks whether the meter itself says that it holds nothing below `first`.
    async fn no_longer_held(&self, first: u64) -> Result<bool, ClientError> {
        Ok(first <= self.oldest.0 || first <= self.session.info().await?.oldest.0)
    }

    /// Stores blocks as they come; when one is counted, it is on the disk.
    async fn keep(
        &self,
        mut arrived: Receiver<Arrived>,
        collected: &mut Collected,
        report: &mut (dyn FnMut(Seq) + Send),
    ) -> Result<(), StoreError> {
        loop {
            let mut batch = Vec::with_capacity(BATCH_BLOCKS);
            if arrived.recv_many(&mut batch, BATCH_BLOCKS).await == 0 {
                return Ok(());
            }
            collected.blocks += batch.len() as u64;
            collected.bytes += batch
                .iter()
                .map(|block| block.bytes.len() as u64)
                .sum::<u64>();
            let (history, received_ms) = (self.history, self.clock.now_ms());
            let put = move |store: &mut crate::store::Store| {
                intake::put(store, history, &batch, received_ms)
            };
            let summary = self.store.run(put).await?;
            collected.readings_new += summary.readings_new;
            collected.conflicts += summary.conflicts;
            collected.cursor = summary.cursor;
            report(summary.cursor);
        }
    }
}
