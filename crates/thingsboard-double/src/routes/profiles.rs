//! Device profiles, as far as choosing one for a new device needs them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::devices::Page;
use super::{TenantAdmin, entity_id};
use crate::device::Profile;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::server::Server;

/// `GET /api/deviceProfileInfo/default`
pub(super) async fn default(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
) -> Result<Json<Value>, ApiError> {
    let registry = server.registry();
    let first = registry
        .profiles()
        .first()
        .ok_or_else(|| ApiError::not_found("Device profile not found"))?;
    Ok(Json(info_json(&server, first)))
}

/// `GET /api/deviceProfileInfos`
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let page = Page::parse(&parameters)?;
    let registry = server.registry();
    let found: Vec<&Profile> = registry
        .profiles()
        .iter()
        .filter(|profile| page.matches([&profile.name]))
        .collect();
    Ok(Json(
        page.answer(&found, |profile| info_json(&server, profile)),
    ))
}

fn info_json(server: &Server, profile: &Profile) -> Value {
    json!({
        "id": entity_id("DEVICE_PROFILE", profile.id),
        "tenantId": entity_id("TENANT", server.tenant),
        "name": profile.name,
        "image": null,
        "defaultDashboardId": null,
        "type": "DEFAULT",
        "transportType": "DEFAULT",
    })
}
