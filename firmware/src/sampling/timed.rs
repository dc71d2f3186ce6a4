//! Single conversions by a timer's interrupt, for the ESP32 and ESP32-S3.
//!
//! Neither built in CI nor tried on hardware. It samples one channel. While flash is erased, interrupts are off and samples
//! are missing, up to 0.4 s at a time: they are counted and told as a gap.

use core::cell::RefCell;

use critical_section::Mutex;
use esp_hal::{
    Blocking,
    analog::adc::Adc,
    handler,
    interrupt::Priority,
    peripherals::ADC1,
    time::{Duration, Rate},
    timer::PeriodicTimer,
};
use heapless::Deque;
use metering::Pair;

use super::{CHANNELS, PAIRS, curve::CODES_PER_MV};
use crate::{board, uptime_us};

const PAIRS_HZ: u32 = 2_000;
const PERIOD_US: u64 = 1_000_000 / PAIRS_HZ as u64;
/// Time from the voltage's conversion to that of the current in ns: assumed, to be measured.
const SKEW_NS: i32 = 40_000;
/// End of the range at the highest attenuation in mV; below the true one, so that clipping is seen.
const FULL_SCALE_MV: u16 = 3_000;
/// Samples that wait at the most: 1.5 s.
const WAITING_MAX: usize = 3_000;

const _: () = assert!(CHANNELS == 1, "these chips sample one channel");

/// A pair, and how many periods before it went without one.
#[derive(Clone, Copy)]
struct Sample {
    pair: Pair,
    missed: u16,
}

/// What the interrupt works with.
struct Converter {
    timer: PeriodicTimer<'static, Blocking>,
    adc: Adc<'static, ADC1<'static>, Blocking>,
    voltage: board::VoltagePin,
    current: board::CurrentPin,
    waiting: Deque<Sample, WAITING_MAX>,
    /// Periods since the start, up to the last sample that was kept.
    periods: u64,
    begun_us: u64,
}

static CONVERTER: Mutex<RefCell<Option<Converter>>> = Mutex::new(RefCell::new(None));

/// Takes the pairs that the interrupt leaves.
pub struct Sampler {
    /// Periods up to the last sample that was given.
    given: u64,
    begun_us: u64,
    lost: u32,
}

impl Sampler {
    /// Starts the timer.
    pub fn new(analog: board::Analog) -> Self {
        let board::Analog {
            adc,
            voltage,
            current,
            timer,
        } = analog;
        let begun_us = uptime_us();
        critical_section::with(|section| {
            let mut slot = CONVERTER.borrow_ref_mut(section);
            let converter = slot.insert(Converter {
                timer: PeriodicTimer::new(timer),
                adc,
                voltage,
                current,
                waiting: Deque::new(),
                periods: 0,
                begun_us,
            });
            converter.timer.set_interrupt_handler(convert);
            converter.timer.listen();
            // A period that the timer takes is all that can be wrong, and it is a constant.
            let _ = converter.timer.start(Duration::from_micros(PERIOD_US));
        });
        Self {
            given: 0,
            begun_us,
            lost: 0,
        }
    }

    /// Returns the nominal rate of pairs in Hz.
    pub const fn rate_hz() -> u32 {
        Rate::from_hz(PAIRS_HZ).as_hz()
    }

    /// Returns the uptime at which it was started, in µs.
    pub const fn begun_us(&self) -> u64 {
        self.begun_us
    }

    /// Returns how much later than the voltage a channel's current is sampled, in ns.
    pub const fn skew_ns(_channel: usize) -> i32 {
        SKEW_NS
    }

    /// Returns the highest code that a channel gives, voltage or current.
    pub fn full_scale_code(&self, _channel: usize) -> u16 {
        FULL_SCALE_MV * CODES_PER_MV as u16
    }

    /// Returns how many pairs of each channel were lost so far.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Gives all pairs that are there: channel, pairs, uptime of the last pair's voltage in µs.
    pub fn take(&mut self, mut give: impl FnMut(usize, &[Pair], u64)) {
        let mut pairs = [Pair::default(); PAIRS];
        for _ in 0..WAITING_MAX / PAIRS {
            let mut count = 0;
            critical_section::with(|section| {
                let mut slot = CONVERTER.borrow_ref_mut(section);
                let Some(converter) = slot.as_mut() else {
                    return;
                };
                while count < PAIRS {
                    let Some(next) = converter.waiting.front().copied() else {
                        break;
                    };
                    if next.missed > 0 && count > 0 {
                        break;
                    }
                    self.lost = self.lost.saturating_add(next.missed.into());
                    self.given += u64::from(next.missed) + 1;
                    pairs[count] = next.pair;
                    count += 1;
                    converter.waiting.pop_front();
                }
            });
            if count == 0 {
                return;
            }
            give(0, &pairs[..count], self.begun_us + self.given * PERIOD_US);
        }
    }
}

/// Converts one pair.
#[handler(priority = Priority::Priority3)]
fn convert() {
    let now_us = uptime_us();
    critical_section::with(|section| {
        let mut slot = CONVERTER.borrow_ref_mut(section);
        let Some(converter) = slot.as_mut() else {
            return;
        };
        converter.timer.clear_interrupt();
        // Calibrated pins give mV.
        let Ok(voltage) = nb::block!(converter.adc.read_oneshot(&mut converter.voltage)) else {
            return;
        };
        let Ok(current) = nb::block!(converter.adc.read_oneshot(&mut converter.current)) else {
            return;
        };
        let code = |millivolts: u16| {
            (u32::from(millivolts) * CODES_PER_MV).min(FULL_SCALE_MV as u32 * CODES_PER_MV) as u16
        };
        // Rounded: the interrupt may come a little late.
        let since_us = now_us.saturating_sub(converter.begun_us);
        let period = (since_us + PERIOD_US / 2) / PERIOD_US;
        let missed = period.saturating_sub(converter.periods + 1);
        let sample = Sample {
            pair: Pair {
                voltage: code(voltage),
                current: code(current),
            },
            missed: u16::try_from(missed).unwrap_or(u16::MAX),
        };
        // What does not fit is missing before the next one that does.
        if converter.waiting.push_back(sample).is_ok() {
            converter.periods += u64::from(sample.missed) + 1;
        }
    });
}
