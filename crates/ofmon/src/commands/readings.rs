//! `ofmon readings`: readings of a meter on the screen.

use anyhow::Result;
use clap::Args;

use crate::{
    context::Context,
    moment,
    output::{Column, table},
    queries::{self, TimeRange},
    views::row::Row,
};

const EXAMPLES: &str = "\
Examples:
  ofmon readings cellar                              the last ten
  ofmon readings 020f6d000001 --last 100 --json
  ofmon readings cellar --from 2026-11-20 --to 2026-11-21    one day of the zone
  ofmon readings cellar --from 2h                    the last two hours

A reading's time is the end of its interval. `ofmon export` writes large amounts to a file.";

/// How many readings are printed without a range.
const LAST: usize = 10;
/// How many readings are printed at the most: a day at 10 s and more.
const READINGS_MAX: usize = 100_000;

/// Arguments of `readings`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Readings {
    /// The meter by id or name
    #[arg(value_name = "METER")]
    meter: String,
    /// The range of time
    #[command(flatten)]
    range: RangeArguments,
    /// Only the last N of the range, up to 100,000 [default: 10 without a range]
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

/// A range of time, as several commands take it.
#[derive(Debug, Args)]
pub(crate) struct RangeArguments {
    /// From this moment on: 2026-11-21, 2026-11-21T08:30, 2026-11-21T08:30:00Z, or how long ago, as 24h
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    from: Option<String>,
    /// Before this moment
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    to: Option<String>,
}

impl RangeArguments {
    /// Reads the range; an end that was not given is open.
    pub(crate) fn read(&self, context: &Context) -> Result<TimeRange> {
        let now_ms = context.clock()?.now_ms();
        let read = |text: &Option<String>| {
            text.as_deref()
                .map(|text| moment::parse(text, context.zone(), now_ms))
                .transpose()
        };
        TimeRange::new(read(&self.from)?, read(&self.to)?)
    }

    /// Tells whether no end was given.
    fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

impl Readings {
    /// Prints the readings of the range, oldest first.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = context.store_to_read()?;
        let device = queries::find_one(&store, &self.meter)?;
        let range = self.range.read(context)?;
        let unasked = if self.range.is_open() {
            LAST
        } else {
            READINGS_MAX
        };
        let last = self.last.unwrap_or(unasked).min(READINGS_MAX);
        let rows = queries::last_rows(&store, device, range, last)?;
        context.output.print(&rows, |rows| text(rows, context))
    }
}

fn text(rows: &[Row], context: &Context) -> String {
    if rows.is_empty() {
        return "There is no reading in this range.".to_owned();
    }
    let columns = [
        Column::Text("end of interval"),
        Column::Number("seq"),
        Column::Number("channel"),
        Column::Number("W"),
        Column::Number("var"),
        Column::Number("V"),
        Column::Number("A"),
        Column::Number("Hz"),
        Column::Number("kWh in"),
        Column::Number("kWh out"),
        Column::Text("remarks"),
    ];
    let mut text = table(&columns, rows.iter().map(|row| cells(row, context)));
    text.push_str(&format!("\n\nTimes are those of {}.", context.zone_name()));
    text
}

fn cells(row: &Row, context: &Context) -> Vec<String> {
    let figure = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
    };
    let mut remarks = Vec::new();
    if row.estimated {
        remarks.push(format!(
            "time estimated, ± {} s",
            row.uncertainty_ms.div_ceil(1000)
        ));
    }
    if row.coverage < 1.0 {
        remarks.push(format!("{:.1} % measured", row.coverage * 100.0));
    }
    if !row.flags.is_empty() {
        remarks.push(row.flags.replace('|', ", "));
    }
    vec![
        moment::local(row.time_utc, context.zone()),
        row.seq.to_string(),
        row.channel.to_string(),
        format!("{:.1}", row.power_w),
        row.reactive_power_var
            .map_or_else(|| "-".to_owned(), |power| power.to_string()),
        figure(row.voltage_v, 1),
        format!("{:.2}", row.current_a),
        figure(row.frequency_hz, 2),
        format!("{:.3}", row.energy_import_wh / 1e3),
        format!("{:.3}", row.energy_export_wh / 1e3),
        remarks.join("; "),
    ]
}
