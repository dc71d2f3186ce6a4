//! The firmware slots of a simulated meter, in a file that is as small as what was written to it.
//!
//! The file holds every byte inverted, so what was never written is a hole in it. A meter that never takes an update has a
//! log of its starts there, and nothing else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use device::flash_map;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// The chip up to its store.
#[derive(Debug)]
pub struct SlotFlash {
    file: File,
}

/// The file cannot be read or written, or the place does not exist.
#[derive(Debug, thiserror::Error)]
pub enum SlotFlashError {
    /// What the file system says.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Behind the end, or not on a word or sector.
    #[error("there is no such place on the chip")]
    Place(NorFlashErrorKind),
}

impl NorFlashError for SlotFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::File(_) => NorFlashErrorKind::Other,
            Self::Place(kind) => *kind,
        }
    }
}

impl SlotFlash {
    /// Opens the file, or makes one of an erased chip.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        file.set_len(flash_map::STORE.into())?;
        Ok(Self { file })
    }

    fn check(offset: u32, length: usize, unit: u32) -> Result<(), SlotFlashError> {
        let end = u64::from(offset) + length as u64;
        if end > u64::from(flash_map::STORE) {
            return Err(SlotFlashError::Place(NorFlashErrorKind::OutOfBounds));
        }
        if !offset.is_multiple_of(unit) || !end.is_multiple_of(unit.into()) {
            return Err(SlotFlashError::Place(NorFlashErrorKind::NotAligned));
        }
        Ok(())
    }

    fn replace(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotFlashError> {
        let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        self.file.seek(SeekFrom::Start(offset.into()))?;
        self.file.write_all(&inverted)?;
        Ok(())
    }
}

impl ErrorType for SlotFlash {
    type Error = SlotFlashError;
}

impl ReadNorFlash for SlotFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SlotFlashError> {
        Self::check(offset, bytes.len(), Self::READ_SIZE as u32)?;
        self.file.seek(SeekFrom::Start(offset.into()))?;
        self.file.read_exact(bytes)?;
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn capacity(&self) -> usize {
        flash_map::STORE as usize
    }
}

impl NorFlash for SlotFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = flash_map::SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SlotFlashError> {
        let length = to.saturating_sub(from) as usize;
        Self::check(from, length, Self::ERASE_SIZE as u32)?;
        self.replace(from, &vec![0xff; length])
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotFlashError> {
        Self::check(offset, bytes.len(), Self::WRITE_SIZE as u32)?;
        let mut cells = vec![0; bytes.len()];
        self.read(offset, &mut cells)?;
        for (cell, byte) in cells.iter_mut().zip(bytes) {
            *cell &= byte;
        }
        self.replace(offset, &cells)
    }
}
