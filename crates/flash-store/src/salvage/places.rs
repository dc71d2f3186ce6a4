//! Where stores lie on a flash that holds other things too, as the whole flash of a chip does.
//!
//! Both copies of the identity say so, and so does every sector of a ring: with the sequence that it states it can lie in
//! one place of its store only. The beginning on which most agree counts, so a store is found without its identity too.

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use heapless::Vec;

use super::{Owner, RINGS, sectors_of};
use crate::{
    Layout, counters,
    error::Fault,
    events, identity,
    ring::sector::{self, Identity, SECTOR_BYTES, is_erased, read},
};

/// Stores that are told apart on one flash at the most.
pub const PLACES_MAX: usize = 32;

/// Where a store lies, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorePlace {
    /// The sector with which it begins.
    pub first_sector: u32,
    /// How many sectors it says it has.
    pub sectors: u32,
    /// Its channels, 1 to 3.
    pub channels: u8,
    /// Whose it is.
    pub owner: Owner,
    /// Sectors that say so.
    witnesses: u32,
    /// Whether one of them is more than a copy of the identity, which could be the first or the second.
    is_certain: bool,
}

impl StorePlace {
    /// Returns how it is divided; `None` for a size that no store has.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        let bytes = (self.sectors as usize).checked_mul(SECTOR_BYTES as usize)?;
        Layout::for_capacity(bytes)
    }

    fn names(&self, identity: &Identity) -> bool {
        self.owner == super::owner(identity)
            && (self.sectors, self.channels) == (identity.sectors.into(), identity.channels)
    }
}

/// Finds the stores on a flash, by their place; where one history seems to begin in several, the likeliest.
///
/// # Errors
/// The kind of error that the flash gave.
pub fn find_stores<F: NorFlash>(
    flash: &mut F,
) -> Result<Vec<StorePlace, PLACES_MAX>, NorFlashErrorKind> {
    let mut places: Vec<StorePlace, PLACES_MAX> = Vec::new();
    for sector in 0..sectors_of(flash) {
        let Some(identity) = identity_at(flash, sector)? else {
            continue;
        };
        let ring_before = ring_offset(flash, sector, &identity)?;
        let first = match ring_before {
            Some(before) => sector.checked_sub(before),
            None => identity_first(flash, sector, &identity)?,
        };
        let Some(first_sector) = first else {
            continue;
        };
        let is_certain = ring_before.is_some();
        let seen =
            |place: &&mut StorePlace| place.first_sector == first_sector && place.names(&identity);
        if let Some(place) = places.iter_mut().find(seen) {
            place.witnesses += 1;
            place.is_certain |= is_certain;
        } else {
            // More are not told apart: no flash holds so many stores.
            let _ = places.push(StorePlace {
                first_sector,
                sectors: identity.sectors.into(),
                channels: identity.channels,
                owner: super::owner(&identity),
                witnesses: 1,
                is_certain,
            });
        }
    }
    keep_likeliest(&mut places);
    Ok(places)
}

/// Keeps one place of each history.
fn keep_likeliest(places: &mut Vec<StorePlace, PLACES_MAX>) {
    let all = places.clone();
    let weight = |place: &StorePlace| (place.is_certain, place.witnesses);
    places.retain(|place| {
        let rivals = all.iter().filter(|other| other.owner == place.owner);
        let best = rivals.max_by_key(|rival| (weight(rival), u32::MAX - rival.first_sector));
        best == Some(place)
    });
    places.sort_unstable_by_key(|place| place.first_sector);
}

/// Returns whose sector this is: one of a ring with a whole header, or a whole copy of the identity.
pub(super) fn identity_at<F: NorFlash>(
    flash: &mut F,
    sector: u32,
) -> Result<Option<Identity>, Fault> {
    let at = sector * SECTOR_BYTES;
    let mut magic = [0; 4];
    read(flash, at, &mut magic)?;
    if magic == identity::MAGIC {
        return copy_at(flash, sector);
    }
    if magic == sector::MAGIC {
        for ring in RINGS {
            if let Some(opened) = sector::load(flash, at, ring)? {
                return Ok(Some(opened.identity));
            }
        }
    }
    Ok(None)
}

/// Reads a copy of the identity; its password is not given out.
fn copy_at<F: NorFlash>(flash: &mut F, sector: u32) -> Result<Option<Identity>, Fault> {
    let copy = identity::load(flash, sector)?;
    Ok(copy.map(|(owner, _)| owner.identity))
}

/// Returns how far behind the beginning of its store a sector of a ring lies; `None` for another sector.
fn ring_offset<F: NorFlash>(
    flash: &mut F,
    sector: u32,
    identity: &Identity,
) -> Result<Option<u32>, Fault> {
    let Some(layout) = Layout::for_capacity(usize::from(identity.sectors) * SECTOR_BYTES as usize)
    else {
        return Ok(None);
    };
    for ring in RINGS {
        let Some(opened) = sector::load(flash, sector * SECTOR_BYTES, ring)? else {
            continue;
        };
        let (first, sectors) = match ring {
            counters::RING => (layout.first_counter_sector(), layout.counter_sectors),
            events::RING => (layout.first_event_sector(), layout.event_sectors),
            _ => (layout.first_journal_sector(), layout.journal_sectors),
        };
        let index = opened.sequence % u64::from(sectors);
        return Ok(Some(first + index as u32));
    }
    Ok(None)
}

/// Returns where the store of a copy of the identity begins.
fn identity_first<F: NorFlash>(
    flash: &mut F,
    sector: u32,
    identity: &Identity,
) -> Result<Option<u32>, Fault> {
    let Some(before) = sector.checked_sub(1) else {
        return Ok(Some(sector));
    };
    if Layout::for_capacity(usize::from(identity.sectors) * SECTOR_BYTES as usize).is_none() {
        return Ok(None);
    }
    let is_copy = |flash: &mut F, sector: u32| -> Result<bool, Fault> {
        let is_there = sector < sectors_of(flash);
        Ok(is_there && copy_at(flash, sector)? == Some(*identity))
    };
    if is_copy(flash, before)? {
        return Ok(Some(before));
    }
    if is_copy(flash, sector + 1)? {
        return Ok(Some(sector));
    }
    // One copy alone. Behind the second one lie the counters, behind the first one what is left of the second.
    let is_used = |flash: &mut F, sector: u32| -> Result<bool, Fault> {
        let mut head = [0; identity::COPY_BYTES];
        if sector >= sectors_of(flash) {
            return Ok(false);
        }
        read(flash, sector * SECTOR_BYTES, &mut head)?;
        Ok(!is_erased(&head) && head[..4] != sector::MAGIC)
    };
    let is_first = is_used(flash, sector + 1)? || !is_used(flash, before)?;
    Ok(Some(if is_first { sector } else { before }))
}
