//! The flash that the emulator holds, one call an operation.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::{calls, life::SECTORS};

const SECTOR_BYTES: u32 = 4096;

/// The flash.
pub(crate) struct Flash;

/// The flash did not do it.
#[derive(Debug)]
pub(crate) struct Failed(NorFlashErrorKind);

impl NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

fn done(status: u32) -> Result<(), Failed> {
    (status == 0)
        .then_some(())
        .ok_or(Failed(NorFlashErrorKind::Other))
}

impl ErrorType for Flash {
    type Error = Failed;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        check_read(self, offset, bytes.len()).map_err(Failed)?;
        done(calls::flash_read(offset, bytes.as_mut_ptr(), bytes.len()))
    }

    fn capacity(&self) -> usize {
        (SECTORS * SECTOR_BYTES) as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        check_erase(self, from, to).map_err(Failed)?;
        done(calls::flash_erase(from, to))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        check_write(self, offset, bytes.len()).map_err(Failed)?;
        done(calls::flash_write(offset, bytes.as_ptr(), bytes.len()))
    }
}
