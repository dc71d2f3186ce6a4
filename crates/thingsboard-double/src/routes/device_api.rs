//! The device API: what a device with an access token may do, and no user.
//!
//! Its answers have no bodies. 200 to telemetry means that the data was put on a queue: it may be stored later or, when
//! something goes wrong behind the queue, never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::now_ms;
use crate::device::{Scope, is_key_accepted};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::payload::{Message, PayloadError, parse_telemetry, parse_values};
use crate::server::Server;

/// `POST /api/v1/{token}/telemetry`
pub(super) async fn post_telemetry(
    State(server): State<Arc<Server>>,
    Path(token): Path<String>,
    body: Bytes,
) -> Result<(), ApiError> {
    let device = authenticate(&server, &token)?;
    if server.faults.fails_telemetry() {
        return Err(ApiError::Empty(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let messages = parse_telemetry(&body, now_ms()).map_err(unreadable)?;
    if messages.is_empty() {
        // No message, so none is ever acknowledged: the request hangs until the framework gives up on it.
        tokio::time::sleep(server.options.request_timeout).await;
        return Err(ApiError::Empty(StatusCode::SERVICE_UNAVAILABLE));
    }
    if !server
        .faults
        .takes_points(device, points_of(&messages), Instant::now())
    {
        return Err(ApiError::Empty(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let delay_ms = server.faults.get().store_delay_ms;
    if delay_ms == 0 {
        process(&server, device, messages);
    } else {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            process(&server, device, messages);
        });
    }
    Ok(())
}

/// Does what the rule engine does with a queue of messages: it stores them one by one, and forgets those that fail.
fn process(server: &Server, device: Uuid, mut messages: Vec<Message>) {
    let received = points_of(&messages);
    messages.retain(|message| {
        !server.faults.drops_message() && message.values.keys().all(|key| is_key_accepted(key))
    });
    let mut registry = server.registry();
    let written = registry.store(device, messages);
    if let Some(device) = registry.device_mut(device) {
        device.note_activity();
    }
    drop(registry);
    server.journal.count_points(written, received - written);
}

/// `POST /api/v1/{token}/attributes`
pub(super) async fn post_attributes(
    State(server): State<Arc<Server>>,
    Path(token): Path<String>,
    body: Bytes,
) -> Result<(), ApiError> {
    let device = authenticate(&server, &token)?;
    let values = parse_values(&body).map_err(unreadable)?;
    if let Some(device) = server.registry().device_mut(device) {
        device.set_attributes(Scope::Client, values);
        device.note_activity();
    }
    Ok(())
}

/// `GET /api/v1/{token}/attributes`
pub(super) async fn get_attributes(
    State(server): State<Arc<Server>>,
    Path(token): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let device = authenticate(&server, &token)?;
    let (client, shared) = (parameters.list("clientKeys"), parameters.list("sharedKeys"));
    let all = client.is_empty() && shared.is_empty();
    let registry = server.registry();
    let attributes = registry.device(device).map(|device| &device.attributes);
    let mut answer = Map::new();
    for (member, scope, keys) in [
        ("client", Scope::Client, client),
        ("shared", Scope::Shared, shared),
    ] {
        let found: BTreeMap<&String, Value> = attributes
            .into_iter()
            .flatten()
            .filter(|((of, key), _)| *of == scope && (all || keys.contains(key)))
            .map(|((_, key), (_, value))| (key, value.to_json(true)))
            .collect();
        if !found.is_empty() {
            answer.insert(
                member.to_owned(),
                found
                    .into_iter()
                    .map(|(key, value)| (key.clone(), value))
                    .collect(),
            );
        }
    }
    Ok(Json(Value::Object(answer)))
}

fn authenticate(server: &Server, token: &str) -> Result<Uuid, ApiError> {
    let known = server.registry().id_by_token(token);
    known
        .filter(|_| !server.faults.refuses_token())
        .ok_or(ApiError::Empty(StatusCode::UNAUTHORIZED))
}

fn points_of(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.values.len()).sum()
}

fn unreadable(error: PayloadError) -> ApiError {
    ApiError::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
