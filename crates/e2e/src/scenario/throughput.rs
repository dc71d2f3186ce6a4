//! How fast a collection goes and what a reading costs on flash and in the store.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, Result};

use crate::{
    meters::{Meters, Setting},
    program::Collector,
};

/// What a collection cost.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Readings collected and stored in a second, the start of the program included.
    pub collect_readings_per_s: f64,
    /// Readings collected.
    pub readings: u64,
    /// Bytes of flash in use a reading.
    pub bytes_per_reading_flash: f64,
    /// Bytes of the store's file a reading.
    pub bytes_per_reading_store: f64,
}

/// Collects `days` of history from one meter.
///
/// # Errors
/// When any part of the way fails.
pub fn run(days: u32, scratch: &Path) -> Result<Outcome> {
    let air = scratch.join("air");
    let setting = Setting {
        devices: 1,
        replay: None,
        days,
        speed: 0.0,
    };
    let meters = Meters::start(&setting, &air, std::time::Duration::from_secs(120))?;
    let collector = Collector::new(&scratch.join("data"), &air);
    collector.set_up_all()?;
    let begun = Instant::now();
    let collected = collector.collect_all()?;
    let seconds = begun.elapsed().as_secs_f64();
    let first = collected
        .get(0)
        .context("collect answers with a list of meters")?;
    let number = |key: &str| {
        first[key]
            .as_f64()
            .with_context(|| format!("collect does not tell {key}"))
    };
    let readings = number("readings")?;
    drop(meters);
    Ok(Outcome {
        collect_readings_per_s: readings / seconds,
        readings: readings as u64,
        bytes_per_reading_flash: number("flash_used_bytes")? / readings,
        bytes_per_reading_store: fs::metadata(collector.data().join("ofmon.db"))?.len() as f64
            / readings,
    })
}
