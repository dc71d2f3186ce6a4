//! The memory map: what answers at which address, and what time it is.

use super::{
    Reset, Rom,
    analog::Analog,
    cache::{Cache, PAGE_SHIFT, PAGES},
    console::{Uart, UsbSerial},
    dma::Internal,
    efuse::Efuse,
    flash::Flash,
    gpio::Gpio,
    interrupts::{Interrupts, source},
    rtc::Rtc,
    sha::Sha,
    system::System,
    systimer::Systimer,
    timer_group::TimerGroup,
    triggers::Watch,
    watchdog::Action,
    words::{Unmodelled, Words},
};
use crate::{
    adc::{Feed, Gdma, Saradc},
    network::Card,
};

/// Memory on the data bus, and the same on the instruction bus.
pub(crate) const RAM_DATA: u32 = 0x3fc7_c000;
pub(crate) const RAM_CODE: u32 = 0x4037_c000;
pub(crate) const RAM_BYTES: usize = 0x6_4000;
const FAST: u32 = 0x5000_0000;
const FAST_BYTES: usize = 0x2000;
const FLASH_DATA: u32 = 0x3c00_0000;
const FLASH_CODE: u32 = 0x4200_0000;
const FLASH_BYTES: u32 = (PAGES as u32) << PAGE_SHIFT;
/// Where registers of peripherals are.
const PERIPHERALS: std::ops::Range<u32> = 0x6000_0000..0x600d_1000;
/// Bytes of memory of which one flag says whether instructions were decoded from them.
pub(crate) const CHUNK: usize = 256;

/// What the host must know at the end of a run of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The flash was read through the cache while it programs or erases.
    FlashBusy(u32),
}

#[derive(Debug)]
pub(crate) struct Soc {
    rom: Box<[u8]>,
    pub(crate) ram: Box<[u8; RAM_BYTES]>,
    fast: Box<[u8; FAST_BYTES]>,
    has_code: Box<[bool; RAM_BYTES / CHUNK]>,
    pub(crate) flash: Flash,
    pub(crate) cache: Cache,
    /// For each page of the cache's addresses where in the flash it begins, if it can be read now.
    readable: [u32; PAGES],
    /// Whether anything could be read when that was found; unknown where the table has changed.
    readable_at_all: Option<bool>,

    pub(crate) interrupts: Interrupts,
    pub(crate) systimer: Systimer,
    timers: [TimerGroup; 2],
    pub(crate) rtc: Rtc,
    pub(crate) system: System,
    efuse: Efuse,
    pub(crate) gpio: Gpio,
    pub(crate) uart: Uart,
    pub(crate) usb: UsbSerial,
    sha: Sha,
    analog: Analog,
    apb: Words,
    pub(crate) saradc: Saradc,
    gdma: Gdma,
    /// When the next conversion ends, which is asked often.
    next_conversion: Option<u64>,
    pub(crate) card: Card,
    random: u64,
    pub(crate) unmodelled: Unmodelled,

    /// Cycles of the processor since power came.
    pub(crate) cycles: u64,
    /// Cycles that accesses took beyond what the processor counts.
    pub(crate) extra: u64,
    /// The processor runs until its cycles reach this; 0 asks it to stop after this instruction.
    pub(crate) deadline: u64,
    /// Time, and cycles of the processor then.
    anchor: (u64, u64),
    /// Cycles of 160 MHz that one of the processor takes.
    pub(crate) cycle: u64,
    /// The instruction that is executed, for the list of what is not modelled.
    pub(crate) pc: u32,
    /// Addresses and lengths of memory from which instructions were decoded and that changed.
    pub(crate) stale: Vec<(u32, u32)>,
    pub(crate) stale_pages: Vec<usize>,
    pub(crate) violation: Option<Violation>,
    /// What the processor's triggers watch.
    pub(crate) watch: Watch,
}

/// Lends what bus masters reach, while the rest can be used.
macro_rules! internal {
    ($soc:ident) => {
        Internal {
            ram: &mut $soc.ram,
            has_code: &mut $soc.has_code,
            stale: &mut $soc.stale,
            deadline: &mut $soc.deadline,
        }
    };
}

mod access;
mod registers;

/// No place in the flash.
const UNREADABLE: u32 = u32::MAX;

impl Soc {
    pub(crate) fn new(rom: Rom, flash: Flash, mac: [u8; 6], seed: u64, feed: Feed) -> Self {
        Self {
            rom: rom.bytes,
            ram: Box::new([0; RAM_BYTES]),
            fast: Box::new([0; FAST_BYTES]),
            has_code: Box::new([false; RAM_BYTES / CHUNK]),
            flash,
            cache: Cache::new(),
            readable: [UNREADABLE; PAGES],
            readable_at_all: None,
            interrupts: Interrupts::new(),
            systimer: Systimer::new(),
            timers: [TimerGroup::new(), TimerGroup::new()],
            rtc: Rtc::new(),
            system: System::new(),
            efuse: Efuse::new(mac),
            gpio: Gpio::new(),
            uart: Uart::new(),
            usb: UsbSerial::new(),
            sha: Sha::new(),
            analog: Analog::new(),
            apb: Words::new(&[(0, 1), (0x3fc, 0x0200_7210)]),
            saradc: Saradc::new(feed),
            gdma: Gdma::new(),
            next_conversion: None,
            card: Card::new(mac),
            random: seed,
            unmodelled: Unmodelled::default(),
            cycles: 0,
            extra: 0,
            deadline: 0,
            anchor: (0, 0),
            cycle: 8,
            pc: 0,
            stale: Vec::new(),
            stale_pages: Vec::new(),
            violation: None,
            watch: Watch::default(),
        }
    }

