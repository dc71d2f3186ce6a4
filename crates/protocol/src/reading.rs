//! What a meter records every interval.
//!
//! Energy is the primary quantity. One **quantum** is the power unit times the interval (1 W × 10 s = 10 J); a reading
//! holds a signed whole number of quanta per channel, and its power is that number in power units. The registers advance
//! only by quanta, so readings and registers agree exactly.
//!
//! When a store runs out of space it merges old readings. Such a **coarse** reading stands for several sequence numbers
//! in a row, its span; its energy is their sum, still in quanta of the single interval, and [`Extremes`] keep what a sum
//! would hide: the least and the largest power, and the energy that went the other way.

use crate::{identity::Seq, limits::CHANNELS_MAX};
use heapless::Vec;

/// Conditions that held during a reading's interval, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// No voltage was seen: power is not measured.
    pub const NO_VOLTAGE: Self = Self(1);
    /// A sample touched the end of the converter's range.
    pub const CLIPPED: Self = Self(1 << 1);
    /// Voltage is configured, not measured: power is an estimate.
    pub const ESTIMATED: Self = Self(1 << 2);
    /// Nothing but noise was seen, and none of it was counted.
    pub const NO_LOAD: Self = Self(1 << 3);

    /// Tells whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One channel of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelReading {
    /// Net energy of the interval in quanta; positive is import.
    pub energy_quanta: i32,
    /// Fundamental reactive power in var; positive is inductive.
    pub reactive_power_var: i32,
    /// RMS voltage in 0.1 V; 0 where there is none.
    pub voltage_dv: u16,
    /// RMS current in 10 mA.
    pub current_ca: u16,
    /// Mains frequency in 10 mHz; 0 where it was not measured.
    pub frequency_chz: u16,
    /// Share of the samples due that were seen, 0 to 1000.
    pub coverage_permille: u16,
    /// Conditions during the interval.
    pub flags: Flags,
}

impl Default for ChannelReading {
    /// Nothing measured, everything covered: what the first reading of a block differs from.
    fn default() -> Self {
        Self {
            energy_quanta: 0,
            reactive_power_var: 0,
            voltage_dv: 0,
            current_ca: 0,
            frequency_chz: 0,
            coverage_permille: 1000,
            flags: Flags(0),
        }
    }
}

/// The channels of one reading, first channel first.
pub type Channels = Vec<ChannelReading, CHANNELS_MAX>;

/// How coarse readings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// One reading a sequence number, as it was measured.
    Full = 0,
    /// Up to 60 s a reading.
    Minute = 1,
    /// Up to 900 s a reading.
    Quarter = 2,
}

impl Tier {
    /// All tiers, finest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Minute, Self::Quarter];

    /// Returns the tier of this number, 0 to 2.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Full),
            1 => Some(Self::Minute),
            2 => Some(Self::Quarter),
            _ => None,
        }
    }

    /// Returns how long a reading of this tier may be in ms; 0 at full resolution, where readings are not merged.
    #[must_use]
    pub const fn span_ms(self) -> u32 {
        match self {
            Self::Full => 0,
            Self::Minute => 60_000,
            Self::Quarter => 900_000,
        }
    }

    /// Returns how many numbers of `interval_ms` each a reading of this tier may stand for, at least 1.
    #[must_use]
    pub const fn numbers_max(self, interval_ms: u32) -> u32 {
        match self.span_ms().checked_div(interval_ms) {
            None | Some(0) => 1,
            Some(numbers) => numbers,
        }
    }
}

/// What the sum of a coarse reading hides, for one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extremes {
    /// Least power of the readings merged, in power units.
    pub power_min: i32,
    /// Largest power of the readings merged, in power units.
    pub power_max: i32,
    /// Energy against the direction of the net energy, in quanta: import is max(net, 0) + this, export max(−net, 0) + this.
    pub counter_quanta: u32,
}

/// The extremes of all channels, first channel first; empty at full resolution.
pub type ExtremesSet = Vec<Extremes, CHANNELS_MAX>;

/// One reading of a run, without what the run says of all its readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Sequence numbers that it stands for: 1 at full resolution, else 1 to [`Tier::numbers_max`].
    pub span: u32,
    /// What each channel measured: energy is the sum over the span, the rest means.
    pub channels: Channels,
    /// Empty at full resolution, else one entry a channel.
    pub extremes: ExtremesSet,
}

