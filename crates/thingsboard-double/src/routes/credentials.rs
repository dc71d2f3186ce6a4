//! Device credentials: reading and changing the access token.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::devices::{DeviceRequest, EntityId, refusal, save_device as save};
use super::{TenantAdmin, entity_id, json_body, parse_id};
use crate::device::Device;
use crate::error::ApiError;
use crate::server::Server;

const ACCESS_TOKEN: &str = "ACCESS_TOKEN";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsRequest {
    device_id: Option<EntityId>,
    credentials_type: Option<String>,
    credentials_id: Option<String>,
}

impl CredentialsRequest {
    fn token(self) -> Result<Option<String>, ApiError> {
        match self.credentials_type.as_deref() {
            None | Some(ACCESS_TOKEN) => Ok(self.credentials_id.filter(|token| !token.is_empty())),
            Some(other) => Err(ApiError::bad_request(format!(
                "Unsupported credentials type '{other}'"
            ))),
        }
    }
}

#[derive(Deserialize)]
struct DeviceWithCredentials {
    device: DeviceRequest,
    credentials: CredentialsRequest,
}

/// `GET /api/device/{id}/credentials`
pub(super) async fn read(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let registry = server.registry();
    let device = registry.device(parse_id(&id)?);
    let device = device.ok_or_else(|| ApiError::not_found("Requested item wasn't found!"))?;
    Ok(Json(credentials_json(device)))
}

/// `POST /api/device/credentials`
pub(super) async fn change(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request: CredentialsRequest = json_body(&body)?;
    let absent = |what: &str| ApiError::bad_request(format!("Device credentials need {what}!"));
    let device = request
        .device_id
        .as_ref()
        .map(|device| device.id)
        .ok_or_else(|| absent("a device id"))?;
    let token = request.token()?.ok_or_else(|| absent("a credentials id"))?;
    let mut registry = server.registry();
    registry
        .set_token(device, token)
        .map(credentials_json)
        .map(Json)
        .map_err(refusal)
}

/// `POST /api/device-with-credentials`
pub(super) async fn save_device(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request: DeviceWithCredentials = json_body(&body)?;
    let token = request.credentials.token()?;
    save(&server, request.device, token).map(Json)
}

fn credentials_json(device: &Device) -> Value {
    let credentials = &device.credentials;
    json!({
        "id": {"id": credentials.id},
        "createdTime": credentials.created_ms,
        "deviceId": entity_id("DEVICE", device.id),
        "credentialsType": ACCESS_TOKEN,
        "credentialsId": credentials.token,
        "credentialsValue": null,
        "version": credentials.version,
    })
}
