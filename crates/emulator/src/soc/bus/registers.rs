//! Registers: which peripheral has which address.

use super::{Internal, Soc};
use crate::{
    execute::cycles,
    memory::BusFault,
    soc::{
        cache::{PAGE_SHIFT, PAGES},
        flash::Changed,
    },
};

impl Soc {
    pub(super) fn read_register(&mut self, address: u32) -> Result<u32, BusFault> {
        self.extra += u64::from(cycles::PERIPHERAL);
        self.deadline = self.deadline.saturating_sub(u64::from(cycles::PERIPHERAL));
        let now = self.now();
        let offset = address & 0xfff;
        Ok(match address >> 12 {
            0x60000 => self.uart.read(offset),
            0x60002 => self.flash.read(offset, now),
            0x60004 if offset < 0xf00 => self.gpio.read(offset),
            0x60008 if offset < 0x800 => self.rtc.read(offset),
            0x60008 => self.efuse.read(offset - 0x800),
            0x6000e => self.analog.read(offset),
            0x6001f => self.timers[0].read(offset),
            0x60020 => self.timers[1].read(offset),
            0x60023 => self.systimer.read(offset),
            0x60026 if offset == 0xb0 => self.random(),
            0x60026 => self.apb.get(offset),
            0x6003b => self.sha.read(offset),
            0x6003f => {
                self.convert(now);
                self.gdma.read(offset)
            }
            0x60040 => {
                self.convert(now);
                self.saradc.read(offset)
            }
            0x60043 => self.usb.read(offset),
            0x600d0 => self.card.read(offset),
            0x600c0 => self.system.read(offset),
            0x600c2 => self.interrupts.read(offset),
            0x600c4 => self.cache.read(offset),
            0x600c5 => self.cache.read_table(offset),
            _ => self.unmodelled.read(address, self.pc),
        })
    }

    pub(super) fn write_register(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        self.extra += u64::from(cycles::PERIPHERAL);
        let now = self.now();
        let offset = address & 0xfff;
        self.deadline = 0;
        match address >> 12 {
            0x60000 => self.uart.write(offset, value),
            0x60002 => {
                if let Some(changed) = self.flash.write(offset, value, now) {
                    self.forget_flash(&changed);
                }
            }
            0x60004 if offset < 0xf00 => self.gpio.write(offset, value),
            0x60008 if offset < 0x800 => self.rtc.write(offset, value, now),
            0x60008 => self.efuse.write(offset - 0x800, value),
            0x6000e => self.analog.write(offset, value),
            0x6001f => self.timers[0].write(offset, value, now),
            0x60020 => self.timers[1].write(offset, value, now),
            0x60023 => self.systimer.write(offset, value, now),
            0x60026 => self.apb.set(offset, value),
            0x6003b => self.sha.write(offset, value),
            0x6003f => {
                self.convert(now);
                let mut memory = internal!(self);
                self.gdma.write(offset, value, &mut memory);
            }
            0x60040 => {
                self.convert(now);
                self.saradc.write(offset, value, now);
                self.next_conversion = self.saradc.next_event();
            }
            0x60043 => self.usb.write(offset, value),
            0x600d0 => {
                let mut memory = internal!(self);
                self.card.write(offset, value, &mut memory)?;
            }
            0x600c0 => {
                self.system.write(offset, value);
                self.follow_clock();
            }
            0x600c2 => self.interrupts.write(offset, value),
            0x600c4 => self.cache.write(offset, value),
            0x600c5 => {
                if let Some(page) = self.cache.write_table(offset, value) {
                    self.stale_pages.push(page);
                    self.readable_at_all = None;
                }
            }
            _ => self.unmodelled.write(address, value, self.pc),
        }
        Ok(())
    }

    /// Forgets the instructions of pages in which the flash changed.
    fn forget_flash(&mut self, changed: &Changed) {
        let (first, last) = (changed.start >> PAGE_SHIFT, (changed.end - 1) >> PAGE_SHIFT);
        let pages = (0..PAGES).filter(|page| {
            let mapped = self.cache.mapped(*page).map(|page| page as u32);
            mapped.is_some_and(|page| (first..=last).contains(&page))
        });
        self.stale_pages.extend(pages);
    }

    /// Returns the next word of the random generator: SplitMix64, so that runs repeat.
    fn random(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as u32
    }

    /// Does the conversions that are due.
    pub(super) fn convert(&mut self, now: u64) {
        if self.next_conversion.is_none_or(|at| at > now) {
            return;
        }
        let mut memory = internal!(self);
        self.saradc.advance(now, &mut self.gdma, &mut memory);
        self.next_conversion = self.saradc.next_event();
    }
}
