//! The voltage of a channel that does not measure its own.
//!
//! Where it shares another phase's voltage, it takes that of a third or two thirds of a cycle before: a whole number of
//! samples from here, and the fraction that is left is [skew](crate::skew) to the window. Where no voltage is measured, its
//! place is taken by the current itself: windows are then cut at the current's own rises.

use crate::config::{Pair, PhaseShift, VoltageInput};

/// Voltages that are kept: two thirds of a cycle of 40 Hz at 10 kHz, and one to spare.
const KEPT: usize = 256;
/// Pairs that are made at once.
pub(crate) const CHUNK: usize = 64;
/// Frequency that is assumed before one was measured.
const ASSUMED_HZ: u64 = 50;

#[derive(Clone, Debug)]
pub(crate) struct Input {
    kind: VoltageInput,
    sample_rate_hz: u32,
    delay: usize,
    /// The latest voltages; `next` is where the next one goes.
    kept: [u16; KEPT],
    next: usize,
    filled: usize,
}

impl Input {
    pub(crate) fn new(kind: VoltageInput, sample_rate_hz: u32) -> Self {
        let mut input = Self {
            kind,
            sample_rate_hz,
            delay: 0,
            kept: [0; KEPT],
            next: 0,
            filled: 0,
        };
        input.delay = input.delay_for(0).unwrap_or(0);
        input
    }

    /// Whether pairs may be measured as they are.
    pub(crate) fn is_direct(&self) -> bool {
        self.kind == VoltageInput::Own
    }

    /// Angle by which the delay is longer than the phase shift, in 1/2^32 of a turn, at `step` a sample.
    pub(crate) fn angle(&self, step: u32) -> i32 {
        match self.shift() {
            Some(shift) => (self.delay as u32).wrapping_mul(step).wrapping_sub(shift) as i32,
            None => 0,
        }
    }

    /// Follows the frequency, `step` a sample or 0 where it is unknown; tells whether the delay is another now.
    pub(crate) fn follow(&mut self, step: u32) -> bool {
        let delay = self.delay_for(step);
        delay.is_some_and(|delay| core::mem::replace(&mut self.delay, delay) != delay)
    }

    /// Forgets voltages that are not followed by the next without a gap.
    pub(crate) fn restart(&mut self) {
        self.filled = 0;
    }

    /// Takes the first pairs, whose voltage cannot be known yet; returns how many.
    pub(crate) fn load<'a>(&mut self, pairs: &'a [Pair]) -> &'a [Pair] {
        let unknown = self.delay.saturating_sub(self.filled).min(pairs.len());
        let (unknown, known) = pairs.split_at(unknown);
        for pair in unknown {
            self.keep(pair.voltage);
        }
        known
    }

    /// Makes up to [`CHUNK`] pairs with the channel's own voltage.
    pub(crate) fn own<'a>(&mut self, pairs: &[Pair], chunk: &'a mut [Pair; CHUNK]) -> &'a [Pair] {
        for (own, pair) in chunk.iter_mut().zip(pairs) {
            let voltage = match self.kind {
                VoltageInput::Own => pair.voltage,
                VoltageInput::Assumed { .. } => pair.current,
                VoltageInput::Shared(_) => {
                    self.keep(pair.voltage);
                    // The newest lies before `next`, the one wanted `delay` before that.
                    self.kept[(self.next + 2 * KEPT - 1 - self.delay) % KEPT]
                }
            };
            *own = Pair { voltage, ..*pair };
        }
        &chunk[..pairs.len().min(CHUNK)]
    }

    fn keep(&mut self, voltage: u16) {
        self.kept[self.next] = voltage;
        self.next = (self.next + 1) % KEPT;
        self.filled = (self.filled + 1).min(KEPT);
    }

    fn shift(&self) -> Option<u32> {
        const THIRD: u32 = u32::MAX / 3;
        match self.kind {
            VoltageInput::Shared(PhaseShift::Lag120) => Some(THIRD),
            VoltageInput::Shared(PhaseShift::Lag240) => Some(2 * THIRD),
            VoltageInput::Own | VoltageInput::Assumed { .. } => None,
        }
    }

    /// Whole samples that make the phase shift or a little more; the present delay as long as it is near enough.
    fn delay_for(&self, step: u32) -> Option<usize> {
        let shift = self.shift()?;
        let step = if step == 0 {
            ((ASSUMED_HZ << 32) / u64::from(self.sample_rate_hz)) as u32
        } else {
            step
        };
        let quarter = i64::from(step / 4);
        let excess = self.delay as i64 * i64::from(step) - i64::from(shift);
        if (-quarter..=i64::from(step) + quarter).contains(&excess) {
            return Some(self.delay);
        }
        Some((shift.div_ceil(step) as usize).min(KEPT - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 2_000;
    const STEP_50: u32 = (50 * (1_u64 << 32) / RATE_HZ as u64) as u32;

    #[test]
    fn voltage_is_that_of_a_third_of_a_cycle_before() {
        let mut input = Input::new(VoltageInput::Shared(PhaseShift::Lag120), RATE_HZ);
        let pairs: [Pair; 100] = core::array::from_fn(|index| Pair {
            voltage: index as u16,
            current: 7,
        });
        // 13.33 samples.
        let known = input.load(&pairs);
        assert_eq!(known.len(), 86);
        let mut chunk = [Pair::default(); CHUNK];
        let own = input.own(known, &mut chunk);
        assert_eq!(own.len(), CHUNK);
        for (index, pair) in own.iter().enumerate() {
            assert_eq!((pair.voltage, pair.current), (index as u16, 7));
        }
        let angle = f64::from(input.angle(STEP_50)) / f64::from(STEP_50);
        assert!((angle - 2.0 / 3.0).abs() < 1e-6, "{angle}");
    }

    #[test]
    fn delay_follows_the_frequency_but_not_every_wobble() {
        let mut input = Input::new(VoltageInput::Shared(PhaseShift::Lag240), RATE_HZ);
        let step = |hz: f64| (hz / f64::from(RATE_HZ) * 2_f64.powi(32)) as u32;
        assert!(!input.follow(step(50.0)));
        assert!(!input.follow(step(50.4)) && !input.follow(step(49.7)));
        assert!(input.follow(step(60.0)));
        assert_eq!(input.delay, 23);
    }

    #[test]
    fn without_a_voltage_the_current_stands_in() {
        let kind = VoltageInput::Assumed {
            voltage_mv: 230_000,
            power_factor_permille: 900,
        };
        let mut input = Input::new(kind, RATE_HZ);
        let pairs = [Pair {
            voltage: 1,
            current: 2,
        }];
        assert_eq!(input.load(&pairs).len(), 1);
        let mut chunk = [Pair::default(); CHUNK];
        assert_eq!(input.own(&pairs, &mut chunk)[0].voltage, 2);
    }
}