impl Packed {
    /// Returns the reading of one sequence number at full resolution.
    ///
    /// # Panics
    /// When there are more than [`CHANNELS_MAX`] channels.
    #[must_use]
    pub fn full(channels: &[ChannelReading]) -> Self {
        Self {
            span: 1,
            channels: Channels::from_slice(channels).expect("at most three channels"),
            extremes: ExtremesSet::new(),
        }
    }

    /// Advances each channel's registers by this reading's energy; `quantum_mj` is that of the run.
    pub fn advance(&self, registers: &mut RegisterSet, quantum_mj: u64) {
        for (index, (registers, channel)) in registers.iter_mut().zip(&self.channels).enumerate() {
            let counter_quanta = self.extremes.get(index).map_or(0, |of| of.counter_quanta);
            *registers =
                registers.advanced_both_ways(channel.energy_quanta, counter_quanta, quantum_mj);
        }
    }
}

/// Cumulative energy of one channel in millijoules; a whole number of quanta at any interval and power unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Energy taken from the mains.
    pub import_mj: u64,
    /// Energy given to the mains.
    pub export_mj: u64,
}

impl Registers {
    /// Adds the net energy of one interval: `energy_quanta` of `quantum_mj` each, to import or to export by its sign.
    ///
    /// Saturates at the end of the range (5 × 10¹² kWh).
    #[must_use]
    pub const fn advanced(self, energy_quanta: i32, quantum_mj: u64) -> Self {
        let energy_mj = (energy_quanta.unsigned_abs() as u64).saturating_mul(quantum_mj);
        if energy_quanta >= 0 {
            Self {
                import_mj: self.import_mj.saturating_add(energy_mj),
                ..self
            }
        } else {
            Self {
                export_mj: self.export_mj.saturating_add(energy_mj),
                ..self
            }
        }
    }

    /// Adds the energy of a coarse reading: the net energy as [`advanced`](Self::advanced) does, and `counter_quanta` to
    /// both import and export.
    ///
    /// Saturates at the end of the range.
    #[must_use]
    pub const fn advanced_both_ways(
        self,
        energy_quanta: i32,
        counter_quanta: u32,
        quantum_mj: u64,
    ) -> Self {
        let counter_mj = (counter_quanta as u64).saturating_mul(quantum_mj);
        let net = self.advanced(energy_quanta, quantum_mj);
        Self {
            import_mj: net.import_mj.saturating_add(counter_mj),
            export_mj: net.export_mj.saturating_add(counter_mj),
        }
    }
}

/// The registers of all channels, first channel first.
pub type RegisterSet = Vec<Registers, CHANNELS_MAX>;

/// One interval of one meter, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its number in the store; the first one of a coarse reading.
    pub seq: Seq,
    /// How many numbers it stands for, at least 1.
    pub span: u32,
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime at the **end** of the whole interval, in ms.
    pub uptime_ms: u64,
    /// Length of the whole interval in ms: the span times the interval of the run.
    pub interval_ms: u32,
    /// Unit of power in mW: 1000 or 100.
    pub power_unit_mw: u16,
    /// What each channel measured; energy in quanta of the run's interval, not of the whole one.
    pub channels: Channels,
    /// What a coarse reading hides; empty at full resolution.
    pub extremes: ExtremesSet,
    /// Registers at the end of the interval.
    pub registers: RegisterSet,
}

impl Reading {
    /// Returns the mean active power of a channel in mW, rounded to the nearest; `None` where the meter has no such
    /// channel.
    #[must_use]
    pub fn active_power_mw(&self, channel: usize) -> Option<i64> {
        let energy_quanta = self.channels.get(channel)?.energy_quanta;
        let sum_mw = i64::from(energy_quanta) * i64::from(self.power_unit_mw);
        Some(rounded_mean(sum_mw, self.span))
    }
}

/// Returns `sum` / `count` rounded to the nearest, halves away from 0; the sum itself where `count` is 0.
pub(crate) const fn rounded_mean(sum: i64, count: u32) -> i64 {
    let count = if count == 0 { 1 } else { count as u64 };
    // At most 2^63 + 2^31: no overflow.
    let magnitude = ((sum.unsigned_abs() + count / 2) / count) as i64;
    if sum < 0 {
        magnitude.wrapping_neg()
    } else {
        magnitude
    }
}

/// Returns the energy of one quantum in mJ: power unit (mW) × interval (ms) / 1000.
///
/// Exact for every interval that is a multiple of 10 ms at a unit of 100 mW.
#[must_use]
pub const fn quantum_mj(power_unit_mw: u16, interval_ms: u32) -> u64 {
    power_unit_mw as u64 * interval_ms as u64 / 1000
}
