//! Readings go to a server, each once, and are believed to be there only after they were counted.
//!
//! ThingsBoard's acknowledgement means *queued*, and data may get lost behind the queue. So sync works in **windows**:
//! consecutive readings whose timestamps are fixed in the store before the first of them is sent. A window is sent in
//! batches, oldest first, one request at a time; then the server is asked how many points it has between the first and
//! the last timestamp of the window. Only when every key has as many as were sent, the window is *verified*; a shortfall
//! is sent again. Same timestamp and key overwrite each other, so doing any step twice does no harm.
//!
//! | module | holds |
//! |---|---|
//! | `account` | signing in, linking meters to devices of a server |
//! | `engine` | one meter's steps in their order |
//! | `delivery` | one window: send, count, send again |
//! | `plan` | what is missing and what must move: pure |
//! | `frozen` | timestamps that are fixed for good: pure |
//! | `pace` | batch size and waits: pure |
//! | `local` | the store's readings, cut into windows |
//! | `rows` | readings at the lengths that a window has: pure |
//! | `state` | the store's tables |
//!
//! Times can improve after they were sent. A window moves when it was an estimate and is one no more, or when it is off
//! by more than half an interval: the deletion of its old points is written down, done and counted, then its readings are
//! missing again and sent with their new timestamps.
//!
//! A coarse reading is one point at its end. What was sent stays as it is when finer readings come later, because registers
//! and means stay true. All counts that are told of a sync are of sequence numbers: a coarse reading counts for each
//! number that it stands for.

mod account;
mod delivery;
mod engine;
mod error;
mod frozen;
mod local;
mod pace;
mod plan;
mod rows;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use protocol::DeviceId;

pub use account::{
    Account, Choice, ServerTotals, account, change_token, choose, connect, link, login, logout,
    totals,
};
pub use engine::sync;
pub use error::SyncError;
pub use pace::Backoff;

/// How sync behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Readings of one upload at the most; the limits of points and bytes may make it fewer.
    pub batch_readings: usize,
    /// Readings of one window at the most.
    pub window_readings: u64,
    /// How failures are waited out.
    pub backoff: Backoff,
    /// Waits between counts that do not grow, before readings that were acknowledged count as lost.
    pub settle: Vec<Duration>,
    /// Times that a window is sent again in one sync because the server does not have it.
    pub resends_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_readings: 500,
            window_readings: 4_000,
            backoff: Backoff::default(),
            settle: [100, 250, 500, 1_000, 2_000, 4_000]
                .map(Duration::from_millis)
                .to_vec(),
            resends_max: 3,
        }
    }
}

/// How far the sync of one meter is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The meter.
    pub device: DeviceId,
    /// Numbers acknowledged so far; those that are sent again count again.
    pub done: u64,
    /// Readings that are to be sent, as far as it is known.
    pub total: u64,
    /// Readings acknowledged per second so far.
    pub readings_per_s: f64,
}

/// What the sync of one meter came to.
#[derive(Debug)]
pub struct DeviceReport {
    /// The meter.
    pub device: DeviceId,
    /// Readings that were acknowledged, repetitions not counted.
    pub readings_sent: u64,
    /// Readings that were counted on the server.
    pub readings_verified: u64,
    /// Readings that were sent again, because the server had lost them or because their times improved.
    pub readings_resent: u64,
    /// Readings that are held here and not verified on the server.
    pub readings_left: u64,
    /// Whether the meter has to be visited, because its device on the server has another token by now.
    pub token_waits: bool,
    /// What kept the sync from being complete.
    pub error: Option<SyncError>,
}

/// What a sync came to.
#[derive(Debug, Default)]
pub struct Report {
    /// One entry for each meter, in the order asked for.
    pub devices: Vec<DeviceReport>,
}

impl Report {
    /// Tells whether all readings of all meters are verified on the server.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let complete = |device: &DeviceReport| device.error.is_none() && device.readings_left == 0;
        self.devices.iter().all(complete)
    }
}
