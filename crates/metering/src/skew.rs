//! Power at the instant of the voltage, where the current was taken at another.
//!
//! Pairs `(v[n], i[n])` whose current is late by τ give the correlation R(τ) of voltage and current; pairs
//! `(v[n], i[n−1])` give R(τ−T) with T the time between samples. For a sine of angular frequency ω both determine R(0):
//!
//! ```text
//! R(0) = a·R(τ) + b·R(τ−T),   a = sin(ωT−ωτ)/sin ωT,   b = sin ωτ/sin ωT
//! ```
//!
//! exact for the fundamental at any phase; a harmonic's power is off by a share of the order (τ/T)·(kωT)²/2. This costs
//! one product a sample, and no filter touches the samples.

use crate::sine::{cosine_sine_q30, sine_q30};

/// Corrects covariances for a current that is late by `angle` of the fundamental, with `step` between two samples, both in
/// 1/2^32 of a turn. Covariances are below 2^47; so is the result for angles up to a sample.
pub(crate) fn covariance_q15(covariance_q15: (i64, i64), angle: i32, step: u32) -> i64 {
    let sine_of_step = sine_q30(step);
    if angle == 0 || sine_of_step <= 0 {
        return covariance_q15.0;
    }
    let angle = angle as u32;
    // Below 2^31 in 1/2^30 unless the step is tiny; the quotient of 2^60 by at least 2^22 stays below 2^38.
    let weight_q30 = |phase: u32| (sine_q30(phase) << 30) / sine_of_step;
    let own = i128::from(weight_q30(step.wrapping_sub(angle))) * i128::from(covariance_q15.0);
    let before = i128::from(weight_q30(angle)) * i128::from(covariance_q15.1);
    ((own + before) >> 30) as i64
}

/// Turns active and reactive power of the fundamental by the same angle and returns the reactive one.
pub(crate) fn reactive_q15(fundamental_q15: (i64, i64), angle: i32) -> i64 {
    if angle == 0 {
        return fundamental_q15.1;
    }
    let (cosine, sine) = cosine_sine_q30(angle as u32);
    let turned = i128::from(fundamental_q15.0) * i128::from(sine)
        + i128::from(fundamental_q15.1) * i128::from(cosine);
    (turned >> 30) as i64
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_sine_is_corrected_exactly_at_any_phase_and_frequency() {
        for samples_a_cycle in [30.8, 40.0, 44.4, 160.0, 1000.0] {
            let step = (2_f64.powi(32) / samples_a_cycle) as u32;
            for share in [-0.9, -0.06, 0.0, 0.06, 0.5, 1.0] {
                let angle = (f64::from(step) * share) as i32;
                for lag in [0.0, 0.1666, 0.25, 0.333, -0.1] {
                    let radians = |turns: f64| turns * core::f64::consts::TAU;
                    let turn = f64::from(angle) / 2_f64.powi(32);
                    let peak = 2_f64.powi(44);
                    let power =
                        |turns: f64| (peak * std::primitive::f64::cos(radians(turns))) as i64;
                    // The current is late by `turn`, so the phases advance by it.
                    let seen = (
                        power(lag - turn),
                        power(lag - turn + f64::from(step) / 2_f64.powi(32)),
                    );
                    let error = (covariance_q15(seen, angle, step) - power(lag)) as f64 / peak;
                    assert!(
                        error.abs() < 2e-6,
                        "{samples_a_cycle} {share} {lag}: {error}"
                    );
                    let reactive =
                        |turns: f64| (peak * std::primitive::f64::sin(radians(turns))) as i64;
                    let seen = (power(lag - turn), reactive(lag - turn));
                    let error = (reactive_q15(seen, angle) - reactive(lag)) as f64 / peak;
                    assert!(error.abs() < 1e-7, "{share} {lag}: {error}");
                }
            }
        }
    }
}
