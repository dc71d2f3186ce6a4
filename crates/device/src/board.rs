//! What the hardware, or a simulation of it, provides.

use embedded_storage::nor_flash::NorFlash;
use heapless::{String, Vec};
use metering::ChannelConfig;
use protocol::{event::ResetReason, limits::CHANNELS_MAX};

/// The running hardware: flash, the uptime counter and waiting.
pub trait Board {
    /// Flash that holds the store.
    type Flash: NorFlash;

    /// Returns the time since the start in µs.
    fn uptime_us(&self) -> u64;

    /// Waits.
    fn delay(&self, milliseconds: u64) -> impl Future<Output = ()>;
}

/// What is known about the hardware at a start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Why it started.
    pub reset_reason: ResetReason,
    /// Version of the firmware.
    pub firmware: String<24>,
    /// Fresh random bytes of this boot; nonces are made from them.
    pub nonce_secret: [u8; 32],
    /// Scale of each channel; the interval in it is replaced by the configured one.
    pub channels: Vec<ChannelConfig, CHANNELS_MAX>,
    /// When the firmware was built, in ms since 1970: an earlier time is refused as wrong.
    ///
    /// A simulated meter with a simulated clock sets 0.
    pub built_utc_ms: i64,
}
