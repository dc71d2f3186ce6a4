//! How a meter is, and which firmware it runs.

use serde::{Deserialize, Serialize};

use crate::{authentication::BodyHash, event::Version};

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
    /// Sectors of the store that were erased.
    #[serde(default)]
    pub sectors_erased: u32,
    /// Bytes of the store that were programmed.
    #[serde(default)]
    pub bytes_programmed: u64,
    /// Readings that were appended; bytes programmed for each, over its packed size, are the write amplification.
    #[serde(default)]
    pub readings_appended: u64,
    /// Connections that were closed to make room for others, or because a limit of time or size was exceeded.
    #[serde(default)]
    pub connections_ended: u32,
}

/// `GET /api/v1/firmware`: what runs, and an upload that broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareState {
    /// Version that runs.
    pub version: Version,
    /// Whether it is confirmed; else it is on trial.
    pub confirmed: bool,
    /// The upload that can be gone on with; lost with a restart.
    pub upload: Option<Upload>,
}

/// An update of which a part has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Version of the update.
    pub version: Version,
    /// SHA-256 of its image.
    pub image_hash: BodyHash,
    /// Length of its image in bytes.
    pub image_bytes: u32,
    /// Bytes of the image that came: where `POST /api/v1/firmware?from=N` goes on.
    pub came: u32,
}

/// The answer to `POST /api/v1/firmware`, whose body is an `.ofmon` file: the meter then restarts into the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// Version of the update.
    pub version: Version,
}
