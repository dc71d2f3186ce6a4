//! Calibration in steps.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::limits::CHANNELS_MAX;

/// `POST /api/v1/calibrate`: begins a step of a calibration, or takes the last one back.
///
/// While a capture runs, the meter measures on as it did; what it solves takes effect when the capture is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibrate {
    /// Channel, counted from 1.
    pub channel: u8,
    /// What to do.
    pub step: CalibrationStep,
    /// Length of the capture in s, 30 to 600; ignored by `undo`.
    pub seconds: u16,
    /// RMS voltage in mV by a reference meter; absent leaves the voltage as it is. Only for `load`.
    pub voltage_mv: Option<u32>,
    /// Active power of the load in mW. Only for `load`.
    pub power_mw: Option<u32>,
    /// Whether the load is resistive, so that the phase is solved too. Only for `load`.
    pub resistive: bool,
    /// The date, in milliseconds since 1970 in UTC, to be kept with the calibration.
    pub utc_ms: i64,
}

/// A step of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationStep {
    /// Nothing is on: finds the noise.
    NoLoad,
    /// A known load is on: finds the gains, and the phase where the load is resistive.
    Load,
    /// Goes back to the calibration before.
    Undo,
}

/// `GET /api/v1/calibrate` and the answer to [`Calibrate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrationState {
    /// Counts changes; 0 is the scale of the meter's parts. Each block of readings names it.
    pub version: u16,
    /// When the one in force was made, in milliseconds since 1970 in UTC; 0 for version 0.
    pub utc_ms: i64,
    /// Whether there is one before that `undo` can go back to.
    pub can_undo: bool,
    /// What is in force, one entry a channel.
    pub channels: Vec<ChannelCalibration, CHANNELS_MAX>,
    /// The capture that runs or ran last in this boot.
    pub capture: Option<CaptureState>,
}

/// Calibration of one channel; for what the numbers do, see `metering`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCalibration {
    /// Mains voltage of one ADC code in nV.
    pub voltage_nv_per_code: u32,
    /// Mains current of one ADC code in nA.
    pub current_na_per_code: u32,
    /// How much later the current is taken than the voltage, in ns.
    pub current_skew_ns: i32,
    /// Noise of the current, rms in nA.
    pub current_noise_na: u32,
    /// Power in mW that is noise.
    pub no_load_mw: u16,
}

/// How far a capture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureState {
    /// Channel, counted from 1.
    pub channel: u8,
    /// The step.
    pub step: CalibrationStep,
    /// Windows captured so far.
    pub windows: u32,
    /// Windows that make it complete, five a second.
    pub windows_needed: u32,
    /// What became of it.
    pub outcome: CaptureOutcome,
    /// Why it was refused, as a stable word; empty otherwise.
    pub code: String<24>,
    /// Why it was refused, as a plain sentence; empty otherwise.
    pub reason: String<96>,
}

/// What became of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureOutcome {
    /// It runs.
    Running,
    /// What was solved is in force.
    Applied,
    /// It did not fit, or could not be kept; the calibration is as it was.
    Refused,
}
