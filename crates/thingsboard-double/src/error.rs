//! How the server says no: three kinds of bodies, depending on who answers.
//!
//! The user API answers a JSON object with a status, a message and an error code of its own; the telemetry endpoints
//! answer plain text; the device API mostly answers nothing at all. This is the one place that makes them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::clock::now_ms;

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// `{"status", "message", "errorCode", "timestamp"}`, the form of the user API.
    Coded {
        status: StatusCode,
        code: u16,
        message: String,
    },
    /// A plain text body, the form of the telemetry endpoints.
    Text { status: StatusCode, message: String },
    /// No body, the form of the device API.
    Empty(StatusCode),
}

impl ApiError {
    pub(crate) fn coded(status: StatusCode, code: u16, message: impl Into<String>) -> ApiError {
        ApiError::Coded {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError::Text {
            status,
            message: message.into(),
        }
    }

    /// Answers 401 with code 10 for a missing or unreadable token.
    pub(crate) fn unauthenticated() -> ApiError {
        ApiError::coded(StatusCode::UNAUTHORIZED, 10, "Authentication failed")
    }

    /// Answers 401 with code 10 for a wrong password or a token that this server did not sign.
    pub(crate) fn wrong_credentials() -> ApiError {
        ApiError::coded(StatusCode::UNAUTHORIZED, 10, "Invalid username or password")
    }

    /// Answers 401 with code 11: the token was good once.
    pub(crate) fn token_expired() -> ApiError {
        ApiError::coded(StatusCode::UNAUTHORIZED, 11, "Token has expired")
    }

    /// Answers 403 with code 20.
    pub(crate) fn forbidden() -> ApiError {
        ApiError::coded(
            StatusCode::FORBIDDEN,
            20,
            "You don't have permission to perform this operation!",
        )
    }

    /// Answers 400 with code 31.
    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::coded(StatusCode::BAD_REQUEST, 31, message)
    }

    /// Answers 404 with code 32.
    pub(crate) fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::coded(StatusCode::NOT_FOUND, 32, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            ApiError::Coded {
                status,
                code,
                message,
            } => {
                let body = json!({"status": status.as_u16(), "message": message, "errorCode": code, "timestamp": now_ms()});
                (status, Json(body)).into_response()
            }
            ApiError::Text { status, message } => (status, message).into_response(),
            ApiError::Empty(status) => status.into_response(),
        }
    }
}
