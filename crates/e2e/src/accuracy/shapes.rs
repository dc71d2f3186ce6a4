//! Currents of appliances as sums of harmonics, with the power factor and the distortion measured on real ones.

use std::f64::consts::PI;

use super::signal::Waveform;

/// Relative strength of the harmonics 3 to 13 of a distorted current.
const HARMONICS: [f64; 6] = [1.0, 0.6, 0.36, 0.2, 0.12, 0.07];

/// Appliances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Fridge: lags, distorted.
    Fridge,
    /// Desktop computer at low load: leads, distorted.
    Desktop,
    /// Supply of a laptop.
    Laptop,
    /// Induction cooker.
    Induction,
    /// Kettle.
    Kettle,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Fridge,
        Self::Desktop,
        Self::Laptop,
        Self::Induction,
        Self::Kettle,
    ];

    /// Returns a name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fridge => "fridge",
            Self::Desktop => "desktop PC",
            Self::Laptop => "laptop",
            Self::Induction => "induction cooker",
            Self::Kettle => "kettle",
        }
    }

    /// Returns the power factor that was measured.
    #[must_use]
    pub fn power_factor(self) -> f64 {
        self.facts().0
    }

    /// Power factor, total harmonic distortion of the current, whether it leads.
    fn facts(self) -> (f64, f64, bool) {
        match self {
            Self::Fridge => (0.69, 0.44, false),
            Self::Desktop => (0.42, 0.36, true),
            Self::Laptop => (0.84, 0.38, true),
            Self::Induction => (0.71, 0.12, false),
            Self::Kettle => (1.0, 0.02, false),
        }
    }

    /// Returns the current of this rms value in A.
    #[must_use]
    pub fn current(self, rms_a: f64) -> Waveform {
        let (power_factor, distortion, leads) = self.facts();
        let displacement = (power_factor * (1.0 + distortion * distortion).sqrt()).min(1.0);
        let angle = displacement.acos() * if leads { 1.0 } else { -1.0 };
        let norm = HARMONICS
            .iter()
            .map(|strength| strength * strength)
            .sum::<f64>()
            .sqrt();
        let mut current = Waveform::sine(1.0, angle);
        for (index, strength) in HARMONICS.iter().enumerate() {
            let order = 2 * index + 3;
            // Every second one is turned by half a turn, so that all peak with the fundamental.
            let turn = if index % 2 == 0 { PI } else { 0.0 };
            current = current.with(
                order,
                distortion * strength / norm,
                order as f64 * angle + turn,
            );
        }
        current.times(rms_a / current.rms())
    }

    /// Returns mains of this rms value of the fundamental in V with 2.4 % of harmonics.
    #[must_use]
    pub fn mains(rms_v: f64) -> Waveform {
        Waveform::sine(rms_v, 0.0)
            .with(3, 0.006 * rms_v, 0.4)
            .with(5, 0.02 * rms_v, 3.3)
            .with(7, 0.012 * rms_v, 0.9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_power_factor_that_was_measured() {
        let mains = Shape::mains(230.0);
        for shape in Shape::ALL {
            let current = shape.current(2.0);
            let apparent = mains.rms() * current.rms();
            let power_factor = mains.mean_product(&current) / apparent;
            assert!(
                (power_factor / shape.power_factor() - 1.0).abs() < 0.02,
                "{shape:?}"
            );
            assert!((current.rms() - 2.0).abs() < 1e-9);
        }
    }
}
