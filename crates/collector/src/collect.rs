//! One visit at a meter: blocks, events, clock, acknowledgement.
//!
//! Each block is on the disk before the next one is looked at, so a visit that breaks off anywhere keeps what came and
//! the next one goes on from there. The store is locked for the moment of one transaction only; while the network is
//! waited for, others may use it.

use protocol::{
    Seq,
    block::Block,
    event::{Event, What},
    messages::Info,
};

use crate::{
    WallClock,
    client::{ClientError, Session},
    error::Error,
    store::{History, PutBlock, PutSummary, SharedStore},
};

/// Bytes of blocks in one request.
const STREAM_BYTES: u64 = 1024 * 1024;

/// What a visit brought; whatever ended it, this is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The history that was collected; `None` where the meter was not reached.
    pub history: Option<History>,
    /// Readings that were not held before.
    pub readings_new: u64,
    /// Blocks that came.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that contradict what was held.
    pub conflicts: u64,
    /// First number that is not held.
    pub cursor: Seq,
    /// The number that the meter's next reading had when the visit began.
    pub target: Seq,
    /// Bytes of the meter's flash in use, where it said so.
    pub flash_used_bytes: Option<u32>,
}

/// How far a visit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Numbers that are held now and were not when the visit began.
    pub done: u64,
    /// Numbers that were missing when the visit began.
    pub total: u64,
}

/// Collects everything that the meter holds and the store does not.
///
/// Returns what came, and how the visit ended.
pub async fn collect(
    store: &SharedStore,
    session: &Session,
    clock: &WallClock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> (Collected, Result<(), Error>) {
    let mut visit = Visit {
        store,
        session,
        clock,
        collected: Collected::default(),
    };
    let ended = visit.run(progress).await;
    (visit.collected, ended)
}

struct Visit<'a> {
    store: &'a SharedStore,
    session: &'a Session,
    clock: &'a WallClock,
    collected: Collected,
}

impl Visit<'_> {
    async fn run(&mut self, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<(), Error> {
        let info = self.session.info().await?;
        let history = History {
            device: info.device,
            store: info.store,
        };
        let cursor = self.store.run(move |store| store.cursor(history)).await?;
        self.collected.history = Some(history);
        self.collected.cursor = cursor;
        self.collected.target = info.next;
        self.blocks(history, &info, progress).await?;
        self.events(history).await?;
        self.tell_time(history).await?;
        self.session.acknowledge(history.store, self.collected.cursor.min(info.next)).await?;
        self.collected.flash_used_bytes = Some(self.session.health().await?.flash_used_bytes);
        let (now_ms, name, device) = (self.clock.now_ms(), info.name.as_str().to_owned(), history.device);
        self.store
            .run(move |store| {
                store.note_device(device, &name)?;
                store.note_collected(device, now_ms)
            })
            .await?;
        Ok(())
    }

    async fn blocks(
        &mut self,
        history: History,
        info: &Info,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Error> {
        // What the meter no longer holds will not come.
        let begun = self.collected.cursor.max(info.oldest);
        let total = info.next.0.saturating_sub(begun.0);
        while self.collected.cursor < info.next {
            let before = self.collected.cursor;
            let mut stream = self.session.blocks(before.max(info.oldest), STREAM_BYTES).await?;
            while let Some(bytes) = stream.next().await? {
                self.keep(history, info, bytes).await?;
                let done = self.collected.cursor.0.saturating_sub(begun.0);
                progress(Progress { done: done.min(total), total });
            }
            if self.collected.cursor <= before {
                // A meter that answers without saying anything would be asked for ever.
                return Err(ClientError::WrongBlock.into());
            }
        }
        Ok(())
    }

    /// Stores a block; when this returns it is on the disk.
    async fn keep(&mut self, history: History, info: &Info, bytes: Vec<u8>) -> Result<(), Error> {
        let range = Block::parse(&bytes).map_err(ClientError::Block)?.range();
        let cursor = self.collected.cursor.0;
        // A block may begin where the meter's memory does, else it must go on where the last one ended.
        let nothing_before = range.start > cursor && range.start <= info.oldest.0.max(cursor);
        if range.end <= cursor || (range.start > cursor && !nothing_before) {
            return Err(ClientError::WrongBlock.into());
        }
        let received_ms = self.clock.now_ms();
        let bytes_count = bytes.len() as u64;
        let put = move |store: &mut crate::store::Store| {
            let block = PutBlock {
                bytes: &bytes,
                nothing_before,
            };
            store.put_blocks(history, &[block], received_ms)
        };
        let PutSummary {
            readings_new,
            conflicts,
            cursor,
            ..
        } = self.store.run(put).await?;
        self.collected.readings_new += readings_new;
        self.collected.conflicts += conflicts;
        self.collected.blocks += 1;
        self.collected.bytes += bytes_count;
        self.collected.cursor = cursor;
        Ok(())
    }

    async fn events(&mut self, history: History) -> Result<(), Error> {
        let mut from = self.store.run(move |store| store.event_cursor(history)).await?;
        loop {
            let page = self.session.events(from).await?;
            let events: Vec<Event> = page.events.iter().copied().collect();
            let next = events.last().map_or(page.next, |last| last.number.saturating_add(1));
            if next < from || events.iter().any(|event| event.number < from) {
                return Err(ClientError::WrongBlock.into());
            }
            self.store.run(move |store| store.put_events(history, &events, Some(next))).await?;
            if next >= page.next || next == from {
                return Ok(());
            }
            from = next;
        }
    }

    /// Tells the meter the time, and keeps the anchor that this makes.
    async fn tell_time(&mut self, history: History) -> Result<(), Error> {
        let (told, anchored) = match self.session.set_clock(self.clock).await {
            Err(ClientError::Answered { code, message, .. }) => {
                tracing::warn!(device = %history.device, code, message, "the meter did not take the time");
                return Ok(());
            }
            other => other?,
        };
        let event = Event {
            number: anchored.event,
            boot: anchored.boot,
            uptime_ms: anchored.uptime_ms,
            what: What::Anchor {
                utc_ms: told.utc_ms,
                uncertainty_ms: told.uncertainty_ms,
            },
        };
        self.store.run(move |store| store.put_event(history, &event)).await?;
        Ok(())
    }
}
