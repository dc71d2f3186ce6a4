//! What can go wrong with sync.

use protocol::DeviceId;

use crate::{error::Kind, secrets::SecretsError, store::StoreError, thingsboard::ServerError};

/// A sync, or a part of one, that was not done; what was done before is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of tokens.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The server, or the way to it.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No server is known.
    #[error("no server is known: sign in to one first")]
    NotSignedIn,
    /// The meter was not set up by this collector and its token was not fetched.
    #[error("the token of meter {0} is not known here")]
    NoToken(DeviceId),
    /// The server's device of this name has another token.
    #[error(
        "the server's device {name} has another token than the meter: it may be another meter's"
    )]
    OtherToken {
        /// The name on the server.
        name: String,
    },
    /// A device that was chosen is not on the server.
    #[error("the server has no device {name:?}")]
    NoSuchDevice {
        /// The name that was chosen.
        name: String,
    },
    /// A device that was chosen is another meter.
    #[error("the server's device {name:?} is meter {other}")]
    Taken {
        /// The name that was chosen.
        name: String,
        /// The meter that it is.
        other: DeviceId,
    },
    /// A device that was chosen proves itself by other means.
    #[error("the server's device {name:?} has no access token, and a meter takes nothing else")]
    NoAccessToken {
        /// The name that was chosen.
        name: String,
    },
    /// The server acknowledged readings several times and does not have them.
    #[error("the server acknowledged {readings} readings again and again and does not have them")]
    Unverified {
        /// How many.
        readings: u64,
    },
    /// Points that the server said it deleted are still there.
    #[error("the server still has {points} points that it was told to delete")]
    Undeleted {
        /// How many.
        points: u64,
    },
    /// Readings lie between others that were sent before, with no time left for them.
    #[error("the times of {readings} readings contradict those sent before")]
    NoRoom {
        /// How many.
        readings: u64,
    },
    /// The sync ended with another meter's error before it came to this one.
    #[error("not tried: the server could not be used")]
    NotTried,
}

impl SyncError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Secrets(error) => error.kind(),
            Self::Server(error) => error.kind(),
            Self::NotSignedIn | Self::NoAccessToken { .. } => Kind::Usage,
            Self::NoSuchDevice { .. } => Kind::NotFound,
            Self::NoToken(_) | Self::OtherToken { .. } | Self::Taken { .. } => Kind::Refused,
            Self::Unverified { .. } | Self::Undeleted { .. } => Kind::Partial,
            Self::NoRoom { .. } => Kind::Corrupt,
            Self::NotTried => Kind::Unreachable,
        }
    }

    /// Tells whether the other readings of the meter can be sent in spite of it.
    pub(super) fn spares_the_rest(&self) -> bool {
        matches!(
            self,
            Self::Unverified { .. } | Self::NoRoom { .. } | Self::Store(StoreError::Damaged { .. })
        )
    }

    /// Tells whether other meters would fail as well.
    pub(super) fn concerns_the_server(&self) -> bool {
        match self {
            Self::Server(error) => !matches!(
                error,
                ServerError::UnknownToken
                    | ServerError::Forbidden
                    | ServerError::NotFound
                    | ServerError::TooLarge
                    | ServerError::Overloaded { .. }
                    | ServerError::Refused { .. }
            ),
            Self::Store(error) => error.kind() == Kind::Storage,
            _ => false,
        }
    }
}
