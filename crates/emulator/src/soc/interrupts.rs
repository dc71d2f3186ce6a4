//! The interrupt matrix (INTERRUPT_CORE0): 62 sources onto 31 interrupts of the processor.
//!
//! A source's register names the interrupt that it drives. An interrupt is taken when it is enabled and its priority is
//! not below the threshold; of several the one with the highest priority, then the lowest number. Level interrupts
//! follow their sources; edge interrupts stay from a rising edge until CLEAR is written.

use super::words::Words;

const STATUS_0: u32 = 0xf8;
const STATUS_1: u32 = 0xfc;
const ENABLE: u32 = 0x104;
const TYPE: u32 = 0x108;
const CLEAR: u32 = 0x10c;
const PENDING: u32 = 0x110;
const PRIORITY_0: u32 = 0x114;
const THRESHOLD: u32 = 0x194;
const SOURCES: u32 = 62;

/// Numbers of the sources, which are bits of what [`Interrupts::set_sources`] is given.
pub(crate) mod source {
    pub(crate) const GPIO: u32 = 16;
    pub(crate) const UART0: u32 = 21;
    pub(crate) const USB: u32 = 26;
    pub(crate) const RTC: u32 = 27;
    pub(crate) const TIMG0_TIMER: u32 = 32;
    pub(crate) const TIMG1_TIMER: u32 = 34;
    pub(crate) const SYSTIMER_0: u32 = 37;
    pub(crate) const APB_ADC: u32 = 43;
    pub(crate) const DMA_0: u32 = 44;
    pub(crate) const FROM_CPU_0: u32 = 50;
}

#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    words: Words,
    sources: u64,
    /// Interrupts whose sources are high.
    levels: u32,
    /// Edges that were not cleared.
    latched: u32,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[(0x100, 1), (0x7fc, 0x0200_7210)]),
            sources: 0,
            levels: 0,
            latched: 0,
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            STATUS_0 => self.sources as u32,
            STATUS_1 => (self.sources >> 32) as u32,
            PENDING => self.raised(),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        self.words.set(offset, value);
        match offset {
            CLEAR => {
                self.latched &= !value;
                self.words.set(CLEAR, 0);
            }
            _ if offset < 4 * SOURCES => self.route(),
            _ => {}
        }
    }

    /// Sets which sources are high, a bit each.
    pub(crate) fn set_sources(&mut self, sources: u64) {
        if sources != self.sources {
            self.sources = sources;
            self.route();
        }
    }

    fn route(&mut self) {
        let mut levels = 0;
        let mut left = self.sources;
        while left != 0 {
            let source = left.trailing_zeros();
            left &= left - 1;
            levels |= 1 << (self.words.get(4 * source) & 31);
        }
        // Interrupt 0 is none.
        levels &= !1;
        self.latched |= levels & !self.levels & self.words.get(TYPE);
        self.levels = levels;
    }

    fn raised(&self) -> u32 {
        let edges = self.words.get(TYPE);
        self.levels & !edges | self.latched & edges
    }

    /// Returns the interrupt that the processor takes if it takes any.
    pub(crate) fn pending(&self) -> Option<u32> {
        let mut left = self.raised() & self.words.get(ENABLE);
        let threshold = self.words.get(THRESHOLD) & 15;
        let mut best = None;
        while left != 0 {
            let number = left.trailing_zeros();
            left &= left - 1;
            let priority = self.words.get(PRIORITY_0 + 4 * number) & 15;
            let is_better = best.is_none_or(|(_, highest)| priority > highest);
            if priority > 0 && priority >= threshold && is_better {
                best = Some((number, priority));
            }
        }
        best.map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(routes: &[(u32, u32, u32)]) -> Interrupts {
        let mut interrupts = Interrupts::new();
        for (source, number, priority) in routes {
            interrupts.write(4 * source, *number);
            interrupts.write(PRIORITY_0 + 4 * number, *priority);
            let enabled = interrupts.read(ENABLE);
            interrupts.write(ENABLE, enabled | 1 << number);
        }
        interrupts
    }

    #[test]
    fn highest_priority_comes_first_and_the_threshold_holds_back() {
        let mut interrupts = with(&[(source::UART0, 3, 2), (source::SYSTIMER_0, 5, 7)]);
        assert_eq!(interrupts.pending(), None);
        interrupts.set_sources(1 << source::UART0 | 1 << source::SYSTIMER_0);
        assert_eq!(interrupts.read(STATUS_1), 1 << (source::SYSTIMER_0 - 32));
        assert_eq!(interrupts.pending(), Some(5));
        interrupts.set_sources(1 << source::UART0);
        assert_eq!(interrupts.pending(), Some(3));
        interrupts.write(THRESHOLD, 2);
        assert_eq!(interrupts.pending(), Some(3));
        interrupts.write(THRESHOLD, 3);
        assert_eq!(interrupts.pending(), None);
    }

    #[test]
    fn edge_stays_until_it_is_cleared() {
        let mut interrupts = with(&[(source::GPIO, 4, 1)]);
        interrupts.write(TYPE, 1 << 4);
        interrupts.set_sources(1 << source::GPIO);
        interrupts.set_sources(0);
        assert_eq!(interrupts.pending(), Some(4));
        interrupts.write(CLEAR, 1 << 4);
        assert_eq!(interrupts.pending(), None);
        // A level that stays is no new edge.
        interrupts.set_sources(1 << source::GPIO);
        interrupts.write(CLEAR, 1 << 4);
        interrupts.set_sources(1 << source::GPIO);
        assert_eq!(interrupts.pending(), None);
    }
}