    /// Returns the time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.anchor.0 + (self.cycles + self.extra - self.anchor.1) * self.cycle
    }

    /// Lets time pass in which the processor does nothing.
    pub(crate) fn skip_to(&mut self, now: u64) {
        self.anchor = (now, self.cycles + self.extra);
    }

    /// Returns at how many cycles of the processor it is so late.
    pub(crate) fn cycles_at(&self, now: u64) -> u64 {
        let passed = now.saturating_sub(self.anchor.0).div_ceil(self.cycle);
        self.anchor.1 + passed - self.extra
    }

    /// Takes a new clock of the processor over.
    fn follow_clock(&mut self) {
        let cycle = self.system.cycle();
        if cycle != self.cycle {
            self.skip_to(self.now());
            self.cycle = cycle;
        }
    }

    /// Makes everything as after a reset.
    pub(crate) fn reset(&mut self, reset: Reset) {
        self.rtc.reset(reset);
        self.interrupts = Interrupts::new();
        self.watch = Watch::default();
        if reset == Reset::PowerOn {
            // What is measured goes on where it is.
            let position_us = self.saradc.feed().position_us(self.now());
            self.saradc.feed_mut().power_on(position_us);
            self.ram.fill(0);
            self.fast.fill(0);
            self.has_code.fill(false);
            (self.cycles, self.extra, self.anchor) = (0, 0, (0, 0));
        }
        if !reset.is_of_cpu() {
            self.systimer = Systimer::new();
            self.timers = [TimerGroup::new(), TimerGroup::new()];
            self.system = System::new();
            self.gpio.reset();
            self.uart.reset();
            self.usb.reset();
            self.sha = Sha::new();
            self.saradc.reset();
            self.gdma = Gdma::new();
            self.next_conversion = None;
            self.card.reset();
            self.analog = Analog::new();
            self.cache = Cache::new();
            self.flash.reset();
            self.unmodelled.reset();
            self.stale_pages.extend(0..PAGES);
        }
        self.follow_clock();
        self.readable_at_all = None;
        self.refresh_readable();
    }

    /// Returns when a peripheral acts next.
    pub(crate) fn next_event(&self, now: u64) -> Option<u64> {
        self.next_wake(now)
            .into_iter()
            .chain(self.next_conversion)
            .min()
    }

    /// Returns when a peripheral next does what a waiting processor may notice.
    pub(crate) fn next_wake(&self, now: u64) -> Option<u64> {
        let timers = self.timers.iter().filter_map(TimerGroup::next_event);
        timers
            .chain(self.systimer.next_event())
            .chain(self.rtc.next_event())
            .chain(
                self.next_conversion
                    .and_then(|_| self.saradc.next_interrupt(&self.gdma)),
            )
            .chain(self.flash.next_event(now))
            .min()
    }

    /// Lets peripherals act; returns a reset that one asks for.
    pub(crate) fn advance(&mut self, now: u64) -> Option<Reset> {
        self.systimer.advance(now);
        self.convert(now);
        let first = self.timers[0].advance(now).map(|action| match action {
            Action::ResetCpu => Reset::Timer0Cpu,
            _ => Reset::Timer0System,
        });
        let second = self.timers[1].advance(now).map(|action| match action {
            Action::ResetCpu => Reset::Timer1Cpu,
            _ => Reset::Timer1System,
        });
        let third = self.rtc.advance(now);
        self.refresh_readable();
        let sources = self.systimer.sources()
            | self.timers[0].lines() << source::TIMG0_TIMER
            | self.timers[1].lines() << source::TIMG1_TIMER
            | self.rtc.sources()
            | self.system.sources()
            | self.gpio.sources()
            | self.uart.sources()
            | self.usb.sources()
            | u64::from(self.saradc.interrupt()) << source::APB_ADC
            | (0..)
                .zip(self.gdma.interrupts())
                .map(|(channel, raised)| u64::from(raised) << (source::DMA_0 + channel))
                .sum::<u64>();
        self.interrupts.set_sources(sources);
        third.or(first).or(second)
    }

    /// Finds anew which pages can be read through the cache.
    fn refresh_readable(&mut self) {
        let is_on = self.cache.is_on() && !self.flash.is_busy(self.now());
        if self.readable_at_all.replace(is_on) == Some(is_on) {
            return;
        }
        let capacity = self.flash.bytes().len();
        for (page, readable) in self.readable.iter_mut().enumerate() {
            let place = self.cache.mapped(page).map(|page| page << PAGE_SHIFT);
            *readable = match place {
                Some(place) if is_on && place < capacity => place as u32,
                _ => UNREADABLE,
            };
        }
    }

    /// Tells whether instructions of a page of the cache's addresses can be read now.
    pub(crate) fn can_execute(&mut self, pc: u32) -> bool {
        let page = (pc >> PAGE_SHIFT) as usize & (PAGES - 1);
        if self.readable[page] != UNREADABLE {
            return true;
        }
        self.note_busy(pc);
        false
    }

    fn note_busy(&mut self, address: u32) {
        if self.flash.is_busy(self.now()) {
            self.violation = Some(Violation::FlashBusy(address));
            self.deadline = 0;
        }
    }

    /// Remembers that instructions were decoded from memory.
    pub(crate) fn mark_code(&mut self, pc: u32) {
        for address in [pc, pc.wrapping_add(2)] {
            let chunk = address.wrapping_sub(RAM_CODE) as usize / CHUNK;
            if let Some(flag) = self.has_code.get_mut(chunk) {
                *flag = true;
            }
        }
    }
}
