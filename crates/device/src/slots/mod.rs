//! The two firmware slots: which one runs, which one starts next, and whether the running one proved itself.
//!
//! The bootloader starts what `otadata` names and does not look back. So each start is logged before anything that can hang.
//! A slot is **on trial** until it is confirmed: the store mounted, samples flowing, the access point up. After three starts
//! on trial it is left for the other slot, where that one was ever confirmed or holds an image that is whole.
//!
//! An update is written into the slot that does not run. `otadata` changes last, when the image was read back and its hash
//! is right; so whatever a power cut leaves, `otadata` names a slot with a whole image.

mod otadata;
mod starts;

use embedded_storage::nor_flash::NorFlash;
use protocol::firmware::{HEADER_BYTES, Header};
use sha2::{Digest, Sha256};

use crate::{
    flash_map::{HEADER_IN_SLOT, SECTOR_BYTES, SLOTS, STORE},
    update::Update,
};
use starts::{Happened, Log, State};

/// Starts that a slot has to prove itself.
pub const STARTS_ON_TRIAL: u8 = 3;
/// Bytes that are written or read at once.
pub(crate) const PAGE_BYTES: usize = 256;

/// A firmware slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `ota_0`.
    Zero,
    /// `ota_1`.
    One,
}

impl Slot {
    /// Returns 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// Returns where the slot begins on the chip.
    #[must_use]
    pub const fn offset(self) -> u32 {
        SLOTS[self.index()]
    }

    const fn of(index: u8) -> Self {
        if index == 0 { Self::Zero } else { Self::One }
    }
}

/// Why the slots cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// The chip is smaller than the flash map, or its words or sectors are larger than 4 and 4,096 bytes.
    Geometry,
    /// The flash failed.
    Flash,
}

impl core::fmt::Display for SlotError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Geometry => "the flash is none that the flash map is made for",
            Self::Flash => "the flash of the firmware slots failed",
        })
    }
}

impl core::error::Error for SlotError {}

/// What is to be done after a start was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Go on.
    GoOn,
    /// Restart at once: this slot was left, and the bootloader starts the other one.
    Restart,
}

/// The firmware slots of a chip; `F` is a view of all of it.
pub struct Slots<F: NorFlash> {
    flash: F,
    running: Slot,
    log: Log,
    /// Counts updates that were begun; only the last one may write.
    updates: u32,
    /// The update that is coming, or of which a part came before its connection broke.
    pub(crate) held: Option<Update>,
}

