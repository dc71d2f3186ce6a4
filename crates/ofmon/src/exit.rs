//! How a command ends: the one place that knows exit codes, error words and HTTP statuses.
//!
//! Commands return `anyhow::Error`; [`Ending::of`] finds out what kind of failure it is. The command line, `--json` and
//! the web server all say it from there, so that a program sees the same word everywhere.

mod firmware;
mod kind;

use std::{error::Error as StdError, fmt, io};

use collector::{
    calibrate::CalibrateError, client::ClientError, import::ImportError, meters::MetersError,
    secrets::SecretsError, setup::SetupError, store::StoreError, sync::SyncError,
    thingsboard::ServerError,
};
use protocol::saved::SavedError;
use serde::Serialize;

pub(crate) use kind::Kind;

/// A failure of the program itself, with what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    message: String,
    hint: &'static str,
    reported: bool,
}

impl Problem {
    /// Makes a failure; `hint` says what to do, empty where nothing can be said.
    pub(crate) fn new(kind: Kind, message: impl Into<String>, hint: &'static str) -> Self {
        Self {
            kind,
            message: message.into(),
            hint,
            reported: false,
        }
    }

    /// Says that the document on standard output tells of the failure already.
    pub(crate) fn reported(self) -> Self {
        Self {
            reported: true,
            ..self
        }
    }

    /// Makes a failure of a wrong call.
    pub(crate) fn usage(message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(Kind::Usage, message, hint)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Problem {}

/// How a command that failed ends, in words for people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The kind of failure.
    pub(crate) kind: Kind,
    /// What went wrong, causes included.
    pub(crate) message: String,
    /// What to do about it; may be empty.
    pub(crate) hint: &'static str,
    /// Whether a document on standard output told of it already; there is never a second one.
    pub(crate) reported: bool,
}

/// `{"error":{…}}`, as the command line and the web server print it.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDocument {
    /// What went wrong.
    pub(crate) error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorBody {
    /// A stable word.
    pub(crate) code: &'static str,
    /// A plain sentence.
    pub(crate) message: String,
    /// What to do about it; may be empty.
    pub(crate) hint: &'static str,
}

impl Ending {
    /// Finds out what kind of failure an error is, from the outermost cause that has one.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        // A problem may be the error itself or the context of another; only the error as a whole finds both.
        let problem = error.downcast_ref::<Problem>();
        let of_cause = || error.chain().find_map(classify);
        let (kind, hint) = problem
            .map(|problem| (problem.kind, problem.hint))
            .or_else(of_cause)
            .unwrap_or((Kind::Failed, ""));
        let reported = problem.is_some_and(|problem| problem.reported);
        Self {
            kind,
            message: sentence(error),
            hint,
            reported,
        }
    }

    /// Returns the failure as a document of its own.
    pub(crate) fn document(&self) -> ErrorDocument {
        ErrorDocument { error: self.body() }
    }

    /// Returns the failure as a part of a document.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.kind.word(),
            message: self.message.clone(),
            hint: self.hint,
        }
    }
}

/// Tells whether an error only says that the reader of a pipe had enough, as in `ofmon export | head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Ends a command that did several things and told of each: failed when one of them did, with the kind of failure where
/// all failed alike.
pub(crate) fn conclude(
    failed: &[Kind],
    total: usize,
    what: &str,
    hint: &'static str,
) -> anyhow::Result<()> {
    let Some(first) = failed.first() else {
        return Ok(());
    };
    let all_alike = failed.len() == total && failed.iter().all(|kind| kind == first);
    let kind = if all_alike { *first } else { Kind::Partial };
    Err(
        Problem::new(kind, format!("{} of {total} {what}", failed.len()), hint)
            .reported()
            .into(),
    )
}

/// Nothing that comes over the network makes a meter forget its token.
const LOST_TOKEN: &str = "if its token is lost, hold the meter's button for 10 s, which keeps its readings, and run `ofmon setup` again";

const MAKE_ROOM: &str = "make room and try again: what was stored before is kept";

