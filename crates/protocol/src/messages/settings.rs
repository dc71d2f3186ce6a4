//! What people tell a meter: first-time setup, settings, token, viewing code, what may be erased.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::{ChannelName, Code, Name, Token};
use crate::{
    authentication::SealedToken,
    identity::{Seq, StoreId},
    limits::CHANNELS_MAX,
};

/// `POST /api/v1/setup`: gives a fresh meter its token and name; once.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Access token of 16 to 64 printable ASCII characters.
    pub token: Token,
    /// Name of the meter.
    pub name: Name,
    /// Opens the meter's own page for reading; without one the page stays closed.
    #[serde(default)]
    pub code: Option<Code>,
    /// Interval of a reading in ms, 1,000 to 900,000; absent leaves the default of 10,000.
    #[serde(default)]
    pub interval_ms: Option<u32>,
    /// One entry a channel; empty leaves names and current transformers as they are.
    #[serde(default)]
    pub channels: Vec<ChannelSettings, CHANNELS_MAX>,
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
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the meter.
    pub name: Name,
    /// Interval of a reading in ms, 1,000 to 900,000; takes effect with the next start.
    pub interval_ms: u32,
    /// Counts changes; a change names the version that it replaces.
    pub version: u32,
    /// One entry a channel; empty in a change leaves them as they are.
    #[serde(default)]
    pub channels: Vec<ChannelSettings, CHANNELS_MAX>,
    /// A new viewing code, empty for none; absent leaves it. Never in an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// What people say of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSettings {
    /// What it feeds; may be empty.
    pub name: ChannelName,
    /// Turns ratio of its current transformer, 1 to 100,000: 2,000 for 100 A to 50 mA.
    pub ct_ratio: u32,
}

/// `PUT /api/v1/token`: gives the meter another access token; the answer is still under the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenChange {
    /// The new token, sealed with the old key and the nonce of the request.
    pub sealed: SealedToken,
}

/// `POST /api/v1/session`: opens the meter's own page for reading.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// The viewing code.
    pub code: Code,
}

impl core::fmt::Debug for OpenSession {
    /// Leaves the code out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenSession").finish_non_exhaustive()
    }
}

/// The answer to [`OpenSession`]; the session itself is a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// How long the session is valid without a request, in s.
    pub seconds: u32,
}

/// `POST /api/v1/erase`: gives up the oldest readings for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erase {
    /// The history that is meant.
    pub store: StoreId,
    /// The last number that may be erased.
    pub through: Seq,
    /// Whether readings that no collector has acknowledged may go too.
    #[serde(default)]
    pub force: bool,
}

/// The answer to [`Erase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Lowest sequence number still held; whole pieces are erased, so it may be lower than what was allowed.
    pub oldest: Seq,
}

impl core::fmt::Debug for Config {
    /// Leaves the viewing code out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("interval_ms", &self.interval_ms)
            .field("version", &self.version)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
