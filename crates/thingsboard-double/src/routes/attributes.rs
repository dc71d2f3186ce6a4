//! Attributes of the user API: three scopes of single values with the time they were written.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::TenantAdmin;
use super::timeseries::find_device;
use crate::device::Scope;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::payload::parse_values;
use crate::server::Server;

const DEVICE: &str = "DEVICE";

/// `GET …/keys/attributes`
pub(super) async fn keys(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<Vec<String>>, ApiError> {
    read_keys(&server, &kind, &id, &Scope::ALL)
}

/// `GET …/keys/attributes/{scope}`
pub(super) async fn keys_of_scope(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, scope)): Path<(String, String, String)>,
) -> Result<Json<Vec<String>>, ApiError> {
    read_keys(&server, &kind, &id, &[parse_scope(&scope)?])
}

/// `GET …/values/attributes`
pub(super) async fn values(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Vec<Value>>, ApiError> {
    read(&server, &kind, &id, &Scope::ALL, &parameters)
}

/// `GET …/values/attributes/{scope}`
pub(super) async fn values_of_scope(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, scope)): Path<(String, String, String)>,
    parameters: Parameters,
) -> Result<Json<Vec<Value>>, ApiError> {
    read(&server, &kind, &id, &[parse_scope(&scope)?], &parameters)
}

/// `POST …/attributes/{scope}` and `POST …/{scope}`
pub(super) async fn save(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, scope)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<(), ApiError> {
    write(&server, &kind, &id, &scope, &body)
}

/// `POST /api/plugins/telemetry/{deviceId}/{scope}`
pub(super) async fn save_short(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((id, scope)): Path<(String, String)>,
    body: Bytes,
) -> Result<(), ApiError> {
    write(&server, DEVICE, &id, &scope, &body)
}

/// `DELETE …/{scope}`
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, scope)): Path<(String, String, String)>,
    parameters: Parameters,
) -> Result<(), ApiError> {
    delete(&server, &kind, &id, &scope, &parameters)
}

/// `DELETE /api/plugins/telemetry/{deviceId}/{scope}`
pub(super) async fn remove_short(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((id, scope)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<(), ApiError> {
    delete(&server, DEVICE, &id, &scope, &parameters)
}

fn read_keys(
    server: &Server,
    kind: &str,
    id: &str,
    scopes: &[Scope],
) -> Result<Json<Vec<String>>, ApiError> {
    let registry = server.registry();
    let attributes = find_device(&registry, kind, id)?.attributes.keys();
    Ok(Json(
        attributes
            .filter(|(of, _)| scopes.contains(of))
            .map(|(_, key)| key.clone())
            .collect(),
    ))
}

fn read(
    server: &Server,
    kind: &str,
    id: &str,
    scopes: &[Scope],
    parameters: &Parameters,
) -> Result<Json<Vec<Value>>, ApiError> {
    let keys = parameters.keys();
    let registry = server.registry();
    let attributes = find_device(&registry, kind, id)?.attributes.iter();
    let asked = attributes
        .filter(|((of, key), _)| scopes.contains(of) && (keys.is_empty() || keys.contains(key)));
    let to_json = |((_, key), (updated_ms, value)): (
        &(Scope, String),
        &(i64, crate::value::Value),
    )| {
        json!({"lastUpdateTs": updated_ms, "key": key, "value": value.to_json(true)})
    };
    Ok(Json(asked.map(to_json).collect()))
}

fn write(server: &Server, kind: &str, id: &str, scope: &str, body: &[u8]) -> Result<(), ApiError> {
    let bad = |message: String| ApiError::text(StatusCode::BAD_REQUEST, message);
    let scope = match parse_scope(scope)? {
        Scope::Client => return Err(bad(format!("Invalid scope: {scope}"))),
        scope @ (Scope::Server | Scope::Shared) => scope,
    };
    let values = parse_values(body).map_err(|_| bad("Request is not a JSON object".to_owned()))?;
    if values.is_empty() {
        return Err(bad("No attributes data found in request body!".to_owned()));
    }
    if values.keys().any(|key| key.trim().is_empty()) {
        return Err(bad("Key cannot be empty or contains only spaces".to_owned()));
    }
    let mut registry = server.registry();
    let id = find_device(&registry, kind, id)?.id;
    if let Some(device) = registry.device_mut(id) {
        device.set_attributes(scope, values);
    }
    Ok(())
}

fn delete(
    server: &Server,
    kind: &str,
    id: &str,
    scope: &str,
    parameters: &Parameters,
) -> Result<(), ApiError> {
    let scope = parse_scope(scope)?;
    let keys = parameters.keys();
    if keys.is_empty() {
        return Err(ApiError::text(StatusCode::BAD_REQUEST, "Empty keys: "));
    }
    let mut registry = server.registry();
    let id = find_device(&registry, kind, id)?.id;
    if let Some(device) = registry.device_mut(id) {
        for key in keys {
            device.attributes.remove(&(scope, key));
        }
    }
    Ok(())
}

fn parse_scope(name: &str) -> Result<Scope, ApiError> {
    Scope::parse(name)
        .ok_or_else(|| ApiError::text(StatusCode::BAD_REQUEST, format!("Invalid scope: {name}")))
}
