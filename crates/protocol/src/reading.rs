//! What a meter records every interval.
//!
//! Energy is the primary quantity. One **quantum** is the power unit times the interval (1 W × 10 s = 10 J); a reading
//! holds a signed whole number of quanta per channel, and its power is that number in power units. The registers advance
//! only by quanta, so readings and registers agree exactly.

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
}

/// The registers of all channels, first channel first.
pub type RegisterSet = Vec<Registers, CHANNELS_MAX>;

/// One interval of one meter, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its number in the store.
    pub seq: Seq,
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime at the **end** of the interval, in ms.
    pub uptime_ms: u64,
    /// Length of the interval in ms.
    pub interval_ms: u32,
    /// Unit of power in mW: 1000 or 100.
    pub power_unit_mw: u16,
    /// What each channel measured.
    pub channels: Channels,
    /// Registers at the end of the interval.
    pub registers: RegisterSet,
}

impl Reading {
    /// Returns the mean active power of a channel in mW, `None` where the meter has no such channel.
    #[must_use]
    pub fn active_power_mw(&self, channel: usize) -> Option<i64> {
        let energy_quanta = self.channels.get(channel)?.energy_quanta;
        Some(i64::from(energy_quanta) * i64::from(self.power_unit_mw))
    }
}

/// Returns the energy of one quantum in mJ: power unit (mW) × interval (ms) / 1000.
///
/// Exact for every interval that is a multiple of 10 ms at a unit of 100 mW.
#[must_use]
pub const fn quantum_mj(power_unit_mw: u16, interval_ms: u32) -> u64 {
    power_unit_mw as u64 * interval_ms as u64 / 1000
}
