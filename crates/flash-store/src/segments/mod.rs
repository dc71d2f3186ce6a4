//! Segments: which there are, and reading one.
//!
//! | module | holds |
//! |---|---|
//! | `index` | which numbers which segment holds |
//! | `scan` | finding segments where the files cannot be listed |
//! | `seal` | packing the journal into a segment |
//! | `serve` | blocks for collectors |
//! | `room` | what goes when it is full |
//! | `coarsen` | rewriting segments with fewer readings |

mod coarsen;
mod index;
mod room;
mod scan;
mod seal;
mod serve;

use alloc::{boxed::Box, vec};

use embedded_storage::nor_flash::NorFlash;
use littlefs::Littlefs;
use protocol::{
    reading::RegisterSet,
    segment::{
        Models,
        file::{self, Segment},
    },
};

use crate::{
    error::Fault,
    files::{FILE_BYTES_MAX, path, segments},
    ring::sector::{Identity, SECTOR_BYTES, read},
};

pub(crate) use index::{Held, Index};
pub(crate) use room::{FREE_BLOCKS_MIN, Loss, difference, note_of_loss};
pub(crate) use scan::{scan, stated_length};
pub(crate) use seal::Due;

/// Memory for packing and unpacking, taken once at mount: two blocks of 4 KiB, and the odds of two times three channels.
pub(crate) struct Workspace {
    /// A file as it lies on flash.
    pub(crate) file: Box<[u8]>,
    /// A file that is being made.
    pub(crate) made: Box<[u8]>,
    pub(crate) reader: Box<Models>,
    pub(crate) writer: Box<Models>,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self {
            file: vec![0; FILE_BYTES_MAX].into_boxed_slice(),
            made: vec![0; FILE_BYTES_MAX].into_boxed_slice(),
            reader: models(),
            writer: models(),
        }
    }
}

/// Makes odds. They lie on the stack before they are moved, 20 KB of them: not those of both at once, and not as long as
/// the caller runs.
#[inline(never)]
fn models() -> Box<Models> {
    Box::new(Models::new())
}

/// Reads a segment into `buffer`; `None` where what lies there is not the segment that was to be there.
pub(crate) fn load<'a, F: NorFlash>(
    files: Option<&mut Littlefs>,
    flash: &mut F,
    identity: &Identity,
    held: &Held,
    buffer: &'a mut [u8],
) -> Result<Option<Segment<'a>>, Fault> {
    let length = match (held.sector, files) {
        (Some(sector), _) => {
            let at = u32::from(sector.get()) * SECTOR_BYTES;
            read(flash, at, buffer)?;
            scan::stated_length(buffer).unwrap_or(0)
        }
        (None, Some(files)) => {
            let path = path(segments(held.tier), held.base, held.count);
            match files.read(flash, &path, 0, buffer) {
                Ok(length) => length,
                Err(littlefs::Error::Flash(fault)) => return Err(fault),
                // The directory may be damaged and the segment whole.
                Err(_) => scan::look_for(flash, identity, held, buffer)?,
            }
        }
        (None, None) => scan::look_for(flash, identity, held, buffer)?,
    };
    let segment = Segment::parse(&buffer[..length]).ok();
    Ok(segment.filter(|segment| {
        segment.identity() == identity_of(identity)
            && (segment.base().0, segment.end().0, segment.tier())
                == (held.base, held.end(), held.tier)
    }))
}

/// Returns whose readings a segment of this store holds.
fn identity_of(identity: &Identity) -> file::Identity {
    file::Identity {
        device: identity.device,
        store: identity.store,
        channels: identity.channels,
    }
}

/// Registers around a segment.
pub(crate) struct Bounds {
    pub(crate) before: RegisterSet,
    pub(crate) after: RegisterSet,
}

/// Returns the registers before and behind a segment, `None` where it cannot be read.
pub(crate) fn bounds(segment: Option<&Segment<'_>>) -> Option<Bounds> {
    let segment = segment?;
    Some(Bounds {
        before: match segment.runs().next()?.lost_before() {
            (0, _) => segment.first_registers().clone(),
            (_, lost) => difference(segment.first_registers(), lost),
        },
        after: segment.end_registers().clone(),
    })
}
