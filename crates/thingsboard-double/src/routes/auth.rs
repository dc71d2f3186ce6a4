//! Signing in and out, and who is signed in.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{SignedIn, entity_id, refusal};
use crate::accounts::TokenPair;
use crate::error::ApiError;
use crate::server::Server;

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refresh {
    refresh_token: String,
}

/// Reads a body that signs someone in; a wrong one is no bad request here but 401.
fn payload<T: DeserializeOwned>(body: &[u8], otherwise: &str) -> Result<T, ApiError> {
    let invalid = |_| ApiError::coded(StatusCode::UNAUTHORIZED, 10, otherwise);
    serde_json::from_slice(body).map_err(invalid)
}

/// `POST /api/auth/login`
pub(super) async fn login(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<Json<TokenPair>, ApiError> {
    let login: Login = payload(&body, "Invalid login request payload")?;
    let pair = server
        .accounts
        .sign_in(&login.username, &login.password, server.lifetimes());
    pair.map(Json).ok_or_else(ApiError::wrong_credentials)
}

/// `POST /api/auth/token`
pub(super) async fn refresh(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<Json<TokenPair>, ApiError> {
    let request: Refresh = payload(&body, "Invalid refresh token request payload")?;
    server
        .accounts
        .refresh(&request.refresh_token, server.lifetimes())
        .map(Json)
        .map_err(refusal)
}

/// `POST /api/auth/logout`
pub(super) async fn logout(State(server): State<Arc<Server>>, signed_in: SignedIn) {
    server.accounts.sign_out(signed_in.session);
}

/// `GET /api/auth/user`
pub(super) async fn user(SignedIn { user, .. }: SignedIn) -> Json<Value> {
    Json(json!({
        "id": entity_id("USER", user.id),
        "createdTime": user.created_ms,
        "tenantId": entity_id("TENANT", user.tenant),
        "customerId": entity_id("CUSTOMER", user.customer),
        "email": user.email,
        "name": user.email,
        "authority": user.authority.name(),
        "firstName": null,
        "lastName": null,
        "phone": null,
        "version": 1,
        "additionalInfo": null,
    }))
}
