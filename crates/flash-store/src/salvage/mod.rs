//! Getting everything out of a flash that may be damaged anywhere.
//!
//! Nothing is believed but checksums: not the layout, not the file system, not one sector what another one says. Each sector
//! is looked at for itself, so a store is read that no meter would mount, and so is what an older store left between.
//!
//! | module | holds |
//! |---|---|
//! | `places` | where stores lie on a larger flash |
//! | `raw` | one sector of a ring: readings behind damage, from the next run on |
//! | `packed` | segments and files of events, found by their magic at any offset |
//! | `inspect` | what a mounted store can say of itself |
//!
//! What is found comes as blocks and events, in the order of the sectors and not of the numbers, and some of it twice: a
//! removed segment may still lie beside the coarser one that took its place. All of it is as true as when it was written.
//! The settings, which hold the access token, and the access-point password are never given out.

mod inspect;
mod packed;
mod places;
mod raw;

use alloc::{boxed::Box, vec};

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use protocol::{
    DeviceId, StoreId, block::Block, event::Event, limits::BLOCK_BYTES_MAX, reading::Tier,
};

use crate::{
    counters,
    error::Fault,
    events, identity, journal,
    ring::sector::{self, Identity, SECTOR_BYTES, is_erased, read},
};

pub use inspect::{Inspection, JournalState, SegmentContent, SegmentState, SettingsState};
pub use places::{PLACES_MAX, StorePlace, find_stores};

const SECTOR: usize = SECTOR_BYTES as usize;
const RINGS: [u8; 3] = [counters::RING, events::RING, journal::RING];

/// Whose readings or events were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The meter.
    pub device: DeviceId,
    /// Its history.
    pub store: StoreId,
}

/// What was found on a flash.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A sector was looked at; what was found in it came before.
    Sector {
        /// Its place, counted from the beginning of the flash.
        sector: u32,
        /// What it is.
        content: Content,
        /// What cannot be read in it.
        damage: Option<Damage>,
    },
    /// A block of readings, or of numbers that never existed or are lost; it was parsed.
    Block {
        /// The sector in which it was found.
        sector: u32,
        /// The block, as a meter would serve it.
        bytes: &'a [u8],
    },
    /// An event.
    Event {
        /// The sector in which it was found.
        sector: u32,
        /// Whose log it belongs to.
        owner: Owner,
        /// The event.
        event: &'a Event,
    },
}

/// What a sector is, by its own magic and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Erased.
    Erased,
    /// A copy of the identity; not ready where formatting was cut short.
    Identity {
        /// Whether formatting was complete.
        is_ready: bool,
    },
    /// A sector of the ring of counters.
    Counters,
    /// A sector of the ring of events.
    Events,
    /// A sector of the journal.
    Journal,
    /// A segment that fills the sector.
    Segment {
        /// How coarse its readings are.
        tier: Tier,
        /// The first number that it accounts for.
        base: u64,
        /// How many numbers it accounts for.
        count: u32,
        /// Its history.
        store: StoreId,
    },
    /// A file of events that fills the sector.
    EventFile,
    /// Anything else: directories and small files, settings, or bytes of another program.
    Other,
}

/// What cannot be read in a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It begins like a sector of a store, and its header or checksum is not whole.
    Header,
    /// Numbers of readings that lay in it and are missing, at least; 0 where it is not known how many.
    Readings(u64),
    /// Entries of it that are no readings.
    Entries,
}

