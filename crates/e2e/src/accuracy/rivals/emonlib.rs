//! emonLib's method, from its published description (OpenEnergyMonitor, "Learn": AC power theory, digital filters for
//! offset removal, phase correction algorithm).
//!
//! A call waits until the voltage is near the middle of the range, then takes pairs until the voltage has crossed the
//! value it began at 20 times. Each input goes through a first-order high-pass of 0.996 that keeps its state between
//! calls; the phase is corrected by a line through the last two voltages; power is the mean product. There is no
//! fraction of a sample at the edges, and a sketch calls it now and then: every 10 s, and holds the power in between.

use metering::Pair;

use crate::accuracy::unit::Unit;

/// Coefficient of the high-pass.
const FILTER: f64 = 0.996;
/// Crossings that a call waits for.
const CROSSINGS: u32 = 20;
/// Longest time of a call in s.
const TIMEOUT_S: f64 = 2.0;
/// Between these shares of the range a call may begin.
const BEGIN: (f64, f64) = (0.45, 0.55);

/// How often a call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Duty {
    /// One right after the other.
    Continuous,
    /// One every so many seconds.
    EverySeconds(f64),
}

impl Duty {
    /// Returns what the usual sketch does.
    #[must_use]
    pub fn usual() -> Self {
        Self::EverySeconds(10.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Until that time in s.
    Pausing(f64),
    /// Waits to begin, since that time in s.
    Waiting(f64),
    Measuring,
}

/// The high-pass of one input.
#[derive(Clone, Copy, Debug, Default)]
struct HighPass {
    last: f64,
    filtered: f64,
}

impl HighPass {
    fn next(&mut self, sample: f64) -> f64 {
        self.filtered = FILTER * (self.filtered + sample - self.last);
        self.last = sample;
        self.filtered
    }
}

/// A call that is under way.
#[derive(Clone, Copy, Debug, Default)]
struct Call {
    since_s: f64,
    begin_code: f64,
    above: bool,
    crossings: u32,
    samples: u32,
    products: f64,
}

/// emonLib's method on a stream of pairs.
#[derive(Clone, Debug)]
pub struct EmonLib {
    duty: Duty,
    period_s: f64,
    codes: f64,
    watts_per_code: f64,
    /// Share of the last two voltages that the corrected one is a line through.
    phase: f64,
    voltage: HighPass,
    current: HighPass,
    state: State,
    call: Call,
    power_w: f64,
    joules: f64,
}

impl EmonLib {
    /// Starts with the scale and the delay of a unit.
    #[must_use]
    pub fn new(unit: &Unit, duty: Duty) -> Self {
        let codes = f64::from(1_u32 << unit.front_end.bits);
        let middle = HighPass {
            last: codes / 2.0,
            filtered: 0.0,
        };
        Self {
            duty,
            period_s: 1.0 / unit.rate_hz,
            codes,
            watts_per_code: unit.watts_per_code(),
            // The current was taken later, so the voltage is moved on by as much.
            phase: 1.0 + unit.skew_pairs(),
            voltage: middle,
            current: middle,
            state: State::Waiting(0.0),
            call: Call::default(),
            power_w: 0.0,
            joules: 0.0,
        }
    }

    pub(super) fn scale_power(&mut self, factor: f64) {
        self.watts_per_code *= factor;
    }

    pub(super) fn joules(&self) -> f64 {
        self.joules
    }

    pub(super) fn push(&mut self, pairs: &[Pair], end_us: u64) {
        let end_s = end_us as f64 / 1e6;
        for (index, pair) in pairs.iter().enumerate() {
            let now_s = end_s - (pairs.len() - 1 - index) as f64 * self.period_s;
            self.joules += self.power_w * self.period_s;
            self.sample(f64::from(pair.voltage), f64::from(pair.current), now_s);
        }
    }

    fn sample(&mut self, voltage: f64, current: f64, now_s: f64) {
        match self.state {
            State::Pausing(until_s) => {
                if now_s >= until_s {
                    self.state = State::Waiting(now_s);
                }
            }
            State::Waiting(since_s) => {
                let share = voltage / self.codes;
                if (BEGIN.0 < share && share < BEGIN.1) || now_s - since_s > TIMEOUT_S {
                    self.call = Call {
                        since_s: now_s,
                        begin_code: voltage,
                        ..Call::default()
                    };
                    self.state = State::Measuring;
                }
            }
            State::Measuring => self.measure(voltage, current, now_s),
        }
    }

    fn measure(&mut self, voltage: f64, current: f64, now_s: f64) {
        let last = self.voltage.filtered;
        let filtered = self.voltage.next(voltage);
        let shifted = last + self.phase * (filtered - last);
        let current = self.current.next(current);
        let call = &mut self.call;
        call.samples += 1;
        call.products += shifted * current;
        let above = voltage > call.begin_code;
        if call.samples > 1 && above != call.above {
            call.crossings += 1;
        }
        call.above = above;
        if call.crossings >= CROSSINGS || now_s - call.since_s > TIMEOUT_S {
            self.power_w = self.watts_per_code * call.products / f64::from(call.samples);
            self.state = match self.duty {
                Duty::Continuous => State::Waiting(now_s),
                Duty::EverySeconds(seconds) => State::Pausing(call.since_s + seconds),
            };
        }
    }
}
