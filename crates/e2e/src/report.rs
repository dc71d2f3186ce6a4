//! `target/report.json`: the measured claims, one flat object.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::accuracy::{
    bench::{self, Bench, RowResult},
    compare,
    document::{self, Findings},
    long, rows,
    unit::Model,
};
use crate::scenario::{self, Difference, cuts, kills, replay, restarts, throughput};
use crate::{device, firmware, flash, time};

/// Names the program that measures on the chip, as `./x` builds it.
const GUEST: &str = "OFMON_METERING_GUEST";

/// Sections that can be measured.
pub const SECTIONS: &[&str] = &["main", "metering", "flash", "firmware", "device", "time"];

/// The two days of a real household that `main` replays and `flash` packs; the file is no part of the project.
pub(crate) const HOUSEHOLD: &str = "../shared/data/household_power_consumption.txt";

/// Measures a section and writes its keys over those that it had; documents go into `docs`, or beside the file.
///
/// # Errors
/// When not everything could be measured; what was measured is written all the same.
pub async fn measure(section: &str, file: &Path, docs: Option<&Path>) -> Result<()> {
    let mut figures = Figures::open(section, file)?;
    match section {
        "main" => main(&mut figures).await,
        "flash" => {
            let beside = file.with_file_name("flash");
            flash::measure(&mut figures, docs.unwrap_or(&beside))
        }
        "firmware" => firmware::measure(&mut figures),
        "device" => device::measure(&mut figures).await,
        "time" => time::measure(&mut figures),
        "metering" => {
            let beside = file.with_file_name("accuracy");
            metering(&mut figures, docs.unwrap_or(&beside))
        }
        _ => bail!(
            "there is no section {section}; there are: {}",
            SECTIONS.join(", ")
        ),
    }
}

/// The figures of one section, written to the file as they come.
pub(crate) struct Figures<'a> {
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

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<()> {
        let key = format!("{}.{key}", self.section);
        let value = value.into();
        println!("{key:<44} {value}");
        self.all.insert(key, value);
        fs::write(&self.file, serde_json::to_vec_pretty(&self.all)?)?;
        Ok(())
    }
}

/// Rounds to `digits` decimals, so that the file does not claim more than was measured.
pub(crate) fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10f64.powi(digits);
    json!((value * scale).round() / scale)
}

/// Returns where the household's file is; `None` where it is not there.
pub(crate) fn household() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(project.join(HOUSEHOLD)).filter(|path| path.exists())
}

