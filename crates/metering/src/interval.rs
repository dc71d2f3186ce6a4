//! From windows to readings: energy in whole quanta, the rest carried.
//!
//! Intervals end at exact multiples of their length in uptime. A window that spans an end is split in proportion to time.
//! Energy is counted in pJ (µW · µs), so the power of a window counts exactly; at the end of an interval the signed sum
//! of its energy and the rest before it is rounded to the nearest whole quantum, and what that leaves is the next rest.

use crate::{
    config::ChannelConfig,
    no_load::{Gate, Passed},
    output::{Flags, Interval},
};

/// Means from where the stage stands to `end_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) end_us: u64,
    /// Time in it that samples were used of; the rest is assumed to be like them.
    pub(crate) covered_us: u64,
    pub(crate) power_uw: i64,
    /// `None` where it was not measured.
    pub(crate) reactive_uvar: Option<i64>,
    pub(crate) voltage_mv: u32,
    pub(crate) current_ua: u64,
    /// 0 where it was not measured.
    pub(crate) frequency_mhz: u32,
    pub(crate) flags: Flags,
}

#[derive(Clone, Debug)]
pub(crate) struct IntervalStage {
    interval_us: u64,
    quantum_pj: i64,
    /// How far time has come; `None` before the start.
    position_us: Option<u64>,
    /// Energy that counts and is not yet given as quanta: the rest and the open interval.
    energy_pj: i128,
    gate: Gate,
    open: Open,
}

/// Integrals over the open interval; `u128` holds 2^100 (current² · time) with room.
#[derive(Clone, Debug, Default)]
struct Open {
    measured_us: u64,
    covered_us: u64,
    voltage_mv2_us: u128,
    current_ua2_us: u128,
    reactive_uvar_us: i128,
    reactive_us: u64,
    frequency_mhz_us: u128,
    frequency_us: u64,
    /// Lowest and highest power of a window in µW.
    extremes_uw: Option<(i64, i64)>,
    flags: Flags,
    /// Whether any of it was taken for a load.
    has_load: bool,
}

impl IntervalStage {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        Self {
            interval_us: config.interval_us(),
            quantum_pj: config.quantum_pj(),
            position_us: None,
            energy_pj: 0,
            gate: Gate::new(config.calibration.no_load_mw),
            open: Open::default(),
        }
    }

    /// Changes the limit of the gate; what it has not decided on is decided by the old one.
    pub(crate) fn recalibrate(&mut self, config: &ChannelConfig) {
        if let Some(passed) = self.gate.close() {
            self.count(passed);
        }
        self.gate.set_limit(config.calibration.no_load_mw);
    }

    /// How far time has come in µs.
    pub(crate) fn position_us(&self) -> u64 {
        self.position_us.unwrap_or(0)
    }

    /// Energy not yet given as quanta in pJ.
    pub(crate) fn pending_pj(&self) -> i128 {
        self.energy_pj + self.gate.undecided_pj()
    }

    /// Goes on to `to_us` with nothing measured, through at most `intervals_max` ends; tells whether it got there.
    pub(crate) fn skip_to(
        &mut self,
        to_us: u64,
        intervals_max: u32,
        output: &mut impl FnMut(Interval),
    ) -> bool {
        let position_us = *self.position_us.get_or_insert(to_us);
        let mut end_us = self.end_after(position_us);
        for _ in 0..intervals_max {
            if end_us > to_us {
                break;
            }
            output(self.close(end_us));
            end_us += self.interval_us;
        }
        let reached = end_us > to_us;
        self.position_us = Some(if reached {
            to_us.max(position_us)
        } else {
            end_us - self.interval_us
        });
        reached
    }

    /// Goes on to the end of a segment; one that ends before the position counts nothing.
    pub(crate) fn advance(&mut self, segment: &Segment, output: &mut impl FnMut(Interval)) {
        let mut position_us = *self.position_us.get_or_insert(segment.end_us);
        let mut covered_us = segment.covered_us;
        while position_us < segment.end_us {
            let left_us = segment.end_us - position_us;
            let end_us = self.end_after(position_us);
            let part_us = left_us.min(end_us - position_us).min(self.gate.room_us());
            let part_covered_us = (u128::from(covered_us.min(left_us)) * u128::from(part_us)
                / u128::from(left_us)) as u64;
            covered_us -= part_covered_us;
            let part_pj = i128::from(segment.power_uw) * i128::from(part_us);
            self.open.add(segment, part_us, part_covered_us);
            if let Some(passed) = self.gate.add(part_pj, part_us) {
                self.count(passed);
            }
            position_us += part_us;
            if position_us == end_us {
                output(self.close(end_us));
            }
        }
        self.position_us = Some(position_us);
    }

    fn end_after(&self, position_us: u64) -> u64 {
        (position_us / self.interval_us + 1) * self.interval_us
    }

    fn count(&mut self, passed: Passed) {
        self.energy_pj += passed.energy_pj;
        self.open.has_load |= passed.is_load;
    }

    fn close(&mut self, end_us: u64) -> Interval {
        if let Some(passed) = self.gate.close() {
            self.count(passed);
        }
        let quantum_pj = i128::from(self.quantum_pj);
        let quanta = (self.energy_pj + quantum_pj / 2).div_euclid(quantum_pj);
        // A channel's scale is refused when full power exceeds half of this, so nothing is held back in practice.
        let energy_quanta = quanta.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        self.energy_pj -= i128::from(energy_quanta) * quantum_pj;
        core::mem::take(&mut self.open).close(end_us, energy_quanta, self.interval_us)
    }
}

