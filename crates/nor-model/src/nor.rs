//! The flash: operations, faults and counters.

use std::{collections::BTreeSet, io, path::Path};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::{
    PAGE_BYTES, SECTOR_BYTES, Torn,
    image::{ERASED, Image},
    torn::{is_programmed, sets_a_bit},
};

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NorError {
    /// An offset or length is not a multiple of its unit.
    #[error("an offset or length is not aligned")]
    NotAligned,
    /// A range ends beyond the flash.
    #[error("a range ends beyond the flash")]
    OutOfBounds,
    /// Power was cut and is not back.
    #[error("the flash has no power")]
    PowerOff,
    /// The flash does not take what is written.
    #[error("the flash does not take what is written")]
    WriteFailed,
    /// The file below does not take what is written.
    #[error("the flash file cannot be written: {0}")]
    File(io::ErrorKind),
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for NorError {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::NotAligned,
            _ => Self::OutOfBounds,
        }
    }
}

/// What was done to a flash since it was made or [`Nor::reset_counters`] was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operations: page programs and sector erases.
    pub operations: u64,
    /// Page programs.
    pub programs: u64,
    /// Bytes programmed.
    pub programmed_bytes: u64,
    /// Erases of each sector.
    pub erases: Vec<u32>,
    /// Bytes read.
    pub read_bytes: u64,
    /// Programmed bytes in which a cleared bit would have had to be set; a correct store has none.
    pub violations: u64,
    /// Bytes programmed although they were not erased; a store that programs each byte once has none.
    pub reprogrammed_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    operations_left: u64,
    torn: Torn,
    seed: u64,
}

/// A model of a NOR flash of 4 KiB sectors.
#[derive(Debug)]
pub struct Nor {
    image: Image,
    powered: bool,
    cut: Option<Cut>,
    writes_fail: bool,
    dead_sectors: BTreeSet<usize>,
    counters: Counters,
}

impl Nor {
    /// Makes an erased flash in memory.
    ///
    /// # Panics
    /// When `capacity_bytes` is no multiple of a sector.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        Self::from_bytes(vec![ERASED; capacity_bytes])
    }

    /// Makes a flash in memory that holds `bytes`.
    ///
    /// # Panics
    /// When their length is no multiple of a sector.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::from_image(Image::in_memory(bytes))
    }

    /// Opens a flash that lies in a file; makes an erased one where there is no file.
    ///
    /// # Errors
    /// What the file system says; [`io::ErrorKind::InvalidData`] where the file has another length, and
    /// [`io::ErrorKind::WouldBlock`] where another process has it open.
    ///
    /// # Panics
    /// When `capacity_bytes` is no multiple of a sector.
    pub fn open(path: &Path, capacity_bytes: usize) -> io::Result<Self> {
        Image::open(path, capacity_bytes).map(Self::from_image)
    }

    fn from_image(image: Image) -> Self {
        let length = image.bytes().len();
        assert!(
            length.is_multiple_of(SECTOR_BYTES),
            "a flash is whole sectors"
        );
        Self {
            image,
            powered: true,
            cut: None,
            writes_fail: false,
            dead_sectors: BTreeSet::new(),
            counters: Counters {
                erases: vec![0; length / SECTOR_BYTES],
                ..Counters::default()
            },
        }
    }

    /// Returns everything that lies on the flash.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.image.bytes()
    }

    /// Returns what was done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Begins to count anew.
    pub fn reset_counters(&mut self) {
        let sectors = self.counters.erases.len();
        self.counters = Counters {
            erases: vec![0; sectors],
            ..Counters::default()
        };
    }

    /// Cuts power at an operation: 0 is the next one. `seed` draws what [`Torn::Random`] leaves.
    pub fn cut_at(&mut self, operations_from_now: u64, torn: Torn, seed: u64) {
        self.cut = Some(Cut {
            operations_left: operations_from_now,
            torn,
            seed,
        });
    }

    /// Switches power on, also after no cut; a planned cut that did not come is forgotten.
    pub fn power_on(&mut self) {
        self.powered = true;
        self.cut = None;
    }

    /// Tells whether there is power; a planned cut that came took it.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Makes every program and erase fail, or work again; nothing reaches the flash meanwhile.
    pub fn fail_writes(&mut self, fail: bool) {
        self.writes_fail = fail;
    }

    /// Makes a sector refuse programs and erases for good; it can still be read.
    pub fn kill_sector(&mut self, sector: usize) {
        self.dead_sectors.insert(sector);
    }

    /// Flips the bits of `mask` in the byte at `offset`, as ageing does.
    ///
    /// # Errors
    /// [`NorError::File`] where the file below cannot be written.
    ///
    /// # Panics
    /// When `offset` is beyond the flash.
    pub fn flip(&mut self, offset: usize, mask: u8) -> Result<(), NorError> {
        let byte = self.image.bytes()[offset] ^ mask;
        self.replace(offset, &[byte])
    }

    fn replace(&mut self, at: usize, bytes: &[u8]) -> Result<(), NorError> {
        self.image
            .replace(at, bytes)
            .map_err(|error| NorError::File(error.kind()))
    }

    /// Does one operation, or what a cut leaves of it.
    fn operate(&mut self, at: usize, after: &[u8], erase: bool) -> Result<(), NorError> {
        if self.writes_fail || self.dead_sectors.contains(&(at / SECTOR_BYTES)) {
            return Err(NorError::WriteFailed);
        }
        self.counters.operations += 1;
        match &mut self.cut {
            Some(cut) if cut.operations_left == 0 => {
                let before = &self.image.bytes()[at..at + after.len()];
                let left = cut.torn.leaves(before, after, erase, cut.seed);
                self.powered = false;
                self.replace(at, &left)?;
                return Err(NorError::PowerOff);
            }
            Some(cut) => cut.operations_left -= 1,
            None => {}
        }
        self.replace(at, after)
    }

    fn program_page(&mut self, at: usize, bytes: &[u8]) -> Result<(), NorError> {
        let mut after = [0; PAGE_BYTES];
        let after = &mut after[..bytes.len()];
        let old = &self.image.bytes()[at..at + bytes.len()];
        for ((after, &old), &new) in after.iter_mut().zip(old).zip(bytes) {
            *after = old & new;
            self.counters.violations += u64::from(sets_a_bit(old, new));
            self.counters.reprogrammed_bytes += u64::from(is_programmed(old));
        }
        self.counters.programs += 1;
        self.counters.programmed_bytes += bytes.len() as u64;
        self.operate(at, after, false)
    }

    fn check_power(&self) -> Result<(), NorError> {
        self.powered.then_some(()).ok_or(NorError::PowerOff)
    }
}

impl ErrorType for Nor {
    type Error = NorError;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        check_read(self, offset, bytes.len())?;
        self.check_power()?;
        let at = offset as usize;
        bytes.copy_from_slice(&self.image.bytes()[at..at + bytes.len()]);
        self.counters.read_bytes += bytes.len() as u64;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.image.bytes().len()
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        check_erase(self, from, to)?;
        for at in (from as usize..to as usize).step_by(SECTOR_BYTES) {
            self.check_power()?;
            self.operate(at, &[ERASED; SECTOR_BYTES], true)?;
            self.counters.erases[at / SECTOR_BYTES] += 1;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        check_write(self, offset, bytes.len())?;
        let (mut at, end) = (offset as usize, offset as usize + bytes.len());
        while at < end {
            self.check_power()?;
            let page_end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
            let page_end = page_end.min(end);
            let from = at - offset as usize;
            self.program_page(at, &bytes[from..from + (page_end - at)])?;
            at = page_end;
        }
        Ok(())
    }
}
