//! `target/report.json`: the measured claims, one flat object.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::scenario::{self, Difference, cuts, kills, replay, restarts, throughput};

/// Sections that can be measured.
pub const SECTIONS: &[&str] = &["main"];

/// The two days of a real household that `main` replays; the file is no part of the project.
const HOUSEHOLD: &str = "../shared/data/household_power_consumption.txt";

/// Measures a section and writes its keys over those that it had.
///
/// # Errors
/// When not everything could be measured; what was measured is written all the same.
pub async fn measure(section: &str, file: &Path) -> Result<()> {
    let mut figures = Figures::open(section, file)?;
    match section {
        "main" => main(&mut figures).await,
        _ => bail!(
            "there is no section {section}; there are: {}",
            SECTIONS.join(", ")
        ),
    }
}

/// The figures of one section, written to the file as they come.
struct Figures<'a> {
    section: &'a str,
    file: PathBuf,
    all: Map<String, Value>,
}

impl<'a> Figures<'a> {
    fn open(section: &'a str, file: &Path) -> Result<Self> {
        let mut all = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is no report", file.display()))?,
            Err(_) => Map::new(),
        };
        let prefix = format!("{section}.");
        all.retain(|key: &String, _: &mut Value| !key.starts_with(&prefix));
        let file = file.to_owned();
        Ok(Self { section, file, all })
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<()> {
        let key = format!("{}.{key}", self.section);
        let value = value.into();
        println!("{key:<44} {value}");
        self.all.insert(key, value);
        fs::write(&self.file, serde_json::to_vec_pretty(&self.all)?)?;
        Ok(())
    }
}

/// Rounds to `digits` decimals, so that the file does not claim more than was measured.
fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10f64.powi(digits);
    json!((value * scale).round() / scale)
}

async fn main(figures: &mut Figures<'_>) -> Result<()> {
    let mut missing = Vec::new();
    let household = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(HOUSEHOLD);
    if household.exists() {
        real_input(figures, &household)?;
    } else {
        missing.push(format!("real input: {HOUSEHOLD} is not there"));
    }
    let cost = throughput::run(30, tempfile::tempdir()?.path())?;
    figures.set("collect_readings", cost.readings)?;
    figures.set(
        "collect_readings_per_s",
        rounded(cost.collect_readings_per_s, 0),
    )?;
    figures.set(
        "bytes_per_reading_flash",
        rounded(cost.bytes_per_reading_flash, 2),
    )?;
    figures.set(
        "bytes_per_reading_store",
        rounded(cost.bytes_per_reading_store, 2),
    )?;
    nothing_lost(figures).await?;
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("not measured: {}", missing.join("; "))
    }
}

fn real_input(figures: &mut Figures<'_>, household: &Path) -> Result<()> {
    let replay = replay::run(household, Duration::from_secs(600))?;
    figures.set(
        "energy_error_percent",
        rounded(replay.energy_error_percent, 4),
    )?;
    figures.set(
        "minute_power_within_percent",
        rounded(replay.minute_power_within_percent, 2),
    )?;
    figures.set("minutes", replay.minutes)?;
    figures.set("samples", replay.samples)
}

async fn nothing_lost(figures: &mut Figures<'_>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let two_hours = scenario::profile(scratch.path(), 120)?;
    let restarted = restarts::run(&restarts::Plan {
        profile: &two_hours,
        restarts: 60,
        speed: 400.0,
        seed: 1,
    })?;
    figures.set("meter_restarts", restarted.meter_restarts)?;
    figures.set("restart_readings", restarted.readings)?;
    figures.set(
        "restart_energy_error_percent",
        rounded(restarted.energy_error_percent, 4),
    )?;
    let killed = kills::run(14, 120, 2, &scratch.path().join("kills"))?;
    figures.set(
        "collector_kills",
        restarted.collector_kills + killed.collector_kills,
    )?;
    figures.set("collector_kills_in_the_middle", killed.kills_in_the_middle)?;
    let ten_minutes = scenario::profile(&scratch.path().join("short"), 10)?;
    let cut = cuts::run(&ten_minutes, 1, &scratch.path().join("cuts")).await?;
    let difference: Difference = restarted
        .difference
        .plus(killed.difference)
        .plus(cut.difference);
    figures.set("connection_cuts", cut.connection_cuts)?;
    figures.set(
        "connection_cuts_behind_the_block",
        cut.cuts_behind_the_block,
    )?;
    figures.set("connection_cuts_survived", cut.cuts_survived)?;
    figures.set("lost", difference.lost + restarted.forgotten)?;
    figures.set("doubled", difference.doubled)?;
    figures.set("altered", difference.altered)
}
