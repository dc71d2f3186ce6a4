//! What can go wrong with the store.

use std::{io, path::PathBuf};

use protocol::{DeviceId, Seq, block::BlockError};
use rusqlite::ErrorCode;

use crate::error::Kind;

use super::History;

/// An operation on the store that failed; nothing was changed by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data directory cannot be made.
    #[error("the data directory {} cannot be made", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock file cannot be opened.
    #[error("the lock file {} cannot be used", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes.
    #[error("another process{} writes to {}", process.map(|pid| format!(" ({pid})")).unwrap_or_default(), directory.display())]
    Locked {
        /// The data directory.
        directory: PathBuf,
        /// Number of the process that holds the lock, where it says so.
        process: Option<u32>,
    },
    /// There is no database to read.
    #[error("there is no store at {} yet", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The database was made by a newer version.
    #[error("the store has schema version {found}, this program knows {known}: use a newer one")]
    TooNew {
        /// Version of the database.
        found: u32,
        /// Newest version that is known here.
        known: u32,
    },
    /// The database must be migrated, which only a writer does.
    #[error(
        "the store has schema version {found} and must be brought to {known} by a writing command first"
    )]
    TooOld {
        /// Version of the database.
        found: u32,
        /// Newest version that is known here.
        known: u32,
    },
    /// The file is a database of something else.
    #[error("the database is not a store of this program")]
    Foreign,
    /// There is no room for what was to be stored.
    #[error("the disk is full")]
    DiskFull,
    /// SQLite failed.
    #[error("the database failed")]
    Database(#[source] rusqlite::Error),
    /// Bytes that were to be stored are no block.
    #[error("what was to be stored is no block")]
    NotABlock(#[source] BlockError),
    /// A block of another meter or history than the one asked for.
    #[error("a block of {} in store {} came where {} in store {} was asked for", found.device, found.store, expected.device, expected.store)]
    OtherHistory {
        /// What was asked for.
        expected: History,
        /// What came.
        found: History,
    },
    /// A number beyond what the store holds: 2⁶³ for sequence numbers, 2⁴⁸ ms for uptimes.
    #[error("a number of the meter is out of range")]
    OutOfRange,
    /// A stored block no longer parses.
    #[error("the stored block at {first} of {} in store {} is damaged", history.device, history.store)]
    Damaged {
        /// The history.
        history: History,
        /// First number of the block.
        first: Seq,
        /// What is wrong with it.
        source: BlockError,
    },
    /// A stored event no longer parses.
    #[error("a stored event is damaged")]
    DamagedEvent(#[from] serde_json::Error),
    /// An event number came again with other content.
    #[error("event {number} came again with other content")]
    EventChanged {
        /// Its number.
        number: u64,
    },
    /// There is no such meter.
    #[error("no meter {0} is known")]
    UnknownDevice(DeviceId),
    /// A range or resolution that makes no sense or asks for too much.
    #[error("{0}")]
    BadRequest(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Directory { .. }
            | Self::Lock { .. }
            | Self::Locked { .. }
            | Self::Missing { .. }
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::Foreign
            | Self::DiskFull => Kind::Storage,
            Self::Database(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
                _ => Kind::Storage,
            },
            Self::NotABlock(_)
            | Self::OtherHistory { .. }
            | Self::OutOfRange
            | Self::Damaged { .. }
            | Self::DamagedEvent(_)
            | Self::EventChanged { .. } => Kind::Corrupt,
            Self::UnknownDevice(_) => Kind::NotFound,
            Self::BadRequest(_) => Kind::Usage,
        }
    }
}
