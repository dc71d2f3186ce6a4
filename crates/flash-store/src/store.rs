//! The store: counters, events and journal on raw flash, segments and settings in files.

use alloc::boxed::Box;

use embedded_storage::nor_flash::NorFlash;
use littlefs::Littlefs;
use protocol::{
    ChannelReading, DeviceId, Seq, StoreId,
    access_point::Password,
    event::{EVENT_BYTES_MAX, Event, What},
    reading::{RegisterSet, Tier},
    run::RunParams,
};

use crate::{
    AppendError, Layout, MountError, ReadError, WriteError,
    archive::Archive,
    counted::{Counted, Writes},
    counters::Counters,
    error::Fault,
    events::Events,
    identity::{self, Owner},
    journal::{Journal, NewReading},
    mount::Parts,
    ring::sector::SECTOR_BYTES,
    segments::{Due, Index, Loss, Workspace},
};

/// Everything that a meter keeps.
pub struct FlashStore<F: NorFlash> {
    pub(crate) flash: Counted<F>,
    pub(crate) layout: Layout,
    pub(crate) owner: Owner,
    /// Copy of the identity that cannot be read.
    pub(crate) damaged_copy: Option<u32>,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    pub(crate) journal: Journal,
    /// `None` where they cannot be mounted or listed.
    pub(crate) files: Option<Littlefs>,
    pub(crate) index: Index,
    pub(crate) archive: Archive,
    pub(crate) due: Due,
    /// A loss that is noted and not yet logged.
    pub(crate) pending_loss: Option<Loss>,
    /// Readings that were appended since the mount.
    pub(crate) appended: u64,
    /// Uptime of the last call that said it.
    pub(crate) uptime_ms: u64,
    pub(crate) workspace: Box<Workspace>,
}

impl<F: NorFlash> FlashStore<F> {
    /// Opens the store that lies on a flash; writes nothing and never formats.
    ///
    /// # Errors
    /// [`MountError`] and the flash.
    pub fn mount(flash: F) -> Result<Self, (MountError, F)> {
        let mut flash = Counted::new(flash);
        match Parts::mount(&mut flash) {
            Ok(parts) => Ok(parts.with(flash)),
            Err(error) => Err((error, flash.into_inner())),
        }
    }

