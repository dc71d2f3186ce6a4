//! Telemetry of the user API: reading, saving with a durable answer, deleting.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::TenantAdmin;
use crate::aggregation::{Aggregation, check_interval};
use crate::clock::now_ms;
use crate::device::{Device, is_key_accepted};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::payload::parse_telemetry;
use crate::registry::Registry;
use crate::series::{DeleteLatest, Point};
use crate::server::Server;

/// Points that one raw query answers when it does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// `GET …/keys/timeseries`
pub(super) async fn keys(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<Vec<String>>, ApiError> {
    let registry = server.registry();
    Ok(Json(find_device(&registry, &kind, &id)?.series.keys()))
}

/// `GET …/values/timeseries`: the latest values, or the history when a range is given
pub(super) async fn values(
    server: State<Arc<Server>>,
    admin: TenantAdmin,
    path: Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let has = |name| parameters.text(name).is_some();
    if !parameters.keys().is_empty() && has("startTs") && has("endTs") {
        return history(server, admin, path, parameters).await;
    }
    let strict = parameters.flag("useStrictDataTypes", false)?;
    let Path((kind, id)) = path;
    let registry = server.registry();
    let series = &find_device(&registry, &kind, &id)?.series;
    let asked = parameters.keys();
    let keys = if asked.is_empty() {
        series.keys()
    } else {
        asked
    };
    let now = now_ms();
    let latest = |key: String| {
        let point = match series.latest(&key) {
            Some(point) => point_json(point, strict),
            None => json!({"ts": now, "value": null}),
        };
        (key, json!([point]))
    };
    Ok(Json(Value::Object(keys.into_iter().map(latest).collect())))
}

/// `GET …/values/timeseries/history`
pub(super) async fn history(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let query = HistoryQuery::parse(&parameters)?;
    let registry = server.registry();
    let series = &find_device(&registry, &kind, &id)?.series;
    let mut answer = Map::new();
    for key in parameters.keys() {
        let range = query.start_ms..query.end_ms;
        let points = match query.aggregation {
            Some((aggregation, interval_ms)) => {
                series.aggregated(&key, range, interval_ms, aggregation)
            }
            None => series.raw(&key, range, query.limit, query.ascending),
        };
        if !points.is_empty() {
            answer.insert(
                key,
                points
                    .iter()
                    .map(|point| point_json(point, query.strict))
                    .collect(),
            );
        }
    }
    Ok(Json(Value::Object(answer)))
}

struct HistoryQuery {
    start_ms: i64,
    end_ms: i64,
    aggregation: Option<(Aggregation, i64)>,
    limit: usize,
    ascending: bool,
    strict: bool,
}

impl HistoryQuery {
    fn parse(parameters: &Parameters) -> Result<HistoryQuery, ApiError> {
        let bad = |message: String| ApiError::text(StatusCode::BAD_REQUEST, message);
        let start_ms = parameters.required_number("startTs")?;
        let end_ms = parameters.required_number("endTs")?;
        if parameters.keys().is_empty() {
            return Err(ApiError::bad_request(
                "Required request parameter 'keys' is not present",
            ));
        }
        let name = parameters.text("agg").unwrap_or("NONE");
        let kind =
            Aggregation::parse(name).ok_or_else(|| bad(format!("No such aggregation: {name}")))?;
        let interval_ms = parameters.number("interval")?.unwrap_or(0);
        let interval_type = parameters.text("intervalType").unwrap_or("MILLISECONDS");
        if interval_type != "MILLISECONDS" {
            return Err(bad(format!(
                "This double of a server has no interval type {interval_type}"
            )));
        }
        // An aggregation without an interval is none.
        let aggregation = kind
            .filter(|_| interval_ms != 0)
            .map(|kind| (kind, interval_ms));
        if aggregation.is_some() {
            check_interval(&(start_ms..end_ms), interval_ms)
                .map_err(|error| bad(error.to_string()))?;
        }
        let ascending = match parameters.text("orderBy") {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("desc") => false,
            Some(order) if order.eq_ignore_ascii_case("asc") => true,
            Some(order) => return Err(bad(format!("Unsupported sort order '{order}'"))),
        };
        Ok(HistoryQuery {
            start_ms,
            end_ms,
            aggregation,
            limit: parameters.number("limit")?.unwrap_or(LIMIT_DEFAULT),
            ascending,
            strict: parameters.flag("useStrictDataTypes", false)?,
        })
    }
}

/// `POST …/timeseries/{scope}`: the answer comes after the data was stored
pub(super) async fn save(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, _scope)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<(), ApiError> {
    save_body(&server, &kind, &id, &body)
}

/// `POST …/timeseries/{scope}/{ttl}`: the same; nothing lives long enough here for its time to run out
pub(super) async fn save_with_ttl(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id, _scope, _ttl)): Path<(String, String, String, i64)>,
    body: Bytes,
) -> Result<(), ApiError> {
    save_body(&server, &kind, &id, &body)
}

