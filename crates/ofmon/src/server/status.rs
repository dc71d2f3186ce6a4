//! `GET /api/v1/status`

use axum::{Json, extract::State};
use serde::Serialize;

use super::{App, error::ApiError};

/// Who answers.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    time_zone: String,
    data_dir: String,
    now_ms: i64,
}

/// Says who answers, in which zone days begin, and what time it is here.
pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, ApiError> {
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        time_zone: app.context.zone_name(),
        data_dir: app.context.data_dir()?.display().to_string(),
        now_ms: app.context.clock()?.now_ms(),
    }))
}
