//! Finds out whose store lies on a flash, or what else.

use embedded_storage::nor_flash::NorFlash;

use crate::{
    Layout, MountError,
    error::Fault,
    ring::Place,
    sector::{self, FORMAT, Identity, MAGIC, SECTOR_BYTES, is_erased},
    store::Places,
};

/// Bytes read at once when a whole sector is looked at.
const CHUNK_BYTES: usize = 64;
/// What formatting that was cut can leave in its one sector: the first opening, without a configuration record.
const FIRST_OPENING_BYTES: u32 = 64;

/// Returns the identity of the store on a flash.
///
/// Any readable sector tells it, settings first; a store all of whose settings are erased is none any more, since
/// formatting erases them first.
pub(crate) fn identify<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    places: &Places,
) -> Result<Identity, MountError> {
    for place in [places.settings, places.readings, places.events] {
        if let Some(identity) = newest_identity(flash, place)? {
            if u32::from(identity.sectors) != layout.total_sectors() {
                return Err(MountError::Foreign);
            }
            let has_settings = used_bytes(flash, places.settings)? > 0;
            return has_settings.then_some(identity).ok_or(MountError::Damaged);
        }
    }
    Err(without_identity(flash, layout, places)?)
}

fn newest_identity<F: NorFlash>(flash: &mut F, place: Place) -> Result<Option<Identity>, Fault> {
    let mut newest = None;
    for index in 0..place.sectors {
        let at = (place.first_sector + index) * SECTOR_BYTES;
        if let Some(opened) = sector::load(flash, at, place.ring)?
            && newest.is_none_or(|(sequence, _)| opened.sequence > sequence)
        {
            newest = Some((opened.sequence, opened.identity));
        }
    }
    Ok(newest.map(|(_, identity)| identity))
}

/// Tells erased from foreign from damaged where no sector can be read.
fn without_identity<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    places: &Places,
) -> Result<MountError, Fault> {
    for sector in 0..layout.total_sectors() {
        let mut head = [0; 8];
        sector::read(flash, sector * SECTOR_BYTES, &mut head)?;
        if head[..4] == MAGIC {
            return Ok(if head[4] == FORMAT {
                MountError::Damaged
            } else {
                MountError::Foreign
            });
        }
    }
    let all = |first_sector, sectors| Place {
        ring: 0,
        first_sector,
        sectors,
        torn_bytes_max: 0,
    };
    let first = places.settings.first_sector;
    let in_first = used_bytes(flash, all(first, 1))?;
    let behind = used_bytes(flash, all(first + 1, layout.total_sectors() - 1))?;
    Ok(if behind == 0 && in_first <= FIRST_OPENING_BYTES {
        MountError::Unformatted
    } else {
        MountError::Foreign
    })
}

/// Returns how many bytes up to the last one of a place that is not erased.
fn used_bytes<F: NorFlash>(flash: &mut F, place: Place) -> Result<u32, Fault> {
    let (from, bytes) = (
        place.first_sector * SECTOR_BYTES,
        place.sectors * SECTOR_BYTES,
    );
    for offset in (0..bytes).step_by(CHUNK_BYTES).rev() {
        let mut chunk = [0; CHUNK_BYTES];
        sector::read(flash, from + offset, &mut chunk)?;
        if !is_erased(&chunk) {
            return Ok(offset + CHUNK_BYTES as u32);
        }
    }
    Ok(0)
}
