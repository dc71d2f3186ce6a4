//! The ring of counters: the number of the boot, the generation of the settings, what collectors have acknowledged, and what was
//! erased.
//!
//! Each change is an entry, and all only grow. A sector's opening is a copy of what held when it was opened, so only the
//! newest sector is ever read.

use embedded_storage::nor_flash::NorFlash;

use crate::{
    WriteError,
    error::Fault,
    ring::{
        Place, Ring,
        entry::{Kind, entry_bytes},
        sector::Identity,
        walk::Step,
    },
};

/// Tells the ring from others.
pub(crate) const RING: u8 = 1;
/// Opening: boot, generation of the settings, acknowledgement, and the first number that was not erased; sectors of older stores
/// lack the last one.
const OPENING_BYTES: usize = 4 + 4 + 8 + 8;
/// Longest entry of the ring.
pub(crate) const TORN_BYTES_MAX: u32 = entry_bytes(8) as u32;

/// What only counts up.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    ring: Ring,
    /// Number of the current boot, 0 before the first.
    pub(crate) boot: u32,
    /// Generation of the settings that were written last, 0 before the first.
    pub(crate) settings: u32,
    /// First number that no collector has acknowledged.
    pub(crate) acknowledged: u64,
    /// First number that was not erased.
    pub(crate) erased: u64,
}

impl Counters {
    pub(crate) fn empty(place: Place, identity: Identity, boot: u32) -> Self {
        Self {
            ring: Ring::empty(place, identity),
            boot,
            settings: 0,
            acknowledged: 0,
            erased: 0,
        }
    }

    /// Finds what holds; where no sector can be read that is nothing.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let mut counters = Self {
            ring: Ring::mount(flash, place, identity)?,
            boot: 0,
            settings: 0,
            acknowledged: 0,
            erased: 0,
        };
        let Some(newest) = counters.ring.newest(flash)? else {
            return Ok(counters);
        };
        counters.take_opening(newest.opening());
        let mut walk = counters.ring.walk(&newest);
        loop {
            match walk.next(flash)? {
                Step::Entry { kind, payload, .. } => counters.take(kind, payload),
                Step::Broken(_) => {}
                Step::End(offset) => {
                    if let Some(offset) = offset {
                        counters.ring.resume(offset);
                    }
                    break;
                }
            }
        }
        Ok(counters)
    }

    fn take_opening(&mut self, opening: &[u8]) {
        if let Some((numbers, rest)) = opening.split_at_checked(8) {
            self.take(Kind::Boot, &numbers[..4]);
            self.take(Kind::Settings, &numbers[4..]);
            let (acknowledged, erased) = rest.split_at(rest.len().min(8));
            self.take(Kind::Acknowledged, acknowledged);
            self.take(Kind::Erased, erased);
        }
    }

    fn take(&mut self, kind: Kind, payload: &[u8]) {
        match kind {
            Kind::Acknowledged => {
                let bytes = payload.try_into().unwrap_or_default();
                self.acknowledged = self.acknowledged.max(u64::from_le_bytes(bytes));
            }
            Kind::Erased => {
                let bytes = payload.try_into().unwrap_or_default();
                self.erased = self.erased.max(u64::from_le_bytes(bytes));
            }
            Kind::Boot => {
                let bytes = payload.try_into().unwrap_or_default();
                self.boot = self.boot.max(u32::from_le_bytes(bytes));
            }
            Kind::Settings => {
                let bytes = payload.try_into().unwrap_or_default();
                self.settings = self.settings.max(u32::from_le_bytes(bytes));
            }
            _ => {}
        }
    }

    /// Counts a start and returns its number.
    pub(crate) fn start_boot<F: NorFlash>(&mut self, flash: &mut F) -> Result<u32, WriteError> {
        let boot = self.boot.checked_add(1).ok_or(WriteError::OutOfRange)?;
        self.push(flash, Kind::Boot, &boot.to_le_bytes())?;
        self.boot = boot;
        Ok(boot)
    }

    /// Remembers an acknowledgement; it never goes back.
    pub(crate) fn acknowledge<F: NorFlash>(
        &mut self,
        flash: &mut F,
        next: u64,
    ) -> Result<(), WriteError> {
        if next > self.acknowledged {
            self.push(flash, Kind::Acknowledged, &next.to_le_bytes())?;
            self.acknowledged = next;
        }
        Ok(())
    }

    /// Remembers that readings below `end` were given up; it never goes back.
    pub(crate) fn erase<F: NorFlash>(&mut self, flash: &mut F, end: u64) -> Result<(), Fault> {
        if end > self.erased {
            self.push(flash, Kind::Erased, &end.to_le_bytes())?;
            self.erased = end;
        }
        Ok(())
    }

    /// Remembers that settings of a generation are in their file: from here on older ones are damage.
    pub(crate) fn settings_written<F: NorFlash>(
        &mut self,
        flash: &mut F,
        generation: u32,
    ) -> Result<(), Fault> {
        self.push(flash, Kind::Settings, &generation.to_le_bytes())?;
        self.settings = generation;
        Ok(())
    }

    fn push<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), Fault> {
        if !self.ring.fits(&[payload.len()]) {
            let mut opening = [0; OPENING_BYTES];
            opening[..4].copy_from_slice(&self.boot.to_le_bytes());
            opening[4..8].copy_from_slice(&self.settings.to_le_bytes());
            opening[8..16].copy_from_slice(&self.acknowledged.to_le_bytes());
            opening[16..].copy_from_slice(&self.erased.to_le_bytes());
            self.ring.open(flash, 0, &opening)?;
        }
        self.ring.append(flash, kind, payload).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use nor_model::Nor;
    use protocol::{DeviceId, StoreId};

    use super::*;

    const PLACE: Place = Place {
        ring: RING,
        first_sector: 0,
        sectors: 4,
        torn_bytes_max: TORN_BYTES_MAX,
    };
    const IDENTITY: Identity = Identity {
        device: DeviceId([1; 6]),
        store: StoreId(2),
        channels: 1,
        sectors: 60,
    };

    #[test]
    fn a_sector_that_was_opened_before_there_was_erasing_says_the_rest() {
        let mut flash = Nor::new(60 * 4096);
        let mut opening = [0; 16];
        opening[0] = 7;
        opening[4] = 8;
        opening[8] = 9;
        let mut ring = Ring::empty(PLACE, IDENTITY);
        ring.open(&mut flash, 0, &opening).unwrap();
        let mut counters = Counters::mount(&mut flash, PLACE, IDENTITY).unwrap();
        let told = (counters.boot, counters.settings, counters.acknowledged);
        assert_eq!((told, counters.erased), ((7, 8, 9), 0));
        counters.erase(&mut flash, 5).unwrap();
        let counters = Counters::mount(&mut flash, PLACE, IDENTITY).unwrap();
        assert_eq!(counters.erased, 5);
    }
}
