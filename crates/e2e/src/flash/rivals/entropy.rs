//! Order-0 entropy of this project's residuals: what no code with one fixed table a field goes below.

use std::collections::HashMap;

use protocol::{ChannelReading, segment::CurrentPrediction};

use super::{FIELDS, fields};

/// Differences of P, Q and V to the row before, and of I to its prediction, for each row but the first.
#[must_use]
pub fn residuals(rows: &[ChannelReading], power_unit_mw: u16) -> Vec<[i64; FIELDS]> {
    let mut prediction = CurrentPrediction::new();
    let mut last = [0; FIELDS];
    let mut residuals = Vec::with_capacity(rows.len());
    for row in rows {
        let now = fields(row);
        let predicted_ca = prediction.of(row, power_unit_mw);
        residuals.push([
            now[0] - last[0],
            now[1] - last[1],
            now[2] - last[2],
            now[3] - i64::from(predicted_ca),
        ]);
        prediction.learn(row, power_unit_mw);
        last = now;
    }
    residuals.split_off(1.min(residuals.len()))
}

/// Bytes of the rows at the entropy of their residuals, each field by itself, its table not counted.
#[must_use]
pub fn entropy_bytes(rows: &[ChannelReading], power_unit_mw: u16) -> f64 {
    let residuals = residuals(rows, power_unit_mw);
    let bits = (0..FIELDS).map(|field| entropy_bits(residuals.iter().map(|row| row[field])));
    bits.sum::<f64>() / 8.0 * rows.len() as f64
}

/// Mean information of a value in bits.
fn entropy_bits(values: impl ExactSizeIterator<Item = i64>) -> f64 {
    let total = values.len() as f64;
    let mut counts: HashMap<i64, u32> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    // In a fixed order, so that the sum is the same every time.
    let mut counts: Vec<u32> = counts.into_values().collect();
    counts.sort_unstable();
    let shares = counts.into_iter().map(|count| f64::from(count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_coins_and_dice() {
        assert_eq!(entropy_bits([7_i64; 9].into_iter()), 0.0);
        assert!(
            (entropy_bits((0..1_000_i32).map(|value| i64::from(value % 2))) - 1.0).abs() < 1e-12
        );
        assert!(
            (entropy_bits((0..600_i32).map(|value| i64::from(value % 6))) - 6_f64.log2()).abs()
                < 1e-12
        );
    }

    #[test]
    fn residual_of_a_sinusoidal_current_is_at_most_its_rounding() {
        let row = ChannelReading {
            energy_quanta: 2_300,
            voltage_dv: 2_300,
            current_ca: 1_000,
            ..ChannelReading::default()
        };
        assert_eq!(residuals(&[row; 2], 1_000), [[0; 4]]);
    }
}