async fn main(figures: &mut Figures<'_>) -> Result<()> {
    let mut missing = Vec::new();
    match household() {
        Some(household) => real_input(figures, &household)?,
        None => missing.push(format!("real input: {HOUSEHOLD} is not there")),
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

/// Devices with the C3 front end and other tolerances that the rows are applied to as well.
const OTHER_DEVICES: u64 = 8;
/// Minutes and seconds of a day.
const DAY: (usize, f64) = (1_440, 86_400.0);

fn metering(figures: &mut Figures<'_>, docs: &Path) -> Result<()> {
    let rows_bench = Bench::new(bench::RATE_HZ);
    let results = rows_bench.apply(&rows::rows());
    row_figures(figures, &results)?;
    let mut others_out = 0;
    let mut errors = rows_bench.calibration_errors(Model::Esp32c3);
    for device in 1..=OTHER_DEVICES {
        // Other tolerances must not matter: the rows do not hold by a lucky draw.
        let mut rows = rows::rows();
        rows.retain(|row| row.model == Model::Esp32c3);
        let bench = Bench::with_seed(bench::RATE_HZ, 1_000 * device);
        let (gain, phase) = bench.calibration_errors(Model::Esp32c3);
        errors = (errors.0.max(gain), errors.1.max(phase));
        others_out += bench
            .apply(&rows)
            .iter()
            .filter(|each| each.is_out())
            .count();
    }
    figures.set("c3_other_devices", OTHER_DEVICES)?;
    figures.set("c3_other_devices_rows_out_class1", others_out)?;
    figures.set("calibration_gain_error_percent", rounded(errors.0, 4))?;
    figures.set("calibration_phase_error_degrees", rounded(errors.1, 4))?;
    let creep_wh = long::creep_wh(&rows_bench, DAY.1);
    figures.set("creep_wh", rounded(creep_wh, 4))?;
    let gap_error_percent = long::gap_error_percent(&rows_bench, DAY.0);
    figures.set("gap_energy_error_percent", rounded(gap_error_percent, 5))?;
    let rivals_bench = Bench::new(compare::RATE_HZ);
    let varying = compare::varying(&rivals_bench);
    let worst = |ratio: fn(&compare::Varying) -> f64| varying.iter().map(ratio).fold(0.0, f64::max);
    figures.set(
        "error_ratio_emonlib",
        rounded(worst(compare::Varying::ratio_emonlib), 4),
    )?;
    figures.set(
        "error_ratio_ofmon",
        rounded(worst(compare::Varying::ratio_ofmon), 6),
    )?;
    let steady = compare::steady(&rivals_bench, &compare::CURRENTS, compare::STEADY_S);
    for (key, model) in [
        ("steady_ratio_emonlib", Model::Reference),
        ("steady_ratio_emonlib_c3", Model::Esp32c3),
    ] {
        let ratio = compare::median_ratio(steady.iter().filter(|case| case.model == model));
        figures.set(key, rounded(ratio, 4))?;
    }
    let findings = Findings {
        rows: results,
        steady,
        varying,
        creep_wh,
        gap_error_percent,
    };
    document::write(docs, &findings)?;
    println!("written to {}", docs.display());
    chip(figures)
}

/// What the compiled code costs on the chip's instruction set, and whether it gives the same bits there.
fn chip(figures: &mut Figures<'_>) -> Result<()> {
    let guest = std::env::var_os(GUEST)
        .with_context(|| format!("not measured on the chip: {GUEST} names no program"))?;
    let cost = emulator::metering_cost(&fs::read(guest)?)?;
    let here = emulator::metering_reference();
    let same = (cost.pairs, cost.checksum) == (here.pairs, here.checksum);
    figures.set("chip_bits_differ", u8::from(!same))?;
    figures.set("chip_pairs", cost.pairs)?;
    figures.set(
        "instructions_per_pair",
        rounded(cost.instructions_per_pair, 1),
    )
}

fn row_figures(figures: &mut Figures<'_>, results: &[RowResult]) -> Result<()> {
    figures.set("rows_total", results.len())?;
    for (key, model) in [
        ("reference_rows_out_0_2s", Model::Reference),
        ("c3_rows_out_class1", Model::Esp32c3),
    ] {
        let out = results
            .iter()
            .filter(|each| each.row.model == model && each.is_out());
        figures.set(key, out.count())?;
    }
    let silent = results.iter().filter(|each| each.is_silent());
    figures.set("starting_rows_silent", silent.count())?;
    for (key, model) in [
        ("reference_worst_share_of_limit", Model::Reference),
        ("c3_worst_share_of_limit", Model::Esp32c3),
    ] {
        let shares = results
            .iter()
            .filter(|each| each.row.model == model && each.row.limit_percent() > 0.0)
            .map(|each| each.error_percent.abs() / each.row.limit_percent());
        figures.set(key, rounded(shares.fold(0.0, f64::max), 3))?;
    }
    let worst =
        |value: fn(&RowResult) -> f64| rounded(results.iter().map(value).fold(0.0, f64::max), 3);
    figures.set(
        "worst_voltage_error_percent",
        worst(|each| each.outcome.voltage_error_percent),
    )?;
    figures.set(
        "worst_frequency_error_mhz",
        worst(|each| each.outcome.frequency_error_mhz),
    )
}
