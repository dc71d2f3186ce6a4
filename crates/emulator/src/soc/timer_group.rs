//! TIMG0 and TIMG1: a 54-bit timer, a watchdog, and the calibration of the slow clock.

use super::{
    SLOW_CLOCK_HZ,
    watchdog::{Action, Stages, Watchdog},
    words::Words,
};

const CONFIG: u32 = 0x00;
const LOW: u32 = 0x04;
const HIGH: u32 = 0x08;
const UPDATE: u32 = 0x0c;
const ALARM_LOW: u32 = 0x10;
const ALARM_HIGH: u32 = 0x14;
const LOAD_LOW: u32 = 0x18;
const LOAD_HIGH: u32 = 0x1c;
const LOAD: u32 = 0x20;
const WATCHDOG_CONFIG: u32 = 0x48;
const WATCHDOG_PRESCALER: u32 = 0x4c;
const WATCHDOG_STAGE_0: u32 = 0x50;
const WATCHDOG_FEED: u32 = 0x60;
const WATCHDOG_PROTECT: u32 = 0x64;
const CALIBRATION: u32 = 0x68;
const CALIBRATION_VALUE: u32 = 0x6c;
const INTERRUPT_ENABLE: u32 = 0x70;
const INTERRUPT_RAW: u32 = 0x74;
const INTERRUPT_STATUS: u32 = 0x78;
const INTERRUPT_CLEAR: u32 = 0x7c;

const USE_XTAL: u32 = 1 << 9;
const ALARM_ENABLE: u32 = 1 << 10;
const AUTO_RELOAD: u32 = 1 << 29;
const INCREASE: u32 = 1 << 30;
const ENABLE: u32 = 1 << 31;
const CALIBRATION_READY: u32 = 1 << 15;
const COUNT_MASK: u64 = (1 << 54) - 1;
/// Opens the watchdog's registers.
const KEY: u32 = 0x50d8_3aa1;

#[derive(Clone, Debug)]
pub(crate) struct TimerGroup {
    words: Words,
    count: u64,
    since: u64,
    latched: u64,
    raw: u32,
    watchdog: Watchdog,
}

