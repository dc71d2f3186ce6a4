//! `GET /api/v1/devices…`: meters, their power and energy.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use collector::store::Store;
use protocol::DeviceId;
use serde::Deserialize;

use super::{App, error::ApiError};
use crate::{
    exit::Problem,
    queries,
    views::{
        device::DeviceView,
        energy::{EnergyView, Step},
        event::EventView,
        power::PowerView,
        reading::LatestView,
    },
};

type IdPath = Result<Path<String>, PathRejection>;

/// Lists all meters that are known.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<DeviceView>>, ApiError> {
    Ok(Json(app.engine.read(queries::devices).await?))
}

/// Answers with one meter.
pub(super) async fn one(State(app): State<App>, id: IdPath) -> Result<Json<DeviceView>, ApiError> {
    let id = device_id(id)?;
    Ok(Json(
        app.engine
            .read(move |store| queries::device(store, id))
            .await?,
    ))
}

/// Answers with the newest reading.
pub(super) async fn latest(
    State(app): State<App>,
    id: IdPath,
) -> Result<Json<LatestView>, ApiError> {
    let id = device_id(id)?;
    let latest = app
        .engine
        .read(move |store| queries::latest(store, id))
        .await?;
    latest
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("there is no reading of meter {id} yet")))
}

/// Answers with what happened to a meter, oldest first.
pub(super) async fn events(
    State(app): State<App>,
    id: IdPath,
) -> Result<Json<Vec<EventView>>, ApiError> {
    let id = device_id(id)?;
    Ok(Json(
        app.engine
            .read(move |store| queries::events(store, id))
            .await?,
    ))
}

/// Which power is wanted.
#[derive(Deserialize)]
pub(super) struct PowerQuery {
    from_ms: i64,
    to_ms: i64,
    points: usize,
    #[serde(default = "first_channel")]
    channel: u8,
}

const fn first_channel() -> u8 {
    1
}

/// Answers with power over time, in at most as many buckets as were asked for.
pub(super) async fn power(
    State(app): State<App>,
    id: IdPath,
    query: Result<Query<PowerQuery>, QueryRejection>,
) -> Result<Json<PowerView>, ApiError> {
    let id = device_id(id)?;
    let Query(wanted) = query?;
    let read = move |store: &Store| {
        queries::power(
            store,
            id,
            wanted.channel,
            wanted.from_ms..wanted.to_ms,
            wanted.points,
        )
    };
    Ok(Json(app.engine.read(read).await?))
}

/// Which energy is wanted.
#[derive(Deserialize)]
pub(super) struct EnergyQuery {
    from_ms: i64,
    to_ms: i64,
    by: Step,
}

/// Answers with energy by hours, days or months of the zone.
pub(super) async fn energy(
    State(app): State<App>,
    id: IdPath,
    query: Result<Query<EnergyQuery>, QueryRejection>,
) -> Result<Json<EnergyView>, ApiError> {
    let id = device_id(id)?;
    let Query(wanted) = query?;
    let zone = app.context.zone().clone();
    let read = move |store: &Store| {
        queries::energy(store, id, &zone, wanted.from_ms..wanted.to_ms, wanted.by)
    };
    Ok(Json(app.engine.read(read).await?))
}

fn device_id(id: IdPath) -> Result<DeviceId, ApiError> {
    let Path(text) = id?;
    let unknown = |_| {
        Problem::usage(
            format!("{text:?} is no meter's id"),
            "ids are 12 hex digits",
        )
    };
    Ok(text.parse().map_err(unknown)?)
}
