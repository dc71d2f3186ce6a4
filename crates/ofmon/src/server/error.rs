//! Failures as answers: the one place of the server that knows statuses.

use anyhow::Error;
use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::exit::{Ending, Kind, Problem};

/// A request that failed.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    ending: Ending,
}

impl ApiError {
    /// Makes a failure with a status of its own.
    fn with_status(
        status: StatusCode,
        kind: Kind,
        message: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        Self {
            status,
            ending: Ending {
                kind,
                message: message.into(),
                hint,
                reported: false,
            },
        }
    }

    /// Says that the request names another server.
    pub(super) fn foreign_host() -> Self {
        let hint = "open the address that `ofmon serve` printed";
        Self::with_status(
            StatusCode::MISDIRECTED_REQUEST,
            Kind::Usage,
            "this server goes by another name",
            hint,
        )
    }

    /// Says that a change was asked for without the mark.
    pub(super) fn unmarked() -> Self {
        let hint = "send the header `X-Ofmon: 1`";
        Self::with_status(
            StatusCode::FORBIDDEN,
            Kind::Usage,
            "the request may come from another site",
            hint,
        )
    }

    /// Says that there is nothing at this path.
    pub(super) fn no_such_path() -> Self {
        Self::with_status(
            StatusCode::NOT_FOUND,
            Kind::NotFound,
            "there is nothing at this path",
            "",
        )
    }

    /// Says that the path is there but not for this method.
    pub(super) fn no_such_method() -> Self {
        Self::with_status(
            StatusCode::METHOD_NOT_ALLOWED,
            Kind::Usage,
            "this path does not take this method",
            "",
        )
    }

    /// Says that a body is not what it should be, and quotes nothing of it.
    pub(super) fn unreadable(status: StatusCode) -> Self {
        Self::with_status(
            status,
            Kind::Usage,
            "the body is not what this path takes",
            "",
        )
    }

    /// Says that what was named does not exist.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::with_status(StatusCode::NOT_FOUND, Kind::NotFound, message, "")
    }

    /// Says that the server has too much to do.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::with_status(
            StatusCode::CONFLICT,
            Kind::Failed,
            message,
            "wait until it is done",
        )
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let ending = Ending::of(&error);
        Self {
            status: ending.kind.http_status(),
            ending,
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Error::new(problem).into()
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::with_status(rejection.status(), Kind::Usage, rejection.body_text(), "")
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::with_status(rejection.status(), Kind::Usage, rejection.body_text(), "")
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::with_status(rejection.status(), Kind::Usage, rejection.body_text(), "")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), message = %self.ending.message, "a request failed");
        }
        (self.status, Json(self.ending.document())).into_response()
    }
}