impl TimerGroup {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[
                (CONFIG, 0x6000_2000),
                (WATCHDOG_CONFIG, 0x0004_c000),
                (WATCHDOG_PRESCALER, 0x0001_0000),
                (WATCHDOG_STAGE_0, 0x018c_ba80),
                (WATCHDOG_STAGE_0 + 4, 0x07ff_ffff),
                (WATCHDOG_STAGE_0 + 8, 0x000f_ffff),
                (WATCHDOG_STAGE_0 + 12, 0x000f_ffff),
                (WATCHDOG_PROTECT, KEY),
                (CALIBRATION, 0x0001_3000),
                (0x80, 0xffff_ff98),
                (0xf8, 0x0200_6191),
            ]),
            count: 0,
            since: 0,
            latched: 0,
            raw: 0,
            watchdog: Watchdog::default(),
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            LOW => self.latched as u32,
            HIGH => (self.latched >> 32) as u32,
            CALIBRATION => self.words.get(offset) | CALIBRATION_READY,
            CALIBRATION_VALUE => {
                // Cycles of the crystal within so many of the slow clock; bit 0 says that there is a value.
                let slow = u64::from(self.words.get(CALIBRATION) >> 16 & 0x7fff);
                ((slow * 40_000_000 / SLOW_CLOCK_HZ) as u32) << 7 | 1
            }
            INTERRUPT_RAW => self.raw,
            INTERRUPT_STATUS => self.raw & self.words.get(INTERRUPT_ENABLE),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32, now: u64) {
        match offset {
            CONFIG => {
                self.count = self.count(now);
                self.since = now;
                self.words.set(CONFIG, value);
            }
            UPDATE => self.latched = self.count(now),
            LOAD => {
                let high = u64::from(self.words.get(LOAD_HIGH));
                self.count = (high << 32 | u64::from(self.words.get(LOAD_LOW))) & COUNT_MASK;
                self.since = now;
            }
            WATCHDOG_CONFIG..=0x5c => {
                if self.words.get(WATCHDOG_PROTECT) == KEY {
                    let was_on = self.watchdog_is_on();
                    self.words.set(offset, value);
                    if !was_on {
                        self.watchdog.feed(now);
                    }
                }
            }
            WATCHDOG_FEED => {
                if self.words.get(WATCHDOG_PROTECT) == KEY {
                    self.watchdog.feed(now);
                }
            }
            INTERRUPT_CLEAR => self.raw &= !value,
            _ => self.words.set(offset, value),
        }
    }

    /// Cycles of 160 MHz for a count.
    fn divider(&self) -> u64 {
        let config = self.words.get(CONFIG);
        let divider = match config >> 13 & 0xffff {
            0 => 65_536,
            1 => 2,
            divider => u64::from(divider),
        };
        divider * if config & USE_XTAL != 0 { 4 } else { 2 }
    }

    fn count(&self, now: u64) -> u64 {
        let config = self.words.get(CONFIG);
        let passed = (now - self.since) / self.divider();
        match (config & ENABLE != 0, config & INCREASE != 0) {
            (false, _) => self.count,
            (true, true) => self.count.wrapping_add(passed) & COUNT_MASK,
            (true, false) => self.count.wrapping_sub(passed) & COUNT_MASK,
        }
    }

    /// Returns when the counter reaches the alarm; a passed one is reached at once.
    fn alarm_at(&self) -> Option<u64> {
        let config = self.words.get(CONFIG);
        if config & ENABLE == 0 || config & ALARM_ENABLE == 0 {
            return None;
        }
        let high = u64::from(self.words.get(ALARM_HIGH) & 0x3f_ffff);
        let alarm = high << 32 | u64::from(self.words.get(ALARM_LOW));
        let counts = if config & INCREASE != 0 {
            alarm.saturating_sub(self.count)
        } else {
            self.count.saturating_sub(alarm)
        };
        Some(
            self.since
                .saturating_add(counts.saturating_mul(self.divider())),
        )
    }

    fn watchdog_is_on(&self) -> bool {
        self.words.get(WATCHDOG_CONFIG) & ENABLE != 0
    }

    fn stages(&self) -> Stages {
        let config = self.words.get(WATCHDOG_CONFIG);
        let prescaler = u64::from(self.words.get(WATCHDOG_PRESCALER) >> 16).max(1);
        // The clock of the bus has 80 MHz, the crystal 40 MHz.
        let cycles = prescaler * if config >> 21 & 1 != 0 { 4 } else { 2 };
        std::array::from_fn(|stage| {
            let hold = u64::from(self.words.get(WATCHDOG_STAGE_0 + 4 * stage as u32));
            let action = match config >> (29 - 2 * stage) & 3 {
                0 => None,
                1 => Some(Action::Interrupt),
                2 => Some(Action::ResetCpu),
                _ => Some(Action::ResetSystem),
            };
            (hold * cycles, action)
        })
    }

    pub(crate) fn next_event(&self) -> Option<u64> {
        let watchdog = self
            .watchdog_is_on()
            .then(|| self.watchdog.next_event(&self.stages()))
            .flatten();
        self.alarm_at().into_iter().chain(watchdog).min()
    }

    /// Lets time pass; returns a reset that the watchdog asks for.
    pub(crate) fn advance(&mut self, now: u64) -> Option<Action> {
        if self.alarm_at().is_some_and(|at| at <= now) {
            self.raw |= 1;
            let config = self.words.get(CONFIG);
            if config & AUTO_RELOAD != 0 {
                self.write(LOAD, 1, now);
            }
            self.count = self.count(now);
            self.since = now;
            self.words.set(CONFIG, config & !ALARM_ENABLE);
        }
        if !self.watchdog_is_on() {
            return None;
        }
        let asked = self.watchdog.advance(&self.stages(), now);
        if asked == Some(Action::Interrupt) {
            self.raw |= 2;
        }
        asked.filter(|action| *action != Action::Interrupt)
    }

    /// Returns the lines of the timer (bit 0) and of the watchdog (bit 1).
    pub(crate) fn lines(&self) -> u64 {
        u64::from(self.read(INTERRUPT_STATUS) & 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarm_comes_once_at_its_count() {
        let mut timer = TimerGroup::new();
        timer.write(INTERRUPT_ENABLE, 1, 0);
        timer.write(ALARM_LOW, 1_000, 0);
        // Divider 80 of 80 MHz: a count a microsecond.
        timer.write(CONFIG, ENABLE | INCREASE | ALARM_ENABLE | 80 << 13, 0);
        assert_eq!(timer.next_event(), Some(160_000));
        timer.advance(159_999);
        assert_eq!(timer.lines(), 0);
        timer.advance(160_000);
        assert_eq!((timer.lines(), timer.next_event()), (1, None));
        timer.write(INTERRUPT_CLEAR, 1, 160_000);
        timer.write(UPDATE, 1, 320_000);
        assert_eq!((timer.lines(), timer.read(LOW)), (0, 2_000));
    }

    #[test]
    fn watchdog_resets_unless_it_is_fed() {
        let mut timer = TimerGroup::new();
        timer.write(WATCHDOG_PRESCALER, 40_000 << 16, 0);
        timer.write(WATCHDOG_STAGE_0, 2_000, 0);
        timer.write(WATCHDOG_CONFIG, ENABLE | 3 << 29, 0);
        // 2,000 counts of half a millisecond.
        assert_eq!(timer.next_event(), Some(160_000_000));
        timer.write(WATCHDOG_FEED, 1, 100_000_000);
        assert_eq!(timer.advance(200_000_000), None);
        timer.write(WATCHDOG_PROTECT, 0, 200_000_000);
        timer.write(WATCHDOG_FEED, 1, 200_000_000);
        assert_eq!(timer.advance(260_000_000), Some(Action::ResetSystem));
    }

    #[test]
    fn calibration_gives_the_slow_clock() {
        let mut timer = TimerGroup::new();
        timer.write(CALIBRATION, 1 << 31 | 1_000 << 16, 0);
        assert_ne!(timer.read(CALIBRATION) & CALIBRATION_READY, 0);
        assert_eq!(timer.read(CALIBRATION_VALUE) >> 7, 294_117);
    }
}