impl Open {
    fn add(&mut self, segment: &Segment, part_us: u64, covered_us: u64) {
        let weight = u128::from(part_us);
        self.measured_us += part_us;
        self.covered_us += covered_us;
        self.voltage_mv2_us += u128::from(segment.voltage_mv).pow(2) * weight;
        self.current_ua2_us += u128::from(segment.current_ua).pow(2) * weight;
        if let Some(reactive_uvar) = segment.reactive_uvar {
            self.reactive_uvar_us += i128::from(reactive_uvar) * i128::from(part_us);
            self.reactive_us += part_us;
        }
        if segment.frequency_mhz > 0 {
            self.frequency_mhz_us += u128::from(segment.frequency_mhz) * weight;
            self.frequency_us += part_us;
        }
        let power_uw = segment.power_uw;
        let (lowest, highest) = self.extremes_uw.unwrap_or((power_uw, power_uw));
        self.extremes_uw = Some((lowest.min(power_uw), highest.max(power_uw)));
        self.flags |= segment.flags;
    }

    fn close(self, end_us: u64, energy_quanta: i32, interval_us: u64) -> Interval {
        let voltage_mv = mean(self.voltage_mv2_us, self.measured_us).isqrt();
        let current_ua = mean(self.current_ua2_us, self.measured_us).isqrt();
        let reactive_uvar = mean(self.reactive_uvar_us.unsigned_abs(), self.reactive_us) as i64;
        let (lowest_uw, highest_uw) = self.extremes_uw.unwrap_or_default();
        Interval {
            end_us,
            energy_quanta,
            reactive_power_var: whole(reactive_uvar * self.reactive_uvar_us.signum() as i64),
            voltage_dv: u16::try_from((voltage_mv + 50) / 100).unwrap_or(u16::MAX),
            current_ca: u16::try_from((current_ua + 5_000) / 10_000).unwrap_or(u16::MAX),
            frequency_chz: ((mean(self.frequency_mhz_us, self.frequency_us) + 5) / 10) as u16,
            coverage_permille: ((self.covered_us * 1_000 + interval_us / 2) / interval_us)
                .min(1_000) as u16,
            minimum_power_w: whole(lowest_uw),
            maximum_power_w: whole(highest_uw),
            flags: if self.measured_us > 0 && !self.has_load {
                self.flags | Flags::NO_LOAD
            } else {
                self.flags
            },
        }
    }
}

