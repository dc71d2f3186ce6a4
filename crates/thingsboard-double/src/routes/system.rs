//! What the server says about itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::SignedIn;
use crate::server::Server;

/// `GET /api/system/info`
pub(super) async fn info(State(server): State<Arc<Server>>, _signed_in: SignedIn) -> Json<Value> {
    Json(
        json!({"version": server.options.version, "artifact": "application", "name": "ThingsBoard", "type": "CE"}),
    )
}
