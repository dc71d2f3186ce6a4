//! The lent flash as the engine sees it: blocks, numbers for errors, and a bound on the work of one call.
//!
//! The engine follows pointers that lie on the flash. On an image that someone forged they may run in circles, always
//! over reads of the flash; so a call that reads far more often than any honest one has to is ended.

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};
use littlefs_rust_core::{LFS_ERR_CORRUPT, LFS_ERR_IO};

use crate::{BLOCK_BYTES, Error, Region};

/// Writes and erases that may fail in one call before the flash is given up; the engine takes another block meanwhile.
const BAD_BLOCKS_MAX: u32 = 4;

/// A flash lent for one call.
pub(crate) struct Lent<'a, F> {
    flash: &'a mut F,
    first_byte: u32,
    reads_left: u32,
    bad_blocks_left: u32,
    failed: Option<NorFlashErrorKind>,
    exhausted: bool,
}

impl<'a, F: NorFlash> Lent<'a, F> {
    const UNITS_FIT: () = assert!(
        4 % F::WRITE_SIZE == 0 && 4 % F::READ_SIZE == 0 && F::ERASE_SIZE == BLOCK_BYTES as usize,
        "words are written and read, sectors of 4096 bytes erased"
    );

    pub(crate) fn new(flash: &'a mut F, region: Region) -> Result<Self, Error> {
        let () = Self::UNITS_FIT;
        let beyond = Error::Flash(NorFlashErrorKind::OutOfBounds);
        let end = region
            .first_sector
            .checked_add(region.sectors)
            .ok_or(beyond)?;
        let end = end.checked_mul(BLOCK_BYTES).ok_or(beyond)?;
        if end as usize > flash.capacity() {
            return Err(beyond);
        }
        Ok(Self {
            flash,
            first_byte: region.first_sector * BLOCK_BYTES,
            reads_left: reads_max(region),
            bad_blocks_left: BAD_BLOCKS_MAX,
            failed: None,
            exhausted: false,
        })
    }

    /// Returns what the flash said, or that the call was ended, whatever the engine made of it.
    pub(crate) fn failure(&self) -> Option<Error> {
        if self.exhausted {
            return Some(Error::Corrupt);
        }
        self.failed.map(Error::Flash)
    }

    pub(crate) fn read(&mut self, block: u32, offset: u32, bytes: &mut [u8]) -> Result<(), i32> {
        let Some(left) = self.reads_left.checked_sub(1) else {
            self.exhausted = true;
            return Err(LFS_ERR_IO);
        };
        self.reads_left = left;
        let at = self.at(block, offset, bytes.len())?;
        self.flash.read(at, bytes).map_err(|error| {
            self.failed = Some(error.kind());
            LFS_ERR_IO
        })
    }

    pub(crate) fn program(&mut self, block: u32, offset: u32, bytes: &[u8]) -> Result<(), i32> {
        let at = self.at(block, offset, bytes.len())?;
        let result = self.flash.write(at, bytes).map_err(|error| error.kind());
        self.after_change(result)
    }

    pub(crate) fn erase(&mut self, block: u32) -> Result<(), i32> {
        let at = self.at(block, 0, BLOCK_BYTES as usize)?;
        let result = self.flash.erase(at, at + BLOCK_BYTES);
        self.after_change(result.map_err(|error| error.kind()))
    }

    /// A block that takes nothing is reported as a bad one, so that the engine takes another.
    fn after_change(&mut self, result: Result<(), NorFlashErrorKind>) -> Result<(), i32> {
        let Err(kind) = result else { return Ok(()) };
        self.failed = Some(kind);
        let Some(left) = self.bad_blocks_left.checked_sub(1) else {
            return Err(LFS_ERR_IO);
        };
        self.bad_blocks_left = left;
        Err(LFS_ERR_CORRUPT)
    }

    /// Returns where a part of a block lies. The engine checks the number of a block against that of the region.
    fn at(&self, block: u32, offset: u32, length: usize) -> Result<u32, i32> {
        let inside = u32::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length))
            .is_some_and(|end| end <= BLOCK_BYTES);
        let at = block
            .checked_mul(BLOCK_BYTES)
            .and_then(|at| at.checked_add(self.first_byte + offset));
        at.filter(|_| inside).ok_or(LFS_ERR_CORRUPT)
    }
}

/// Reads that one call may take.
fn reads_max(region: Region) -> u32 {
    20_000 + region.sectors.saturating_mul(100)
}
