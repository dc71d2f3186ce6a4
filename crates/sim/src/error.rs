//! Why simulated meters cannot run.

use std::{io, path::PathBuf};

use protocol::{DeviceId, limits::CHANNELS_MAX};

use crate::{fleet::DEVICES_MAX, signal};

/// Why simulated meters cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More or fewer meters than can be.
    #[error("{0} meters cannot be simulated: 1 to {DEVICES_MAX} can")]
    Devices(usize),
    /// More or fewer channels than a meter can have.
    #[error("a meter has 1 to {CHANNELS_MAX} channels, not {0}")]
    Channels(usize),
    /// The state directory cannot be used.
    #[error("the state directory {0} cannot be used")]
    State(PathBuf, #[source] io::Error),
    /// The load profile cannot be read.
    #[error(transparent)]
    Profile(#[from] signal::ProfileError),
    /// A file to be replayed is of no known kind, or a recording cannot be read.
    #[error(transparent)]
    Recording(#[from] signal::RecordingError),
    /// A flash file cannot be opened or made.
    #[error("the flash file {path} cannot be used")]
    Flash {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The firmware slots of a meter cannot be read or written.
    #[error("meter {0} does not start: {1}")]
    Slots(DeviceId, device::slots::SlotError),
    /// A flash file holds no readable store.
    #[error(
        "flash file {0}: {1}; `ofmon flash salvage` gets out what is whole, and without the file an empty meter starts"
    )]
    Mount(PathBuf, flash_store::MountError),
    /// A meter does not start.
    #[error("meter {0} does not start: {1}")]
    Start(DeviceId, device::StartError),
    /// No port can be had.
    #[error("no port on loopback can be had")]
    Listen(#[source] io::Error),
    /// No thread or runtime can be had.
    #[error("no thread can be had")]
    Runtime(#[source] io::Error),
    /// A meter panicked.
    #[error("a simulated meter ended unexpectedly; its message is in the log")]
    Panicked,
}
