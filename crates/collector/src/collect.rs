//! One visit at a meter: blocks, events, clock, acknowledgement.
//!
//! Nothing is acknowledged to the meter before it is on the disk, so a visit that breaks off anywhere keeps what came and
//! the next one goes on from there. The store is locked for the moment of one transaction only; while the network is
//! waited for, others may use it.

mod transfer;

use protocol::{
    Seq,
    event::{Event, What},
    messages::Info,
};

use crate::{
    WallClock,
    client::{ClientError, Session},
    error::Error,
    firmware::{self, Seen},
    intake::{self, EVENTS_MAX},
    store::{History, SharedStore, StoreError},
    time_line::TimeLine,
};
use transfer::Transfer;

/// What a visit brought; whatever ended it, this is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What was seen of its firmware, where it said.
    pub firmware: Option<Seen>,
    /// By how many ms the time that this visit told and that of earlier ones contradict each other, where they newly do.
    pub clock_conflict_ms: Option<u64>,
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
        if info.next < cursor {
            let (held, next) = (cursor, info.next);
            return Err(ClientError::WentBack { held, next }.into());
        }
        self.blocks(history, &info, progress).await?;
        self.events(history).await?;
        self.tell_time(history).await?;
        self.session
            .acknowledge(history.store, self.collected.cursor.min(info.next))
            .await?;
        self.collected.flash_used_bytes = Some(self.session.health().await?.flash_used_bytes);
        // The name that `info` gives is not authenticated.
        let name = self.session.config().await?.name.as_str().to_owned();
        let (now_ms, device) = (self.clock.now_ms(), history.device);
        self.store
            .run(move |store| {
                store.note_device(device, &name)?;
                store.note_collected(device, now_ms)
            })
            .await?;
        self.collected.firmware =
            firmware::look(self.store, self.session, history, info.boot).await?;
        Ok(())
    }

    async fn blocks(
        &mut self,
        history: History,
        info: &Info,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Error> {
        let transfer = Transfer {
            store: self.store,
            session: self.session,
            clock: self.clock,
            history,
            oldest: info.oldest,
            target: info.next,
        };
        transfer.run(&mut self.collected, progress).await
    }

    async fn events(&mut self, history: History) -> Result<(), Error> {
        let begun = self
            .store
            .run(move |store| store.event_cursor(history))
            .await?;
        let mut from = begun;
        while from < begun.saturating_add(EVENTS_MAX) {
            let page = self.session.events(from).await?;
            let events: Vec<Event> = page.events.into_iter().collect();
            let next = intake::behind(&events, from, page.next)?;
            self.store
                .run(move |store| store.put_events(history, &events, Some(next)))
                .await?;
            if next >= page.next || next == from {
                return Ok(());
            }
            from = next;
        }
        // The rest comes with the next visits.
        Ok(())
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
        let conflict_ms = self
            .store
            .run(move |store| {
                let before = store.time_line(history)?;
                store.put_event(history, &event)?;
                Ok::<_, StoreError>(conflict_ms(&before, &store.time_line(history)?))
            })
            .await?;
        if let Some(conflict_ms) = conflict_ms {
            tracing::warn!(device = %history.device, conflict_ms, "the clocks of two visits contradict each other");
        }
        self.collected.clock_conflict_ms = conflict_ms;
        Ok(())
    }
}

/// Returns by how many ms the anchors that are flagged only now are off, at the most.
fn conflict_ms(before: &TimeLine, now: &TimeLine) -> Option<u64> {
    let flagged = now.contradictory().iter();
    let newly = flagged.filter(|anchor| !before.contradictory().contains(anchor));
    let off_ms = newly.filter_map(|anchor| {
        let time = now.resolve(anchor.boot, anchor.uptime_ms)?;
        Some(time.utc_ms.abs_diff(anchor.utc_ms))
    });
    off_ms.max()
}
