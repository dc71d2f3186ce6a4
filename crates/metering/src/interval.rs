//! From windows to readings: energy in whole quanta, the rest carried.
//!
//! Intervals end at exact multiples of their length in uptime. A window that spans an end is split in proportion to time.
//! Energy is counted in pJ (µW · µs), so the power of a window counts exactly; at the end of an interval the signed sum
//! of its energy and the rest before it is rounded to the nearest whole quantum, and what that leaves is the next rest.

use crate::{
    config::ChannelConfig,
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
    /// Energy not yet given as quanta: the rest and the open interval.
    energy_pj: i128,
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
}

impl IntervalStage {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        Self {
            interval_us: config.interval_us(),
            quantum_pj: config.quantum_pj(),
            position_us: None,
            energy_pj: 0,
            open: Open::default(),
        }
    }

    /// How far time has come in µs.
    pub(crate) fn position_us(&self) -> u64 {
        self.position_us.unwrap_or(0)
    }

    /// Energy not yet given as quanta in pJ.
    pub(crate) fn pending_pj(&self) -> i128 {
        self.energy_pj
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
            let part_us = left_us.min(end_us - position_us);
            let part_covered_us = (u128::from(covered_us.min(left_us)) * u128::from(part_us)
                / u128::from(left_us)) as u64;
            covered_us -= part_covered_us;
            self.energy_pj += i128::from(segment.power_uw) * i128::from(part_us);
            self.open.add(segment, part_us, part_covered_us);
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

    fn close(&mut self, end_us: u64) -> Interval {
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
            flags: self.flags,
        }
    }
}

/// Mean over a time, 0 without one. Squares of current are below 2^72, all else is below 2^64.
fn mean(integral: u128, time_us: u64) -> u128 {
    integral.checked_div(u128::from(time_us)).unwrap_or(0)
}

/// Whole units of millionths, to the nearest.
fn whole(millionths: i64) -> i32 {
    (millionths + 500_000).div_euclid(1_000_000) as i32
}
