//! `ofmon status`: where data lies and how much there is.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::{
    context::Context,
    moment,
    queries::{self, StoreView},
};

const EXAMPLES: &str = "\
Examples:
  ofmon status
  ofmon status --json";

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {}

/// What is here.
#[derive(Serialize)]
struct StatusView {
    version: &'static str,
    data_dir: String,
    time_zone: String,
    now_utc: Option<String>,
    sim_dir: Option<String>,
    #[serde(flatten)]
    store: StoreView,
}

impl Status {
    /// Says where data lies and how much there is; nothing yet is no failure.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = match context.store_if_any()? {
            Some(store) => queries::overview(&store)?,
            None => StoreView::default(),
        };
        let status = StatusView {
            version: env!("CARGO_PKG_VERSION"),
            data_dir: context.data_dir()?.display().to_string(),
            time_zone: context.zone_name(),
            now_utc: moment::rfc3339(context.clock()?.now_ms()),
            sim_dir: context.air().map(|air| air.display().to_string()),
            store,
        };
        context.output.print(&status, text)
    }
}

fn text(status: &StatusView) -> String {
    let store = &status.store;
    let air = status
        .sim_dir
        .as_deref()
        .unwrap_or("none (--sim DIR or OFMON_SIM)");
    let per_reading = match store.readings {
        0 => String::new(),
        readings => format!(
            ", {:.1} bytes a reading",
            store.store_bytes as f64 / readings as f64
        ),
    };
    let server = match (&store.server, &store.server_user) {
        (Some(server), Some(user)) => format!("{server} as {user}"),
        (Some(server), None) => server.clone(),
        _ => "none (`ofmon login`)".to_owned(),
    };
    let mut lines = vec![
        format!("ofmon             {}", status.version),
        format!("data              {}", status.data_dir),
        format!("time zone         {}", status.time_zone),
        format!("simulated meters  {air}"),
        format!("server            {server}"),
        format!("meters            {}", store.devices),
        format!("readings          {}", store.readings),
        format!(
            "store             {:.1} MB{per_reading}",
            store.store_bytes as f64 / 1e6
        ),
    ];
    if store.lost > 0 {
        let lost = store.lost;
        lines.push(format!(
            "lost on meters    {lost} readings, before anyone collected them"
        ));
    }
    if store.clock_conflicts > 0 {
        let conflicts = store.clock_conflicts;
        lines.push(format!(
            "clocks            {conflicts} events contradict the time that others told"
        ));
    }
    lines.join("\n")
}
