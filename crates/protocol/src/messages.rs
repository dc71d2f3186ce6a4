//! The JSON of the device API.
//!
//! Both sides use these types; field names carry their units. A meter writes them without allocation, a collector reads
//! answers of newer meters too: unknown fields are ignored.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    authentication::Nonce,
    event::Event,
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
    pub firmware: String<24>,
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
