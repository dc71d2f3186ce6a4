//! `ofmon scan`: which meters are in range.

use anyhow::Result;
use clap::Args;
use collector::secrets::Secrets;

use crate::{
    air::{self, Known},
    context::Context,
    moment,
    output::{Column, table},
    stop,
    views::device::NearbyView,
};

const EXAMPLES: &str = "\
Examples:
  ofmon scan --sim /tmp/air        the simulated meters of `ofmon sim --state /tmp/air`
  ofmon scan --json                for programs";

/// Arguments of `scan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Scan {}

impl Scan {
    /// Lists the meters in range; none is no failure.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let devices = match context.store_if_any()? {
            Some(store) => store.devices()?,
            None => Vec::new(),
        };
        let known = Known::new(&Secrets::open(&context.data_dir()?)?, devices);
        let look = async { air::look(air::in_range(context.air()).await?, &known).await };
        let nearby = stop::or_stopped(look).await?;
        let now_ms = context.clock()?.now_ms();
        context.output.print(&nearby, |nearby| text(nearby, now_ms))
    }
}

fn text(nearby: &[NearbyView], now_ms: i64) -> String {
    if nearby.is_empty() {
        return "No meter is in range.".to_owned();
    }
    let columns = [
        Column::Text("meter"),
        Column::Text("access point"),
        Column::Text("name"),
        Column::Text("state"),
        Column::Text("last collected"),
    ];
    let row = |meter: &NearbyView| {
        let state = match (meter.known, meter.set_up) {
            (_, None) => "does not answer",
            (true, _) => "ready to collect",
            (false, Some(true)) => "set up by someone else",
            (false, Some(false)) => "new: `ofmon setup`",
        };
        let collected = meter.last_collected_ms.map_or_else(
            || "never".to_owned(),
            |then_ms| moment::age(then_ms, now_ms),
        );
        vec![
            meter.id.to_string(),
            meter.ssid.clone(),
            meter.name.clone().unwrap_or_default(),
            state.to_owned(),
            collected,
        ]
    };
    table(&columns, nearby.iter().map(row))
}