fn classify(cause: &(dyn StdError + 'static)) -> Option<(Kind, &'static str)> {
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        let hint = match error {
            StoreError::DiskFull => MAKE_ROOM,
            StoreError::Locked { .. } => {
                "one process writes at a time: end the other one, or use its page"
            }
            StoreError::UnknownDevice(_) => "`ofmon devices` lists the meters that are known",
            _ => "",
        };
        return Some((error.kind().into(), hint));
    }
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        let hint = match error {
            ClientError::Unreachable(_) | ClientError::CutShort => {
                "is it powered and in range? the next try goes on from here"
            }
            ClientError::Refused => LOST_TOKEN,
            ClientError::Answered { code, .. }
                if matches!(code.as_str(), "unsigned" | "wrong_signature" | "no_key") =>
            {
                "`ofmon firmware sign` signs updates; the meter's firmware must have been built with that key"
            }
            ClientError::Answered { code, .. } if code == "busy" => {
                "`ofmon calibrate METER --show` tells how far it is"
            }
            _ => "",
        };
        return Some((error.kind().into(), hint));
    }
    if let Some(error) = cause.downcast_ref::<collector::Error>() {
        // Its parts are found below it, but a part that only wraps its own cause is not.
        return match error {
            collector::Error::Store(error) => classify(error),
            collector::Error::Client(error) => classify(error),
            collector::Error::Import(error) => classify(error),
            collector::Error::Setup(SetupError::AlreadySetUp) => Some((Kind::Refused, LOST_TOKEN)),
            other => Some((other.kind().into(), "")),
        };
    }
    if let Some(error) = cause.downcast_ref::<ImportError>() {
        let hint = match error {
            ImportError::UnknownMeter(_) => {
                "import it where `ofmon setup` made the meter yours: the token is in secrets.json there"
            }
            ImportError::Saved(SavedError::NotAuthentic) => {
                "where the meter got another token since, save its readings anew"
            }
            ImportError::Saved(SavedError::NotSaved) => {
                "\"Save readings\" on a meter's own page makes such files"
            }
            ImportError::Saved(SavedError::Version(_)) => "a newer ofmon reads it",
            ImportError::Read(_) => "is it a file, and may it be read?",
            ImportError::Cut | ImportError::Saved(_) => {
                "what came before is kept; save the readings anew for the rest"
            }
            _ => "",
        };
        return Some((error.kind().into(), hint));
    }
    if let Some(found) = firmware::classify(cause) {
        return Some(found);
    }
    if let Some(error) = cause.downcast_ref::<CalibrateError>() {
        return match error {
            CalibrateError::Client(error) => classify(error),
            CalibrateError::Lost | CalibrateError::Stalled => Some((
                error.kind().into(),
                "`ofmon calibrate METER --show` tells what is in force",
            )),
            other => Some((other.kind().into(), "")),
        };
    }
    if let Some(error) = cause.downcast_ref::<SyncError>() {
        return match error {
            SyncError::Store(error) => classify(error),
            SyncError::NotSignedIn => Some((Kind::Usage, "`ofmon login` comes first")),
            SyncError::NoToken(_) => Some((Kind::Refused, "`ofmon setup` makes meters yours")),
            SyncError::Server(ServerError::SignInAgain) => {
                Some((Kind::Refused, "`ofmon login` begins a new session"))
            }
            SyncError::Server(ServerError::Unreachable(_)) => Some((
                Kind::Unreachable,
                "is there a network, and is the address right?",
            )),
            SyncError::OtherToken { .. } => Some((
                Kind::Refused,
                "`ofmon setup METER --device NAME` gives the meter the token of that device",
            )),
            other => Some((other.kind().into(), "")),
        };
    }
    if let Some(SecretsError::File { source, .. }) = cause.downcast_ref()
        && source.kind() == io::ErrorKind::StorageFull
    {
        return Some((Kind::Storage, MAKE_ROOM));
    }
    let kind = None
        .or_else(|| cause.downcast_ref().map(SecretsError::kind))
        .or_else(|| cause.downcast_ref().map(MetersError::kind))
        .or_else(|| cause.downcast_ref().map(SetupError::kind));
    if let Some(kind) = kind {
        return Some((kind.into(), ""));
    }
    if let Some(error) = cause.downcast_ref::<sim::Error>() {
        return Some(match error {
            sim::Error::Devices(_)
            | sim::Error::Channels(_)
            | sim::Error::Profile(_)
            | sim::Error::Recording(_) => (Kind::Usage, ""),
            sim::Error::Mount(..) => (Kind::Corrupt, ""),
            sim::Error::State(..) | sim::Error::Flash { .. } => (Kind::Storage, ""),
            _ => (Kind::Failed, ""),
        });
    }
    None
}

/// Joins an error with its causes; a cause that its effect already quotes is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn several_things_end_by_what_went_wrong() {
        let ended = |failed: &[Kind]| {
            let result = conclude(failed, 2, "meters failed", "");
            result
                .map_err(|error| Ending::of(&error))
                .map_err(|ending| (ending.kind, ending.reported))
        };
        assert_eq!(ended(&[]), Ok(()));
        assert_eq!(ended(&[Kind::Unreachable]), Err((Kind::Partial, true)));
        assert_eq!(
            ended(&[Kind::Unreachable, Kind::Refused]),
            Err((Kind::Partial, true))
        );
        assert_eq!(
            ended(&[Kind::Unreachable, Kind::Unreachable]),
            Err((Kind::Unreachable, true))
        );
    }

    #[test]
    fn the_cause_with_a_kind_decides_and_no_cause_is_said_twice() {
        let inner = anyhow::Error::new(Problem::new(
            Kind::Refused,
            "wrong token",
            "set it up again",
        ));
        let error = Err::<(), _>(inner)
            .context("meter 1: wrong token")
            .context("collecting")
            .unwrap_err();
        let ending = Ending::of(&error);
        assert_eq!(
            (ending.kind, ending.hint),
            (Kind::Refused, "set it up again")
        );
        assert_eq!(ending.message, "collecting: meter 1: wrong token");
    }

    #[test]
    fn a_problem_that_is_the_context_of_another_error_decides_too() {
        let problem = || Problem::usage("no such zone", "UTC is one").reported();
        let error = Err::<(), _>(io::Error::other("not listed"))
            .with_context(problem)
            .unwrap_err();
        let ending = Ending::of(&error.context("starting"));
        assert_eq!(
            (ending.kind, ending.hint, ending.reported),
            (Kind::Usage, "UTC is one", true)
        );
        assert_eq!(ending.message, "starting: no such zone: not listed");
    }

    #[test]
    fn a_full_disk_asks_for_room_wherever_it_shows() {
        let secrets = SecretsError::File {
            path: "secrets.json".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        for error in [
            anyhow::Error::new(collector::Error::from(StoreError::DiskFull)),
            anyhow::Error::new(secrets),
        ] {
            let ending = Ending::of(&error);
            assert_eq!((ending.kind, ending.hint), (Kind::Storage, MAKE_ROOM));
        }
    }

    #[test]
    fn an_error_without_a_kind_ends_with_1() {
        assert_eq!(Ending::of(&anyhow::anyhow!("so")).kind.exit_code(), 1);
    }

    #[test]
    fn a_broken_pipe_is_known_below_other_causes() {
        let pipe =
            anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
        assert!(is_broken_pipe(&pipe));
        assert!(!is_broken_pipe(&anyhow::Error::new(io::Error::from(
            io::ErrorKind::NotFound
        ))));
    }
}
