//! RTC_CNTL: what keeps its state through resets, the slow timer, the RTC watchdog and the software resets.
//!
//! The super watchdog, sleep and the brown-out detector are only registers here.

use super::{
    Reset, SLOW_CLOCK_HZ,
    interrupts::source,
    watchdog::{Action, Stages, Watchdog},
    words::Words,
};

const OPTIONS: u32 = 0x00;
const TIME_UPDATE: u32 = 0x0c;
const TIME_LOW: u32 = 0x10;
const TIME_HIGH: u32 = 0x14;
const RESET_STATE: u32 = 0x38;
const INTERRUPT_ENABLE: u32 = 0x40;
const INTERRUPT_RAW: u32 = 0x44;
const INTERRUPT_STATUS: u32 = 0x48;
const INTERRUPT_CLEAR: u32 = 0x4c;
const WATCHDOG_CONFIG: u32 = 0x90;
const WATCHDOG_STAGE_0: u32 = 0x94;
const WATCHDOG_FEED: u32 = 0xa4;
const WATCHDOG_PROTECT: u32 = 0xa8;
const ENABLE_SET: u32 = 0x100;
const ENABLE_CLEAR: u32 = 0x104;

const RESET_SYSTEM: u32 = 1 << 31;
const RESET_CPU: u32 = 1 << 5;
const WATCHDOG_INTERRUPT: u32 = 1 << 3;
/// Opens the watchdog's registers.
const KEY: u32 = 0x50d8_3aa1;

#[derive(Clone, Debug)]
pub(crate) struct Rtc {
    words: Words,
    latched: u64,
    raw: u32,
    watchdog: Watchdog,
    /// A reset that software asked for.
    asked: Option<Reset>,
}

