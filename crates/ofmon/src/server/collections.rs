//! `POST /api/v1/collect` and `GET /api/v1/jobs/{id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
};
use protocol::DeviceId;
use serde::{Deserialize, Serialize};

use super::{
    App,
    error::ApiError,
    jobs::{Job, JobHandle, State as JobState},
};
use crate::{engine::OnProgress, exit::Ending};

/// What is to be collected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// These meters, or all that are in range and known.
    #[serde(default)]
    devices: Option<Vec<DeviceId>>,
}

/// Where to look for progress.
#[derive(Serialize)]
pub(super) struct Begun {
    job: String,
}

/// Begins a collection.
pub(super) async fn begin(
    State(app): State<App>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Begun>, ApiError> {
    let Json(wanted) = wanted?;
    let Some(handle) = app.jobs.begin() else {
        return Err(ApiError::busy("a collection is under way"));
    };
    let begun = Begun {
        job: handle.id().to_owned(),
    };
    tokio::spawn(run(app.clone(), wanted, handle));
    Ok(Json(begun))
}

/// Tells how far a collection is.
pub(super) async fn job(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Job>, ApiError> {
    let Path(id) = id?;
    app.jobs
        .get(&id)
        .map(Json)
        .ok_or_else(|| ApiError::not_found("there is no such job, or it ended long ago"))
}

async fn run(app: App, wanted: Wanted, handle: JobHandle) {
    let handle = Arc::new(handle);
    let told = Arc::clone(&handle);
    let on_progress: OnProgress =
        Arc::new(move |device, done, total| told.progress(device, done, total));
    let visits = match app
        .engine
        .collect(wanted.devices.as_deref(), on_progress)
        .await
    {
        Ok(visits) => visits,
        Err(error) => return handle.end(JobState::Failed, Ending::of(&error).message),
    };
    let mut readings = 0;
    let mut failed = 0;
    for visit in &visits {
        readings += visit.collected.readings_new;
        if let Err(error) = &visit.ended {
            failed += 1;
            handle.failed(visit.device, &Ending::of(error).message);
        }
    }
    match failed {
        0 => handle.end(
            JobState::Done,
            format!("{readings} new readings from {} meters", visits.len()),
        ),
        _ => handle.end(
            JobState::Failed,
            format!(
                "{failed} of {} meters were not collected to the end",
                visits.len()
            ),
        ),
    }
}
