//! What a meter measures at the moment and measured in the last day.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::limits::{CHANNELS_MAX, DAY_BARS_MAX};

/// `GET /api/v1/live`: the newest window of about 200 ms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Uptime at the end of the window in ms.
    pub uptime_ms: u64,
    /// One entry a channel.
    pub channels: Vec<LiveChannel, CHANNELS_MAX>,
}

/// One channel of [`Live`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChannel {
    /// Active power in mW, positive is import.
    pub active_power_mw: i64,
    /// Reactive power in mvar, positive is inductive.
    pub reactive_power_mvar: i64,
    /// RMS voltage in mV.
    pub voltage_mv: u32,
    /// RMS current in mA.
    pub current_ma: u32,
    /// Frequency in mHz; 0 where it was not measured.
    pub frequency_mhz: u32,
    /// Import register in mJ, as on flash.
    pub import_mj: u64,
    /// Export register in mJ, as on flash.
    pub export_mj: u64,
}

/// `GET /api/v1/harmonics`: what the last measurement of harmonics found; there is one a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harmonics {
    /// One entry a channel.
    pub channels: Vec<ChannelHarmonics, CHANNELS_MAX>,
}

/// One channel of [`Harmonics`]; shares are in 1/10,000 of the fundamental, all 0 where nothing was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHarmonics {
    /// Uptime in ms at the end of the window; 0 before the first.
    pub uptime_ms: u64,
    /// Shares of the voltage, orders 1 to 15.
    pub voltage: [u16; 15],
    /// Total harmonic distortion of the voltage.
    pub voltage_distortion: u16,
    /// Shares of the current, orders 1 to 15.
    pub current: [u16; 15],
    /// Total harmonic distortion of the current.
    pub current_distortion: u16,
}

/// `GET /api/v1/day?channel=N`: mean power of one channel over the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Channel, counted from 1.
    pub channel: u8,
    /// Length of a bar in ms.
    pub step_ms: u32,
    /// Boot whose uptime counts.
    pub boot: u32,
    /// Uptime in ms at the end of the newest bar.
    pub uptime_ms: u64,
    /// Mean active power of each bar in W, newest last; `None` where nothing was measured.
    ///
    /// Bars count measured time: the time without power between two boots is not in them.
    pub power_w: Vec<Option<i32>, DAY_BARS_MAX>,
}
