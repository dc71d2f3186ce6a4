//! `ofmon collect`: fetches what meters recorded since the last time.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use crate::{
    context::Context,
    engine::{Engine, Visit},
    exit::{self, Ending, Kind},
    output::{Column, table},
    progress::Bars,
    stop,
    views::{device::CollectedView, event::length},
};

const EXAMPLES: &str = "\
Examples:
  ofmon collect                       all meters that are known and in range
  ofmon collect cellar 020f6d000001   these two, by name or id
  ofmon collect --json                what came, for programs

Every block is stored before the next is asked for: a collection that breaks off keeps what came, and
the next one goes on from there. Nothing is deleted on the meter. The first visit after `ofmon firmware push` tells
whether the meter stays with the update.";

/// Arguments of `collect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Collect {
    /// Meters by id or name; without any, all that are known and in range
    #[arg(value_name = "METER", conflicts_with = "all")]
    meters: Vec<String>,
    /// All meters that are known and in range, said aloud
    #[arg(long)]
    all: bool,
}

impl Collect {
    /// Collects and says what came; fails when not all came.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = Engine::open(context)?;
        let wanted = match self.meters.as_slice() {
            [] => None,
            meters => Some(engine.find(meters)?),
        };
        let bars = Bars::new(context.output, "readings");
        let on_progress = Arc::new(move |device, done, total| bars.set(device, done, total));
        let visits = stop::or_stopped(engine.collect(wanted.as_deref(), on_progress)).await?;
        report(context, &visits)
    }
}

/// Prints what the visits brought; fails when one of them did.
pub(crate) fn report(context: &Context, visits: &[Visit]) -> Result<()> {
    let views: Vec<CollectedView> = visits.iter().map(CollectedView::of).collect();
    context.output.print(&views, |views| text(views))?;
    let failures = visits.iter().filter_map(|visit| visit.ended.as_ref().err());
    let failed: Vec<Kind> = failures.map(|error| Ending::of(error).kind).collect();
    let hint = "what came is kept; the next `ofmon collect` goes on";
    exit::conclude(
        &failed,
        views.len(),
        "meters were not collected to the end",
        hint,
    )
}

fn text(views: &[CollectedView]) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("name"),
        Column::Number("new readings"),
        Column::Number("kB"),
        Column::Number("seconds"),
        Column::Text("result"),
    ];
    let row = |view: &CollectedView| {
        let done = match view.token_changed {
            true => "done; it has its new access token",
            false => "done",
        };
        let update = view.firmware.as_ref().and_then(|seen| seen.update.as_ref());
        let result = match (&view.error, update) {
            (Some(error), _) => error.message.clone(),
            (None, Some(update)) => format!("{done}; {}", update.sentence()),
            (None, None) => done.to_owned(),
        };
        vec![
            view.device.to_string(),
            view.name.clone(),
            view.readings.to_string(),
            format!("{:.1}", view.bytes as f64 / 1e3),
            format!("{:.1}", view.seconds),
            result,
        ]
    };
    let mut text = table(&columns, views.iter().map(row));
    for view in views {
        if let Some(conflict_ms) = view.clock_conflict_ms {
            text.push_str(&format!(
                "\n\nAt {} the clock of this collector and what earlier visits told contradict each other by {}.\n\
                 Look at this computer's clock; `ofmon events {}` shows which visits are believed.",
                view.name,
                length(conflict_ms as f64 / 1e3),
                view.device
            ));
        }
    }
    text
}