impl Rtc {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[
                (OPTIONS, 0x1c00_a000),
                (RESET_STATE, 0x3000),
                (0x70, 0x1158_3218),
                (0x74, 0x0040_0000),
                (WATCHDOG_CONFIG, 0x0001_3214),
                (WATCHDOG_STAGE_0, 200_000),
                (WATCHDOG_STAGE_0 + 4, 80_000),
                (WATCHDOG_STAGE_0 + 8, 0x0fff),
                (WATCHDOG_STAGE_0 + 12, 0x0fff),
                (0xac, 0x04b0_0000),
                (0x1fc, 0x0200_7270),
            ]),
            latched: 0,
            raw: 0,
            watchdog: Watchdog::default(),
            asked: None,
        }
    }

    /// Says why the processor begins again; a reset of the system ends the watchdog, and the time goes on.
    pub(crate) fn reset(&mut self, reset: Reset) {
        if reset.is_of_everything() {
            *self = Self::new();
        }
        self.words.set(WATCHDOG_CONFIG, 0x0001_3214);
        self.words.set(WATCHDOG_PROTECT, 0);
        self.words.set(INTERRUPT_ENABLE, 0);
        self.raw = 0;
        self.asked = None;
        let kept = self.words.get(RESET_STATE) & !0x0fff;
        let code = reset.code();
        self.words.set(RESET_STATE, kept | code << 6 | code);
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            TIME_LOW => self.latched as u32,
            TIME_HIGH => (self.latched >> 32) as u32,
            INTERRUPT_RAW => self.raw,
            INTERRUPT_STATUS => self.raw & self.words.get(INTERRUPT_ENABLE),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32, now: u64) {
        match offset {
            OPTIONS => {
                if value & RESET_SYSTEM != 0 {
                    self.asked = Some(Reset::SoftwareSystem);
                } else if value & RESET_CPU != 0 {
                    self.asked = Some(Reset::SoftwareCpu);
                }
                self.words.set(OPTIONS, value & !(RESET_SYSTEM | RESET_CPU));
            }
            TIME_UPDATE => {
                if value >> 31 != 0 {
                    self.latched = (u128::from(now) * u128::from(SLOW_CLOCK_HZ)
                        / u128::from(super::CLOCK_HZ)) as u64;
                }
                self.words.set(TIME_UPDATE, value & !(1 << 31));
            }
            INTERRUPT_CLEAR => self.raw &= !value,
            ENABLE_SET => self
                .words
                .set(INTERRUPT_ENABLE, self.words.get(INTERRUPT_ENABLE) | value),
            ENABLE_CLEAR => {
                self.words
                    .set(INTERRUPT_ENABLE, self.words.get(INTERRUPT_ENABLE) & !value);
            }
            WATCHDOG_CONFIG..=0xa0 => {
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
            _ => self.words.set(offset, value),
        }
    }

    fn watchdog_is_on(&self) -> bool {
        self.words.get(WATCHDOG_CONFIG) >> 31 != 0
    }

    fn stages(&self) -> Stages {
        let config = self.words.get(WATCHDOG_CONFIG);
        std::array::from_fn(|stage| {
            let mut hold = u64::from(self.words.get(WATCHDOG_STAGE_0 + 4 * stage as u32));
            if stage == 0 {
                // Doubled by the eFuse WDT_DELAY_SEL, which is 0.
                hold *= 2;
            }
            let action = match config >> (28 - 3 * stage) & 7 {
                0 => None,
                1 => Some(Action::Interrupt),
                2 => Some(Action::ResetCpu),
                3 => Some(Action::ResetSystem),
                _ => Some(Action::ResetAll),
            };
            (hold * super::CLOCK_HZ / SLOW_CLOCK_HZ, action)
        })
    }

    pub(crate) fn next_event(&self) -> Option<u64> {
        self.watchdog_is_on()
            .then(|| self.watchdog.next_event(&self.stages()))
            .flatten()
    }

    /// Lets time pass; returns a reset that software or the watchdog asks for.
    pub(crate) fn advance(&mut self, now: u64) -> Option<Reset> {
        if self.asked.is_some() {
            return self.asked.take();
        }
        if !self.watchdog_is_on() {
            return None;
        }
        match self.watchdog.advance(&self.stages(), now)? {
            Action::Interrupt => {
                self.raw |= WATCHDOG_INTERRUPT;
                None
            }
            Action::ResetCpu => Some(Reset::RtcWatchdogCpu),
            Action::ResetSystem => Some(Reset::RtcWatchdogSystem),
            Action::ResetAll => Some(Reset::RtcWatchdogAll),
        }
    }

    pub(crate) fn sources(&self) -> u64 {
        u64::from(self.read(INTERRUPT_STATUS) != 0) << source::RTC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_stores_stay_through_a_reset_of_the_system() {
        let mut rtc = Rtc::new();
        rtc.reset(Reset::PowerOn);
        assert_eq!(rtc.read(RESET_STATE) & 63, 1);
        rtc.write(0x50, 0xabcd, 0);
        rtc.write(OPTIONS, RESET_SYSTEM, 10);
        assert_eq!(rtc.advance(10), Some(Reset::SoftwareSystem));
        rtc.reset(Reset::SoftwareSystem);
        assert_eq!((rtc.read(RESET_STATE) & 63, rtc.read(0x50)), (3, 0xabcd));
        rtc.write(TIME_UPDATE, 1 << 31, 160_000_000);
        assert_eq!(rtc.read(TIME_LOW), 136_000);
        rtc.reset(Reset::RtcWatchdogAll);
        assert_eq!((rtc.read(RESET_STATE) & 63, rtc.read(0x50)), (0x10, 0));
    }

    #[test]
    fn watchdog_counts_the_slow_clock() {
        let mut rtc = Rtc::new();
        rtc.write(WATCHDOG_CONFIG, 1 << 31 | 4 << 28, 0);
        assert_eq!(rtc.next_event(), None);
        rtc.write(WATCHDOG_PROTECT, KEY, 0);
        rtc.write(WATCHDOG_STAGE_0, 68_000, 0);
        rtc.write(WATCHDOG_CONFIG, 1 << 31 | 4 << 28, 0);
        assert_eq!(rtc.next_event(), Some(160_000_000));
        assert_eq!(rtc.advance(160_000_000), Some(Reset::RtcWatchdogAll));
    }
}
