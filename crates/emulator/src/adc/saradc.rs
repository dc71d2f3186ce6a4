//! The converter's controller, APB_SARADC at 0x6004_0000: single conversions, and gapless ones by timer and pattern table.
//!
//! ```text
//! interval of the timer = 2 · timer_target · (div_num + 1 + div_a / div_b) / 80 MHz      div_a / div_b is 0 where div_b is
//! ```
//!
//! A word of the gapless conversions is `unit << 16 | channel << 13 | code`, with 12 bits of code. An item of the pattern
//! table has 6 bits, `unit << 5 | channel << 2 | attenuation`, the first in the highest bits of SAR_PATT_TAB1. The
//! attenuation changes nothing: the feed gives codes, not volts. Filters and thresholds keep what is written to their
//! registers and do nothing. The second unit converts ground.

use super::{Feed, Gdma, PERIPHERAL_ADC};
use crate::memory::Bus;

const CTRL: u32 = 0x00;
const CTRL2: u32 = 0x04;
const SAR_PATT_TAB1: u32 = 0x18;
const SAR_PATT_TAB2: u32 = 0x1c;
const ONETIME_SAMPLE: u32 = 0x20;
const SAR1_DATA: u32 = 0x2c;
const SAR2_DATA: u32 = 0x30;
const INT_ENA: u32 = 0x40;
const INT_RAW: u32 = 0x44;
const INT_ST: u32 = 0x48;
const INT_CLR: u32 = 0x4c;
const DMA_CONF: u32 = 0x50;
const CLKM_CONF: u32 = 0x54;

const CTRL_START_FORCE: u32 = 1 << 0;
const CTRL_CLOCK_GATE_OPEN: u32 = 1 << 6;
const CTRL_PATTERN_CLEAR: u32 = 1 << 23;
const CTRL2_LIMIT: u32 = 1 << 0;
const CTRL2_TIMER_ENABLED: u32 = 1 << 24;
const CLOCK_APB: u32 = 2;
const ONETIME_START: u32 = 1 << 29;
const ONETIME_SECOND: u32 = 1 << 30;
const ONETIME_FIRST: u32 = 1 << 31;
const DMA_RESET: u32 = 1 << 30;
const DMA_ENABLED: u32 = 1 << 31;
const INT_SECOND_DONE: u32 = 1 << 30;
const INT_FIRST_DONE: u32 = 1 << 31;
const INTERRUPTS: u32 = 0xfc00_0000;

const CODE_MASK: u32 = 0xfff;
const TIMER_TARGETS: std::ops::RangeInclusive<u32> = 30..=4095;
/// CPU cycles of a period of the APB clock.
const CYCLES_A_TICK: u64 = 2;
const APB_HZ: u64 = 80_000_000;
/// Time of a single conversion, in CPU cycles: 3 µs. Assumed; no source says it.
const ONETIME_CYCLES: u64 = 480;
const REGISTERS: usize = 0x64 / 4;

/// The controller with what is connected to its inputs.
#[derive(Clone, Debug)]
pub struct Saradc {
    feed: Feed,
    registers: [u32; REGISTERS],
    raw: u32,
    results: [u32; 2],
    run: Option<Run>,
    /// End of a single conversion.
    onetime: Option<u64>,
    pattern_at: u32,
    /// Words sent to the DMA since the last end of a frame.
    frame_words: u32,
}

/// Gapless conversions that go on.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    interval: Interval,
    /// Conversions so far.
    done: u64,
    begun: bool,
}

/// Time between two conversions in periods of the APB clock, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    ticks: u64,
    parts: u64,
}

impl Run {
    fn next(&self) -> u64 {
        let ticks = u128::from(self.done + 1) * u128::from(self.interval.ticks * CYCLES_A_TICK);
        self.from + (ticks / u128::from(self.interval.parts)) as u64
    }
}

