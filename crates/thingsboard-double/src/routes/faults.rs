//! The double's own endpoints, for tests that run it as a program of its own. The server listens on loopback only, and
//! no fault ever strikes these.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;

use super::json_body;
use crate::error::ApiError;
use crate::faults::Faults;
use crate::server::Server;

/// Which of the tokens issued so far count as expired.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpireTokens {
    #[serde(default)]
    access: bool,
    #[serde(default)]
    refresh: bool,
}

/// `GET /double/faults`: the faults with the counts that are left
pub(super) async fn read(State(server): State<Arc<Server>>) -> Json<Faults> {
    Json(server.faults.get())
}

/// `POST /double/faults`: replaces all faults; `{}` switches everything off
pub(super) async fn set(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<Json<Faults>, ApiError> {
    let faults: Faults = json_body(&body)?;
    server.faults.set(faults.clone());
    Ok(Json(faults))
}

/// `POST /double/expire-tokens` with `{"access": true, "refresh": true}`
pub(super) async fn expire_tokens(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<(), ApiError> {
    let which: ExpireTokens = json_body(&body)?;
    if which.access {
        server.accounts.expire_access_tokens();
    }
    if which.refresh {
        server.accounts.expire_refresh_tokens();
    }
    Ok(())
}
