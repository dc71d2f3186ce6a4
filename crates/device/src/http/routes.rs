//! Which request does what.

use embedded_storage::nor_flash::NorFlash;
use protocol::{Seq, limits::BLOCK_BYTES_MAX};
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    answer::{Answer, Failure},
    head::Head,
};
use crate::meter::Meter;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, also before set-up.
    Open,
    /// Who holds the access token, or a session of the meter's own page.
    Viewer,
    /// Who holds the access token.
    Owner,
}

/// Path, allowed methods, and who may use it.
pub const ROUTES: &[(&str, &[&str], Access)] = &[
    ("/", &["GET"], Access::Open),
    ("/api/v1/info", &["GET"], Access::Open),
    ("/api/v1/setup", &["POST"], Access::Open),
    ("/api/v1/session", &["POST"], Access::Open),
    ("/api/v1/live", &["GET"], Access::Viewer),
    ("/api/v1/day", &["GET"], Access::Viewer),
    ("/api/v1/save", &["GET"], Access::Viewer),
    ("/api/v1/harmonics", &["GET"], Access::Owner),
    ("/api/v1/blocks", &["GET"], Access::Owner),
    ("/api/v1/events", &["GET"], Access::Owner),
    ("/api/v1/clock", &["POST"], Access::Owner),
    ("/api/v1/ack", &["POST"], Access::Owner),
    ("/api/v1/config", &["GET", "PUT"], Access::Owner),
    ("/api/v1/token", &["PUT"], Access::Owner),
    ("/api/v1/erase", &["POST"], Access::Owner),
    ("/api/v1/calibrate", &["GET", "POST"], Access::Owner),
    ("/api/v1/health", &["GET"], Access::Viewer),
    (FIRMWARE, &["GET", "POST"], Access::Owner),
];

const FIRMWARE: &str = "/api/v1/firmware";

/// Bytes of blocks in one answer where the request names no limit.
const STREAM_BYTES_DEFAULT: u64 = 1024 * 1024;

/// The answer where there is nothing to say.
#[derive(Serialize)]
struct Done {}

pub(super) fn method_not_allowed() -> Failure {
    Failure::new(
        405,
        "method_not_allowed",
        "this path does not take that method",
    )
}

/// Holds method and path to the table.
pub(super) fn check(head: &Head) -> Result<(), Failure> {
    match ROUTES.iter().find(|(path, ..)| *path == head.path()) {
        None => Err(Failure::new(404, "not_found", "there is no such path")),
        Some((_, methods, _)) if !methods.contains(&head.method.as_str()) => {
            Err(method_not_allowed())
        }
        Some(_) => Ok(()),
    }
}

/// Tells who may do what a checked request asks for.
pub(super) fn access(head: &Head) -> Access {
    let route = ROUTES.iter().find(|(path, ..)| *path == head.path());
    route.map_or(Access::Owner, |(.., access)| *access)
}

/// Tells whether a checked request brings an update, whose body is not read whole.
pub(super) fn is_update(head: &Head) -> bool {
    head.path() == FIRMWARE && head.method == "POST"
}

/// Tells whether a checked request asks for the firmware, which the slots know.
pub(super) fn is_firmware(head: &Head) -> bool {
    head.path() == FIRMWARE
}

/// Tells whether a checked request asks for the meter's own page.
pub(super) fn is_page(head: &Head) -> bool {
    head.path() == "/"
}

/// Tells whether a checked request opens a session, which takes its time where the code is wrong.
pub(super) fn is_session(head: &Head) -> bool {
    head.path() == "/api/v1/session"
}

/// Tells whether a checked request asks for the last 24 hours, which are read piece by piece.
pub(super) fn is_day(head: &Head) -> bool {
    head.path() == "/api/v1/day"
}

/// Tells whether a checked request asks for what board and slots know too.
pub(super) fn is_health(head: &Head) -> bool {
    head.path() == "/api/v1/health"
}

/// Does what a checked request asks for.
pub(super) fn answer<F: NorFlash>(
    meter: &mut Meter<F>,
    head: &Head,
    body: &[u8],
    now_ms: u64,
) -> Result<Outcome, Failure> {
    Ok(match (head.method.as_str(), head.path()) {
        ("GET", "/api/v1/info") => Answer::ok(&meter.info(now_ms)),
        ("GET", "/api/v1/live") if head.query_number("stream")? == Some(1) => Outcome::Live,
        ("GET", "/api/v1/live") => Answer::ok(&meter.live()),
        ("GET", "/api/v1/harmonics") => Answer::ok(&meter.harmonics()),
        ("GET", "/api/v1/blocks") => blocks(head)?,
        ("GET", "/api/v1/save") => Outcome::Save {
            from: Seq(head.query_number("from")?.unwrap_or(0)),
        },
        ("GET", "/api/v1/events") => {
            Answer::ok(&meter.events(head.query_number("from")?.unwrap_or(0))?)
        }
        ("GET", "/api/v1/config") => Answer::ok(&meter.config()),
        ("PUT", "/api/v1/config") => Answer::ok(&meter.change_config(&parsed(body)?, now_ms)?),
        ("POST", "/api/v1/clock") => Answer::ok(&meter.set_clock(&parsed(body)?, now_ms)?),
        ("GET", "/api/v1/calibrate") => Answer::ok(&meter.calibration()),
        ("POST", "/api/v1/calibrate") => Answer::ok(&meter.calibrate(&parsed(body)?, now_ms)?),
        ("POST", "/api/v1/ack") => {
            meter.acknowledge(&parsed(body)?)?;
            Answer::ok(&Done {})
        }
        ("POST", "/api/v1/erase") => Answer::ok(&meter.erase(&parsed(body)?, now_ms)?),
        ("PUT", "/api/v1/token") => {
            // An owner's request has a nonce; the new token is sealed with it.
            let authorization = head.authorization.ok_or_else(method_not_allowed)?;
            meter.change_token(&parsed(body)?, &authorization.nonce, now_ms)?;
            Answer::ok(&Done {})
        }
        ("POST", "/api/v1/setup") => {
            meter.set_up(&parsed(body)?, now_ms)?;
            Answer::ok(&Done {})
        }
        _ => return Err(method_not_allowed()),
    })
}

fn blocks(head: &Head) -> Result<Outcome, Failure> {
    let from = head.query_number("from")?.unwrap_or(0);
    let bytes_max = head.query_number("max")?.unwrap_or(STREAM_BYTES_DEFAULT);
    let bytes_max = usize::try_from(bytes_max)
        .unwrap_or(usize::MAX)
        .max(BLOCK_BYTES_MAX);
    Ok(Outcome::Blocks { from, bytes_max })
}

pub(super) fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Failure> {
    let mut unescaped = [0; 256];
    match serde_json_core::from_slice_escaped(body, &mut unescaped) {
        Ok((value, used)) if body[used..].iter().all(u8::is_ascii_whitespace) => Ok(value),
        _ => Err(Failure::new(
            400,
            "bad_json",
            "the body is not the JSON that this path takes",
        )),
    }
}