/// Mean over a time, 0 without one. Squares of current are below 2^72, all else is below 2^64.
fn mean(integral: u128, time_us: u64) -> u128 {
    integral.checked_div(u128::from(time_us)).unwrap_or(0)
}

/// Whole units of millionths, to the nearest; saturates.
fn whole(millionths: i64) -> i32 {
    let rounded = (millionths + 500_000).div_euclid(1_000_000);
    rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::config::{Calibration, VoltageInput};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn stage(interval_ms: u32, power_unit_mw: u32) -> IntervalStage {
        IntervalStage::new(&ChannelConfig {
            calibration: Calibration::ideal(1, 1),
            voltage: VoltageInput::Own,
            full_scale_code: 4_095,
            sample_rate_hz: 2_000,
            interval_ms,
            power_unit_mw,
        })
    }

    fn segment(end_us: u64, power_uw: i64) -> Segment {
        Segment {
            end_us,
            covered_us: u64::MAX,
            power_uw,
            reactive_uvar: None,
            voltage_mv: 0,
            current_ua: 0,
            frequency_mhz: 0,
            flags: Flags::default(),
        }
    }

    proptest! {
        #[test]
        fn no_energy_is_lost_or_made(
            segments in prop::collection::vec((1..3_000_000_u64, -100_000_000_000..100_000_000_000_i64), 1..200),
            skips in prop::collection::vec(0..4_000_000_u64, 200),
            interval_ms in 1_000..10_000_u32,
            power_unit_mw in 100..2_000_u32,
        ) {
            let mut stage = stage(interval_ms, power_unit_mw);
            let quantum_pj = i128::from(power_unit_mw) * i128::from(interval_ms) * 1_000_000;
            let (mut given_pj, mut exact_pj, mut end_us) = (0_i128, 0_i128, 0);
            prop_assert!(stage.skip_to(0, 64, &mut |_| ()));
            for ((length_us, power_uw), skip_us) in segments.into_iter().zip(skips) {
                let skip_us = skip_us.saturating_sub(3_000_000);
                let mut give = |interval: Interval| given_pj += i128::from(interval.energy_quanta) * quantum_pj;
                prop_assert!(stage.skip_to(end_us + skip_us, 64, &mut give));
                end_us += skip_us + length_us;
                stage.advance(&segment(end_us, power_uw), &mut give);
                exact_pj += i128::from(power_uw) * i128::from(length_us);
                prop_assert_eq!(given_pj + stage.pending_pj(), exact_pj);
            }
        }
    }

    #[test]
    fn power_below_a_quantum_adds_up() {
        let mut stage = stage(10_000, 1_000);
        let mut quanta = Vec::new();
        stage.skip_to(0, 64, &mut |_| ());
        // 0.3 W over 10 s are 0.3 quanta.
        for end_us in (1..=500).map(|window| window * 200_000) {
            stage.advance(&segment(end_us, 300_000), &mut |interval| {
                quanta.push(interval.energy_quanta)
            });
        }
        assert_eq!(quanta, [0, 1, 0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(stage.pending_pj(), 0);
    }

    #[test]
    fn noise_around_zero_creeps_into_neither_direction() {
        let mut stage = stage(10_000, 1_000);
        stage.skip_to(0, 64, &mut |_| ());
        for window in 1..=50_000_u64 {
            let power_uw = if window % 2 == 0 {
                4_000_000
            } else {
                -4_000_000
            };
            stage.advance(&segment(window * 200_000, power_uw), &mut |interval| {
                assert_eq!(interval.energy_quanta, 0)
            });
        }
    }

    #[test]
    fn segment_across_an_end_is_split_by_time() {
        let mut stage = stage(1_000, 1_000);
        let mut intervals = Vec::new();
        stage.skip_to(900_000, 64, &mut |_| ());
        let mut across = segment(1_100_000, 20_000_000);
        across.covered_us = 100_000;
        stage.advance(&across, &mut |interval| intervals.push(interval));
        assert_eq!(intervals[0].energy_quanta, 2);
        assert_eq!(intervals[0].coverage_permille, 50);
        assert_eq!(stage.pending_pj(), 2_000_000_000_000);
    }
}
