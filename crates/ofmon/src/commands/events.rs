//! `ofmon events`: what happened to a meter.

use anyhow::Result;
use clap::Args;

use crate::{
    context::Context,
    moment,
    output::{Column, table},
    queries,
    views::event::{EventView, length},
};

const EXAMPLES: &str = "\
Examples:
  ofmon events cellar
  ofmon events 020f6d000001 --last 20
  ofmon events cellar --json

Starts and power cuts, visits that told the time, losses, changes: the meter's own log, as far as it
was collected; `ofmon collect` fetches the rest. A meter has no clock of its own: each time is worked
out from the visits, ± what is printed, and one with ~ is an estimate. Where the clocks of visits
contradict each other, the majority is believed; without one, ± covers both sides.";

/// Arguments of `events`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Events {
    /// The meter by id or name
    #[arg(value_name = "METER")]
    meter: String,
    /// Only the last N
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

impl Events {
    /// Prints the events of a meter, oldest first; none is no failure.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = context.store_to_read()?;
        let device = queries::find_one(&store, &self.meter)?;
        let mut events = queries::events(&store, device)?;
        let unwanted = events.len().saturating_sub(self.last.unwrap_or(usize::MAX));
        events.drain(..unwanted);
        context
            .output
            .print(&events, |events| text(events, context))
    }
}

fn text(events: &[EventView], context: &Context) -> String {
    if events.is_empty() {
        return "No event is known yet: `ofmon collect` fetches them.".to_owned();
    }
    let columns = [
        Column::Number("event"),
        Column::Text("time"),
        Column::Text("±"),
        Column::Number("boot"),
        Column::Text("uptime"),
        Column::Text("what"),
    ];
    let mut text = table(&columns, events.iter().map(|event| cells(event, context)));
    text.push_str(&format!("\n\nTimes are those of {}.", context.zone_name()));
    text
}

fn cells(event: &EventView, context: &Context) -> Vec<String> {
    let time = match event.utc_ms {
        Some(utc_ms) if event.estimated => format!("~ {}", moment::local(utc_ms, context.zone())),
        Some(utc_ms) => moment::local(utc_ms, context.zone()),
        None => "-".to_owned(),
    };
    let uncertainty = event
        .uncertainty_ms
        .map_or_else(|| "-".to_owned(), |ms| length(ms as f64 / 1e3));
    vec![
        event.number.to_string(),
        time,
        uncertainty,
        event.boot.to_string(),
        length(event.uptime_ms as f64 / 1e3),
        event.text.clone(),
    ]
}