/// Walks through a flash of any size and hands everything that can be read to `visit`.
///
/// Readings in a sector of the journal whose header is damaged are told apart by what their runs say; whose they are is
/// taken from the rest of the flash where that names one history only.
///
/// It takes some 12 KiB of memory, and some 20 KiB of stack a channel where a packed block is checked: it is made for a PC.
///
/// # Errors
/// The kind of error that the flash gave.
pub fn salvage<F: NorFlash>(
    flash: &mut F,
    visit: &mut dyn FnMut(&Found<'_>),
) -> Result<(), NorFlashErrorKind> {
    let known = Known::collect(flash)?;
    let mut scan = Scan {
        known,
        bytes: vec![0; SECTOR].into_boxed_slice(),
        block: vec![0; BLOCK_BYTES_MAX].into_boxed_slice(),
    };
    for sector in 0..sectors_of(flash) {
        scan.look(flash, sector, visit)?;
    }
    Ok(())
}

/// The histories of which there are headers.
struct Known {
    identities: heapless::Vec<Identity, PLACES_MAX>,
    /// Where there is one history only, where its store lies.
    place: Option<StorePlace>,
}

impl Known {
    fn collect<F: NorFlash>(flash: &mut F) -> Result<Self, Fault> {
        let mut identities: heapless::Vec<Identity, PLACES_MAX> = heapless::Vec::new();
        for sector in 0..sectors_of(flash) {
            if let Some(identity) = places::identity_at(flash, sector)?
                && !identities.contains(&identity)
                && identities.push(identity).is_err()
            {
                break;
            }
        }
        let place = match (identities.len(), &find_stores(flash)?[..]) {
            (1, [place]) => Some(*place),
            _ => None,
        };
        Ok(Self { identities, place })
    }

    /// Returns whose history a store id names, where only one meter has it.
    fn owner_of(&self, store: StoreId) -> Option<Owner> {
        let mut named = self.identities.iter().filter(|known| known.store == store);
        let first = named.next()?;
        named
            .all(|other| other.device == first.device)
            .then_some(owner(first))
    }

    /// Returns the ring whose place a sector is, and whose it is, where there is one store only.
    fn ring_at(&self, sector: u32) -> Option<(u8, Identity)> {
        let place = self.place?;
        let layout = place.layout()?;
        let within = sector.checked_sub(place.first_sector)?;
        let ring = match within {
            at if at < layout.first_event_sector() => return None,
            at if at < layout.first_journal_sector() => events::RING,
            at if at < layout.first_file_sector() => journal::RING,
            _ => return None,
        };
        Some((ring, *self.identities.first()?))
    }
}

fn owner(identity: &Identity) -> Owner {
    Owner {
        device: identity.device,
        store: identity.store,
    }
}

fn sectors_of<F: NorFlash>(flash: &F) -> u32 {
    u32::try_from(flash.capacity() / SECTOR).unwrap_or(u32::MAX / SECTOR_BYTES)
}

/// The memory of a walk.
struct Scan {
    known: Known,
    /// The sector.
    bytes: Box<[u8]>,
    /// A block that is being made.
    block: Box<[u8]>,
}

impl Scan {
    fn look<F: NorFlash>(
        &mut self,
        flash: &mut F,
        sector: u32,
        visit: &mut dyn FnMut(&Found<'_>),
    ) -> Result<(), Fault> {
        let at = sector * SECTOR_BYTES;
        read(flash, at, &mut self.bytes)?;
        let magic = &self.bytes[..4];
        let (content, damage) = if is_erased(&self.bytes) {
            (Content::Erased, None)
        } else if magic == sector::MAGIC {
            self.ring(flash, sector, visit)?
        } else if magic == identity::MAGIC {
            let is_ready = !is_erased(&self.bytes[identity::READY_AT as usize..][..4]);
            let is_whole = places::identity_at(flash, sector)?.is_some();
            let damage = (!is_whole).then_some(Damage::Header);
            (Content::Identity { is_ready }, damage)
        } else if let Some((ring, identity)) = self.known.ring_at(sector) {
            // Its header is hit so that not even the magic is left.
            let (_, damage) = self.entries(flash, sector, ring, None, &identity, visit)?;
            (content_of(ring), Some(damage.unwrap_or(Damage::Header)))
        } else {
            self.packed(sector, visit)
        };
        visit(&Found::Sector {
            sector,
            content,
            damage,
        });
        Ok(())
    }

    /// Looks at a sector that begins like one of a ring.
    fn ring<F: NorFlash>(
        &mut self,
        flash: &mut F,
        sector: u32,
        visit: &mut dyn FnMut(&Found<'_>),
    ) -> Result<(Content, Option<Damage>), Fault> {
        for ring in RINGS {
            if let Some(opened) = sector::load(flash, sector * SECTOR_BYTES, ring)? {
                let identity = opened.identity;
                return self.entries(flash, sector, ring, Some(&opened), &identity, visit);
            }
        }
        let Some((ring, identity)) = self.known.ring_at(sector) else {
            return Ok((content_of(self.bytes[5]), Some(Damage::Header)));
        };
        let (content, damage) = self.entries(flash, sector, ring, None, &identity, visit)?;
        Ok((content, Some(damage.unwrap_or(Damage::Header))))
    }
}

/// Returns what a sector of a ring is.
fn content_of(ring: u8) -> Content {
    match ring {
        counters::RING => Content::Counters,
        events::RING => Content::Events,
        journal::RING => Content::Journal,
        _ => Content::Other,
    }
}

/// Hands out a block that parses.
fn give(sector: u32, bytes: &[u8], visit: &mut dyn FnMut(&Found<'_>)) {
    if Block::parse(bytes).is_ok() {
        visit(&Found::Block { sector, bytes });
    }
}
