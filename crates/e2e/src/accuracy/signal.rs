//! Signals whose mean power is known exactly: harmonics of the mains, gates within the cycle, loads that change by cycle.
//!
//! Voltage and current are trigonometric sums over the phase of the mains. A gate lets a current through in a part of
//! each cycle only; a schedule scales it from cycle to cycle. Cycles begin where the voltage rises through zero. Power is
//! a closed form where nothing is gated, else Simpson's rule over the smooth pieces, to 10⁻¹².

use std::{
    f64::consts::{FRAC_PI_2, PI, SQRT_2, TAU},
    sync::Arc,
};

/// Harmonics 1 to 15.
const ORDERS: usize = 15;
/// Steps of Simpson's rule over a quarter of a cycle.
const STEPS: usize = 256;

/// A sum of harmonics of the mains: peak values Σ sine\[k−1\]·sin(kθ) + cosine\[k−1\]·cos(kθ).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waveform {
    sine: [f64; ORDERS],
    cosine: [f64; ORDERS],
    highest: usize,
}

impl Waveform {
    /// Returns a sine of this rms value that is ahead by `angle` rad; behind where it is negative.
    #[must_use]
    pub fn sine(rms: f64, angle: f64) -> Self {
        Self::default().with(1, rms, angle)
    }

    /// Adds harmonic `order`, 1 to 15, of this rms value, ahead by `angle` rad of its own.
    #[must_use]
    pub fn with(mut self, order: usize, rms: f64, angle: f64) -> Self {
        self.sine[order - 1] += rms * SQRT_2 * angle.cos();
        self.cosine[order - 1] += rms * SQRT_2 * angle.sin();
        self.highest = self.highest.max(order);
        self
    }

    /// Returns the value at a phase given by its cosine and sine.
    #[must_use]
    pub fn at(&self, (cosine, sine): (f64, f64)) -> f64 {
        let (mut c, mut s, mut value) = (cosine, sine, 0.0);
        for order in 0..self.highest {
            value += self.sine[order] * s + self.cosine[order] * c;
            (c, s) = (c * cosine - s * sine, s * cosine + c * sine);
        }
        value
    }

    /// Returns the mean of the product with another waveform over a cycle.
    #[must_use]
    pub fn mean_product(&self, other: &Self) -> f64 {
        let product = |(a, b): (&f64, &f64)| a * b;
        let sine: f64 = self.sine.iter().zip(&other.sine).map(product).sum();
        let cosine: f64 = self.cosine.iter().zip(&other.cosine).map(product).sum();
        (sine + cosine) / 2.0
    }

    /// Returns the rms value.
    #[must_use]
    pub fn rms(&self) -> f64 {
        self.mean_product(self).sqrt()
    }

    /// Returns the waveform times a factor.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        for value in self.sine.iter_mut().chain(&mut self.cosine) {
            *value *= factor;
        }
        self
    }

    fn add(&mut self, other: &Self, factor: f64) {
        for order in 0..other.highest {
            self.sine[order] += other.sine[order] * factor;
            self.cosine[order] += other.cosine[order] * factor;
        }
        self.highest = self.highest.max(other.highest);
    }
}

/// In which part of a cycle a current flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// Always.
    #[default]
    Open,
    /// In the second half of each half cycle: a dimmer at 90°.
    PhaseFired,
    /// In the positive half only: a rectifier without a capacitor.
    HalfWave,
}

impl Gate {
    fn passes(self, phase: f64) -> bool {
        match self {
            Self::Open => true,
            Self::PhaseFired => phase.rem_euclid(PI) >= FRAC_PI_2,
            Self::HalfWave => phase.rem_euclid(TAU) < PI,
        }
    }
}

/// How much of a current flows in a cycle.
#[derive(Clone, Debug, Default)]
pub enum Schedule {
    /// All of it.
    #[default]
    Steady,
    /// So many cycles of it, then so many cycles of nothing.
    Burst(u64, u64),
    /// A factor for each cycle; from its end on it begins anew.
    Cycles(Arc<[f32]>),
}

