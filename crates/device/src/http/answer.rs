//! A JSON answer, rendered whole.

use alloc::vec::Vec;

use protocol::{
    limits::JSON_BYTES_MAX,
    messages::{ErrorAnswer, ErrorBody},
};
use serde::Serialize;

use super::Outcome;
use crate::{meter::Refused, settings::InvalidSetting, update::UpdateError, viewing::Cookie};

/// Why a request is not answered as it wishes.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    status: u16,
    /// For programs, at most 32 bytes.
    code: &'static str,
    /// For people, at most 160 bytes.
    message: &'static str,
}

impl Failure {
    pub(super) const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let error = ErrorBody {
            code: failure.code.try_into().expect("codes are short"),
            message: failure.message.try_into().expect("messages are short"),
        };
        Self::render(failure.status, &ErrorAnswer { error })
    }
}

/// Status and body; the body is on the heap, for a chip's stack holds few of 4 KiB.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Of a session that was opened.
    pub(super) cookie: Option<Cookie>,
}

impl Answer {
    /// Renders a success.
    pub(super) fn ok(value: &impl Serialize) -> Outcome {
        Outcome::Json(Self::render(200, value))
    }

    /// Renders that an update was taken.
    pub(super) fn updated(value: &impl Serialize) -> Outcome {
        Outcome::Updated(Self::render(200, value))
    }

    /// Renders that a session was opened.
    pub(super) fn session(value: &impl Serialize, cookie: Cookie) -> Outcome {
        Outcome::Json(Self {
            cookie: Some(cookie),
            ..Self::render(200, value)
        })
    }

    pub(super) fn render(status: u16, value: &impl Serialize) -> Self {
        let mut body = Vec::new();
        if body.try_reserve_exact(JSON_BYTES_MAX).is_err() {
            // Without a body: there is no room for one.
            return Self {
                status: 503,
                body,
                cookie: None,
            };
        }
        body.resize(JSON_BYTES_MAX, 0);
        let length =
            serde_json_core::to_slice(value, &mut body).expect("every message fits the limit");
        body.truncate(length);
        body.shrink_to_fit();
        Self {
            status,
            body,
            cookie: None,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (status, code, message) = match refused {
            Refused::AlreadySetUp => (
                409,
                "already_set_up",
                "this meter is set up; only a factory reset undoes that",
            ),
            Refused::Invalid(InvalidSetting::Token) => (
                400,
                "bad_token",
                "a token has 16 to 64 printable ASCII characters",
            ),
            Refused::Invalid(InvalidSetting::Name) => (
                400,
                "bad_name",
                "a name has 1 to 48 bytes and no control characters",
            ),
            Refused::Invalid(InvalidSetting::Interval) => (
                400,
                "bad_interval",
                "an interval is a whole number of seconds from 1 to 900",
            ),
            Refused::Invalid(InvalidSetting::Code) => (
                400,
                "bad_code",
                "a viewing code has 6 to 32 printable ASCII characters",
            ),
            Refused::Invalid(InvalidSetting::Channels) => (
                400,
                "bad_channels",
                "each channel has a name of up to 24 bytes and a ratio of 1 to 100000 that its scale takes",
            ),
            Refused::Invalid(InvalidSetting::Calibration) => (
                400,
                "bad_calibration",
                "a capture names a channel of the meter, takes 30 to 600 s, and a load has a power",
            ),
            Refused::Busy => (409, "busy", "a capture runs: wait for its end"),
            Refused::NothingToUndo => (409, "nothing_to_undo", "the meter was never calibrated"),
            Refused::WrongTime => (
                400,
                "wrong_time",
                "that time lies before this firmware was built",
            ),
            Refused::Conflict => (
                409,
                "conflict",
                "the settings changed meanwhile: read them again",
            ),
            Refused::UnknownReading => (409, "unknown_reading", "this meter has no such readings"),
            Refused::Unread => (
                409,
                "unread",
                "no collector has acknowledged all of these readings: force it if they may go",
            ),
            Refused::SettingsDamaged => (
                503,
                "settings_damaged",
                "the meter cannot read its settings: it measures on, and a reset at its button lets it be set up anew",
            ),
            Refused::NoMemory => (
                503,
                "busy",
                "the meter has no memory left for that at the moment",
            ),
            Refused::Storage => (503, "storage", "the flash could not be written or read"),
        };
        Self::new(status, code, message)
    }
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        let (status, code, message) = match error {
            UpdateError::NotAnUpdate => (
                400,
                "not_an_update",
                "the file does not begin with the header of an update",
            ),
            UpdateError::Product => (409, "wrong_product", "the update is for another product"),
            UpdateError::Chip => (409, "wrong_chip", "the update is for another chip"),
            UpdateError::Size => (413, "wrong_size", "an image has 1 to 921600 bytes"),
            UpdateError::Older => (
                409,
                "older",
                "the update is older than the firmware that runs",
            ),
            UpdateError::TooFarAhead => (
                409,
                "too_far_ahead",
                "the update asks for a newer firmware than the one that runs: take one in between first",
            ),
            UpdateError::Unsigned => (403, "unsigned", "the update has no signature"),
            UpdateError::NoKey => (
                403,
                "no_key",
                "this firmware has no key to check the update's signature with",
            ),
            UpdateError::Signature => (
                403,
                "wrong_signature",
                "the update's signature was not made with a key of this firmware",
            ),
            UpdateError::Offset => (
                409,
                "wrong_offset",
                "the meter does not hold that much of this update: ask it how much it does",
            ),
            UpdateError::Length => (
                400,
                "wrong_length",
                "the file is longer or shorter than its header says",
            ),
            UpdateError::Hash => (
                400,
                "wrong_image",
                "the image is not the one that its header tells of",
            ),
            UpdateError::Superseded => (409, "superseded", "another update began meanwhile"),
            UpdateError::Flash => (503, "storage", "the flash could not be written or read"),
        };
        Self::new(status, code, message)
    }
}
