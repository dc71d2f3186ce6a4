//! The cache in front of the flash (EXTMEM) and its table of pages.
//!
//! No lines are kept: what is read is what lies in the flash. Maintenance ends at once. The table maps 128 pages of
//! 64 KiB, the same for instructions at `0x4200_0000` and for data at `0x3c00_0000`.

use super::words::Words;

/// Bytes of a page, as a shift.
pub(crate) const PAGE_SHIFT: u32 = 16;
pub(crate) const PAGES: usize = 128;
const INVALID: u32 = 1 << 8;

const CONTROL: u32 = 0x00;
const LOCK: u32 = 0x1c;
const SYNC: u32 = 0x28;
const PRELOAD: u32 = 0x34;
const AUTOLOAD: u32 = 0x40;
const STATE: u32 = 0xb0;
const FREEZE: u32 = 0xcc;

#[derive(Clone, Debug)]
pub(crate) struct Cache {
    words: Words,
    table: [u32; PAGES],
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[
                (0x04, 3),
                (0x08, 5),
                (LOCK, 4),
                (SYNC, 1),
                (PRELOAD, 2),
                (AUTOLOAD, 8),
                (0x54, 0x4200_0000),
                (0x58, 0x427f_ffff),
                (0x5c, 0x3c00_0000),
                (0x60, 0x3c7f_ffff),
                (0x94, u32::MAX),
                (0x9c, u32::MAX),
                (0xac, 5),
                (STATE, 1),
                (0xb8, 7),
                (0xc8, 7),
                (0xd0, 1),
                (0xe0, 0x800),
                (0xe4, 0x800),
                (0xe8, 0xff),
                (0xf4, 0x800),
                (0xf8, 0x800),
                (0xfc, 0x0f),
                (0x100, 1),
                (0x3fc, 0x0200_7160),
            ]),
            table: [INVALID; PAGES],
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        let value = self.words.get(offset);
        match offset {
            // What was begun is done.
            SYNC => value & !1 | 2,
            PRELOAD => value & !1 | 2,
            LOCK => value & !3 | 4,
            AUTOLOAD => value | 8,
            FREEZE => value & !4 | (value & 1) << 2,
            STATE => 1,
            _ => value,
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        self.words.set(offset, value);
    }

    pub(crate) fn read_table(&self, offset: u32) -> u32 {
        self.table[offset as usize >> 2 & (PAGES - 1)]
    }

    /// Maps a page; returns its number if that changed anything.
    pub(crate) fn write_table(&mut self, offset: u32, value: u32) -> Option<usize> {
        let page = offset as usize >> 2 & (PAGES - 1);
        let changes = self.table[page] != value;
        self.table[page] = value;
        changes.then_some(page)
    }

    /// Tells whether anything is read through the cache.
    pub(crate) fn is_on(&self) -> bool {
        self.words.get(CONTROL) & 1 != 0
    }

    /// Returns the page of the flash behind a page of addresses.
    pub(crate) fn mapped(&self, page: usize) -> Option<usize> {
        let entry = self.table[page];
        (entry & INVALID == 0).then_some((entry & 0xff) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_mapped_by_the_table() {
        let mut cache = Cache::new();
        assert_eq!(cache.mapped(3), None);
        assert_eq!(cache.write_table(12, 7), Some(3));
        assert_eq!(cache.write_table(12, 7), None);
        assert_eq!((cache.mapped(3), cache.read_table(12)), (Some(7), 7));
    }

    #[test]
    fn maintenance_is_done_at_once() {
        let mut cache = Cache::new();
        cache.write(SYNC, 1);
        cache.write(FREEZE, 1);
        assert_eq!((cache.read(SYNC), cache.read(FREEZE)), (2, 5));
    }
}
