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
    /// It is erased, or formatting was cut short: there is nothing to lose.
    Unformatted,
    /// It holds something that is no store, or a store of another version or size.
    Foreign,
    /// It holds a store whose identity is gone, as on a flash that was erased in part.
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
    /// The record was hit, or the files that hold it; it stays so until a new one is written, or the flash is formatted.
    Damaged,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

/// Why a start, an event, an acknowledgement or a segment is not on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The number is beyond what the store holds.
    OutOfRange,
    /// The files take nothing more, although room was made.
    Full,
    /// The files are damaged and take nothing until the flash is formatted; the journal goes on.
    Damaged,
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

impl From<littlefs::Error> for WriteError {
    fn from(error: littlefs::Error) -> Self {
        match error {
            littlefs::Error::Flash(kind) => Self::Flash(kind),
            littlefs::Error::NoSpace => Self::Full,
            _ => Self::Damaged,
        }
    }
}

impl From<littlefs::Error> for FormatError {
    fn from(error: littlefs::Error) -> Self {
        match error {
            littlefs::Error::Flash(kind) => Self::Flash(kind),
            _ => Self::Geometry,
        }
    }
}

impl core::fmt::Display for MountError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Geometry => "the flash is too small or too large, or its sectors are not of 4 KiB",
            Self::Unformatted => {
                "the flash is erased, or formatting it was cut short: it holds nothing and can be formatted"
            }
            Self::Foreign => {
                "the flash holds something that is no store of this version and size: nothing was changed; \
                 save it before you format"
            }
            Self::Damaged => {
                "the flash holds a store whose identity is gone, as after an erase in part: nothing was changed; \
                 save what can be read before you format"
            }
            Self::Flash(_) => "the flash failed",
        })
    }
}
