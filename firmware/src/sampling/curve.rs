//! What the converter gives, straightened.
//!
//! A code of the converter is bent by up to 1 % of its range. The eFuses of a chip say how, as a polynomial in whole
//! millivolts: too slow for each sample and too coarse for a small current. So it is turned once into 65 points, each
//! the mean of 33 codes around it, and between two points a line is drawn. What comes out counts 1/16 mV at the pin.
//!
//! No hardware is touched here, so that a test on a PC can compute what a meter must measure.

/// Codes of a straightened sample for each mV at the pin.
pub const CODES_PER_MV: u32 = 16;

/// Codes of the converter: 12 bits.
const RAW_CODES: u16 = 4096;
/// Codes of the converter between two points.
const STEP: u16 = 64;
const SEGMENTS: usize = (RAW_CODES / STEP) as usize;
/// So many codes on each side are averaged into a point.
const AROUND: u16 = 16;

/// Turns codes of the converter into codes of 1/16 mV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    points: [u16; SEGMENTS + 1],
}

impl Curve {
    /// Makes the straight line of a converter whose range ends at so many mV, up to 4,095.
    #[must_use]
    pub fn straight(full_scale_mv: u16) -> Self {
        let end = u32::from(full_scale_mv) * CODES_PER_MV;
        let mut points = [0; SEGMENTS + 1];
        for (point, index) in points.iter_mut().zip(0..) {
            *point = (end * index / SEGMENTS as u32) as u16;
        }
        Self { points }
    }

    /// Makes the curve of a converter of which it is known how many mV each code, 0 to 4,095, means.
    #[must_use]
    pub fn of_millivolts(millivolts: impl Fn(u16) -> u16) -> Self {
        // The sum of 33 codes' millivolts.
        let around = |raw: u16| -> i64 {
            (raw - AROUND..=raw + AROUND)
                .map(|raw| i64::from(millivolts(raw)))
                .sum()
        };
        let codes = |sum: i64| {
            let count = i64::from(2 * AROUND + 1);
            let codes = (sum * i64::from(CODES_PER_MV) + count / 2).div_euclid(count);
            codes.clamp(0, u16::MAX.into()) as u16
        };
        let mut points = [0; SEGMENTS + 1];
        for (point, raw) in points.iter_mut().zip((0..=RAW_CODES).step_by(STEP.into())) {
            // At both ends there are no codes beyond: the line through the two nearest sums goes on.
            *point = codes(if raw == 0 {
                2 * around(AROUND) - around(2 * AROUND)
            } else if raw == RAW_CODES {
                2 * around(raw - STEP) - around(raw - 2 * STEP)
            } else {
                around(raw)
            });
        }
        Self { points }
    }

    /// Straightens a code of 12 bits; the first and the last, which are clipped, stay the first and the last.
    #[must_use]
    pub fn straightened(&self, raw: u16) -> u16 {
        let last = self.full_scale_code();
        match raw {
            0 => 0,
            raw if raw >= RAW_CODES - 1 => last,
            raw => self.between(raw).clamp(1, last.saturating_sub(1).max(1)),
        }
    }

    /// Returns the highest code that comes out.
    #[must_use]
    pub fn full_scale_code(&self) -> u16 {
        self.between(RAW_CODES - 1)
    }

    fn between(&self, raw: u16) -> u16 {
        let segment = usize::from(raw / STEP);
        let (from, to) = (
            i32::from(self.points[segment]),
            i32::from(self.points[segment + 1]),
        );
        let share = i32::from(raw % STEP);
        let step = i32::from(STEP);
        (from + ((to - from) * share + step / 2).div_euclid(step)) as u16
    }
}

// This file needs nothing else, so `rustc --test src/sampling/curve.rs` builds its tests on a PC.
#[cfg(test)]
mod tests {
    use super::*;

    /// What a calibrated ESP32-C3 says of its codes, in mV: a line, a bow, and whole numbers.
    fn bent_mv(raw: u16) -> f64 {
        let line = f64::from(raw) * 1370.0 / 2000.0;
        line - 20.0 * (f64::from(raw) / 4096.0 * 3.0).sin()
    }

    #[test]
    fn a_bent_converter_is_straight_to_half_a_millivolt() {
        let curve = Curve::of_millivolts(|raw| bent_mv(raw).max(0.0) as u16);
        for raw in 32..4095 {
            // Whole millivolts are cut off: half a millivolt less on the average.
            let error_mv = f64::from(curve.straightened(raw)) / 16.0 - (bent_mv(raw) - 0.5);
            assert!(error_mv.abs() < 0.5, "{raw}: {error_mv}");
        }
    }

    #[test]
    fn a_straight_converter_stays_straight() {
        let curve = Curve::straight(2_805);
        for raw in 1..4095 {
            let error =
                f64::from(curve.straightened(raw)) - f64::from(raw) * 2805.0 * 16.0 / 4096.0;
            assert!(error.abs() <= 1.5, "{raw}: {error}");
        }
    }

    #[test]
    fn clipped_codes_stay_at_the_ends_and_no_others_do() {
        for curve in [
            Curve::straight(4_095),
            Curve::straight(1),
            Curve::of_millivolts(|raw| bent_mv(raw).max(0.0) as u16),
            Curve::of_millivolts(|_| u16::MAX),
        ] {
            let last = curve.full_scale_code();
            assert_eq!(curve.straightened(0), 0);
            assert_eq!(curve.straightened(4_095), last);
            assert_eq!(curve.straightened(u16::MAX), last);
            for raw in 1..4_095 {
                assert!((1..last).contains(&curve.straightened(raw)), "{raw}");
            }
        }
    }
}
