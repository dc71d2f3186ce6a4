//! What the hardware, or a simulation of it, provides.

use core::net::SocketAddrV4;

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use metering::ChannelConfig;
use protocol::{
    event::{ResetReason, Version},
    firmware::{self, PublicKey, UPDATE_KEYS_MAX},
    limits::CHANNELS_MAX,
};

use crate::continuation::Continued;

/// The running hardware: flash, the uptime counter, waiting and restarting.
pub trait Board {
    /// Flash that holds the store.
    type Flash: NorFlash;
    /// View of the whole chip, for the [firmware slots](crate::slots).
    type Slots: NorFlash;

    /// Returns the time since the start in µs.
    fn uptime_us(&self) -> u64;

    /// Waits.
    fn delay(&self, milliseconds: u64) -> impl Future<Output = ()>;

    /// Returns where the meter answers: the host of its own page's address.
    fn address(&self) -> SocketAddrV4;

    /// Asks for a restart and returns; the board restarts when an answer that was just sent has had a second to go out.
    fn restart(&self);

    /// Returns what the hardware counts about itself; for `health`.
    fn marks(&self) -> Marks {
        Marks::default()
    }
}

/// What the hardware counts about itself since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Pairs of samples of each channel that were not taken in time.
    pub samples_lost: u32,
    /// Longest time in µs that a write to the flash kept the code from running.
    pub flash_stop_us: u32,
    /// Bytes of the stack that were never used; `None` where that is not known.
    pub stack_free_bytes: Option<u32>,
    /// Lowest number of free bytes that the heap had; `None` where that is not known.
    pub heap_free_bytes: Option<u32>,
}

/// What is known about the hardware at a start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Why it started.
    pub reset_reason: ResetReason,
    /// How this boot continues the one before, where the hardware can tell.
    pub continued: Option<Continued>,
    /// Version of the firmware.
    pub firmware: Version,
    /// The chip, such as `esp32c3`; an update must be for it.
    pub chip: firmware::Name,
    /// Keys whose signature on an update is believed; with none, no signed update is taken.
    pub update_keys: Vec<PublicKey, UPDATE_KEYS_MAX>,
    /// Fresh random bytes of this boot; nonces are made from them.
    pub nonce_secret: [u8; 32],
    /// Scale of each channel; the interval in it is replaced by the configured one.
    pub channels: Vec<ChannelConfig, CHANNELS_MAX>,
    /// Turns ratio of the current transformers that the scales are of, 1 to 100,000: 2,000 for 100 A to 50 mA.
    pub ct_ratio: u32,
    /// When the firmware was built, in ms since 1970: an earlier time is refused as wrong.
    ///
    /// A simulated meter with a simulated clock sets 0.
    pub built_utc_ms: i64,
}
