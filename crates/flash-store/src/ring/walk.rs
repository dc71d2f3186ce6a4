//! A walk through the entries of one sector, past what is broken.

use embedded_storage::nor_flash::NorFlash;

use super::{
    entry::{self, ENTRY_BYTES_MAX, Kind, entry_bytes},
    sector::{MARK_AT, is_erased, read},
};
use crate::error::Fault;

/// Bytes read at once; any entry fits.
const WINDOW_BYTES: usize = 256;
const WORD_BYTES: u32 = 4;
/// So many torn writes in a row are taken for torn writes; more broken bytes than they leave are damage.
const TORN_WRITES_MAX: u32 = 4;
const _: () = assert!(ENTRY_BYTES_MAX <= WINDOW_BYTES);

/// Walks through the entries of a sector.
#[derive(Debug)]
pub(crate) struct Walk {
    sector_at: u32,
    offset: u32,
    /// What one torn write can leave at the most.
    torn_bytes_max: u32,
    window: [u8; WINDOW_BYTES],
    window_from: u32,
    window_to: u32,
}

/// What a walk meets.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An entry, whole.
    Entry { kind: Kind, payload: &'a [u8] },
    /// Bytes that are no entry.
    Broken(Broken),
    /// Nothing more; where the rest is erased, the next entry may be programmed at this offset.
    End(Option<u32>),
}

/// Bytes in a sector that are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Where they begin.
    pub(crate) offset: u32,
    /// How many, up to the next entry or to the last byte that is not erased.
    pub(crate) bytes: u32,
    /// Whether nothing follows and torn writes explain them all; else they may be damage.
    pub(crate) is_torn_write: bool,
}

impl Walk {
    /// Begins at `offset` of the sector at `sector_at`.
    pub(crate) fn new(sector_at: u32, offset: u32, torn_bytes_max: u32) -> Self {
        Self {
            sector_at,
            offset,
            torn_bytes_max,
            window: [0; WINDOW_BYTES],
            window_from: 0,
            window_to: 0,
        }
    }

    /// Returns what comes next.
    pub(crate) fn next<F: NorFlash>(&mut self, flash: &mut F) -> Result<Step<'_>, Fault> {
        let offset = self.offset;
        if let Some((kind, length)) = self.whole(flash, offset)? {
            self.offset += entry_bytes(length) as u32;
            let at = (offset - self.window_from) as usize;
            // The checksum was just checked; the payload begins behind the tag.
            let payload = &self.window[at + 2..at + 2 + length];
            return Ok(Step::Entry { kind, payload });
        }
        self.resynchronise(flash, offset)
    }

    /// Looks for the next whole entry behind `from`, where none begins.
    fn resynchronise<F: NorFlash>(&mut self, flash: &mut F, from: u32) -> Result<Step<'_>, Fault> {
        let mut used_to = from;
        let mut at = from;
        while at < MARK_AT {
            if self.whole(flash, at)?.is_some() {
                self.offset = at;
                return Ok(Step::Broken(Broken {
                    offset: from,
                    bytes: at - from,
                    is_torn_write: false,
                }));
            }
            if !is_erased(self.bytes(flash, at, WORD_BYTES)?) {
                used_to = at + WORD_BYTES;
            }
            at += WORD_BYTES;
        }
        if used_to == from {
            return Ok(Step::End((from < MARK_AT).then_some(from)));
        }
        let mut bytes = used_to - from;
        let writes = bytes.div_ceil(self.torn_bytes_max);
        let mut is_torn_write = writes <= TORN_WRITES_MAX;
        if is_erased(self.bytes(flash, from, WORD_BYTES)?) {
            // An entry that was whole once has a tag, and bits that age are cleared, not set: nothing was ever here but
            // torn writes, whatever cleared a bit further on.
            is_torn_write = true;
            bytes = bytes.min(self.torn_bytes_max);
        }
        // A torn write may have weakened bytes that still read as erased: nothing is programmed where it was to go.
        let behind = from + writes * self.torn_bytes_max;
        self.offset = if is_torn_write { behind } else { MARK_AT }.min(MARK_AT);
        Ok(Step::Broken(Broken {
            offset: from,
            bytes,
            is_torn_write,
        }))
    }

    fn tag<F: NorFlash>(
        &mut self,
        flash: &mut F,
        offset: u32,
    ) -> Result<Option<(Kind, usize)>, Fault> {
        if offset + WORD_BYTES > MARK_AT {
            return Ok(None);
        }
        let bytes = self.bytes(flash, offset, WORD_BYTES)?;
        Ok(entry::parse_tag([bytes[0], bytes[1]]))
    }

    /// Returns kind and length of the whole entry at `offset`, `None` where there is none.
    fn whole<F: NorFlash>(
        &mut self,
        flash: &mut F,
        offset: u32,
    ) -> Result<Option<(Kind, usize)>, Fault> {
        let Some((kind, length)) = self.tag(flash, offset)? else {
            return Ok(None);
        };
        let bytes = entry_bytes(length) as u32;
        if offset + bytes > MARK_AT {
            return Ok(None);
        }
        let entry = self.bytes(flash, offset, bytes)?;
        Ok(entry::payload(entry, length).map(|_| (kind, length)))
    }

    /// Returns bytes of the sector, through the window.
    fn bytes<F: NorFlash>(
        &mut self,
        flash: &mut F,
        offset: u32,
        count: u32,
    ) -> Result<&[u8], Fault> {
        if offset < self.window_from || offset + count > self.window_to {
            let to = MARK_AT.min(offset + WINDOW_BYTES as u32);
            let window = &mut self.window[..(to - offset) as usize];
            read(flash, self.sector_at + offset, window)?;
            (self.window_from, self.window_to) = (offset, to);
        }
        let at = (offset - self.window_from) as usize;
        Ok(&self.window[at..at + count as usize])
    }
}
