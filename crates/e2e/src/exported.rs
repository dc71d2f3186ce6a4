//! What `ofmon export` says.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

/// The header that every export has.
pub const HEADER: &str = "device,channel,seq,time_utc,uncertainty_ms,estimated,interval_s,power_w,reactive_power_var,voltage_v,current_a,frequency_hz,energy_import_wh,energy_export_wh,coverage,flags";

/// One row; the columns that no scenario looks at are left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Row {
    /// The meter.
    pub device: String,
    /// Sequence number.
    pub seq: u64,
    /// End of the interval.
    pub time_utc: String,
    /// Mean power in W.
    pub power_w: f64,
    /// Import register in Wh.
    pub energy_import_wh: f64,
    /// Share of the samples.
    pub coverage: f64,
}

/// The rows of one export.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Rows by meter and sequence number.
    pub rows: BTreeMap<(String, u64), Row>,
    /// Rows whose meter and number stood there already.
    pub doubled: u64,
}

impl Export {
    /// Reads an export.
    ///
    /// # Errors
    /// When the header is another or a row is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let header = text.lines().next().unwrap_or_default();
        ensure!(header == HEADER, "the export begins with {header}");
        let mut export = Self::default();
        for row in csv::Reader::from_reader(text.as_bytes()).deserialize() {
            let row: Row = row?;
            let key = (row.device.clone(), row.seq);
            if export.rows.insert(key, row).is_some() {
                export.doubled += 1;
            }
        }
        Ok(export)
    }
}
