//! The flash: operations, power and faults.

use std::{collections::BTreeMap, io, ops::Range, path::Path};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use rand::{SeedableRng, seq::index};
use rand_pcg::Pcg64Mcg;

use crate::{
    Counters, Fault, Latency, PAGE_BYTES, SECTOR_BYTES, Torn,
    image::{ERASED_SECTOR, Image},
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
    faults: BTreeMap<usize, Fault>,
    latency: Latency,
    counters: Counters,
}

impl Nor {
    /// Makes an erased flash in memory.
    ///
    /// # Panics
    /// When `capacity_bytes` is no multiple of a sector.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        Self::from_image(Image::erased(capacity_bytes))
    }

    /// Makes a flash in memory that holds `bytes`.
    ///
    /// # Panics
    /// When their length is no multiple of a sector.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::from_image(Image::in_memory(&bytes))
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
        let counters = Counters::of(image.sectors());
        Self {
            image,
            powered: true,
            cut: None,
            writes_fail: false,
            faults: BTreeMap::new(),
            latency: Latency::default(),
            counters,
        }
    }

    /// Copies the flash as it lies, with its faulty sectors and its latency, into one in memory that has power, plans no
    /// cut and counts from 0.
    ///
    /// The two share each sector until one of them changes it, so that a copy costs little and a test can begin again
    /// from the same state a thousand times.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self {
            faults: self.faults.clone(),
            latency: self.latency,
            ..Self::from_image(self.image.copy())
        }
    }

    /// Returns a copy of everything that lies on the flash.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.image.to_vec()
    }

    /// Returns what was done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Begins to count anew, the busy time too.
    pub fn reset_counters(&mut self) {
        self.counters = Counters::of(self.image.sectors());
    }

    /// Sets how long operations take from here on.
    pub fn set_latency(&mut self, latency: Latency) {
        self.latency = latency;
    }

    /// Returns how long the chip was busy since its counters began, in whole µs.
    #[must_use]
    pub fn busy_us(&self) -> u64 {
        self.counters.busy_ns / 1000
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

    /// Makes a sector fail for good, in place of how it failed before; it can still be read.
    pub fn break_sector(&mut self, sector: usize, fault: Fault) {
        self.faults.insert(sector, fault);
    }

    /// Flips the bits of `mask` in the byte at `offset`, as ageing does.
    ///
    /// # Errors
    /// [`NorError::File`] where the file below cannot be written.
    ///
    /// # Panics
    /// When `offset` is beyond the flash.
    pub fn flip(&mut self, offset: usize, mask: u8) -> Result<(), NorError> {
        let byte = self.image.within_sector(offset, 1)[0] ^ mask;
        self.replace(offset, &[byte])
    }

    /// Flips `count` different bits that `seed` draws from the bytes of `range`; returns the offset of the byte of each.
    ///
    /// # Errors
    /// [`NorError::File`] where the file below cannot be written.
    ///
    /// # Panics
    /// When `range` has fewer bits or ends beyond the flash.
    pub fn flip_random(
        &mut self,
        range: Range<usize>,
        count: usize,
        seed: u64,
    ) -> Result<Vec<usize>, NorError> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let bits = index::sample(&mut random, range.len() * 8, count);
        let mut offsets = Vec::with_capacity(count);
        for bit in bits {
            let offset = range.start + bit / 8;
            self.flip(offset, 1 << (bit % 8))?;
            offsets.push(offset);
        }
        Ok(offsets)
    }

    fn replace(&mut self, at: usize, bytes: &[u8]) -> Result<(), NorError> {
        self.image
            .replace(at, bytes)
            .map_err(|error| NorError::File(error.kind()))
    }

    /// Tells whether the flash begins an operation there at all.
    fn check_accepts(&self, at: usize) -> Result<(), NorError> {
        let refuses = self.faults.get(&(at / SECTOR_BYTES)) == Some(&Fault::Refuses);
        if self.writes_fail || refuses {
            return Err(NorError::WriteFailed);
        }
        Ok(())
    }

    /// Does one operation, or what a cut and the fault of the sector leave of it.
    fn operate(&mut self, at: usize, after: &[u8], erase: bool) -> Result<(), NorError> {
        self.counters.operations += 1;
        let cut = match &mut self.cut {
            Some(cut) if cut.operations_left == 0 => Some(*cut),
            Some(cut) => {
                cut.operations_left -= 1;
                None
            }
            None => None,
        };
        let fault = self.faults.get(&(at / SECTOR_BYTES));
        if cut.is_none() && fault.is_none() {
            return self.replace(at, after);
        }
        let before = self.image.within_sector(at, after.len());
        let mut left = cut.map_or_else(
            || after.to_vec(),
            |cut| cut.torn.leaves(before, after, erase, cut.seed),
        );
        if let Some(fault) = fault {
            fault.restore(before, &mut left, at % SECTOR_BYTES, erase);
        }
        self.powered = cut.is_none();
        self.replace(at, &left)?;
        self.check_power()
    }

    fn erase_sector(&mut self, at: usize) -> Result<(), NorError> {
        self.check_accepts(at)?;
        self.counters.erases[at / SECTOR_BYTES] += 1;
        self.counters.busy_ns += self.latency.erase_sector_ns;
        self.operate(at, &ERASED_SECTOR, true)
    }

    fn program_page(&mut self, at: usize, bytes: &[u8]) -> Result<(), NorError> {
        self.check_accepts(at)?;
        let mut after = [0; PAGE_BYTES];
        let after = &mut after[..bytes.len()];
        let old = self.image.within_sector(at, bytes.len());
        for ((after, &old), &new) in after.iter_mut().zip(old).zip(bytes) {
            *after = old & new;
            self.counters.violations += u64::from(sets_a_bit(old, new));
            self.counters.reprogrammed_bytes += u64::from(is_programmed(old));
        }
        self.counters.programs += 1;
        self.counters.programmed_bytes += bytes.len() as u64;
        self.counters.busy_ns += self.latency.program_ns(bytes.len());
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
        self.image.read(offset as usize, bytes);
        self.counters.reads += 1;
        self.counters.busy_ns += self.latency.read_ns(bytes.len());
        self.counters.read_bytes += bytes.len() as u64;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.image.sectors() * SECTOR_BYTES
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        check_erase(self, from, to)?;
        for at in (from as usize..to as usize).step_by(SECTOR_BYTES) {
            self.check_power()?;
            self.erase_sector(at)?;
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
