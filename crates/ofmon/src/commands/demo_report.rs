//! What a demonstration shows: the meters, what they take, and what a server has of them.

use anyhow::Result;
use collector::{
    store::{History, Store},
    sync::ServerTotals,
};
use protocol::{DeviceId, Seq};
use serde::Serialize;

use super::sync::SyncedView;
use crate::{
    context::Context,
    engine::{Engine, Visit},
    output::{Column, table},
    queries,
};

/// What a demonstration shows.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Address of the page; null where none is shown.
    url: Option<String>,
    data_dir: String,
    meters: Vec<MeterView>,
    readings: u64,
    /// Bytes of the whole database by its readings.
    store_bytes_per_reading: f64,
    /// What the sync came to; empty without a server.
    pub(crate) synced: Vec<SyncedView>,
    /// From the start of the program until everything was there.
    pub(crate) seconds: f64,
}

/// One meter of the demonstration.
#[derive(Serialize)]
struct MeterView {
    id: DeviceId,
    name: String,
    readings: u64,
    energy_import_wh: f64,
    energy_export_wh: f64,
    flash_bytes_per_reading: Option<f64>,
    /// Bytes of the meter's blocks by its readings.
    store_bytes_per_reading: f64,
    collect_seconds: f64,
    server: Option<TotalsView>,
}

/// What a server has of a meter, read back from it.
#[derive(Serialize)]
struct TotalsView {
    readings: u64,
    energy_import_wh: Option<f64>,
}

impl Report {
    /// Reads from the store what visits brought.
    ///
    /// # Errors
    /// With the error of a visit that failed.
    pub(crate) async fn new(engine: &Engine, visits: Vec<Visit>) -> Result<Self> {
        let mut meters = Vec::new();
        for visit in visits {
            visit.ended?;
            let (device, history) = (visit.device, visit.collected.history);
            let read = move |store: &Store| {
                Ok((
                    queries::device(store, device)?,
                    block_bytes(store, history)?,
                ))
            };
            let (view, block_bytes) = engine.read(read).await?;
            let by_readings = |bytes: f64| bytes / view.readings.max(1) as f64;
            meters.push(MeterView {
                id: device,
                readings: view.readings,
                energy_import_wh: view.energy_import_wh.unwrap_or_default(),
                energy_export_wh: view.energy_export_wh.unwrap_or_default(),
                flash_bytes_per_reading: visit
                    .collected
                    .flash_used_bytes
                    .map(|bytes| by_readings(bytes.into())),
                store_bytes_per_reading: by_readings(block_bytes as f64),
                collect_seconds: visit.seconds,
                server: None,
                name: view.name,
            });
        }
        let overview = engine.read(queries::overview).await?;
        let data_dir = engine.store().lock().directory().display().to_string();
        Ok(Self {
            url: None,
            data_dir,
            readings: overview.readings,
            store_bytes_per_reading: overview.store_bytes as f64 / overview.readings.max(1) as f64,
            meters,
            synced: Vec::new(),
            seconds: 0.0,
        })
    }

    /// Adds the address of the page.
    pub(crate) fn with_url(self, url: String) -> Self {
        Self {
            url: Some(url),
            ..self
        }
    }

    /// Adds what a server has of a meter.
    pub(crate) fn add_totals(&mut self, device: DeviceId, totals: ServerTotals) {
        let view = TotalsView {
            readings: totals.readings,
            energy_import_wh: totals.energy_import_wh,
        };
        if let Some(meter) = self.meters.iter_mut().find(|meter| meter.id == device) {
            meter.server = Some(view);
        }
    }
}

/// Returns the bytes of the blocks of a history.
fn block_bytes(store: &Store, history: Option<History>) -> Result<usize> {
    let Some(history) = history else {
        return Ok(0);
    };
    let blocks = store.blocks_in(history, Seq(0)..Seq(u64::MAX))?;
    Ok(blocks.iter().map(Vec::len).sum())
}

/// Prints the report.
pub(crate) fn print(context: &Context, report: &Report) -> Result<()> {
    context.output.print(report, text)
}

fn text(report: &Report) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("name"),
        Column::Number("readings"),
        Column::Number("kWh in"),
        Column::Number("kWh out"),
        Column::Number("bytes/reading on flash"),
        Column::Number("in the store"),
        Column::Number("seconds"),
    ];
    let row = |meter: &MeterView| {
        vec![
            meter.id.to_string(),
            meter.name.clone(),
            meter.readings.to_string(),
            format!("{:.3}", meter.energy_import_wh / 1e3),
            format!("{:.3}", meter.energy_export_wh / 1e3),
            meter
                .flash_bytes_per_reading
                .map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.2}")),
            format!("{:.2}", meter.store_bytes_per_reading),
            format!("{:.2}", meter.collect_seconds),
        ]
    };
    let mut text = table(&columns, report.meters.iter().map(row));
    text.push_str(&format!(
        "\n\n{} readings; the whole database takes {:.2} bytes a reading. Ready after {:.1} s.",
        report.readings, report.store_bytes_per_reading, report.seconds
    ));
    if !report.synced.is_empty() {
        text.push_str("\n\nRead back from the server:\n");
        text.push_str(&totals(&report.meters));
    }
    if let Some(url) = &report.url {
        text.push_str(&format!(
            "\n\n{url}\nThe meters measure on and are collected every 15 s. Ctrl-C ends everything."
        ));
    }
    text
}

fn totals(meters: &[MeterView]) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("name"),
        Column::Number("readings"),
        Column::Number("kWh in"),
    ];
    let row = |meter: &MeterView| {
        let server = meter.server.as_ref();
        let energy_wh = server.and_then(|totals| totals.energy_import_wh);
        vec![
            meter.id.to_string(),
            meter.name.clone(),
            server.map_or(0, |totals| totals.readings).to_string(),
            energy_wh.map_or_else(
                || "-".to_owned(),
                |energy_wh| format!("{:.3}", energy_wh / 1e3),
            ),
        ]
    };
    table(&columns, meters.iter().map(row))
}
