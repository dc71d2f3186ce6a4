//! The earlier system's method: rms and mean product over a window, and then as long again without counting.
//!
//! Power is the absolute value of the mean product about the means, so export counts as import; energy is that power
//! times the time that was sampled, so the other half of the time counts nothing. How long a window is, is not published:
//! here it is a second.

use metering::Pair;

use crate::accuracy::unit::Unit;

/// Length of a window, and of the pause after it, in s.
const WINDOW_S: f64 = 1.0;

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    samples: u32,
    voltage: f64,
    current: f64,
    product: f64,
}

/// The earlier system's method on a stream of pairs.
#[derive(Clone, Debug)]
pub struct Ofmon {
    period_s: f64,
    window: u32,
    watts_per_code: f64,
    middle: f64,
    sums: Sums,
    /// Pairs that are still to be passed over.
    pause: u32,
    joules: f64,
}

impl Ofmon {
    /// Starts with the scale of a unit.
    #[must_use]
    pub fn new(unit: &Unit) -> Self {
        Self {
            period_s: 1.0 / unit.rate_hz,
            window: (WINDOW_S * unit.rate_hz).round() as u32,
            watts_per_code: unit.watts_per_code(),
            middle: f64::from(1_u32 << (unit.front_end.bits - 1)),
            sums: Sums::default(),
            pause: 0,
            joules: 0.0,
        }
    }

    pub(super) fn joules(&self) -> f64 {
        self.joules
    }

    pub(super) fn push(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            if self.pause > 0 {
                self.pause -= 1;
                continue;
            }
            let voltage = f64::from(pair.voltage) - self.middle;
            let current = f64::from(pair.current) - self.middle;
            let sums = &mut self.sums;
            sums.samples += 1;
            sums.voltage += voltage;
            sums.current += current;
            sums.product += voltage * current;
            if sums.samples == self.window {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        let sums = core::mem::take(&mut self.sums);
        let samples = f64::from(sums.samples);
        let covariance = sums.product / samples - sums.voltage / samples * (sums.current / samples);
        self.joules += (covariance * self.watts_per_code).abs() * samples * self.period_s;
        self.pause = self.window;
    }
}
