//! Kinds of failure, with the exit code, the word and the HTTP status of each.

use axum::http::StatusCode;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything that has no kind of its own.
    Failed,
    /// Some of several things were done.
    Partial,
    /// The call was wrong; nothing was tried.
    Usage,
    /// What was named does not exist.
    NotFound,
    /// A meter or server did not answer.
    Unreachable,
    /// A meter or server refused the credentials.
    Refused,
    /// Data is damaged or not what it should be.
    Corrupt,
    /// The local store could not be used.
    Storage,
    /// The user ended the command.
    Interrupted,
}

impl Kind {
    /// Returns the exit code of the program.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Partial => 1,
            Self::Usage | Self::NotFound => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Corrupt => 5,
            Self::Storage => 6,
            Self::Interrupted => 130,
        }
    }

    /// Returns the stable word in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Corrupt => "corrupt",
            Self::Storage => "storage",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the status of the web server's answer.
    pub(crate) const fn http_status(self) -> StatusCode {
        match self {
            Self::Usage => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Refused | Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed | Self::Partial | Self::Corrupt | Self::Storage => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl From<collector::Kind> for Kind {
    fn from(kind: collector::Kind) -> Self {
        match kind {
            collector::Kind::Usage => Self::Usage,
            collector::Kind::NotFound => Self::NotFound,
            collector::Kind::Unreachable => Self::Unreachable,
            collector::Kind::Refused => Self::Refused,
            collector::Kind::Corrupt => Self::Corrupt,
            collector::Kind::Storage => Self::Storage,
            collector::Kind::Partial => Self::Partial,
            collector::Kind::Failed => Self::Failed,
        }
    }
}
