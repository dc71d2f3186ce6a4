//! What can go wrong on the way to a meter and back.

use protocol::{DeviceId, Seq, block::BlockError, frame::FrameError};

use crate::Kind;

/// Why a meter did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// This machine cannot make connections.
    #[error("no connection can be made from this machine")]
    Local(#[source] reqwest::Error),
    /// Nothing answers, or the connection broke; what came before is kept.
    #[error("the meter cannot be reached, or the connection broke")]
    Unreachable(#[source] reqwest::Error),
    /// The answer ended before it was whole.
    #[error("the connection ended in the middle of an answer")]
    CutShort,
    /// The answer exceeds the limit of the device API.
    #[error("the answer is longer than a meter's may be")]
    TooLong,
    /// What answers is no meter.
    #[error("what answers there is no ofmon meter")]
    NotAMeter(#[source] serde_json::Error),
    /// Another meter answers.
    #[error("meter {found} answers where {expected} was expected")]
    OtherMeter {
        /// The one that was meant.
        expected: DeviceId,
        /// The one that answers.
        found: DeviceId,
    },
    /// The meter does not know the token, or whoever answers does not.
    #[error("the meter refused the access token")]
    Refused,
    /// The answer carries no right MAC: it does not come from this meter, or was altered.
    #[error("the answer does not come from this meter, or was altered on the way")]
    NotAuthentic,
    /// No meter takes such a token.
    #[error("an access token has 16 to 64 letters, digits and signs")]
    NoToken,
    /// The meter understood and declined.
    #[error("the meter answered: {message}")]
    Answered {
        /// HTTP status.
        status: u16,
        /// The meter's word for programs.
        code: String,
        /// The meter's sentence for people.
        message: String,
    },
    /// A block stream is not what was asked for.
    #[error("the meter's block stream is not in order")]
    Stream(#[from] FrameError),
    /// A block is damaged or of an unknown format.
    #[error("a block of the meter cannot be read")]
    Block(#[from] BlockError),
    /// The meter sends more than it can hold.
    #[error("the meter sends without end")]
    Endless,
    /// The meter sends so little at a time that it would take for ever.
    #[error("the meter answers too slowly")]
    TooSlow,
    /// The meter counts fewer readings than it gave before under the same store.
    #[error("the meter says that reading {next} is yet to come, but {held} were collected before")]
    WentBack {
        /// First number that is not held.
        held: Seq,
        /// Number that the meter's next reading is to get.
        next: Seq,
    },
    /// Events out of order, or not those that were asked for.
    #[error("the meter's event log is not in order")]
    WrongEvents,
    /// A block is of another meter or history, or does not go on where it should.
    #[error("the meter sent a block that was not asked for")]
    WrongBlock,
}

impl ClientError {
    /// Wraps an error of the connection; its address is left out.
    pub(crate) fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }

    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Local(_) | Self::Unreachable(_) | Self::CutShort | Self::TooSlow => {
                Kind::Unreachable
            }
            Self::NoToken => Kind::Usage,
            Self::Refused | Self::NotAuthentic | Self::OtherMeter { .. } => Kind::Refused,
            Self::TooLong
            | Self::Endless
            | Self::WentBack { .. }
            | Self::WrongEvents
            | Self::NotAMeter(_)
            | Self::Stream(_)
            | Self::Block(_)
            | Self::WrongBlock => Kind::Corrupt,
            Self::Answered { .. } => Kind::Failed,
        }
    }
}
