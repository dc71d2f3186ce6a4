//! `GET /api/v1/nearby`

use axum::{Json, extract::State};

use super::{App, error::ApiError};
use crate::views::device::NearbyView;

/// Lists the meters in range.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<NearbyView>>, ApiError> {
    Ok(Json(app.engine.nearby().await?))
}
