//! `ofmon devices`: the meters and their energy.

use anyhow::Result;
use clap::Args;

use crate::{
    context::Context,
    moment,
    output::{Column, table},
    queries,
    views::device::DeviceView,
};

const EXAMPLES: &str = "\
Examples:
  ofmon devices
  ofmon devices --json

Energies are the registers of the meters: all that they ever counted.";

/// Arguments of `devices`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Devices {}

impl Devices {
    /// Lists the meters; none is no failure.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let devices = match context.store_if_any()? {
            Some(store) => queries::devices(&store)?,
            None => Vec::new(),
        };
        let now_ms = context.clock()?.now_ms();
        context
            .output
            .print(&devices, |devices| text(devices, now_ms))
    }
}

fn text(devices: &[DeviceView], now_ms: i64) -> String {
    if devices.is_empty() {
        return "No meter is known yet: `ofmon scan` finds them, `ofmon setup` makes them yours."
            .to_owned();
    }
    let columns = [
        Column::Text("meter"),
        Column::Text("name"),
        Column::Number("readings"),
        Column::Number("W"),
        Column::Number("kWh in"),
        Column::Number("kWh out"),
        Column::Text("last reading"),
        Column::Text("last collected"),
    ];
    let figure = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
    };
    let age = |then_ms: Option<i64>| {
        then_ms.map_or_else(
            || "never".to_owned(),
            |then_ms| moment::age(then_ms, now_ms),
        )
    };
    let row = |device: &DeviceView| {
        vec![
            device.id.to_string(),
            device.name.clone(),
            device.readings.to_string(),
            figure(device.power_w, 0),
            figure(device.energy_import_wh.map(|energy_wh| energy_wh / 1e3), 3),
            figure(device.energy_export_wh.map(|energy_wh| energy_wh / 1e3), 3),
            age(device.last_reading_ms),
            age(device.last_collected_ms),
        ]
    };
    let mut text = table(&columns, devices.iter().map(row));
    for device in devices {
        let mut remarks = Vec::new();
        if device.lost > 0 {
            remarks.push(format!(
                "{} readings were lost before anyone collected them",
                device.lost
            ));
        }
        if device.clock_conflicts > 0 {
            remarks.push(format!(
                "{} events contradict the time that others told",
                device.clock_conflicts
            ));
        }
        if !remarks.is_empty() {
            let remarks = remarks.join("; ");
            text.push_str(&format!(
                "\n\n{}: {remarks} (`ofmon events {}`).",
                device.name, device.id
            ));
        }
    }
    text
}
