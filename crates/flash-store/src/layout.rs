//! Which sectors of a flash belong to which ring.

use embedded_storage::nor_flash::NorFlash;

use crate::sector::SECTOR_BYTES;

/// Sectors for configuration, acknowledgement and start counter.
const SETTINGS_SECTORS: u32 = 4;
const EVENT_SECTORS_MIN: u32 = 2;
const EVENT_SECTORS_MAX: u32 = 16;
/// One sector of events for so many of all.
const SECTORS_PER_EVENT_SECTOR: u32 = 24;
const SECTORS_MIN: u32 = 10;

/// How a flash is divided: settings first, then events, then readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Sectors for configuration, acknowledgement and start counter.
    pub settings_sectors: u32,
    /// Sectors for events.
    pub event_sectors: u32,
    /// Sectors for readings.
    pub reading_sectors: u32,
}

impl Layout {
    /// Returns the division of a flash of so many bytes; `None` below 10 sectors of 4 KiB and above 65,535.
    #[must_use]
    pub fn for_capacity(capacity_bytes: usize) -> Option<Self> {
        let total = u32::try_from(capacity_bytes).ok()? / SECTOR_BYTES;
        if !(SECTORS_MIN..=u32::from(u16::MAX)).contains(&total) {
            return None;
        }
        let event_sectors =
            (total / SECTORS_PER_EVENT_SECTOR).clamp(EVENT_SECTORS_MIN, EVENT_SECTORS_MAX);
        Some(Self {
            settings_sectors: SETTINGS_SECTORS,
            event_sectors,
            reading_sectors: total - SETTINGS_SECTORS - event_sectors,
        })
    }

    /// Returns the sectors of all rings together.
    #[must_use]
    pub fn total_sectors(&self) -> u32 {
        self.settings_sectors + self.event_sectors + self.reading_sectors
    }

    /// Returns the division of this flash; `None` where it does not do.
    pub(crate) fn of<F: NorFlash>(flash: &F) -> Option<Self> {
        let fits = 4 % F::READ_SIZE == 0
            && 4 % F::WRITE_SIZE == 0
            && (SECTOR_BYTES as usize).is_multiple_of(F::ERASE_SIZE);
        fits.then(|| Self::for_capacity(flash.capacity())).flatten()
    }
}
