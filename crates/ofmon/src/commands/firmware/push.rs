//! `ofmon firmware push`: an update for meters.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use clap::Args;
use collector::firmware::{self, Packages};
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    context::Context,
    engine::{
        Engine,
        push::{Pushed, Update},
    },
    exit::{self, Ending, ErrorBody, Kind, Problem},
    output::{Column, table},
    progress::Bars,
    stop,
    views::firmware::PushView,
};

const EXAMPLES: &str = "\
Examples:
  ofmon firmware push 0.2.0-esp32c3.ofmon cellar   one meter
  ofmon firmware push 0.2.0 cellar 020f6d000001    a version that is kept here, each meter its chip's
  ofmon firmware push 0.2.0 --all                  all that are known and in range

A file is kept in the data directory too. A push that breaks off goes on where it was when it is tried again, until
the meter restarts. A meter refuses what is not signed by its key, for another chip, or older than what it runs;
nothing is sent where that can be seen here. After a push the meter restarts; the next `ofmon collect` tells whether
it stays with the update.";

/// Arguments of `firmware push`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Push {
    /// A file, or the version of a package that is kept here
    #[arg(value_name = "FILE|VERSION")]
    update: String,
    /// Meters by id or name
    #[arg(
        value_name = "METER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    meters: Vec<String>,
    /// All meters that are known and in range
    #[arg(long)]
    all: bool,
}

/// What became of one meter's push.
#[derive(Serialize)]
struct PushedView {
    device: DeviceId,
    name: String,
    /// What it took; null where it took nothing.
    update: Option<PushView>,
    seconds: f64,
    /// Why it took nothing; null where it took it.
    error: Option<ErrorBody>,
}

impl Push {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let packages = Packages::of(&context.data_dir()?);
        let update = Arc::new(self.update(&packages)?);
        let engine = Engine::open(context)?;
        let wanted = match self.meters.as_slice() {
            [] => None,
            meters => Some(engine.find(meters)?),
        };
        if let Update::Package(package) = &*update {
            packages.add(package)?;
        }
        let bars = Bars::new(context.output, "bytes");
        let on_progress = Arc::new(move |device, done, total| bars.set(device, done, total));
        let pushed = engine.push(wanted.as_deref(), update, on_progress);
        let pushed = stop::or_stopped(pushed).await?;
        report(context, &pushed)
    }

    fn update(&self, packages: &Packages) -> Result<Update> {
        let path = Path::new(&self.update);
        if path.exists() || path.extension().is_some_and(|ending| ending == "ofmon") {
            return Ok(Update::Package(firmware::read(path)?));
        }
        let kept = packages.list()?.into_iter();
        let kept = kept.filter_map(|(_, package): (PathBuf, _)| package.ok());
        let of_version: Vec<_> = kept
            .filter(|package| package.header().version.as_str() == self.update)
            .collect();
        if of_version.is_empty() {
            let message = format!(
                "{:?} is no file and no version of a package here",
                self.update
            );
            let hint = "`ofmon firmware list` shows the packages";
            return Err(Problem::new(Kind::NotFound, message, hint).into());
        }
        Ok(Update::OfVersion(self.update.clone(), of_version))
    }
}

fn report(context: &Context, pushed: &[Pushed]) -> Result<()> {
    let view = |pushed: &Pushed| PushedView {
        device: pushed.device,
        name: pushed.name.clone(),
        update: pushed.ended.as_ref().ok().map(PushView::of),
        seconds: pushed.seconds,
        error: pushed
            .ended
            .as_ref()
            .err()
            .map(|error| Ending::of(error).body()),
    };
    let views: Vec<PushedView> = pushed.iter().map(view).collect();
    context.output.print(&views, |views| text(views))?;
    let failures = pushed
        .iter()
        .filter_map(|pushed| pushed.ended.as_ref().err());
    let failed: Vec<Kind> = failures.map(|error| Ending::of(error).kind).collect();
    let hint = "what came is kept in the meter; the next push goes on from there";
    exit::conclude(&failed, views.len(), "meters did not take the update", hint)
}

fn text(views: &[PushedView]) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("name"),
        Column::Number("seconds"),
        Column::Text("result"),
    ];
    let row = |view: &PushedView| {
        let result = match (&view.error, &view.update) {
            (Some(error), _) => error.message.clone(),
            (None, Some(update)) => format!(
                "took {} in place of {}, and restarts; `ofmon collect` tells whether it stays",
                update.version, update.before
            ),
            (None, None) => String::new(),
        };
        vec![
            view.device.to_string(),
            view.name.clone(),
            format!("{:.1}", view.seconds),
            result,
        ]
    };
    table(&columns, views.iter().map(row))
}
