//! The flash, with a count of what is done to it: all writes of a store go through here.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use crate::ring::sector::SECTOR_BYTES;

/// What was written since the store was mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Sectors that were erased.
    pub sectors_erased: u32,
    /// Bytes that were programmed.
    pub bytes_programmed: u64,
    /// Readings that were appended.
    pub readings_appended: u64,
}

/// A flash whose erases and programs are counted, also those that fail.
pub(crate) struct Counted<F> {
    flash: F,
    pub(crate) sectors_erased: u32,
    pub(crate) bytes_programmed: u64,
}

impl<F> Counted<F> {
    pub(crate) fn new(flash: F) -> Self {
        Self {
            flash,
            sectors_erased: 0,
            bytes_programmed: 0,
        }
    }

    pub(crate) fn inner(&self) -> &F {
        &self.flash
    }

    pub(crate) fn into_inner(self) -> F {
        self.flash
    }
}

impl<F: ErrorType> ErrorType for Counted<F> {
    type Error = F::Error;
}

impl<F: NorFlash> ReadNorFlash for Counted<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for Counted<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        let sectors = to.saturating_sub(from) / SECTOR_BYTES;
        self.sectors_erased = self.sectors_erased.saturating_add(sectors);
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.bytes_programmed += bytes.len() as u64;
        self.flash.write(offset, bytes)
    }
}