    /// Returns the meter.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.owner.identity.device
    }

    /// Returns the history.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.owner.identity.store
    }

    /// Returns the password of the access point, `None` where none was made.
    #[must_use]
    pub fn password(&self) -> Option<&Password> {
        self.owner.password.as_ref()
    }

    /// Returns how the flash is divided.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Tells whether the files can be used; where not, what lies in them is served as far as it is found, nothing is
    /// written to them, and the journal goes on.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Returns the lowest number still held.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        let erased = self.counters.erased;
        let segment = self.index.at(erased);
        let held = segment.map_or(self.journal.oldest, |segment| segment.base);
        Seq(held.max(erased))
    }

    /// Returns the number that the next reading will get.
    #[must_use]
    pub fn next(&self) -> Seq {
        Seq(self.journal.next)
    }

    /// Returns the registers after the last reading, one entry a channel.
    #[must_use]
    pub fn registers(&self) -> RegisterSet {
        self.journal.registers.clone()
    }

    /// Returns the number of the current boot, 0 before the first.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.counters.boot
    }

    /// Returns how many segments of a tier are held.
    #[must_use]
    pub fn segments(&self, tier: Tier) -> usize {
        self.index.count(tier)
    }

    /// Returns how many bytes of journal and segments are in use.
    #[must_use]
    pub fn used_bytes(&self) -> u32 {
        self.journal.used_bytes() + self.index.all().len() as u32 * SECTOR_BYTES
    }

    /// Returns the size of everything in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u32 {
        self.layout.total_sectors() * SECTOR_BYTES
    }

    /// Returns the flash below, for its counters.
    #[must_use]
    pub fn flash(&self) -> &F {
        self.flash.inner()
    }

    /// Returns what was written since the mount.
    #[must_use]
    pub fn writes(&self) -> Writes {
        Writes {
            sectors_erased: self.flash.sectors_erased,
            bytes_programmed: self.flash.bytes_programmed,
            readings_appended: self.appended,
        }
    }

    /// Gives the flash back.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash.into_inner()
    }

    /// Counts a start and returns its number; durable when it returns. Repairs a copy of the identity.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn start_boot(&mut self) -> Result<u32, WriteError> {
        if let Some(copy) = self.damaged_copy.take() {
            // One copy is enough; a sector too worn for the other must not stop the meter.
            let _ = identity::repair(&mut self.flash, copy, &self.owner);
        }
        self.uptime_ms = 0;
        self.counters.start_boot(&mut self.flash)
    }

    /// Writes the reading whose interval ends at uptime `uptime_ms` and returns its number; durable when it returns.
    ///
    /// A reading that does not follow the last one without a gap begins a new run by itself. Readings that had to go
    /// for it are told in the event log.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(
        &mut self,
        run: &RunParams,
        uptime_ms: u64,
        channels: &[ChannelReading],
    ) -> Result<Seq, AppendError> {
        self.uptime_ms = uptime_ms;
        let reading = NewReading {
            boot: self.counters.boot,
            params: *run,
            uptime_ms,
            channels,
        };
        let safe = self.counters.acknowledged.max(self.packed_end());
        let appended = self.journal.append(&mut self.flash, reading, safe)?;
        self.appended += 1;
        if let Some(what) = appended.lost {
            // The reading is there; what is not logged is told by the numbers all the same.
            let _ = self.event_append(self.counters.boot, uptime_ms, what);
        }
        Ok(appended.seq)
    }

    /// Does what can wait: writes a segment when one is full, makes room for it, and logs what that cost.
    ///
    /// To be called after each reading. Mostly it does nothing; some times a day it takes a few erases, and where a segment
    /// needs room the next calls go on.
    ///
    /// # Errors
    /// [`WriteError`]; the journal holds the readings, and the next call tries again.
    pub fn maintain(&mut self) -> Result<(), WriteError> {
        self.adopt_orphans()?;
        self.tell_loss()?;
        self.remove_erased()?;
        self.seal_when_due()
    }

    /// Packs the block that covers `from`, or the first one after it, and returns its length; `None` at the end.
    ///
    /// The block may begin before `from`. It ends behind `from`, so reading on from its end gets through everything.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_block(&mut self, from: Seq, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        let from = from.max(self.oldest()).0;
        if from < self.index.end() {
            return self.read_segment(from, buffer).map(Some);
        }
        let end = self.packed_end();
        if from < self.journal.oldest && end > 0 {
            return self.read_hole(end, self.journal.oldest, buffer).map(Some);
        }
        self.journal.read_block(&mut self.flash, from, end, buffer)
    }

    /// Remembers that a collector has stored everything below `next`; never goes back.
    ///
    /// # Errors
    /// [`WriteError`]; out of range is a number that no reading has had yet.
    pub fn acknowledge(&mut self, next: Seq) -> Result<(), WriteError> {
        if next > self.next() {
            return Err(WriteError::OutOfRange);
        }
        self.counters.acknowledge(&mut self.flash, next.0)
    }

    /// Returns the first number that no collector has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        Seq(self.counters.acknowledged)
    }

    /// Returns what [`oldest`](Self::oldest) would be after [`erase`](Self::erase): segments go whole or not at all.
    #[must_use]
    pub fn oldest_after_erase(&self, through: Seq) -> Seq {
        let end = Seq(through.0.saturating_add(1)).min(self.next()).0;
        let kept = self.index.at(end).map_or(end, |held| held.base.min(end));
        Seq(kept).max(self.oldest())
    }

    /// Gives up the readings up to and including `through` and returns the lowest number still held.
    ///
    /// One entry in the counters says so, and from it on they are not served any more: after a cut it is there or it is not.
    /// The segments are removed by [`maintain`](Self::maintain), a few at a call; what lies in the journal and in the newest
    /// segment stays on flash until it is overwritten. Registers, numbers and events are not touched.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is given up then.
    pub fn erase(&mut self, through: Seq) -> Result<Seq, WriteError> {
        // A loss that was noted and not yet logged is of readings that went before.
        self.tell_loss()?;
        let oldest = self.oldest_after_erase(through);
        if oldest > self.oldest() {
            self.counters.erase(&mut self.flash, oldest.0)?;
        }
        Ok(self.oldest())
    }

    /// Returns the number behind all that is in segments or was erased: what the next segment begins with.
    pub(crate) fn packed_end(&self) -> u64 {
        self.index.end().max(self.counters.erased)
    }

    /// Logs an event and returns its number; durable when it returns.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn event_append(
        &mut self,
        boot: u32,
        uptime_ms: u64,
        what: What,
    ) -> Result<u64, WriteError> {
        let number = self.events.next;
        let event = Event {
            number,
            boot,
            uptime_ms,
            what,
        };
        let mut bytes = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut bytes);
        if !self.events.fits(length) {
            // Where the files fail the oldest events go: the newest are worth more.
            let _ = self.archive_doomed_events();
        }
        self.events.append(&mut self.flash, &bytes[..length])?;
        Ok(number)
    }

    /// Hands the events from number `from` on to `visit`, oldest first, until it returns false.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn events(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<(), ReadError> {
        // What a damaged file held may still be in the ring.
        let mut next = from;
        let mut visit_once = |event: &Event| {
            let is_new = event.number >= next;
            next = next.max(event.number + 1);
            !is_new || visit(event)
        };
        if !self.visit_archive(from, &mut visit_once)? {
            return Ok(());
        }
        Ok(self.events.visit(&mut self.flash, next, visit)?)
    }

    /// Returns the number that the next event will get.
    #[must_use]
    pub fn next_event(&self) -> u64 {
        self.events.next
    }

    /// Returns the boot of the oldest reading that is held.
    pub(crate) fn oldest_boot(&mut self) -> Result<u32, Fault> {
        let Some(oldest) = self.index.all().first().copied() else {
            return Ok(0);
        };
        let segment = self.load_segment(&oldest)?;
        let first = segment.and_then(|segment| segment.runs().next());
        Ok(first.map_or(0, |view| view.run.boot))
    }
}