impl<F: NorFlash> Slots<F> {
    /// Reads where everything is; writes nothing. `running` is the slot that the code runs from, as the chip tells it, or
    /// `None` for the one that `otadata` names.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn open(mut flash: F, running: Option<Slot>) -> Result<Self, SlotError> {
        let fits = flash.capacity() >= STORE as usize
            && 4 % F::READ_SIZE == 0
            && 4 % F::WRITE_SIZE == 0
            && (SECTOR_BYTES as usize).is_multiple_of(F::ERASE_SIZE);
        if !fits {
            return Err(SlotError::Geometry);
        }
        let running = match running {
            Some(running) => running,
            None => otadata::selected(&mut flash)?,
        };
        let log = Log::open(&mut flash)?;
        Ok(Self {
            flash,
            running,
            log,
            updates: 0,
            held: None,
        })
    }

    /// Logs a start, before anything that can hang. A slot that had its starts on trial is left where there is another.
    ///
    /// # Errors
    /// [`SlotError`]; the meter can go on without.
    pub fn start(&mut self) -> Result<Start, SlotError> {
        let last = self.log.state;
        let is_turn_new = last.slot != self.running;
        let was_left = is_turn_new && !last.confirmed[last.slot.index()];
        let mut state = State {
            starts: last.starts.saturating_add(1),
            slot: self.running,
            attempts: if is_turn_new { 0 } else { last.attempts }.saturating_add(1),
            ..last
        };
        if was_left && last.attempts > STARTS_ON_TRIAL {
            state.left = Some(last.slot);
        }
        if self.is_confirmed() {
            state.attempts = 0;
        }
        let named = otadata::selected(&mut self.flash)?;
        if named != self.running {
            // The bootloader found no whole image in the slot that is named, and took this one.
            state.left = Some(named);
            otadata::select(&mut self.flash, self.running)?;
        }
        self.log.append(&mut self.flash, Happened::Start, state)?;
        let is_over = !self.is_confirmed() && state.attempts > STARTS_ON_TRIAL;
        if is_over && self.can_leave()? {
            otadata::select(&mut self.flash, self.running.other())?;
            return Ok(Start::Restart);
        }
        Ok(Start::GoOn)
    }

    /// Returns the slot that runs.
    #[must_use]
    pub fn running(&self) -> Slot {
        self.running
    }

    /// Returns the slot that `otadata` names: the bootloader starts it next.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn named(&mut self) -> Result<Slot, SlotError> {
        otadata::selected(&mut self.flash)
    }

    /// Returns how often the chip started since its log of starts was erased.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.log.state.starts
    }

    /// Tells whether the running slot is confirmed; else it is on trial.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.log.state.confirmed[self.running.index()]
    }

    /// Confirms the running slot: it stays, and is what an update that fails falls back to.
    ///
    /// # Errors
    /// [`SlotError`]; the slot is then still on trial.
    pub fn confirm(&mut self) -> Result<(), SlotError> {
        if !self.is_confirmed() {
            let mut state = self.log.state;
            state.slot = self.running;
            state.attempts = 0;
            state.confirmed[self.running.index()] = true;
            self.log
                .append(&mut self.flash, Happened::Confirmed, state)?;
        }
        Ok(())
    }

    /// Returns a slot that was left and that nobody was told of.
    #[must_use]
    pub fn left(&self) -> Option<Slot> {
        self.log.state.left
    }

    /// Remembers that it was told.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn left_told(&mut self) -> Result<(), SlotError> {
        let state = State {
            left: None,
            ..self.log.state
        };
        self.log.append(&mut self.flash, Happened::Told, state)
    }

    /// Tells whether the other slot can be started: it was confirmed, or the image in it is whole.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn can_leave(&mut self) -> Result<bool, SlotError> {
        let other = self.running.other();
        Ok(self.log.state.confirmed[other.index()] || self.is_whole(other)?)
    }

    /// Returns the header of the update that a slot holds; `None` where it did not come as an update or is not complete.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn header(&mut self, slot: Slot) -> Result<Option<Header>, SlotError> {
        let mut bytes = [0; HEADER_BYTES];
        read(&mut self.flash, slot.offset() + HEADER_IN_SLOT, &mut bytes)?;
        Ok(Header::parse(&bytes).ok())
    }

    /// Returns the update of which a part came.
    #[must_use]
    pub fn held(&self) -> Option<&Update> {
        self.held.as_ref()
    }

    /// Returns the flash below.
    #[must_use]
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Gives the flash back.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn is_whole(&mut self, slot: Slot) -> Result<bool, SlotError> {
        let Some(header) = self.header(slot)? else {
            return Ok(false);
        };
        if header.image_bytes > HEADER_IN_SLOT {
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut page = [0; PAGE_BYTES];
        for at in (0..header.image_bytes).step_by(PAGE_BYTES) {
            read(&mut self.flash, slot.offset() + at, &mut page)?;
            let length = PAGE_BYTES.min((header.image_bytes - at) as usize);
            hash.update(&page[..length]);
        }
        Ok(hash.finalize()[..] == header.image_hash)
    }

    /// Makes the slot that does not run ready to be overwritten; returns the number of this update.
    pub(crate) fn overwrite(&mut self) -> Result<u32, SlotError> {
        // What came before is no longer in the slot, whatever becomes of this one.
        self.held = None;
        // An update that was taken and not started yet, or an image that the bootloader refused, is still named.
        if otadata::selected(&mut self.flash)? != self.running {
            otadata::select(&mut self.flash, self.running)?;
        }
        let other = self.running.other();
        if self.log.state.confirmed[other.index()] {
            let mut state = self.log.state;
            state.confirmed[other.index()] = false;
            self.log
                .append(&mut self.flash, Happened::Overwriting, state)?;
        }
        erase(&mut self.flash, other.offset() + HEADER_IN_SLOT)?;
        Ok(self.next_update())
    }

    /// Takes the right to write from whoever has it; returns the number of who has it now.
    pub(crate) fn next_update(&mut self) -> u32 {
        self.updates = self.updates.wrapping_add(1);
        self.updates
    }

    /// Tells whether an update is the last one that was begun.
    pub(crate) fn is_current(&self, update: u32) -> bool {
        self.updates == update
    }

    /// Writes a page of the image and reads it back; erases the sector that it begins.
    pub(crate) fn write_page(
        &mut self,
        at: u32,
        page: &mut [u8; PAGE_BYTES],
    ) -> Result<(), SlotError> {
        let at = self.running.other().offset() + at;
        if at.is_multiple_of(SECTOR_BYTES) {
            erase(&mut self.flash, at)?;
        }
        write(&mut self.flash, at, page)?;
        read(&mut self.flash, at, page)
    }

    /// Ends an update whose image is there: from now on the bootloader starts it.
    pub(crate) fn switch(&mut self, header: &Header) -> Result<(), SlotError> {
        let other = self.running.other();
        let at = other.offset() + HEADER_IN_SLOT;
        write(&mut self.flash, at, &header.to_bytes())?;
        if self.header(other)?.as_ref() != Some(header) {
            return Err(SlotError::Flash);
        }
        otadata::select(&mut self.flash, other)
    }
}

fn read<F: NorFlash>(flash: &mut F, at: u32, bytes: &mut [u8]) -> Result<(), SlotError> {
    flash.read(at, bytes).map_err(|_| SlotError::Flash)
}

fn write<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), SlotError> {
    flash.write(at, bytes).map_err(|_| SlotError::Flash)
}

fn erase<F: NorFlash>(flash: &mut F, at: u32) -> Result<(), SlotError> {
    let end = at + SECTOR_BYTES;
    flash.erase(at, end).map_err(|_| SlotError::Flash)
}

/// Tells whether nothing was ever written there; `bytes` is a multiple of 16.
fn is_blank<F: NorFlash>(flash: &mut F, at: u32, bytes: u32) -> Result<bool, SlotError> {
    let mut chunk = [0; 16];
    for offset in (0..bytes).step_by(chunk.len()) {
        read(flash, at + offset, &mut chunk)?;
        if chunk != [0xff; 16] {
            return Ok(false);
        }
    }
    Ok(true)
}