impl Schedule {
    fn factor(&self, cycle: u64) -> f64 {
        match self {
            Self::Steady => 1.0,
            Self::Burst(on, off) => f64::from(u8::from(cycle % (on + off) < *on)),
            Self::Cycles(factors) => f64::from(factors[(cycle % factors.len() as u64) as usize]),
        }
    }
}

/// A load: one form of current.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// The current in A.
    pub current: Waveform,
    /// When it flows within a cycle.
    pub gate: Gate,
    /// When it flows from cycle to cycle.
    pub schedule: Schedule,
}

impl Load {
    /// Returns a load that is always there.
    #[must_use]
    pub fn steady(current: Waveform) -> Self {
        Self {
            current,
            ..Self::default()
        }
    }
}

/// The mains and the loads on it.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Frequency in Hz.
    pub frequency_hz: f64,
    /// The voltage in V.
    pub voltage: Waveform,
    /// The loads, all on the same wire.
    pub loads: Vec<Load>,
}

impl Signal {
    /// Returns mains with one load that is always there.
    #[must_use]
    pub fn steady(frequency_hz: f64, voltage: Waveform, current: Waveform) -> Self {
        Self {
            frequency_hz,
            voltage,
            loads: vec![Load::steady(current)],
        }
    }

    /// Returns the net energy from one time to another, both in s and not negative, in J.
    #[must_use]
    pub fn energy_j(&self, from_s: f64, to_s: f64) -> f64 {
        let cycles = |time_s: f64| {
            let whole = (time_s * self.frequency_hz).floor();
            (whole as u64, (time_s * self.frequency_hz - whole) * TAU)
        };
        let ((first, first_phase), (last, last_phase)) = (cycles(from_s), cycles(to_s));
        let energy = |load: &Load| {
            let piece = |to_phase: f64| self.integral(load, to_phase);
            let whole = piece(TAU);
            let between: f64 = match &load.schedule {
                Schedule::Steady => (last - first) as f64,
                schedule => (first..last).map(|cycle| schedule.factor(cycle)).sum(),
            };
            between * whole + load.schedule.factor(last) * piece(last_phase)
                - load.schedule.factor(first) * piece(first_phase)
        };
        // Integrals are over the phase: a cycle of 1/f seconds is 2π.
        self.loads.iter().map(energy).sum::<f64>() / (TAU * self.frequency_hz)
    }

    /// Returns the mean power of a load that is always there, in W.
    #[must_use]
    pub fn mean_power_w(&self) -> f64 {
        let power = |load: &Load| {
            if load.gate == Gate::Open {
                self.voltage.mean_product(&load.current)
            } else {
                self.integral(load, TAU) / TAU
            }
        };
        self.loads.iter().map(power).sum()
    }

    /// Integral of a load's power from the beginning of a cycle to a phase, in W·rad.
    fn integral(&self, load: &Load, to_phase: f64) -> f64 {
        if to_phase >= TAU && load.gate == Gate::Open {
            return TAU * self.voltage.mean_product(&load.current);
        }
        let power = |phase: f64| {
            let (sine, cosine) = phase.sin_cos();
            self.voltage.at((cosine, sine)) * load.current.at((cosine, sine))
        };
        let mut sum = 0.0;
        for quarter in 0..4 {
            let from = f64::from(quarter) * FRAC_PI_2;
            let width = (to_phase - from).min(FRAC_PI_2);
            // Gates open and close at quarters only.
            if width <= 0.0 || !load.gate.passes(from + FRAC_PI_2 / 2.0) {
                continue;
            }
            let step = width / STEPS as f64;
            let inner: f64 = (1..STEPS)
                .map(|index| power(from + index as f64 * step) * [2.0, 4.0][index % 2])
                .sum();
            sum += (power(from) + inner + power(from + width)) * step / 3.0;
        }
        sum
    }
}