impl Saradc {
    /// Makes the controller as it is after a reset.
    #[must_use]
    pub fn new(feed: Feed) -> Self {
        let mut registers = [0; REGISTERS];
        for (offset, value) in [
            (CTRL, 0x4003_8240),
            (CTRL2, 0xa1fe),
            (0x0c, 0x00ff_0808),
            (ONETIME_SAMPLE, 0x1a00_0000),
            (0x24, 0x0900),
            (0x28, 0x0374_0000),
            (0x34, 0x0003_ffed),
            (0x38, 0x0003_ffed),
            (DMA_CONF, 0xff),
            (CLKM_CONF, 0x04),
            (0x58, 0x0001_8000),
            (0x5c, 0x4002),
            (0x60, 0x8000),
        ] {
            registers[offset as usize / 4] = value;
        }
        Self {
            feed,
            registers,
            raw: 0,
            results: [0; 2],
            run: None,
            onetime: None,
            pattern_at: 0,
            frame_words: 0,
        }
    }

    /// Puts all registers back, as a reset of the chip does; what is connected stays.
    pub fn reset(&mut self) {
        self.feed.pause();
        let feed = std::mem::replace(&mut self.feed, Feed::constant(0));
        *self = Self::new(feed);
    }

    /// Returns what is connected to the inputs.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Connects the inputs to something else, or has a load go on elsewhere.
    pub fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Reads a register. What is due at `now` must have been done by [`Self::advance`].
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        match offset {
            SAR1_DATA => self.results[0],
            SAR2_DATA => self.results[1],
            INT_RAW => self.raw,
            INT_ST => self.raw & self.register(INT_ENA),
            INT_CLR => 0,
            _ => self.register(offset),
        }
    }

    /// Writes a register. What is due at `now` must have been done by [`Self::advance`].
    pub fn write(&mut self, offset: u32, value: u32, now: u64) {
        let before = self.register(offset);
        match offset {
            INT_RAW | INT_ST | SAR1_DATA | SAR2_DATA => return,
            INT_CLR => {
                self.raw &= !value;
                return;
            }
            _ => {}
        }
        let kept = if offset == INT_ENA {
            value & INTERRUPTS
        } else {
            value
        };
        if let Some(register) = self.registers.get_mut(offset as usize / 4) {
            *register = kept;
        }
        match offset {
            CTRL | CTRL2 | CLKM_CONF => {
                if offset == CTRL && value & CTRL_PATTERN_CLEAR != 0 {
                    self.pattern_at = 0;
                }
                self.set_timer(now);
            }
            DMA_CONF if value & DMA_RESET != 0 => self.frame_words = 0,
            ONETIME_SAMPLE => {
                let units = ONETIME_FIRST | ONETIME_SECOND;
                if value & !before & ONETIME_START != 0 && value & units != 0 {
                    self.onetime = Some(now + ONETIME_CYCLES);
                }
            }
            _ => {}
        }
    }

    /// Returns the virtual time of the next conversion's end.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        let run = self.run.map(|run| run.next());
        [run, self.onetime].into_iter().flatten().min()
    }

    /// Returns the virtual time of the next conversion's end that may raise an interrupt.
    ///
    /// While the processor waits for one, nobody sees memory: all conversions until then can be done at once, with the
    /// same result.
    #[must_use]
    pub fn next_interrupt(&self, dma: &Gdma) -> Option<u64> {
        let enabled = self.register(INT_ENA) != 0 || dma.interrupts_enabled();
        self.next_event().filter(|_| enabled)
    }

    /// Does all conversions that end until `now`, at their times.
    pub fn advance(&mut self, now: u64, dma: &mut Gdma, memory: &mut impl Bus) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            if self.onetime == Some(at) {
                self.onetime = None;
                self.convert_single(at);
            } else {
                self.convert_next(at, dma, memory);
            }
        }
    }

    /// Returns the state of the interrupt line.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.raw & self.register(INT_ENA) != 0
    }

    fn register(&self, offset: u32) -> u32 {
        *self.registers.get(offset as usize / 4).unwrap_or(&0)
    }

    /// Starts or ends the gapless conversions as the registers say; they begin anew where the interval changes.
    fn set_timer(&mut self, now: u64) {
        let interval = self.interval();
        let running = self.run.map(|run| run.interval);
        if interval != running {
            self.feed.pause();
            self.run = interval.map(|interval| Run {
                from: now,
                interval,
                done: 0,
                begun: false,
            });
        }
    }

    fn interval(&self) -> Option<Interval> {
        let (ctrl, ctrl2, clock) = (
            self.register(CTRL),
            self.register(CTRL2),
            self.register(CLKM_CONF),
        );
        let enabled = ctrl2 & CTRL2_TIMER_ENABLED != 0
            && ctrl & CTRL_CLOCK_GATE_OPEN != 0
            && ctrl & CTRL_START_FORCE == 0
            && clock >> 21 & 3 == CLOCK_APB;
        let target = ctrl2 >> 12 & 0xfff;
        let (number, part_b, part_a) = (clock & 0xff, clock >> 8 & 0x3f, clock >> 14 & 0x3f);
        let parts = u64::from(part_b.max(1));
        let rest = if part_b == 0 { 0 } else { u64::from(part_a) };
        (enabled && TIMER_TARGETS.contains(&target)).then(|| Interval {
            ticks: 2 * u64::from(target) * (u64::from(number + 1) * parts + rest),
            parts,
        })
    }

    fn convert_single(&mut self, at: u64) {
        let onetime = self.register(ONETIME_SAMPLE);
        let channel = (onetime >> 25 & 0xf) as u8;
        if onetime & ONETIME_FIRST != 0 {
            let code = u32::from(self.feed.single(channel, at));
            self.results[0] = u32::from(channel & 7) << 13 | code;
            self.raw |= INT_FIRST_DONE;
        }
        if onetime & ONETIME_SECOND != 0 {
            self.results[1] = 1 << 16 | u32::from(channel & 7) << 13;
            self.raw |= INT_SECOND_DONE;
        }
    }

    fn convert_next(&mut self, at: u64, dma: &mut Gdma, memory: &mut impl Bus) {
        let Some(mut run) = self.run else { return };
        let items = (self.register(CTRL) >> 15 & 7) + 1;
        if !run.begun {
            let conversions = APB_HZ * run.interval.parts;
            let ticks = run.interval.ticks * u64::from(items);
            self.feed
                .begin(at, ((conversions + ticks / 2) / ticks) as u32);
            run.begun = true;
        }
        let item = self.pattern(self.pattern_at % items);
        self.pattern_at = (self.pattern_at + 1) % items;
        run.done += 1;
        self.run = Some(run);
        let (second, channel) = (item >> 5 & 1 != 0, item >> 2 & 7);
        let ctrl2 = self.register(CTRL2);
        let (code, inverted) = if second {
            (0, ctrl2 >> 10 & 1 != 0)
        } else {
            (
                u32::from(self.feed.next(channel as u8)),
                ctrl2 >> 9 & 1 != 0,
            )
        };
        let code = if inverted { !code & CODE_MASK } else { code };
        let word = u32::from(second) << 16 | channel << 13 | code;
        self.results[usize::from(second)] = word;
        self.raw |= if second {
            INT_SECOND_DONE
        } else {
            INT_FIRST_DONE
        };
        self.send(word, dma, memory);
        if ctrl2 & CTRL2_LIMIT != 0 && run.done >= u64::from(ctrl2 >> 1 & 0xff) {
            self.registers[CTRL2 as usize / 4] &= !CTRL2_TIMER_ENABLED;
            self.set_timer(at);
        }
    }

    fn send(&mut self, word: u32, dma: &mut Gdma, memory: &mut impl Bus) {
        let conf = self.register(DMA_CONF);
        if conf & DMA_ENABLED == 0 {
            return;
        }
        self.frame_words += 1;
        let end = self.frame_words == conf & 0xffff;
        if end {
            self.frame_words = 0;
        }
        dma.receive(PERIPHERAL_ADC, word, end, memory);
    }

    fn pattern(&self, index: u32) -> u32 {
        let table = if index < 4 {
            SAR_PATT_TAB1
        } else {
            SAR_PATT_TAB2
        };
        self.register(table) >> (18 - 6 * (index % 4)) & 0x3f
    }
}

#[cfg(test)]
mod tests;
