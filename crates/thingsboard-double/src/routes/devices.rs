//! Devices: finding, creating, changing, deleting.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{TenantAdmin, entity_id, json_body, parse_id};
use crate::accounts::NULL_CUSTOMER;
use crate::device::{Device, DeviceFields};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::registry::{Registry, RegistryError};
use crate::server::Server;

const NOT_FOUND: &str = "Requested item wasn't found!";

/// Characters that a token made by the server consists of, and how many.
const TOKEN_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const TOKEN_CHARS: usize = 20;

/// One page of a list, as asked for.
pub(super) struct Page {
    size: usize,
    number: usize,
    search: String,
    descending: bool,
}

impl Page {
    /// Reads `pageSize` and `page` (both required), `textSearch` and `sortOrder`.
    ///
    /// # Errors
    /// 400 when a number is absent, invalid or, for the size, zero.
    pub(super) fn parse(parameters: &Parameters) -> Result<Page, ApiError> {
        let size: i64 = parameters.required_number("pageSize")?;
        let number: i64 = parameters.required_number("page")?;
        let wrong_size = || {
            format!("Incorrect page link page size '{size}'. Page size must be greater than zero.")
        };
        let wrong_number =
            || format!("Incorrect page link page '{number}'. Page must be positive integer.");
        let descending = match parameters.text("sortOrder") {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("asc") => false,
            Some(order) if order.eq_ignore_ascii_case("desc") => true,
            Some(order) => {
                return Err(ApiError::bad_request(format!(
                    "Unsupported sort order '{order}'!"
                )));
            }
        };
        Ok(Page {
            size: usize::try_from(size)
                .ok()
                .filter(|size| *size > 0)
                .ok_or_else(|| ApiError::bad_request(wrong_size()))?,
            number: usize::try_from(number).map_err(|_| ApiError::bad_request(wrong_number()))?,
            search: parameters
                .text("textSearch")
                .unwrap_or_default()
                .to_lowercase(),
            descending,
        })
    }

    /// Tells whether one of the texts contains what is searched for, in any case.
    pub(super) fn matches<const N: usize>(&self, texts: [&str; N]) -> bool {
        texts
            .into_iter()
            .any(|text| text.to_lowercase().contains(&self.search))
    }

    /// Wraps the page's part of all that was found.
    pub(super) fn answer<T>(&self, found: &[T], to_json: impl Fn(&T) -> Value) -> Value {
        let start = self.number.saturating_mul(self.size).min(found.len());
        let end = start.saturating_add(self.size).min(found.len());
        let data: Vec<Value> = found[start..end].iter().map(to_json).collect();
        json!({
            "data": data,
            "totalPages": found.len().div_ceil(self.size),
            "totalElements": found.len(),
            "hasNext": end < found.len(),
        })
    }
}

/// `GET /api/tenant/devices`, also with `deviceName` for a single one
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    if parameters.text("deviceName").is_some() {
        return single(&server, &parameters);
    }
    let registry = server.registry();
    page_of_devices(&registry, &parameters, |device| {
        device_json(&server, &registry, device)
    })
}

/// `GET /api/tenant/device`
pub(super) async fn by_name(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    single(&server, &parameters)
}

/// `GET /api/tenant/deviceInfos`
pub(super) async fn list_infos(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let registry = server.registry();
    page_of_devices(&registry, &parameters, |device| {
        info_json(&server, &registry, device)
    })
}

/// `GET /api/devices`
pub(super) async fn by_ids(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let ids: Vec<Uuid> = parameters
        .list("deviceIds")
        .iter()
        .map(|id| parse_id(id))
        .collect::<Result<_, _>>()?;
    let registry = server.registry();
    let found = ids.into_iter().filter_map(|id| registry.device(id));
    Ok(Json(
        found
            .map(|device| device_json(&server, &registry, device))
            .collect(),
    ))
}

/// `GET /api/device/{id}`
pub(super) async fn by_id(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    shown(&server, &id, device_json)
}

/// `GET /api/device/info/{id}`
pub(super) async fn info(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    shown(&server, &id, info_json)
}

/// Shows one device, in one of the forms that the server has for it.
fn shown(
    server: &Server,
    id: &str,
    form: fn(&Server, &Registry, &Device) -> Value,
) -> Result<Json<Value>, ApiError> {
    let registry = server.registry();
    let device = registry
        .device(parse_id(id)?)
        .ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
    Ok(Json(form(server, &registry, device)))
}

/// `DELETE /api/device/{id}`
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path(id): Path<String>,
) -> Result<(), ApiError> {
    let deleted = server.registry().delete(parse_id(&id)?);
    deleted
        .then_some(())
        .ok_or_else(|| ApiError::not_found(NOT_FOUND))
}

/// `POST /api/device`, with `accessToken` to choose the token of a new device
pub(super) async fn save(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    parameters: Parameters,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request: DeviceRequest = json_body(&body)?;
    let token = parameters.text("accessToken").map(String::from);
    save_device(&server, request, token).map(Json)
}

/// Creates or changes a device; without a token a new one gets one of its own.
pub(super) fn save_device(
    server: &Server,
    request: DeviceRequest,
    token: Option<String>,
) -> Result<Value, ApiError> {
    let mut registry = server.registry();
    let saved = match &request.id {
        Some(entity) => registry.update(entity.id, request.fields()),
        None => {
            let token = token.map_or_else(random_token, Ok)?;
            registry.create(request.fields(), token)
        }
    };
    let id = saved.map_err(refusal)?.id;
    let device = registry
        .device(id)
        .ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
    Ok(device_json(server, &registry, device))
}

