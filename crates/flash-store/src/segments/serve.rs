//! Blocks for collectors.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    Registers, Seq,
    block::{Header, write_lost},
    limits::INTERVAL_MS,
    reading::RegisterSet,
    segment::file::Segment,
};

use super::{Bounds, Held, bounds, difference, load, scan};
use crate::{FlashStore, ReadError, error::Fault};

/// Power unit of a block of a loss, where none was measured, in mW.
const POWER_UNIT_MW: u16 = 1000;

impl<F: NorFlash> FlashStore<F> {
    /// Packs what covers `from` below the end of the segments and returns its length.
    pub(crate) fn read_segment(
        &mut self,
        from: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let held = self.index.at(from).ok_or(ReadError::Damaged)?;
        if from < held.base {
            let begin = self.index.before(from).map_or(from, |before| before.end());
            return self.read_hole(begin, held.base, buffer);
        }
        if let Some(segment) = self.load_segment(&held)? {
            return segment
                .write_block(from, buffer)
                .map_err(|_| ReadError::BufferTooSmall);
        }
        self.read_elsewhere(from, &held, buffer)
    }

    /// Looks for another segment with the number where the one that should have it cannot be read: a directory that was
    /// damaged may name segments that were merged since.
    fn read_elsewhere(
        &mut self,
        from: u64,
        missing: &Held,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let Self {
            flash,
            layout,
            owner,
            workspace,
            ..
        } = self;
        let file = &mut workspace.file;
        let found = scan(flash, layout, &owner.identity, file)?.at(from);
        let segment = match found.filter(|found| found.base <= from) {
            Some(found) => load(None, flash, &owner.identity, &found, file)?,
            None => None,
        };
        match segment {
            Some(segment) => segment
                .write_block(from, buffer)
                .map_err(|_| ReadError::BufferTooSmall),
            None => self.read_hole(missing.base, missing.end(), buffer),
        }
    }

    /// Packs the loss of numbers that were there and cannot be read; their energy is what the registers around say.
    pub(crate) fn read_hole(
        &mut self,
        first: u64,
        end: u64,
        buffer: &mut [u8],
    ) -> Result<usize, ReadError> {
        let before = self.registers_before(first)?;
        let after = self.registers_at(end)?;
        let channels = self.owner.identity.channels;
        let unknown = || (0..channels).map(|_| Registers::default()).collect();
        let energy = match (&before, &after) {
            (Some(before), Some(after)) => difference(after, before),
            _ => unknown(),
        };
        let header = Header {
            device: self.owner.identity.device,
            store: self.owner.identity.store,
            first: Seq(first),
            boot: 0,
            uptime_ms: 0,
            interval_ms: *INTERVAL_MS.start(),
            power_unit_mw: POWER_UNIT_MW,
            calibration: 0,
            registers: before.unwrap_or_else(unknown),
        };
        // Longer ranges than a block can count come as several.
        let count = u32::try_from(end - first).unwrap_or(u32::MAX);
        write_lost(buffer, &header, count, &energy).map_err(|_| ReadError::BufferTooSmall)
    }

    /// Returns the registers behind the segment that ends at `number`.
    pub(crate) fn registers_before(&mut self, number: u64) -> Result<Option<RegisterSet>, Fault> {
        let channels = self.owner.identity.channels;
        match self.index.before(number) {
            Some(held) if held.end() == number => {
                Ok(self.bounds_of(&held)?.map(|around| around.after))
            }
            None if number == self.owner.first => {
                Ok(Some((0..channels).map(|_| Registers::default()).collect()))
            }
            _ => Ok(None),
        }
    }

    /// Returns the registers before the segment, or the journal, that begins at `number`.
    fn registers_at(&mut self, number: u64) -> Result<Option<RegisterSet>, Fault> {
        match self.index.at(number) {
            Some(held) if held.base == number => {
                Ok(self.bounds_of(&held)?.map(|around| around.before))
            }
            None if number >= self.index.end() => {
                Ok(Some(self.journal.oldest_registers(&mut self.flash)?))
            }
            _ => Ok(None),
        }
    }

    /// Returns the registers around a segment, `None` where it cannot be read.
    pub(crate) fn bounds_of(&mut self, held: &Held) -> Result<Option<Bounds>, Fault> {
        Ok(bounds(self.load_segment(held)?.as_ref()))
    }

    /// Reads a segment into the workspace; `None` where it cannot be read.
    pub(crate) fn load_segment(&mut self, held: &Held) -> Result<Option<Segment<'_>>, Fault> {
        let Self {
            flash,
            files,
            owner,
            workspace,
            ..
        } = self;
        let file = &mut workspace.file;
        load(files.as_mut(), flash, &owner.identity, held, file)
    }
}