/// The current of a signal, cycle by cycle: what is open in a cycle is one sum.
#[derive(Clone, Debug)]
pub(super) struct CurrentNow {
    cycle: Option<u64>,
    open: Waveform,
    gated: Vec<(Gate, Waveform)>,
}

impl CurrentNow {
    pub(super) fn new() -> Self {
        Self {
            cycle: None,
            open: Waveform::default(),
            gated: Vec::new(),
        }
    }

    /// Returns the current in A at a time given in cycles.
    pub(super) fn at(&mut self, loads: &[Load], cycles: f64) -> f64 {
        let whole = cycles.floor();
        if self.cycle != Some(whole as u64) {
            self.begin(loads, whole as u64);
        }
        let phase = (cycles - whole) * TAU;
        let (sine, cosine) = phase.sin_cos();
        let mut current = self.open.at((cosine, sine));
        for (gate, waveform) in &self.gated {
            if gate.passes(phase) {
                current += waveform.at((cosine, sine));
            }
        }
        current
    }

    fn begin(&mut self, loads: &[Load], cycle: u64) {
        self.cycle = Some(cycle);
        self.open = Waveform::default();
        self.gated.clear();
        for load in loads {
            let factor = load.schedule.factor(cycle);
            if load.gate == Gate::Open {
                self.open.add(&load.current, factor);
            } else {
                self.gated.push((load.gate, load.current.times(factor)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gated(gate: Gate) -> Signal {
        Signal {
            frequency_hz: 50.0,
            voltage: Waveform::sine(230.0, 0.0),
            loads: vec![Load {
                gate,
                ..Load::steady(Waveform::sine(10.0, 0.0))
            }],
        }
    }

    #[test]
    fn mean_powers_are_those_of_the_textbook() {
        let lagging = Signal::steady(
            50.0,
            Waveform::sine(230.0, 0.0).with(5, 23.0, 0.3),
            Waveform::sine(10.0, -PI / 3.0).with(5, 4.0, 0.3),
        );
        assert!((lagging.mean_power_w() - (1_150.0 + 92.0)).abs() < 1e-9);
        assert!((gated(Gate::HalfWave).mean_power_w() - 1_150.0).abs() < 1e-9);
        assert!((gated(Gate::PhaseFired).mean_power_w() - 1_150.0).abs() < 1e-9);
    }

    #[test]
    fn energy_is_the_mean_of_very_many_points() {
        for gate in [Gate::Open, Gate::HalfWave, Gate::PhaseFired] {
            let mut signal = gated(gate);
            signal.loads[0].current = Waveform::sine(3.0, -0.4).with(3, 1.0, 0.2);
            signal.loads[0].schedule = Schedule::Cycles(Arc::new([1.0, 0.25, 0.0]));
            let (from_s, to_s, points) = (0.0137, 0.1719, 4_000_000);
            let mut now = CurrentNow::new();
            let sum: f64 = (0..points)
                .map(|point| {
                    from_s + (f64::from(point) + 0.5) / f64::from(points) * (to_s - from_s)
                })
                .map(|time_s| {
                    let (sine, cosine) = (time_s * 50.0 * TAU).sin_cos();
                    signal.voltage.at((cosine, sine)) * now.at(&signal.loads, time_s * 50.0)
                })
                .sum();
            let counted_j = sum / f64::from(points) * (to_s - from_s);
            let exact_j = signal.energy_j(from_s, to_s);
            assert!(
                (counted_j / exact_j - 1.0).abs() < 2e-6,
                "{gate:?}: {counted_j} {exact_j}"
            );
        }
    }

    #[test]
    fn energy_of_a_burst_counts_its_cycles() {
        let mut signal = gated(Gate::Open);
        signal.loads[0].schedule = Schedule::Burst(2, 3);
        assert!((signal.energy_j(0.0, 10.0) - 2_300.0 * 4.0).abs() < 1e-6);
    }
}
