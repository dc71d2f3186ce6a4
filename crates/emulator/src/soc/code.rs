//! Decoded instructions of everything that can be executed, in pages of 64 KiB of addresses.

use std::collections::BTreeSet;

use crate::decode::Decoded;

/// Instructions of a page; one can begin at every second byte.
pub(crate) const PARCELS: usize = 1 << 15;
pub(crate) type Page = [Decoded; PARCELS];

/// First page of each kind of memory in the list of pages.
const RAM: usize = 8;
const FLASH: usize = 16;
const FAST: usize = FLASH + super::cache::PAGES;
const ALL: usize = FAST + 1;

/// The pages; one is made when the first instruction in it runs.
#[derive(Debug)]
pub(crate) struct Code {
    pages: Vec<Option<Box<Page>>>,
    /// Addresses at which the processor stops for someone.
    hooks: BTreeSet<u32>,
}

impl Code {
    pub(crate) fn new() -> Self {
        let mut pages = Vec::new();
        pages.resize_with(ALL, || None);
        let hooks = BTreeSet::new();
        Self { pages, hooks }
    }

    /// Returns the number of the page of an address, if it can be executed at all.
    pub(crate) fn number(pc: u32) -> Option<usize> {
        match pc >> 16 {
            upper @ 0x4000..=0x4005 => Some(upper as usize - 0x4000),
            upper @ 0x4037..=0x403d => Some(upper as usize - 0x4037 + RAM),
            upper @ 0x4200..=0x427f => Some(upper as usize - 0x4200 + FLASH),
            0x5000 => Some(FAST),
            _ => None,
        }
    }

    /// Tells whether a page is read through the cache.
    pub(crate) fn is_flash(number: usize) -> bool {
        (FLASH..FAST).contains(&number)
    }

    /// Returns a page, and the hooks of all.
    pub(crate) fn page(&mut self, number: usize) -> (&mut Page, &BTreeSet<u32>) {
        let page = self.pages[number].get_or_insert_with(|| {
            vec![Decoded::UNKNOWN; PARCELS]
                .into_boxed_slice()
                .try_into()
                .unwrap_or_else(|_| unreachable!("a page has as many parcels"))
        });
        (page, &self.hooks)
    }

    pub(crate) fn hook(&mut self, pc: u32) {
        self.hooks.insert(pc);
        self.forget(pc, 2);
    }

    /// Forgets the instructions that lie in or reach into `length` bytes at an address.
    pub(crate) fn forget(&mut self, address: u32, length: u32) {
        let first = address.wrapping_sub(2);
        for at in (first..address.wrapping_add(length)).step_by(2) {
            let page = Self::number(at).and_then(|number| self.pages[number].as_mut());
            if let Some(page) = page {
                page[at as usize >> 1 & (PARCELS - 1)] = Decoded::UNKNOWN;
            }
        }
    }

    /// Forgets a page of the flash.
    pub(crate) fn forget_flash(&mut self, page: usize) {
        self.pages[FLASH + page] = None;
        // A long instruction may reach into the page from the one before.
        self.forget(0x4200_0000 + ((page as u32) << 16), 2);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.pages.fill_with(|| None);
    }
}
