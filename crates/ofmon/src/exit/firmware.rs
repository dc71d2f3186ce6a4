//! What failures of updates, packages and keys are.

use std::error::Error as StdError;

use collector::firmware::{FileError, PushError};
use firmware_package::{KeyError, PackageError};

use super::Kind;

/// Finds out what kind of failure it is; `None` where it is none of these.
pub(super) fn classify(cause: &(dyn StdError + 'static)) -> Option<(Kind, &'static str)> {
    if let Some(error) = cause.downcast_ref::<PushError>() {
        return match error {
            PushError::Client(error) => super::classify(error),
            PushError::Store(error) => super::classify(error),
            other => Some((
                other.kind().into(),
                "`ofmon firmware list` shows packages and what meters run",
            )),
        };
    }
    if let Some(error) = cause.downcast_ref::<PackageError>() {
        let kind = match error {
            PackageError::Version(_) | PackageError::Chip(_) => Kind::Usage,
            _ => Kind::Corrupt,
        };
        return Some((kind, ""));
    }
    if let Some(error) = cause.downcast_ref::<KeyError>() {
        return Some(match error {
            KeyError::Random => (Kind::Failed, ""),
            _ => (Kind::Corrupt, "`ofmon firmware keygen` makes keys"),
        });
    }
    let kind = cause.downcast_ref().map(FileError::kind)?;
    Some((kind.into(), ""))
}
