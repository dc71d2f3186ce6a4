//! What can go wrong.

use core::fmt;

use embedded_storage::nor_flash::NorFlashErrorKind;
use littlefs_rust_core as engine;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// What the flash holds contradicts itself, or is damaged.
    Corrupt,
    /// No block is free.
    NoSpace,
    /// There is no such file or directory.
    Absent,
    /// A path is longer than [`PATH_BYTES_MAX`](crate::PATH_BYTES_MAX), or one of its names than the file system takes.
    TooLong,
    /// The region holds no LittleFS.
    NotLittlefs,
    /// The region holds a LittleFS of another version or size, or is itself of no possible size.
    Geometry,
    /// A directory is where a file was expected.
    IsDirectory,
    /// A file is where a directory was expected.
    NotDirectory,
    /// A directory that is to be removed has entries.
    NotEmpty,
    /// A path is empty or holds a NUL byte.
    BadPath,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Corrupt => "the file system is damaged",
            Self::NoSpace => "the file system is full",
            Self::Absent => "there is no such file or directory",
            Self::TooLong => "a path or name is too long",
            Self::NotLittlefs => "the region holds no LittleFS",
            Self::Geometry => "the region does not fit the LittleFS in it",
            Self::IsDirectory => "it is a directory",
            Self::NotDirectory => "it is not a directory",
            Self::NotEmpty => "the directory is not empty",
            Self::BadPath => "the path is empty or holds a NUL byte",
            Self::Flash(NorFlashErrorKind::NotAligned) => "the flash refused an alignment",
            Self::Flash(NorFlashErrorKind::OutOfBounds) => "the region ends beyond the flash",
            Self::Flash(_) => "the flash failed",
        })
    }
}

impl core::error::Error for Error {}

/// Returns what the engine returned, or the error that a negative number stands for.
pub(crate) fn checked(code: i32) -> Result<u32, Error> {
    u32::try_from(code).map_err(|_| match code {
        engine::LFS_ERR_NOENT => Error::Absent,
        engine::LFS_ERR_NOSPC => Error::NoSpace,
        engine::LFS_ERR_INVAL => Error::Geometry,
        engine::LFS_ERR_ISDIR => Error::IsDirectory,
        engine::LFS_ERR_NOTDIR | engine::LFS_ERR_EXIST => Error::NotDirectory,
        engine::LFS_ERR_NOTEMPTY => Error::NotEmpty,
        engine::LFS_ERR_NAMETOOLONG => Error::TooLong,
        engine::LFS_ERR_IO => Error::Flash(NorFlashErrorKind::Other),
        _ => Error::Corrupt,
    })
}
