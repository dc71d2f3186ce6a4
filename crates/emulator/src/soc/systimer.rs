//! SYSTIMER: two 52-bit counters at 16 MHz and three comparators.

use super::{interrupts::source, words::Words};

/// Cycles of 160 MHz for a count.
const CYCLES: u64 = 10;
const COUNT_MASK: u64 = (1 << 52) - 1;

const CONF: u32 = 0x00;
const UNIT_OP: u32 = 0x04;
const UNIT_LOAD_HIGH: u32 = 0x0c;
const TARGET_HIGH: u32 = 0x1c;
const TARGET_CONF: u32 = 0x34;
const UNIT_VALUE_HIGH: u32 = 0x40;
const COMPARATOR_LOAD: u32 = 0x50;
const UNIT_LOAD: u32 = 0x5c;
const INTERRUPT_ENABLE: u32 = 0x64;
const INTERRUPT_RAW: u32 = 0x68;
const INTERRUPT_CLEAR: u32 = 0x6c;
const INTERRUPT_STATUS: u32 = 0x70;

const PERIOD_MODE: u32 = 1 << 30;
const VALUE_VALID: u32 = 1 << 29;

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    /// Count at `since`.
    count: u64,
    since: u64,
    latched: u64,
}

impl Unit {
    fn count(self, now: u64, runs: bool) -> u64 {
        let passed = if runs {
            now / CYCLES - self.since / CYCLES
        } else {
            0
        };
        self.count.wrapping_add(passed) & COUNT_MASK
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Systimer {
    words: Words,
    units: [Unit; 2],
    /// Count at which each comparator fires next.
    alarms: [Option<u64>; 3],
    raw: u32,
}

impl Systimer {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[(CONF, 0x4600_0000), (0xfc, 0x0200_6171)]),
            units: [Unit::default(); 2],
            alarms: [None; 3],
            raw: 0,
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            UNIT_OP | 0x08 => VALUE_VALID,
            UNIT_VALUE_HIGH | 0x48 => (self.units[(offset == 0x48) as usize].latched >> 32) as u32,
            0x44 | 0x4c => self.units[(offset == 0x4c) as usize].latched as u32,
            INTERRUPT_RAW => self.raw,
            INTERRUPT_STATUS => self.raw & self.words.get(INTERRUPT_ENABLE),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32, now: u64) {
        match offset {
            CONF => {
                for index in 0..2 {
                    self.units[index].count = self.count(index, now);
                    self.units[index].since = now;
                }
                self.words.set(CONF, value);
            }
            UNIT_OP | 0x08 => {
                let index = (offset == 0x08) as usize;
                self.units[index].latched = self.count(index, now);
            }
            COMPARATOR_LOAD..UNIT_LOAD => {
                let index = (offset - COMPARATOR_LOAD) as usize >> 2;
                self.load_comparator(index, now);
            }
            UNIT_LOAD | 0x60 => {
                let index = (offset - UNIT_LOAD) >> 2;
                let at = UNIT_LOAD_HIGH + 8 * index;
                let high = u64::from(self.words.get(at) & 0xf_ffff);
                let unit = &mut self.units[index as usize];
                unit.count = high << 32 | u64::from(self.words.get(at + 4));
                unit.since = now;
            }
            INTERRUPT_CLEAR => self.raw &= !value,
            _ => self.words.set(offset, value),
        }
        self.advance(now);
    }

    fn count(&self, index: usize, now: u64) -> u64 {
        self.units[index].count(now, self.runs(index))
    }

    fn runs(&self, index: usize) -> bool {
        self.words.get(CONF) >> (30 - index) & 1 != 0
    }

    fn load_comparator(&mut self, index: usize, now: u64) {
        let conf = self.words.get(TARGET_CONF + 4 * index as u32);
        self.alarms[index] = Some(if conf & PERIOD_MODE != 0 {
            let unit = (conf >> 31) as usize;
            self.count(unit, now) + u64::from(conf & 0x03ff_ffff)
        } else {
            let at = TARGET_HIGH + 8 * index as u32;
            let high = u64::from(self.words.get(at) & 0xf_ffff);
            high << 32 | u64::from(self.words.get(at + 4))
        });
    }

    fn is_enabled(&self, comparator: usize) -> bool {
        self.words.get(CONF) >> (24 - comparator) & 1 != 0
    }

    pub(crate) fn next_event(&self) -> Option<u64> {
        (0..3)
            .filter_map(|comparator| {
                let alarm = self.alarms[comparator]?;
                let conf = self.words.get(TARGET_CONF + 4 * comparator as u32);
                let unit = (conf >> 31) as usize;
                if !self.is_enabled(comparator) || !self.runs(unit) {
                    return None;
                }
                let Unit { count, since, .. } = self.units[unit];
                Some((since / CYCLES + alarm.saturating_sub(count)) * CYCLES)
            })
            .min()
    }

    pub(crate) fn advance(&mut self, now: u64) {
        for comparator in 0..3 {
            let conf = self.words.get(TARGET_CONF + 4 * comparator as u32);
            let unit = (conf >> 31) as usize;
            let Some(alarm) = self.alarms[comparator] else {
                continue;
            };
            let count = self.count(unit, now);
            if !self.is_enabled(comparator) || !self.runs(unit) || count < alarm {
                continue;
            }
            self.raw |= 1 << comparator;
            let period = u64::from(conf & 0x03ff_ffff);
            self.alarms[comparator] = (conf & PERIOD_MODE != 0 && period > 0)
                .then(|| alarm + ((count - alarm) / period + 1) * period);
        }
    }

    pub(crate) fn sources(&self) -> u64 {
        u64::from(self.read(INTERRUPT_STATUS) & 7) << source::SYSTIMER_0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Systimer {
        let mut timer = Systimer::new();
        timer.write(CONF, 1 << 30 | 1 << 24, 0);
        timer.write(INTERRUPT_ENABLE, 1, 0);
        timer
    }

    #[test]
    fn counter_is_latched_at_sixteen_megahertz() {
        let mut timer = running();
        timer.write(UNIT_OP, 1 << 30, 160_000_000);
        assert_eq!(timer.read(0x44), 16_000_000);
        timer.write(UNIT_OP, 1 << 30, 160_000_000 * 1_000);
        assert_eq!((timer.read(0x40), timer.read(0x44)), (3, 3_115_098_112));
    }

    #[test]
    fn target_fires_once_and_a_passed_one_at_once() {
        let mut timer = running();
        timer.write(TARGET_HIGH + 4, 500, 0);
        timer.write(COMPARATOR_LOAD, 1, 0);
        assert_eq!(timer.next_event(), Some(5_000));
        timer.advance(4_999);
        assert_eq!(timer.sources(), 0);
        timer.advance(5_000);
        assert_eq!(timer.sources(), 1 << source::SYSTIMER_0);
        timer.write(INTERRUPT_CLEAR, 1, 5_100);
        assert_eq!((timer.sources(), timer.next_event()), (0, None));
        timer.write(COMPARATOR_LOAD, 1, 6_000);
        assert_eq!(timer.sources(), 1 << source::SYSTIMER_0);
    }

    #[test]
    fn period_repeats() {
        let mut timer = running();
        timer.write(TARGET_CONF, PERIOD_MODE | 100, 0);
        timer.write(COMPARATOR_LOAD, 1, 0);
        for round in 1..5 {
            assert_eq!(timer.next_event(), Some(round * 1_000));
            timer.advance(round * 1_000);
            assert_eq!(timer.sources(), 1 << source::SYSTIMER_0);
            timer.write(INTERRUPT_CLEAR, 1, round * 1_000);
        }
    }
}
