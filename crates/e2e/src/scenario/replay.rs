//! A load profile goes through sampling, flash, HTTP, store and export; the energy that comes out is the profile's.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use sim::signal::LoadProfile;

use crate::{
    exported::Export,
    meters::{Meters, Setting},
    program::Collector,
};

/// What came out of a replay.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Error of the exported energy against the profile's, in percent.
    pub energy_error_percent: f64,
    /// Share of the minutes whose power is within 1 % or 3 W, in percent.
    pub minute_power_within_percent: f64,
    /// Minutes compared.
    pub minutes: u64,
    /// Pairs of voltage and current that were measured.
    pub samples: u64,
}

const READINGS_A_MINUTE: u64 = 6;

/// Replays a profile as fast as it goes.
///
/// # Errors
/// When any part of the way fails.
pub fn run(profile: &Path, patience: Duration) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let setting = Setting {
        devices: 1,
        replay: Some(profile.to_owned()),
        days: 0,
        speed: 0.0,
    };
    let meters = Meters::start(&setting, &scratch.path().join("air"), patience)?;
    let collector = Collector::new(&scratch.path().join("data"), &scratch.path().join("air"));
    collector.set_up_all()?;
    let device = meters.entries()?[0].id.to_string();
    let profile = LoadProfile::read(profile)?;
    let readings = profile.minutes().len() as u64 * READINGS_A_MINUTE;
    let export = export_of(&collector, &device, readings)?;
    let samples = meters.document["samples"]
        .as_u64()
        .context("ofmon sim does not tell its samples")?;
    let row = |seq: u64| {
        export
            .rows
            .get(&(device.clone(), seq))
            .with_context(|| format!("reading {seq} is missing"))
    };
    let mut within = 0;
    for (minute, load) in (0..).zip(profile.minutes()) {
        let first = minute * READINGS_A_MINUTE;
        let powers = (first..first + READINGS_A_MINUTE).map(|seq| row(seq).map(|row| row.power_w));
        let power_w = powers.sum::<Result<f64>>()? / READINGS_A_MINUTE as f64;
        let error_w = (power_w - load.active_power_w).abs();
        within += u64::from(error_w <= f64::max(3.0, 0.01 * load.active_power_w.abs()));
    }
    let energy_wh = row(readings - 1)?.energy_import_wh;
    let minutes = profile.minutes().len() as u64;
    Ok(Outcome {
        energy_error_percent: (energy_wh / profile.energy_wh() - 1.0) * 100.0,
        minute_power_within_percent: within as f64 * 100.0 / minutes as f64,
        minutes,
        samples,
    })
}

/// Collects until the last reading of the profile is there: it closes a window after the profile's end.
fn export_of(collector: &Collector, device: &str, readings: u64) -> Result<Export> {
    for _ in 0..20 {
        collector.collect_all()?;
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        if export.rows.contains_key(&(device.to_owned(), readings - 1)) {
            return Ok(export);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    bail!("the last reading of the profile never came")
}
