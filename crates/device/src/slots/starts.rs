//! The log of the starts: two raw sectors that are filled in turn, 16 bytes an entry.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | sequence: counts entries from 0 |
//! | 4 | 4 | number of starts so far |
//! | 8 | 1 | what happened: 1 start, 2 confirmed, 3 told that a slot was left, 4 other slot is about to be overwritten |
//! | 9 | 1 | slot that it happened to |
//! | 10 | 1 | starts of that slot since it was confirmed, or was another one's turn; up to 255 |
//! | 11 | 1 | bit 0 and 1: slot 0 and 1 are confirmed; bit 2: a slot was left and nobody was told; bit 3: which one |
//! | 12 | 4 | CRC-32 of all before |
//!
//! Each entry says everything, so the last one is enough: a sector can be erased when its turn comes.

use embedded_storage::nor_flash::NorFlash;
use protocol::block::CRC;

use super::{Slot, SlotError, erase, is_blank, read, write};
use crate::flash_map::{SECTOR_BYTES, STARTS};

const ENTRY_BYTES: u32 = 16;
const ENTRIES: u32 = SECTOR_BYTES / ENTRY_BYTES;

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Start = 1,
    Confirmed = 2,
    Told = 3,
    Overwriting = 4,
}

/// What the last entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Starts so far.
    pub(super) starts: u32,
    /// Slot of the last entry.
    pub(super) slot: Slot,
    /// Starts of that slot in a row that were not confirmed.
    pub(super) attempts: u8,
    /// By slot.
    pub(super) confirmed: [bool; 2],
    /// A slot that was left, until that is told.
    pub(super) left: Option<Slot>,
}

/// Where the log goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// Sequence of the next entry.
    sequence: u32,
    sector: u32,
    /// Entry of the sector that is written next.
    place: u32,
    pub(super) state: State,
}

impl Log {
    /// Finds the last entry; writes nothing.
    pub(super) fn open<F: NorFlash>(flash: &mut F) -> Result<Self, SlotError> {
        let mut log = Self {
            sequence: 0,
            sector: 0,
            place: 0,
            state: State {
                starts: 0,
                slot: Slot::Zero,
                attempts: 0,
                confirmed: [false; 2],
                left: None,
            },
        };
        for sector in 0..2 {
            for place in 0..ENTRIES {
                let mut bytes = [0; ENTRY_BYTES as usize];
                read(flash, at(sector, place), &mut bytes)?;
                if let Some((sequence, state)) = decoded(&bytes)
                    && sequence >= log.sequence
                {
                    log.sequence = sequence.saturating_add(1);
                    log.sector = sector;
                    log.state = state;
                }
            }
        }
        log.place = used(flash, log.sector)?;
        Ok(log)
    }

    /// Writes an entry; durable when it returns.
    pub(super) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        what: Happened,
        state: State,
    ) -> Result<(), SlotError> {
        let bytes = encoded(self.sequence, what, &state);
        // A place that does not take the entry is passed over; so few tries never erase the sector of the last one.
        for _ in 0..ENTRIES {
            if self.place >= ENTRIES {
                self.sector = 1 - self.sector;
                self.place = 0;
                if !is_blank(flash, at(self.sector, 0), SECTOR_BYTES)? {
                    erase(flash, at(self.sector, 0))?;
                }
            }
            let at = at(self.sector, self.place);
            self.place += 1;
            write(flash, at, &bytes)?;
            let mut found = [0; ENTRY_BYTES as usize];
            read(flash, at, &mut found)?;
            if found == bytes {
                self.sequence = self.sequence.saturating_add(1);
                self.state = state;
                return Ok(());
            }
        }
        Err(SlotError::Flash)
    }
}

fn at(sector: u32, place: u32) -> u32 {
    STARTS + sector * SECTOR_BYTES + place * ENTRY_BYTES
}

/// Returns the first place of a sector behind which nothing was ever written.
fn used<F: NorFlash>(flash: &mut F, sector: u32) -> Result<u32, SlotError> {
    for place in (0..ENTRIES).rev() {
        if !is_blank(flash, at(sector, place), ENTRY_BYTES)? {
            return Ok(place + 1);
        }
    }
    Ok(0)
}

fn encoded(sequence: u32, what: Happened, state: &State) -> [u8; ENTRY_BYTES as usize] {
    let mut bytes = [0; ENTRY_BYTES as usize];
    bytes[..4].copy_from_slice(&sequence.to_le_bytes());
    bytes[4..8].copy_from_slice(&state.starts.to_le_bytes());
    bytes[8] = what as u8;
    bytes[9] = state.slot.index() as u8;
    bytes[10] = state.attempts;
    let [zero, one] = state.confirmed.map(u8::from);
    let left = state
        .left
        .map_or(0, |slot| 1 << 2 | (slot.index() as u8) << 3);
    bytes[11] = zero | one << 1 | left;
    let crc = CRC.checksum(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decoded(bytes: &[u8; ENTRY_BYTES as usize]) -> Option<(u32, State)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
    let is_whole = word(12)? == CRC.checksum(&bytes[..12]);
    is_whole.then_some(())?;
    let flags = bytes[11];
    let state = State {
        starts: word(4)?,
        slot: Slot::of(bytes[9]),
        attempts: bytes[10],
        confirmed: [flags & 1 != 0, flags & 2 != 0],
        left: (flags & 4 != 0).then_some(Slot::of(flags >> 3 & 1)),
    };
    Some((word(0)?, state))
}
