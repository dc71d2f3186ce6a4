//! Reads the runs and readings of one sector in order.
//!
//! The cursor knows the number, uptime and registers of what comes next. Behind damage it is **astray** until the next
//! run: it cannot tell readings apart from there, only how many numbers may have been used.

use embedded_storage::nor_flash::NorFlash;
use protocol::{ChannelReading, limits::CHANNELS_MAX, reading::RegisterSet, run::Run};

use super::reading::{
    Previous, READING_ENTRY_BYTES_MIN, advance, read_opening, read_reading, read_run,
};
use crate::{
    error::Fault,
    ring::{
        Ring,
        entry::Kind,
        sector::Opened,
        walk::{Broken, Step, Walk},
    },
};

/// A place among the readings of a sector.
#[derive(Debug)]
pub(crate) struct Cursor {
    walk: Walk,
    /// The run that holds, or held last.
    pub(crate) run: Run,
    /// Number of the next reading.
    pub(crate) next: u64,
    /// Uptime at the end of the next reading.
    pub(crate) uptime_ms: u64,
    /// Registers before the next reading.
    pub(crate) registers: RegisterSet,
    /// The reading that was read last.
    pub(crate) previous: Previous,
    /// Oldest number that was held when the sector was opened and whose loss, if any, was told.
    pub(crate) told_oldest: u64,
    astray: Option<Astray>,
}

/// What lies behind damage.
#[derive(Clone, Copy, Debug)]
struct Astray {
    /// Numbers that may have been used.
    numbers: u64,
    /// Whether torn writes explain all of it.
    is_torn_write: bool,
}

/// What a cursor meets.
#[derive(Debug)]
pub(crate) enum Item {
    /// A reading, now in `previous`; the cursor is behind it.
    Reading,
    /// A run; the cursor goes on with it after [`Cursor::begin`].
    Run(Run),
    /// The end of the sector; where entries may follow, the offset.
    End(Option<u32>),
}

impl Cursor {
    /// Begins at a sector's opening; `None` where that is no run.
    pub(crate) fn new(ring: &Ring, opened: &Opened) -> Option<Self> {
        let (told_oldest, run) = read_opening(opened)?;
        Some(Self {
            walk: ring.walk(opened),
            next: run.first,
            uptime_ms: run.uptime_ms,
            registers: run.registers.clone(),
            previous: [ChannelReading::default(); CHANNELS_MAX],
            run,
            told_oldest,
            astray: None,
        })
    }

    /// Goes on in a sector whose header cannot be read: readings can be told apart from its first run on.
    pub(crate) fn go_astray_into(&mut self, walk: Walk) {
        self.walk = walk;
        self.stray(0, false);
    }

    /// Goes on with a run that was met.
    pub(crate) fn begin(&mut self, run: Run) {
        self.next = run.first;
        self.uptime_ms = run.uptime_ms;
        self.registers.clone_from(&run.registers);
        self.previous = [ChannelReading::default(); CHANNELS_MAX];
        self.run = run;
        self.astray = None;
    }

    /// Tells whether a run goes on exactly where the cursor is.
    pub(crate) fn is_continued_by(&self, run: &Run) -> bool {
        self.astray.is_none()
            && run.skipped == 0
            && run.first == self.next
            && run.uptime_ms == self.uptime_ms
            && (run.boot, run.params) == (self.run.boot, self.run.params)
            && run.registers == self.registers
    }

    /// Returns how many numbers behind `next` may have been used, and whether torn writes explain them all.
    pub(crate) fn astray(&self) -> (u64, bool) {
        self.astray
            .map_or((0, false), |astray| (astray.numbers, astray.is_torn_write))
    }

    /// Returns what comes next.
    pub(crate) fn next_item<F: NorFlash>(&mut self, flash: &mut F) -> Result<Item, Fault> {
        loop {
            let channels = self.registers.len();
            match self.walk.next(flash)? {
                Step::Entry {
                    kind: Kind::Reading,
                    payload,
                    ..
                } if self.astray.is_none() => {
                    if let Some(reading) = read_reading(payload, channels, &self.previous) {
                        self.advance(reading);
                        return Ok(Item::Reading);
                    }
                    self.stray(1, false);
                }
                Step::Entry {
                    kind: Kind::Run,
                    payload,
                    ..
                } => match read_run(payload, &mut 0, channels) {
                    // Numbers only grow: what says otherwise was not written by a store.
                    Some(run) if run.base() >= self.next => return Ok(Item::Run(run)),
                    _ => self.stray(1, false),
                },
                Step::Entry { .. } => self.stray(1, false),
                Step::Broken(broken) => self.stray_over(broken),
                Step::End(offset) => return Ok(Item::End(offset)),
            }
        }
    }

    fn advance(&mut self, reading: Previous) {
        let params = &self.run.params;
        advance(&mut self.registers, &reading, params);
        self.next += 1;
        self.uptime_ms += u64::from(params.interval_ms);
        self.previous = reading;
    }

    fn stray_over(&mut self, broken: Broken) {
        let numbers = u64::from(broken.bytes / READING_ENTRY_BYTES_MIN).max(1);
        self.stray(numbers, broken.is_torn_write && self.astray.is_none());
    }

    fn stray(&mut self, numbers: u64, is_torn_write: bool) {
        let before = self.astray.map_or(0, |astray| astray.numbers);
        self.astray = Some(Astray {
            numbers: before + numbers,
            is_torn_write,
        });
    }
}
