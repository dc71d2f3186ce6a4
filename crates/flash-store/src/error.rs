//! What can go wrong, one small enum an operation.
//!
//! `Flash` carries the kind of error that the flash driver gave; a flash that does not hold what was just written to it
//! is [`NorFlashErrorKind::Other`].

use embedded_storage::nor_flash::NorFlashErrorKind;

/// An operation on the flash failed.
pub(crate) type Fault = NorFlashErrorKind;

/// Why a flash cannot be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It is too small or too large, or its sectors are not parts of 4 KiB.
    Geometry,
    /// A meter has 1 to 3 channels.
    Channels,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

/// Why a flash is not mounted; nothing was changed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountError {
    /// It is too small or too large, or its sectors are not parts of 4 KiB.
    Geometry,
    /// It is erased, or formatting was cut short on an erased flash: there is nothing to lose.
    Unformatted,
    /// It holds something that is no store, or a store of another version or size.
    Foreign,
    /// It holds a store that cannot be told apart from a half-erased one.
    Damaged,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

/// Why a reading is not on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// A field is out of its range, or the number of channels is not the store's; nothing was changed.
    OutOfRange,
    /// The flash failed: the number is used up, and the registers count the energy.
    ///
    /// The reading is served as lost, with its energy, once a later one is on flash.
    Flash(NorFlashErrorKind),
}

/// Why a block or events cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The buffer is shorter than `BLOCK_BYTES_MAX`.
    BufferTooSmall,
    /// What lies there contradicts itself.
    Damaged,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

/// Why the configuration cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The record is over 512 bytes.
    TooLong,
    /// The buffer is shorter than the record.
    BufferTooSmall,
    /// The record was hit; it stays so until a new one is written, and an older one is not taken for it.
    Damaged,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

/// Why a start, an event or an acknowledgement is not on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The number is beyond what the store holds.
    OutOfRange,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

macro_rules! from_fault {
    ($($error:ident),*) => {$(
        impl From<Fault> for $error {
            fn from(kind: Fault) -> Self {
                Self::Flash(kind)
            }
        }
    )*};
}
from_fault!(
    FormatError,
    MountError,
    AppendError,
    ReadError,
    ConfigError,
    WriteError
);
