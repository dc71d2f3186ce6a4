//! The HTTP interface, one module per group of endpoints.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use serde_json::json;
use uuid::Uuid;

use crate::accounts::{Authority, TokenError, User};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::interference::interfere;
use crate::server::Server;

mod attributes;
mod auth;
mod credentials;
mod device_api;
mod devices;
mod faults;
mod profiles;
mod system;
mod timeseries;

/// Puts all endpoints together.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let telemetry = "/api/plugins/telemetry";
    let entity = format!("{telemetry}/{{kind}}/{{id}}");
    Router::new()
        .route(
            "/api/v1/{token}/telemetry",
            post(device_api::post_telemetry),
        )
        .route(
            "/api/v1/{token}/attributes",
            get(device_api::get_attributes).post(device_api::post_attributes),
        )
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/token", post(auth::refresh))
        .route("/api/auth/logout", post(auth::logout))
        .route("/api/auth/user", get(auth::user))
        .route("/api/system/info", get(system::info))
        .route("/api/tenant/devices", get(devices::list))
        .route("/api/tenant/device", get(devices::by_name))
        .route("/api/tenant/deviceInfos", get(devices::list_infos))
        .route("/api/deviceInfos/all", get(devices::list_infos))
        .route("/api/user/devices", get(devices::list))
        .route("/api/devices", get(devices::by_ids))
        .route("/api/device", post(devices::save))
        .route(
            "/api/device/{id}",
            get(devices::by_id).delete(devices::remove),
        )
        .route("/api/device/info/{id}", get(devices::info))
        .route("/api/device/{id}/credentials", get(credentials::read))
        .route("/api/device/credentials", post(credentials::change))
        .route(
            "/api/device-with-credentials",
            post(credentials::save_device),
        )
        .route("/api/deviceProfileInfo/default", get(profiles::default))
        .route("/api/deviceProfileInfos", get(profiles::list))
        .route(&format!("{entity}/keys/timeseries"), get(timeseries::keys))
        .route(
            &format!("{entity}/values/timeseries"),
            get(timeseries::values),
        )
        .route(
            &format!("{entity}/values/timeseries/history"),
            get(timeseries::history),
        )
        .route(
            &format!("{entity}/timeseries/delete"),
            delete(timeseries::remove),
        )
        .route(
            &format!("{entity}/timeseries/{{scope}}"),
            post(timeseries::save),
        )
        .route(
            &format!("{entity}/timeseries/{{scope}}/{{ttl}}"),
            post(timeseries::save_with_ttl),
        )
        .route(&format!("{entity}/keys/attributes"), get(attributes::keys))
        .route(
            &format!("{entity}/keys/attributes/{{scope}}"),
            get(attributes::keys_of_scope),
        )
        .route(
            &format!("{entity}/values/attributes"),
            get(attributes::values),
        )
        .route(
            &format!("{entity}/values/attributes/{{scope}}"),
            get(attributes::values_of_scope),
        )
        .route(
            &format!("{entity}/attributes/{{scope}}"),
            post(attributes::save),
        )
        .route(
            &format!("{entity}/{{scope}}"),
            post(attributes::save).delete(attributes::remove),
        )
        // The old short form without the kind of entity; only devices have it.
        .route(
            &format!("{telemetry}/{{kind}}/{{id}}"),
            post(attributes::save_short).delete(attributes::remove_short),
        )
        .route("/double/faults", get(faults::read).post(faults::set))
        .route("/double/expire-tokens", post(faults::expire_tokens))
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&server),
            interfere,
        ))
        // The body limit is part of the semantics and is kept by the layer above.
        .layer(DefaultBodyLimit::disable())
        .with_state(server)
}

async fn unknown_path(OriginalUri(uri): OriginalUri) -> Response {
    let body =
        json!({"timestamp": now_ms(), "status": 404, "error": "Not Found", "path": uri.path()});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// A signed-in user, whatever its authority.
pub(super) struct SignedIn {
    pub(super) user: User,
    pub(super) session: Uuid,
}

/// A signed-in tenant administrator, the only one who may touch devices here.
pub(super) struct TenantAdmin;

impl FromRequestParts<Arc<Server>> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<SignedIn, ApiError> {
        let header = ["x-authorization", "authorization"]
            .into_iter()
            .find_map(|name| parts.headers.get(name));
        let text = header
            .and_then(|value| value.to_str().ok())
            .ok_or_else(ApiError::unauthenticated)?;
        let token = text
            .strip_prefix("Bearer ")
            .ok_or_else(ApiError::unauthenticated)?;
        let (user, session) = server
            .accounts
            .authenticate(token.trim())
            .map_err(refusal)?;
        Ok(SignedIn {
            user: user.clone(),
            session,
        })
    }
}

impl FromRequestParts<Arc<Server>> for TenantAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        server: &Arc<Server>,
    ) -> Result<TenantAdmin, ApiError> {
        let signed_in = SignedIn::from_request_parts(parts, server).await?;
        match signed_in.user.authority {
            Authority::TenantAdmin => Ok(TenantAdmin),
            Authority::SysAdmin | Authority::CustomerUser => Err(ApiError::forbidden()),
        }
    }
}

fn refusal(error: TokenError) -> ApiError {
    match error {
        TokenError::Invalid => ApiError::wrong_credentials(),
        TokenError::Expired => ApiError::token_expired(),
    }
}

/// Reads a JSON body of the user API, whatever its content type says.
fn json_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("Malformed request body: {error}")))
}

/// Reads an identifier from a path.
fn parse_id(text: &str) -> Result<Uuid, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request(format!("Invalid UUID string: {text}")))
}

/// Writes an identifier as the server does, with the kind of thing it stands for.
fn entity_id(kind: &str, id: Uuid) -> serde_json::Value {
    json!({"entityType": kind, "id": id})
}
