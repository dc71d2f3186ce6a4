//! The flash chip, seen in parts.
//!
//! Code from flash stands still while the flash is written: up to 0.4 s for an erase. Sampling does not. The safe functions
//! of the driver below keep a buffer of 4 KiB on the stack, so the ones under them are called here, with memory that is
//! aligned.

use core::cell::RefCell;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use esp_hal::peripherals::FLASH;
use esp_storage::{FlashStorage, FlashStorageError, ll};

use crate::{uptime_us, watchdog};

/// What is read or written at once: a page of the flash.
const PAGE_BYTES: usize = 256;
const SECTOR_BYTES: u32 = 4096;

/// The one driver, shared by all [`Region`]s.
pub struct Chip {
    /// Holds the peripheral.
    _storage: FlashStorage<'static>,
    is_unlocked: bool,
    /// Longest time that one operation took, in µs.
    longest_us: u32,
}

/// A part of the flash that is used like a flash of its own.
#[derive(Clone, Copy)]
pub struct Region {
    chip: &'static RefCell<Chip>,
    offset: u32,
    bytes: u32,
}

/// Memory that the driver takes as it is.
#[repr(C, align(4))]
struct Page([u8; PAGE_BYTES]);

impl Chip {
    /// Takes the flash.
    pub fn new(flash: FLASH<'static>) -> Self {
        Self {
            _storage: FlashStorage::new(flash),
            is_unlocked: false,
            longest_us: 0,
        }
    }

    /// Returns the longest time for which code stood still, in µs.
    pub fn longest_us(&self) -> u32 {
        self.longest_us
    }

    /// Reads whole words into memory that is aligned.
    fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), FlashStorageError> {
        // SAFETY: regions end within the chip, the memory is aligned, and no more is read than it holds.
        checked(unsafe { ll::spiflash_read(at, bytes.as_mut_ptr().cast(), bytes.len() as u32) })
    }

    /// Writes whole words of one page.
    fn write(&mut self, at: u32, page: &Page, bytes: usize) -> Result<(), FlashStorageError> {
        self.timed(|| {
            // SAFETY: regions end within the chip, the memory is aligned, and no more is written than it holds.
            checked(unsafe { ll::spiflash_write(at, page.0.as_ptr().cast(), bytes as u32) })
        })
    }

    fn erase(&mut self, sector: u32) -> Result<(), FlashStorageError> {
        // SAFETY: regions end within the chip.
        self.timed(|| checked(unsafe { ll::spiflash_erase_sector(sector) }))
    }

    /// Does something that changes the flash, and takes its time.
    fn timed(
        &mut self,
        change: impl FnOnce() -> Result<(), FlashStorageError>,
    ) -> Result<(), FlashStorageError> {
        if !self.is_unlocked {
            // SAFETY: this takes the write protection back that the chip may have been left with, and nothing else.
            checked(unsafe { ll::spiflash_unlock() })?;
            self.is_unlocked = true;
        }
        let begin_us = uptime_us();
        let result = change();
        let took_us = uptime_us().saturating_sub(begin_us);
        self.longest_us = (self.longest_us).max(u32::try_from(took_us).unwrap_or(u32::MAX));
        result
    }
}

fn checked(result: Result<(), i32>) -> Result<(), FlashStorageError> {
    result.map_err(|code| match code {
        2 => FlashStorageError::IoTimeout,
        _ => FlashStorageError::IoError,
    })
}

impl Region {
    /// Makes a part that begins at `offset`; whole sectors of 4,096 bytes.
    pub const fn new(chip: &'static RefCell<Chip>, offset: u32, bytes: u32) -> Self {
        Self {
            chip,
            offset,
            bytes,
        }
    }

    /// Returns where a range lies on the chip; both ends must be those of words.
    fn range(&self, offset: u32, bytes: usize) -> Result<u32, FlashStorageError> {
        let bytes = u32::try_from(bytes).map_err(|_| FlashStorageError::OutOfBounds)?;
        if !(offset | bytes).is_multiple_of(FlashStorage::WORD_SIZE) {
            return Err(FlashStorageError::NotAligned);
        }
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(self.offset + offset),
            _ => Err(FlashStorageError::OutOfBounds),
        }
    }
}

impl ErrorType for Region {
    type Error = FlashStorageError;
}

impl ReadNorFlash for Region {
    const READ_SIZE: usize = FlashStorage::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let begin = self.range(offset, bytes.len())?;
        let mut chip = self.chip.borrow_mut();
        let is_aligned = bytes.as_ptr().addr().is_multiple_of(4);
        let mut page = Page([0; PAGE_BYTES]);
        let parts = bytes.chunks_mut(PAGE_BYTES);
        for (at, part) in (begin..).step_by(PAGE_BYTES).zip(parts) {
            if is_aligned {
                chip.read(at, part)?;
            } else {
                let words = &mut page.0[..part.len()];
                chip.read(at, words)?;
                part.copy_from_slice(words);
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes as usize
    }
}

impl NorFlash for Region {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let mut at = self.range(offset, bytes.len())?;
        let mut chip = self.chip.borrow_mut();
        let mut page = Page([0; PAGE_BYTES]);
        let mut rest = bytes;
        while !rest.is_empty() {
            // Up to the next page: what is programmed at once. Copied, because it may lie in flash itself.
            let in_page = PAGE_BYTES - at as usize % PAGE_BYTES;
            let (part, others) = rest.split_at(in_page.min(rest.len()));
            page.0[..part.len()].copy_from_slice(part);
            chip.write(at, &page, part.len())?;
            at += part.len() as u32;
            rest = others;
        }
        Ok(())
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let length = to.checked_sub(from).ok_or(FlashStorageError::OutOfBounds)?;
        let from = self.range(from, length as usize)?;
        if !(from | length).is_multiple_of(SECTOR_BYTES) {
            return Err(FlashStorageError::NotAligned);
        }
        let mut chip = self.chip.borrow_mut();
        // Sector by sector: a block of 64 KiB takes up to 2 s.
        for sector in from / SECTOR_BYTES..(from + length) / SECTOR_BYTES {
            chip.erase(sector)?;
            watchdog::erased();
        }
        Ok(())
    }
}
