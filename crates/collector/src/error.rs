//! One error over all parts, and what kind it is.
//!
//! Every part has its own error with its sources kept. [`Error`] holds any of them; [`Kind`] is the one mapping from
//! which exit codes and HTTP statuses are made.

use crate::{
    client::ClientError, import::ImportError, meters::MetersError, secrets::SecretsError,
    setup::SetupError, store::StoreError, sync::SyncError,
};

/// What an error means to the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request makes no sense.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// The other side does not answer, or something else answers in its place.
    Unreachable,
    /// Credentials were refused, or the other side could not prove that it is the meter.
    Refused,
    /// Data is not what it should be: altered, contradictory or of an unknown format.
    Corrupt,
    /// The collector's own disk or database failed; nothing was changed.
    Storage,
    /// A part was done and kept, the rest was not.
    Partial,
    /// The other side understood and did not do it.
    Failed,
}

impl Kind {
    /// Returns a stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Corrupt => "corrupt",
            Self::Storage => "storage",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The meter, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of tokens and passwords.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The list of meters.
    #[error(transparent)]
    Meters(#[from] MetersError),
    /// A saved file.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// First-time setup.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Sync to a server.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl Error {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Client(error) => error.kind(),
            Self::Secrets(error) => error.kind(),
            Self::Meters(error) => error.kind(),
            Self::Import(error) => error.kind(),
            Self::Setup(error) => error.kind(),
            Self::Sync(error) => error.kind(),
        }
    }
}