/// The part of an identifier that counts.
#[derive(Deserialize)]
pub(super) struct EntityId {
    pub(super) id: Uuid,
}

/// A device as a client sends it; what else it sends is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceRequest {
    id: Option<EntityId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    label: Option<String>,
    device_profile_id: Option<EntityId>,
    #[serde(default)]
    additional_info: Value,
    version: Option<i64>,
}

impl DeviceRequest {
    fn fields(self) -> DeviceFields {
        DeviceFields {
            name: self.name.unwrap_or_default(),
            kind: self.kind,
            label: self.label,
            profile: self.device_profile_id.map(|entity| entity.id),
            additional_info: self.additional_info,
            version: self.version,
        }
    }
}

/// Says how the server answers a refused change.
pub(super) fn refusal(error: RegistryError) -> ApiError {
    let message = error.to_string();
    match error {
        RegistryError::UnknownDevice => ApiError::not_found(message),
        RegistryError::VersionConflict => ApiError::coded(StatusCode::CONFLICT, 35, message),
        RegistryError::Full => ApiError::coded(StatusCode::FORBIDDEN, 41, message),
        RegistryError::NameMissing
        | RegistryError::TooLong(_)
        | RegistryError::NameTaken
        | RegistryError::TokenTaken
        | RegistryError::TokenInvalid
        | RegistryError::UnknownProfile => ApiError::bad_request(message),
    }
}

fn single(server: &Server, parameters: &Parameters) -> Result<Json<Value>, ApiError> {
    let name = parameters.text("deviceName").unwrap_or_default();
    let registry = server.registry();
    let device = registry.id_by_name(name).and_then(|id| registry.device(id));
    let device = device.ok_or_else(|| ApiError::not_found(NOT_FOUND))?;
    Ok(Json(device_json(server, &registry, device)))
}

fn page_of_devices(
    registry: &Registry,
    parameters: &Parameters,
    to_json: impl Fn(&Device) -> Value,
) -> Result<Json<Value>, ApiError> {
    let page = Page::parse(parameters)?;
    let kind = parameters.text("type");
    let profile = parameters
        .text("deviceProfileId")
        .map(parse_id)
        .transpose()?;
    let active = parameters
        .text("active")
        .map(|_| parameters.flag("active", true))
        .transpose()?;
    let mut found: Vec<&Device> = registry
        .devices()
        .filter(|device| kind.is_none_or(|kind| registry.profile_name(device.profile) == kind))
        .filter(|device| profile.is_none_or(|profile| device.profile == profile))
        .filter(|device| active.is_none_or(|active| device.is_active() == active))
        .filter(|device| {
            let label = device.label.as_deref().unwrap_or_default();
            page.matches([&device.name, registry.profile_name(device.profile), label])
        })
        .collect();
    match parameters.text("sortProperty") {
        // The identifiers' order, in which the registry keeps them.
        None => {}
        Some("name") => found.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("createdTime") => found.sort_by_key(|device| device.created_ms),
        Some("label") => found.sort_by(|a, b| a.label.cmp(&b.label)),
        Some("type") => found.sort_by_key(|device| registry.profile_name(device.profile)),
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "Unsupported sort property '{other}'"
            )));
        }
    }
    if page.descending {
        found.reverse();
    }
    Ok(Json(page.answer(&found, |device| to_json(device))))
}

fn device_json(server: &Server, registry: &Registry, device: &Device) -> Value {
    json!({
        "id": entity_id("DEVICE", device.id),
        "createdTime": device.created_ms,
        "tenantId": entity_id("TENANT", server.tenant),
        "customerId": entity_id("CUSTOMER", NULL_CUSTOMER),
        "name": device.name,
        "type": registry.profile_name(device.profile),
        "label": device.label,
        "deviceProfileId": entity_id("DEVICE_PROFILE", device.profile),
        "deviceData": {"configuration": {"type": "DEFAULT"}, "transportConfiguration": {"type": "DEFAULT"}},
        "firmwareId": null,
        "softwareId": null,
        "externalId": null,
        "version": device.version,
        "additionalInfo": device.additional_info,
    })
}

fn info_json(server: &Server, registry: &Registry, device: &Device) -> Value {
    let mut info = device_json(server, registry, device);
    info["customerTitle"] = Value::Null;
    info["customerIsPublic"] = json!(false);
    info["deviceProfileName"] = json!(registry.profile_name(device.profile));
    info["active"] = json!(device.is_active());
    info
}

fn random_token() -> Result<String, ApiError> {
    // Bytes beyond the last whole multiple of the alphabet would favour its first letters.
    let fair_below = 256 - 256 % TOKEN_ALPHABET.len();
    let mut token = String::with_capacity(TOKEN_CHARS);
    while token.len() < TOKEN_CHARS {
        let mut bytes = [0; TOKEN_CHARS];
        let failed = |_| {
            ApiError::coded(
                StatusCode::INTERNAL_SERVER_ERROR,
                2,
                "No random bytes for a token",
            )
        };
        getrandom::fill(&mut bytes).map_err(failed)?;
        let fair = bytes
            .into_iter()
            .map(usize::from)
            .filter(|byte| *byte < fair_below);
        token.extend(
            fair.take(TOKEN_CHARS - token.len())
                .map(|byte| char::from(TOKEN_ALPHABET[byte % 62])),
        );
    }
    Ok(token)
}
