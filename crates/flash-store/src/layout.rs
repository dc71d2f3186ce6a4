//! Which sectors of a flash hold what.

use embedded_storage::nor_flash::NorFlash;

use crate::ring::sector::SECTOR_BYTES;

/// Sectors with a copy of the identity each.
pub(crate) const IDENTITY_SECTORS: u32 = 2;
const COUNTER_SECTORS: u32 = 4;
const EVENT_SECTORS: u32 = 4;
const JOURNAL_SECTORS: u32 = 16;
/// LittleFS takes 6 blocks for itself and 16 stay free: with fewer there is hardly room for a segment.
const SECTORS_MIN: u32 = 60;

/// How a flash is divided, in this order behind the two sectors of the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Sectors for start counter and acknowledgement.
    pub counter_sectors: u32,
    /// Sectors for the newest events.
    pub event_sectors: u32,
    /// Sectors for the newest readings.
    pub journal_sectors: u32,
    /// Sectors for segments, older events and settings.
    pub file_sectors: u32,
}

impl Layout {
    /// Returns the division of a flash of so many bytes; `None` below 60 sectors of 4 KiB and above 65,535.
    #[must_use]
    pub fn for_capacity(capacity_bytes: usize) -> Option<Self> {
        let total = u32::try_from(capacity_bytes).ok()? / SECTOR_BYTES;
        if !(SECTORS_MIN..=u32::from(u16::MAX)).contains(&total) {
            return None;
        }
        let raw = IDENTITY_SECTORS + COUNTER_SECTORS + EVENT_SECTORS + JOURNAL_SECTORS;
        Some(Self {
            counter_sectors: COUNTER_SECTORS,
            event_sectors: EVENT_SECTORS,
            journal_sectors: JOURNAL_SECTORS,
            file_sectors: total - raw,
        })
    }

    /// Returns the sectors of everything together.
    #[must_use]
    pub fn total_sectors(&self) -> u32 {
        self.first_file_sector() + self.file_sectors
    }

    /// Returns the first sector of the counters.
    #[must_use]
    pub fn first_counter_sector(&self) -> u32 {
        IDENTITY_SECTORS
    }

    /// Returns the first sector of the events.
    #[must_use]
    pub fn first_event_sector(&self) -> u32 {
        self.first_counter_sector() + self.counter_sectors
    }

    /// Returns the first sector of the journal.
    #[must_use]
    pub fn first_journal_sector(&self) -> u32 {
        self.first_event_sector() + self.event_sectors
    }

    /// Returns the first sector of the files: the LittleFS begins there.
    #[must_use]
    pub fn first_file_sector(&self) -> u32 {
        self.first_journal_sector() + self.journal_sectors
    }

    /// Returns the division of this flash; `None` where it does not do.
    pub(crate) fn of<F: NorFlash>(flash: &F) -> Option<Self> {
        let fits = 4 % F::READ_SIZE == 0
            && 4 % F::WRITE_SIZE == 0
            && (SECTOR_BYTES as usize).is_multiple_of(F::ERASE_SIZE);
        fits.then(|| Self::for_capacity(flash.capacity())).flatten()
    }
}