fn save_body(server: &Server, kind: &str, id: &str, body: &[u8]) -> Result<(), ApiError> {
    let bad = |message: String| ApiError::text(StatusCode::BAD_REQUEST, message);
    let messages = parse_telemetry(body, now_ms()).map_err(|error| {
        bad(format!(
            "Unable to parse time series payload. Invalid JSON body: {error}"
        ))
    })?;
    let points: usize = messages.iter().map(|message| message.values.len()).sum();
    if points == 0 {
        return Err(bad("No time series data found in request body!".to_owned()));
    }
    if let Some(key) = messages
        .iter()
        .flat_map(|message| message.values.keys())
        .find(|key| !is_key_accepted(key))
    {
        return Err(bad(format!("Validation error: key '{key}' is malformed")));
    }
    let mut registry = server.registry();
    let id = find_device(&registry, kind, id)?.id;
    let written = registry.store(id, messages);
    drop(registry);
    server.journal.count_points(written, points - written);
    if written < points {
        return Err(ApiError::Empty(StatusCode::INTERNAL_SERVER_ERROR));
    }
    Ok(())
}

/// `DELETE …/timeseries/delete`
pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    _: TenantAdmin,
    Path((kind, id)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<(), ApiError> {
    let bad = |message: &str| ApiError::text(StatusCode::BAD_REQUEST, message);
    let keys = parameters.keys();
    if keys.is_empty() {
        return Err(bad("Empty keys: "));
    }
    let range = if parameters.flag("deleteAllDataForKeys", false)? {
        // What lies in the future stays, as on the server.
        0..now_ms()
    } else {
        let (start, end) = (parameters.number("startTs")?, parameters.number("endTs")?);
        let absent =
            "When deleteAllDataForKeys is false, start and end timestamp values shouldn't be empty";
        start.ok_or_else(|| bad(absent))?..end.ok_or_else(|| bad(absent))?
    };
    let latest = DeleteLatest {
        remove: parameters.flag("deleteLatest", true)?,
        rewrite: parameters.flag("rewriteLatestIfDeleted", false)?,
    };
    let mut registry = server.registry();
    let id = find_device(&registry, &kind, &id)?.id;
    let series = registry.device_mut(id).map(|device| &mut device.series);
    let gone = series.map_or(0, |series| {
        keys.iter()
            .map(|key| series.delete(key, range.clone(), latest))
            .sum()
    });
    registry.forget_points(gone);
    Ok(())
}

/// Finds the device that a telemetry path names; these endpoints answer in plain text.
pub(super) fn find_device<'a>(
    registry: &'a Registry,
    kind: &str,
    id: &str,
) -> Result<&'a Device, ApiError> {
    if !kind.eq_ignore_ascii_case("DEVICE") {
        let message = format!("This double of a server has no telemetry of {kind}");
        return Err(ApiError::text(StatusCode::BAD_REQUEST, message));
    }
    let id = super::parse_id(id)?;
    let unknown = || {
        ApiError::text(
            StatusCode::NOT_FOUND,
            "Device with requested id wasn't found!",
        )
    };
    registry.device(id).ok_or_else(unknown)
}

fn point_json((ts_ms, value): &Point, strict: bool) -> Value {
    json!({"ts": ts_ms, "value": value.to_json(strict)})
}
