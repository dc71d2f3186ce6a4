//! Readings as a meter makes them: rows become a signal, the signal goes through the model of a C3's front end, and the
//! metering of the firmware makes the readings.
//!
//! Each row is 10 s of a signal: a sine of its voltage, a current of its active and reactive power, and where the row's
//! current says more than those, a third harmonic. Power changes from reading to reading as it does from minute to minute
//! in the household, which is harder than a real house every 10 s. The frequency wanders.

use std::f64::consts::TAU;

use metering::{Interval, Output, Pair};
use protocol::{ChannelReading, Flags};
use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::profile;
use crate::accuracy::{
    parallel,
    sampler::{Converter, noise},
    unit::{Model, Transformer, Unit},
};

/// Length of a reading in s.
pub const INTERVAL_S: f64 = 10.0;
/// Pairs a second, nominal.
const RATE_HZ: u32 = 2_000;
/// Pairs that are fed at a time, as by the firmware.
const PORTION: usize = 100;
/// Readings in which the meter finds rate and mains; they are left out.
const WARM_UP: usize = 2;
/// What the tolerances of the meter are drawn from.
const UNIT_SEED: u64 = 23;

/// Meters all rows `passes` times, each time with noise, offsets and frequencies of its own, on all cores.
///
/// Every reading is metered: nothing is repeated and no noise is made up.
///
/// # Panics
/// When the metering does not give a reading for each row.
#[must_use]
pub fn readings(rows: &[ChannelReading], passes: usize, seed: u64) -> Vec<ChannelReading> {
    let unit = Unit::calibrated(Model::Esp32c3, Transformer::Ct100, RATE_HZ, UNIT_SEED);
    let frequencies_mhz: Vec<f64> = profile::wandering_mhz(seed)
        .take(rows.len() * passes)
        .collect();
    let each: Vec<(u64, &[f64])> = (seed..)
        .map(|seed| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .zip(frequencies_mhz.chunks(rows.len()))
        .collect();
    let metered = parallel::map(&each, |&(seed, frequencies)| {
        pass(&unit, rows, frequencies, seed)
    });
    metered.concat()
}

/// Peak values of the signal during one reading, in codes: an rms value of full scale peaks at the end of the range.
struct Signal {
    voltage: f64,
    in_phase: f64,
    quadrature: f64,
    third: f64,
    /// Turn of the phase from one pair to the next.
    turn: (f64, f64),
}

impl Signal {
    fn of(unit: &Unit, row: &ChannelReading, frequency_mhz: f64) -> Self {
        let front_end = &unit.front_end;
        let half = f64::from(1_u32 << (front_end.bits - 1));
        let volts = half * front_end.voltage_gain / front_end.full_scale_v;
        let amperes = half * front_end.current_gain / front_end.full_scale_a;
        let voltage_v = f64::from(row.voltage_dv) / 10.0;
        let active_a = f64::from(row.energy_quanta) / voltage_v;
        let reactive_a = f64::from(row.reactive_power_var) / voltage_v;
        let fundamental_a = active_a.hypot(reactive_a);
        let total_a = f64::from(row.current_ca) / 100.0;
        let third_a = (total_a * total_a - fundamental_a * fundamental_a)
            .max(0.0)
            .sqrt();
        let omega = TAU * frequency_mhz / 1e3;
        // The current is taken later: sin(θ+δ) and cos(θ+δ) in sines and cosines of θ.
        let (sine, cosine) = (omega * front_end.skew_us * 1e-6).sin_cos();
        let turn = (omega / unit.rate_hz).sin_cos();
        Self {
            voltage: voltage_v * volts,
            in_phase: (active_a * cosine + reactive_a * sine) * amperes,
            quadrature: (active_a * sine - reactive_a * cosine) * amperes,
            third: third_a * amperes,
            turn: (turn.1, turn.0),
        }
    }
}

fn pass(
    unit: &Unit,
    rows: &[ChannelReading],
    frequencies_mhz: &[f64],
    seed: u64,
) -> Vec<ChannelReading> {
    let converter = Converter::of(&unit.front_end);
    let half = f64::from(1_u32 << (unit.front_end.bits - 1));
    let noise = noise();
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut channel = unit.channel();
    let mut readings = Vec::with_capacity(rows.len());
    let (mut cosine, mut sine) = (1.0_f64, 0.0_f64);
    let mut signal = None;
    let mut pairs_so_far = 0_u64;
    // Where in its hour the drift of the offsets begins.
    let drift_begins = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut warm_up = WARM_UP;
    while readings.len() < rows.len() {
        let seconds = pairs_so_far as f64 / unit.rate_hz;
        let at = ((seconds / INTERVAL_S) as usize)
            .saturating_sub(WARM_UP)
            .min(rows.len() - 1);
        if signal.as_ref().is_none_or(|(of, _)| *of != at) {
            signal = Some((at, Signal::of(unit, &rows[at], frequencies_mhz[at])));
        }
        let Some((_, now)) = &signal else { continue };
        let drift = unit.front_end.offset_drift * ((drift_begins + seconds / 3_600.0) * TAU).sin();
        let voltage_offset = half * (unit.front_end.voltage_offset + drift);
        let current_offset = half * (unit.front_end.current_offset + drift);
        // What rounding adds to the turning vector is taken away here.
        let length = cosine.hypot(sine);
        (cosine, sine) = (cosine / length, sine / length);
        let mut pairs = [Pair::default(); PORTION];
        for pair in &mut pairs {
            let third = sine * (3.0 - 4.0 * sine * sine);
            let current = now.in_phase * sine + now.quadrature * cosine + now.third * third;
            let bits = random.next_u64() as usize;
            let drawn = |bits: usize| noise[bits & (noise.len() - 1)];
            let voltage = now.voltage * sine + voltage_offset;
            pair.voltage = converter.code(voltage, drawn(bits));
            pair.current = converter.code(current + current_offset, drawn(bits >> 32));
            (cosine, sine) = (
                cosine * now.turn.0 - sine * now.turn.1,
                sine * now.turn.0 + cosine * now.turn.1,
            );
        }
        pairs_so_far += PORTION as u64;
        let end_us = ((pairs_so_far - 1) as f64 / unit.rate_hz * 1e6).round() as u64;
        channel.push(&pairs, end_us, &mut |output| {
            if let Output::Interval(interval) = output {
                match warm_up.checked_sub(1) {
                    Some(left) => warm_up = left,
                    None => readings.push(reading(&interval)),
                }
            }
        });
    }
    readings.truncate(rows.len());
    readings
}

/// Converts metering's units into those of a reading, as the firmware does.
fn reading(interval: &Interval) -> ChannelReading {
    let flags = [
        (metering::Flags::NO_VOLTAGE, Flags::NO_VOLTAGE),
        (metering::Flags::CLIPPED, Flags::CLIPPED),
        (metering::Flags::ESTIMATED, Flags::ESTIMATED),
        (metering::Flags::NO_LOAD, Flags::NO_LOAD),
    ];
    ChannelReading {
        energy_quanta: interval.energy_quanta,
        reactive_power_var: interval.reactive_power_var,
        voltage_dv: interval.voltage_dv,
        current_ca: interval.current_ca,
        frequency_chz: interval.frequency_chz,
        coverage_permille: interval.coverage_permille,
        flags: flags
            .into_iter()
            .filter(|(from, _)| interval.flags.contains(*from))
            .fold(Flags::default(), |all, (_, flag)| all | flag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_the_rows_but_for_noise_and_the_calibration() {
        let rows = profile::synthetic(3, 60);
        let readings = readings(&rows, 2, 1);
        assert_eq!(readings.len(), 120);
        for (reading, row) in readings.iter().zip(rows.iter().cycle()) {
            let near = |value: f64, truth: f64, share: f64, more: f64| {
                (value - truth).abs() <= truth.abs() * share + more
            };
            // A reading begins and ends up to a portion of pairs beside its row.
            let power_w = f64::from(reading.energy_quanta);
            assert!(
                near(power_w, row.energy_quanta.into(), 0.02, 15.0),
                "{reading:?} {row:?}"
            );
            let voltage = (f64::from(reading.voltage_dv), f64::from(row.voltage_dv));
            assert!(
                near(voltage.0, voltage.1, 0.005, 0.0),
                "{reading:?} {row:?}"
            );
            assert!(
                (4_993..=5_007).contains(&reading.frequency_chz),
                "{reading:?}"
            );
            assert!(reading.coverage_permille >= 999, "{reading:?}");
        }
        // The second pass has a noise of its own.
        assert_ne!(readings[..60], readings[60..]);
    }
}
