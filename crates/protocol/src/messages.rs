//! The JSON of the device API.
//!
//! Both sides use these types; field names carry their units. A meter writes them without allocation, a collector reads
//! answers of newer meters too: unknown fields are ignored.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    authentication::Nonce,
    event::{Event, Version},
    firmware,
    identity::{DeviceId, Seq, StoreId},
    limits::{CHANNELS_MAX, EVENTS_PER_ANSWER, NAME_BYTES_MAX, TOKEN_BYTES_MAX},
};

/// Version of the device API that this crate speaks.
pub const API_VERSION: u16 = 1;

/// A meter's access token.
pub type Token = String<TOKEN_BYTES_MAX>;

/// A meter's name as people chose it.
pub type Name = String<NAME_BYTES_MAX>;

/// `GET /api/v1/info`: who the meter is and what it holds; the one call without authentication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The meter.
    pub device: DeviceId,
    /// Always `ofmon`.
    pub product: String<16>,
    /// Version of the firmware.
    pub firmware: Version,
    /// Chip that it runs on, such as `esp32c3`: an update must be for it.
    #[serde(default)]
    pub chip: firmware::Name,
    /// Version of the device API.
    pub api: u16,
    /// The history that `oldest` and `next` count.
    pub store: StoreId,
    /// Whether the meter has its access token.
    pub set_up: bool,
    /// Its name; empty before set-up.
    pub name: Name,
    /// Number of this boot.
    pub boot: u32,
    /// Uptime in ms.
    pub uptime_ms: u64,
    /// Lowest sequence number still held.
    pub oldest: Seq,
    /// Number that the next reading will get.
    pub next: Seq,
    /// Number that the next event will get.
    pub next_event: u64,
    /// Whether a collector has told the time in this boot.
    pub clock_set: bool,
    /// Interval of a reading in ms.
    pub interval_ms: u32,
    /// Channels of the meter.
    pub channels: u8,
    /// A nonce for the next request.
    pub nonce: Nonce,
}

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

/// `GET /api/v1/events?from=N`: a page of the event log, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Events with numbers from the one asked for on.
    pub events: Vec<Event, EVENTS_PER_ANSWER>,
    /// Number that the next event will get; the page is the last where its last event is the one before.
    pub next: u64,
}

/// `POST /api/v1/clock`: tells the meter the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds since 1970 in UTC.
    pub utc_ms: i64,
    /// The true time lies within ± this, in ms.
    pub uncertainty_ms: u32,
}

/// The answer to [`Clock`]: the anchor that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    /// Number of the event.
    pub event: u64,
    /// Boot whose uptime was anchored.
    pub boot: u32,
    /// Uptime in ms at which the time was told.
    pub uptime_ms: u64,
}

/// `POST /api/v1/ack`: a collector has stored all readings below `next` of `store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledge {
    /// The history that is meant.
    pub store: StoreId,
    /// The first number that is not stored yet.
    pub next: Seq,
}

/// `POST /api/v1/setup`: gives a fresh meter its token and name; once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Access token of 16 to 64 printable ASCII characters.
    pub token: Token,
    /// Name of the meter.
    pub name: Name,
}

impl core::fmt::Debug for Setup {
    /// Leaves the token out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `GET` and `PUT /api/v1/config`: what may be changed after set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the meter.
    pub name: Name,
    /// Interval of a reading in ms, 1,000 to 900,000; takes effect with the next start.
    pub interval_ms: u32,
    /// Counts changes; a change names the version that it replaces.
    pub version: u32,
}

/// `GET /api/v1/health`: counters since the start of this boot unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Requests with a wrong or missing MAC.
    pub requests_refused: u32,
    /// Writes that the store could not do.
    pub storage_errors: u32,
    /// Bytes of the store in use.
    pub flash_used_bytes: u32,
    /// Bytes of the store.
    pub flash_total_bytes: u32,
    /// Coverage of the last reading, 0 to 1000.
    pub coverage_permille: u16,
    /// Starts of the chip since its log of starts was erased, also those in which no store was mounted.
    #[serde(default)]
    pub starts: u32,
    /// Whether the firmware is confirmed; else it is on trial.
    #[serde(default)]
    pub firmware_confirmed: bool,
    /// Pairs of samples of each channel that were not taken in time.
    #[serde(default)]
    pub samples_lost: u32,
    /// Longest time in µs that a write to the flash kept the code from running.
    #[serde(default)]
    pub flash_stop_us: u32,
    /// Bytes of the stack that were never used; `None` where that is not known.
    #[serde(default)]
    pub stack_free_bytes: Option<u32>,
    /// Lowest number of free bytes that the heap had; `None` where that is not known.
    #[serde(default)]
    pub heap_free_bytes: Option<u32>,
}

/// The answer to `POST /api/v1/firmware`, whose body is an `.ofmon` file: the meter then restarts into the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// Version of the update.
    pub version: Version,
}

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

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A stable word.
    pub code: String<32>,
    /// A plain sentence.
    pub message: String<160>,
}
