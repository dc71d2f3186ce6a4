//! Finding segments where the files cannot be listed: each is one sector that begins with its magic.

use core::num::NonZeroU16;

use embedded_storage::nor_flash::NorFlash;
use protocol::segment::file::{MAGIC, Segment};

use super::{Held, Index, identity_of};
use crate::{
    Layout,
    error::Fault,
    ring::sector::{Identity, SECTOR_BYTES, read},
};

/// Bytes of a segment up to its registers.
const HEAD_BYTES: usize = 40;

/// Returns how long the segment at the start of `bytes` says it is, `None` where it does not begin like one.
pub(crate) fn stated_length(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?));
    (bytes[..4] == MAGIC && length <= bytes.len()).then_some(length)
}

/// Looks into each sector of the files; `buffer` holds one.
///
/// Segments that were removed may still be there. What they hold is as true as when they were written; those that a
/// coarser one covers do not count, since others of their kind may be gone.
pub(crate) fn scan<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    identity: &Identity,
    buffer: &mut [u8],
) -> Result<Index, Fault> {
    let mut index = Index::with_capacity(layout.file_sectors as usize);
    for sector in layout.first_file_sector()..layout.total_sectors() {
        let at = sector * SECTOR_BYTES;
        let mut magic = [0; MAGIC.len()];
        read(flash, at, &mut magic)?;
        if magic != MAGIC {
            continue;
        }
        read(flash, at, buffer)?;
        let Some(segment) =
            stated_length(buffer).and_then(|length| Segment::parse(&buffer[..length]).ok())
        else {
            continue;
        };
        let (base, end) = (segment.base().0, segment.end().0);
        let count = u32::try_from(end.saturating_sub(base)).unwrap_or(0);
        if segment.identity() == identity_of(identity) && count > 0 {
            index.list(Held {
                base,
                count,
                tier: segment.tier(),
                sector: u16::try_from(sector).ok().and_then(NonZeroU16::new),
            });
        }
    }
    Ok(index)
}

/// Reads the segment into `buffer` from wherever it lies and returns its length, 0 where no sector begins like it.
///
/// For a segment whose file cannot be found or read any more, although its block may be whole.
pub(crate) fn look_for<F: NorFlash>(
    flash: &mut F,
    identity: &Identity,
    held: &Held,
    buffer: &mut [u8],
) -> Result<usize, Fault> {
    let capacity = usize::from(identity.sectors) * SECTOR_BYTES as usize;
    let Some(layout) = Layout::for_capacity(capacity) else {
        return Ok(0);
    };
    for sector in layout.first_file_sector()..layout.total_sectors() {
        let at = sector * SECTOR_BYTES;
        let mut head = [0; HEAD_BYTES];
        read(flash, at, &mut head)?;
        let count = u32::from_le_bytes(head[12..16].try_into().expect("four bytes"));
        let base = u64::from_le_bytes(head[32..40].try_into().expect("eight bytes"));
        let is_like_it = head[..4] == MAGIC
            && head[5] == held.tier as u8
            && (base, count) == (held.base, held.count);
        if !is_like_it {
            continue;
        }
        read(flash, at, buffer)?;
        if let Some(length) = stated_length(buffer)
            && Segment::parse(&buffer[..length]).is_ok()
        {
            return Ok(length);
        }
    }
    Ok(0)
}
