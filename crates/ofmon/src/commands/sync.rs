//! `ofmon sync`: sends to the ThingsBoard server what it lacks.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use collector::{sync::DeviceReport, thingsboard::Server};
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    context::Context,
    engine::Engine,
    exit::{self, Ending, ErrorBody, Kind},
    output::{Column, table},
    progress::Bars,
    stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon sync              all meters that are yours
  ofmon sync cellar       one, by name or id
  ofmon sync --json       what was sent and found there, for programs

Readings count as stored only after the server was asked how many of them it has. A sync that breaks off goes on where
it was; nothing is sent twice that is there.";

/// Arguments of `sync`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sync {
    /// Meters by id or name; without any, all that are yours
    #[arg(value_name = "METER")]
    meters: Vec<String>,
}

/// What the sync of one meter came to.
#[derive(Serialize)]
pub(crate) struct SyncedView {
    device: DeviceId,
    readings_sent: u64,
    readings_verified: u64,
    readings_resent: u64,
    readings_left: u64,
    /// Whether the meter has to be visited, because its device on the server has another token by now.
    token_waits: bool,
    error: Option<ErrorBody>,
    #[serde(skip)]
    kind: Option<Kind>,
}

impl SyncedView {
    /// Tells what the sync of a meter came to.
    fn new(report: DeviceReport) -> Self {
        let is_short = report.readings_left > 0;
        let ending = report.error.map(|error| Ending::of(&error.into()));
        Self {
            device: report.device,
            readings_sent: report.readings_sent,
            readings_verified: report.readings_verified,
            readings_resent: report.readings_resent,
            readings_left: report.readings_left,
            token_waits: report.token_waits,
            kind: ending
                .as_ref()
                .map(|ending| ending.kind)
                .or(is_short.then_some(Kind::Partial)),
            error: ending.map(|ending| ending.body()),
        }
    }
}

impl Sync {
    /// Sends what is missing and says what came of it; fails when not all is stored there.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = Engine::open(context)?;
        let devices = match self.meters.as_slice() {
            [] => engine.own_devices().await,
            meters => engine.find(meters)?,
        };
        let server = engine.server().await?;
        let views = stop::or_stopped(sync(context, &engine, &server, &devices)).await?;
        context.output.print(&views, |views| text(views))?;
        conclude(&views)
    }
}

/// Sends what is missing, with progress.
pub(crate) async fn sync(
    context: &Context,
    engine: &Engine,
    server: &Server,
    devices: &[DeviceId],
) -> Result<Vec<SyncedView>> {
    let bars = Bars::new(context.output, "readings");
    let on_progress = Arc::new(move |device, done, total| bars.set(device, done, total));
    let report = engine.sync(server, devices, on_progress).await?;
    Ok(report.devices.into_iter().map(SyncedView::new).collect())
}

/// Fails when not all is stored on the server.
pub(crate) fn conclude(views: &[SyncedView]) -> Result<()> {
    let failed: Vec<Kind> = views.iter().filter_map(|view| view.kind).collect();
    let hint = "nothing is lost; the next `ofmon sync` goes on";
    exit::conclude(
        &failed,
        views.len(),
        "meters are not complete on the server",
        hint,
    )
}

fn text(views: &[SyncedView]) -> String {
    if views.is_empty() {
        return "No meter is yours yet: `ofmon setup` makes them yours.".to_owned();
    }
    let columns = [
        Column::Text("meter"),
        Column::Number("sent"),
        Column::Number("stored"),
        Column::Number("sent again"),
        Column::Number("left"),
        Column::Text("result"),
    ];
    let row = |view: &SyncedView| {
        let complete = match view.token_waits {
            true => {
                "complete; its token was changed: the next `ofmon collect` gives it to the meter"
            }
            false => "complete",
        };
        let result = view
            .error
            .as_ref()
            .map_or(complete, |error| error.message.as_str());
        vec![
            view.device.to_string(),
            view.readings_sent.to_string(),
            view.readings_verified.to_string(),
            view.readings_resent.to_string(),
            view.readings_left.to_string(),
            result.to_owned(),
        ]
    };
    table(&columns, views.iter().map(row))
}
