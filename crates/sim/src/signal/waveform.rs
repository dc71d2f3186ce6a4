//! One cycle of voltage or current as a sum of odd harmonics.

use std::{
    f64::consts::TAU,
    ops::{AddAssign, Mul},
    sync::LazyLock,
};

/// Odd harmonics 1 to 15: below half of the slowest sample rate.
pub(super) const ORDERS: usize = 8;
/// Points of a tabulated cycle; linear interpolation between them is right to 2·10⁻⁶ of the fundamental.
pub(super) const POINTS: usize = 2048;

static SINE: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let sine = |point: usize| (point as f64 / POINTS as f64 * TAU).sin();
    (0..POINTS).map(sine).collect()
});

/// Peak values: Σ sine\[n\]·sin(kθ) + cosine\[n\]·cos(kθ), k = 2n + 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Waveform {
    pub(super) sine: [f64; ORDERS],
    pub(super) cosine: [f64; ORDERS],
}

impl Waveform {
    /// Makes a sine of this rms value that lags by `angle` rad.
    pub(super) fn lagging(rms: f64, angle: f64) -> Self {
        Self::default().with_harmonic(1, rms, -angle)
    }

    /// Adds harmonic `order` (odd, up to 15) of this rms value, ahead by `angle` rad.
    pub(super) fn with_harmonic(mut self, order: usize, rms: f64, angle: f64) -> Self {
        let peak = rms * std::f64::consts::SQRT_2;
        self.sine[order / 2] += peak * angle.cos();
        self.cosine[order / 2] += peak * angle.sin();
        self
    }

    /// Returns the mean square.
    pub(super) fn mean_square(&self) -> f64 {
        self.mean_product(self)
    }

    /// Returns the mean of the product with another waveform: active power.
    pub(super) fn mean_product(&self, other: &Self) -> f64 {
        let product = |(a, b): (&f64, &f64)| a * b;
        let sine: f64 = self.sine.iter().zip(&other.sine).map(product).sum();
        let cosine: f64 = self.cosine.iter().zip(&other.cosine).map(product).sum();
        (sine + cosine) / 2.0
    }

    /// Returns the reactive power of the fundamental, with `self` as the voltage; inductive is positive.
    pub(super) fn reactive_power(&self, current: &Self) -> f64 {
        (self.cosine[0] * current.sine[0] - self.sine[0] * current.cosine[0]) / 2.0
    }

    /// Returns the waveform `angle` rad of the fundamental later.
    pub(super) fn advanced(&self, angle: f64) -> Self {
        let mut advanced = Self::default();
        for index in 0..ORDERS {
            let (sine, cosine) = (angle * (2 * index + 1) as f64).sin_cos();
            advanced.sine[index] = self.sine[index] * cosine - self.cosine[index] * sine;
            advanced.cosine[index] = self.cosine[index] * cosine + self.sine[index] * sine;
        }
        advanced
    }

    /// Returns the value at a point of the tabulated cycle.
    pub(super) fn at_point(&self, point: usize) -> f64 {
        let sine = &*SINE;
        let mut value = 0.0;
        for index in 0..ORDERS {
            let turned = (2 * index + 1) * point;
            value += self.sine[index] * sine[turned % POINTS];
            value += self.cosine[index] * sine[(turned + POINTS / 4) % POINTS];
        }
        value
    }
}

impl Mul<f64> for Waveform {
    type Output = Self;
    fn mul(mut self, factor: f64) -> Self {
        for value in self.sine.iter_mut().chain(&mut self.cosine) {
            *value *= factor;
        }
        self
    }
}

impl AddAssign for Waveform {
    fn add_assign(&mut self, other: Self) {
        for (value, other) in self.sine.iter_mut().zip(other.sine) {
            *value += other;
        }
        for (value, other) in self.cosine.iter_mut().zip(other.cosine) {
            *value += other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_a_lagging_current_are_those_of_the_textbook() {
        let voltage = Waveform::lagging(230.0, 0.0).with_harmonic(5, 5.0, 0.3);
        let current = Waveform::lagging(2.0, 0.5).with_harmonic(3, 1.0, 0.0);
        assert!((voltage.mean_product(&current) - 460.0 * 0.5_f64.cos()).abs() < 1e-9);
        assert!((voltage.reactive_power(&current) - 460.0 * 0.5_f64.sin()).abs() < 1e-9);
        assert!((current.mean_square() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn advancing_moves_all_harmonics_by_the_same_time() {
        let waveform = Waveform::lagging(3.0, 0.2).with_harmonic(7, 1.0, 0.4);
        let advanced = waveform.advanced(100.0 / POINTS as f64 * TAU);
        for point in 0..POINTS {
            assert!((advanced.at_point(point) - waveform.at_point(point + 100)).abs() < 1e-9);
        }
    }
}
