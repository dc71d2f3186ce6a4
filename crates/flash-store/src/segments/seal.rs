//! Packing the journal into a segment.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    Seq,
    reading::{Packed, Tier},
    segment::file::SegmentWriter,
};

use super::{Held, identity_of, load, scan};
use crate::{
    FlashStore, WriteError,
    error::Fault,
    files::{FILE_BYTES_MAX, path, segments},
    journal::{Piece, Unsealed},
};

/// Readings of one channel that are waited for before the first try: about a block full.
const READINGS_FIRST: u64 = 1_300;
/// Sectors of the journal in sixteenths that may wait for a segment.
const WAITING_SIXTEENTHS_MAX: u64 = 12;

/// When the next segment is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    /// Number with which it is tried.
    pub(crate) at: u64,
    /// Newest sector of the journal when its filling was looked at.
    newest_sector: Option<u64>,
}

impl Due {
    /// Readings behind the segments that a block will probably take.
    pub(crate) fn after(end: u64, channels: u8) -> Self {
        Self {
            at: end + READINGS_FIRST / u64::from(channels.max(1)),
            newest_sector: None,
        }
    }
}

/// What packing the journal came to.
struct Made {
    end: u64,
    bytes: usize,
    is_full: bool,
}

impl<F: NorFlash> FlashStore<F> {
    /// Writes a segment if one is due.
    pub(crate) fn seal_when_due(&mut self) -> Result<(), WriteError> {
        let is_waiting = self.is_journal_waiting()?;
        if self.journal.next < self.due.at && !is_waiting {
            return Ok(());
        }
        self.seal(is_waiting)
    }

    /// Writes a segment that its directory has lost as a file again; before that LittleFS takes its block for free.
    pub(crate) fn adopt_orphans(&mut self) -> Result<(), WriteError> {
        while let Some(orphan) = self.index.orphan() {
            let Self {
                flash,
                files,
                workspace,
                owner,
                index,
                ..
            } = self;
            let Some(files) = files else {
                return Ok(());
            };
            let identity = &owner.identity;
            let file = &mut workspace.file;
            let is_whole = load(None, flash, identity, &orphan, file)?.is_some();
            let length = scan::stated_length(file).filter(|_| is_whole);
            // One that is gone meanwhile stays in the index, and its numbers are served as lost.
            if let Some(length) = length {
                let path = path(segments(orphan.tier), orphan.base, orphan.count);
                files.write(flash, &path, &file[..length])?;
            }
            index.adopt(orphan);
        }
        Ok(())
    }

    /// Tells whether the journal is filled by three quarters with what no segment holds.
    fn is_journal_waiting(&mut self) -> Result<bool, Fault> {
        let newest = self.journal.newest_sector();
        if self.due.newest_sector == newest {
            return Ok(false);
        }
        self.due.newest_sector = newest;
        let end = self.packed_end();
        let waiting = self.journal.sectors_from(&mut self.flash, end)?;
        let all = u64::from(self.layout.journal_sectors);
        Ok(waiting * 16 > all * WAITING_SIXTEENTHS_MAX)
    }

    /// Packs the journal and writes the segment where a block is full, or in any case where that is wanted.
    pub(crate) fn seal(&mut self, in_any_case: bool) -> Result<(), WriteError> {
        if self.files.is_none() {
            return Err(WriteError::Damaged);
        }
        let base = self.packed_end().max(self.owner.first);
        let Some(made) = self.pack(base)? else {
            self.due.at = self.journal.next + 1;
            return Ok(());
        };
        if !made.is_full && !in_any_case {
            // As many as a block takes if the rest is like these, and a few more: better once too late than twice.
            let readings = made.end - base;
            let fit = readings * FILE_BYTES_MAX as u64 / made.bytes.max(1) as u64;
            self.due.at = base + fit + fit / 32 + 1;
            return Ok(());
        }
        let Ok(count) = u32::try_from(made.end - base) else {
            return Err(WriteError::OutOfRange);
        };
        if !self.has_room()? {
            // One step a call: each takes erases, and the journal can wait for the rest.
            self.due.newest_sector = None;
            return self.make_room()?.then_some(()).ok_or(WriteError::Full);
        }
        let tier = Tier::Full;
        let path = path(segments(tier), base, count);
        let file = &self.workspace.made[..made.bytes];
        if let Some(files) = &mut self.files {
            files.write(&mut self.flash, &path, file)?;
        }
        self.index.replace(Held {
            base,
            count,
            tier,
            sector: None,
        });
        self.due.at = made.end + u64::from(count) + u64::from(count / 32) + 1;
        Ok(())
    }

    /// Packs the journal from `base` on; `None` where there is nothing.
    fn pack(&mut self, base: u64) -> Result<Option<Made>, Fault> {
        let before = self.registers_before(base)?;
        let Self {
            flash,
            journal,
            workspace,
            owner,
            ..
        } = self;
        let mut unsealed = Unsealed::new(flash, journal, base)?;
        let Some(Piece::Begin(run)) = unsealed.next(flash, journal)? else {
            return Ok(None);
        };
        let writer = SegmentWriter::new(
            &mut workspace.made,
            &mut workspace.writer,
            identity_of(&owner.identity),
            Tier::Full,
            Seq(base),
            // Where damage hides what was before, nothing is known to be lost.
            before.as_ref().unwrap_or(&run.registers),
        );
        let mut writer = writer.expect("a block holds the header");
        let mut is_full = writer.begin_run(&run).is_err();
        // Behind the last reading that fits; a run behind it may have begun without one.
        let mut end = None;
        while !is_full && let Some(piece) = unsealed.next(flash, journal)? {
            is_full = match piece {
                Piece::Begin(run) => writer.begin_run(&run).is_err(),
                Piece::Reading => {
                    let pushed = writer.push(&Packed::full(unsealed.reading()));
                    if pushed.is_ok() {
                        end = unsealed.end();
                    }
                    pushed.is_err()
                }
            };
        }
        let Some((end, registers)) = end else {
            return Ok(None);
        };
        Ok(Some(Made {
            end,
            bytes: writer.finish(Seq(end), &registers),
            is_full,
        }))
    }
}
