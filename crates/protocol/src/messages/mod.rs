//! The JSON of the device API.
//!
//! Both sides use these types; field names carry their units. A meter writes them without allocation, a collector reads
//! answers of newer meters too: unknown fields are ignored.

mod calibrate;
mod health;
mod live;
mod settings;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::{
    authentication::Nonce,
    event::{Event, Version},
    firmware,
    identity::{DeviceId, Seq, StoreId},
    limits::{
        CHANNEL_NAME_BYTES_MAX, CODE_BYTES_MAX, EVENTS_PER_ANSWER, NAME_BYTES_MAX, TOKEN_BYTES_MAX,
    },
};

pub use calibrate::{
    Calibrate, CalibrationState, CalibrationStep, CaptureOutcome, CaptureState, ChannelCalibration,
};
pub use health::{FirmwareState, Health, Updated, Upload};
pub use live::{ChannelHarmonics, Day, Harmonics, Live, LiveChannel};
pub use settings::{
    ChannelSettings, Config, Erase, Erased, OpenSession, SessionOpened, Setup, TokenChange,
};

/// Version of the device API that this crate speaks.
pub const API_VERSION: u16 = 1;

/// A meter's access token.
pub type Token = String<TOKEN_BYTES_MAX>;

/// A meter's name as people chose it.
pub type Name = String<NAME_BYTES_MAX>;

/// What people call a channel.
pub type ChannelName = String<CHANNEL_NAME_BYTES_MAX>;

/// The code that opens the meter's own page for reading.
pub type Code = String<CODE_BYTES_MAX>;

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
    /// Whether there is a viewing code, so that the meter's own page can be opened.
    #[serde(default)]
    pub viewable: bool,
    /// A nonce for the next request.
    pub nonce: Nonce,
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
