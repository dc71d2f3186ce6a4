//! `ofmon export`: readings as CSV or JSON, row by row, however many there are.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use collector::store::Store;
use protocol::DeviceId;
use serde::Serialize;

use super::readings::RangeArguments;
use crate::{
    context::Context,
    exit::{Kind, Problem},
    queries::{self, TimeRange},
    views::row::{COLUMNS, Row},
};

const EXAMPLES: &str = "\
Examples:
  ofmon export --output readings.csv                 all readings of all meters
  ofmon export cellar --from 2026-11-01 --to 2026-12-01 --format json --output november.json
  ofmon export | head                                to standard output

Columns: device,channel,seq,time_utc,uncertainty_ms,estimated,interval_s,power_w,reactive_power_var,
voltage_v,current_a,frequency_hz,energy_import_wh,energy_export_wh,coverage,flags
time_utc is the end of the interval; energies are cumulative registers; what was not measured is empty.
A file appears when it is whole; until then what was there before stays.";

/// What a file is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values with a header
    Csv,
    /// One array of objects
    Json,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// Meters by id or name; without any, all
    #[arg(value_name = "METER")]
    meters: Vec<String>,
    /// What to write [default: csv; json with --json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// File to write; without it, standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The range of time
    #[command(flatten)]
    range: RangeArguments,
}

/// What was written to a file.
#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    rows: u64,
    bytes: u64,
}

impl Export {
    /// Writes the readings of the range, meter by meter, oldest first.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = context.store_to_read()?;
        let range = self.range.read(context)?;
        let devices = match self.meters.as_slice() {
            [] => queries::device_ids(&store)?,
            meters => queries::find(&store, meters)?,
        };
        let unasked = if context.output.is_json() && self.output.is_none() {
            Format::Json
        } else {
            Format::Csv
        };
        let format = self.format.unwrap_or(unasked);
        if context.output.is_json() && self.output.is_none() && format == Format::Csv {
            let hint = "leave one of the two away, or name a file by --output";
            return Err(Problem::usage("--json prints JSON, and CSV was asked for", hint).into());
        }
        let Some(path) = &self.output else {
            let mut to = context.output.stream();
            write(&store, &devices, range, format, &mut to)?;
            return Ok(to.flush()?);
        };
        let (rows, bytes) = to_file(path, |to| write(&store, &devices, range, format, to))?;
        context.output.print(
            &Written {
                file: path,
                rows,
                bytes,
            },
            |written| {
                format!(
                    "{} rows of {} meters in {}",
                    written.rows,
                    devices.len(),
                    written.file.display()
                )
            },
        )
    }
}

/// Writes all readings of a store as CSV; returns the rows and the length of the file.
pub(crate) fn all_as_csv(store: &Store, path: &Path) -> Result<(u64, u64)> {
    let devices = queries::device_ids(store)?;
    let range = TimeRange::new(None, None)?;
    to_file(path, |to| write(store, &devices, range, Format::Csv, to))
}

/// Writes all rows and returns how many there were.
fn write(
    store: &Store,
    devices: &[DeviceId],
    range: TimeRange,
    format: Format,
    to: &mut dyn Write,
) -> Result<u64> {
    let mut rows = 0;
    match format {
        Format::Csv => {
            // The header is there without a row too, so it is not left to the first one.
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(to);
            writer.write_record(COLUMNS)?;
            for device in devices {
                rows += queries::for_each_row(store, *device, range, |row| {
                    writer.serialize(row).map_err(io_error)
                })?;
            }
            writer.flush()?;
        }
        Format::Json => {
            let mut separator = "[\n";
            for device in devices {
                rows += queries::for_each_row(store, *device, range, |row: Row| {
                    to.write_all(separator.as_bytes())?;
                    separator = ",\n";
                    Ok(serde_json::to_writer(&mut *to, &row).map_err(io::Error::from)?)
                })?;
            }
            to.write_all(if rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
    }
    Ok(rows)
}

/// Takes the failure of the file out of a CSV failure, so that a closed pipe and a full disk are known as such.
fn io_error(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("a row cannot be written as CSV: {other:?}"),
    }
}

/// Writes a file that appears in one step when it is whole; returns what `write` returns and the length.
fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<u64>) -> Result<(u64, u64)> {
    let failed = || {
        let hint = "nothing was changed; is the directory there, writable, and has it room?";
        Problem::new(
            Kind::Storage,
            format!("{} cannot be written", path.display()),
            hint,
        )
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Problem::usage(
            format!("{} is a directory", path.display()),
            "--output names a file",
        )
        .into());
    }
    let fresh = tempfile::Builder::new()
        .prefix(".ofmon-export-")
        .tempfile_in(directory)
        .with_context(failed)?;
    let mut to = BufWriter::with_capacity(256 * 1024, fresh);
    let rows = write(&mut to).map_err(|error| {
        let of_the_file = error.is::<io::Error>();
        if of_the_file {
            error.context(failed())
        } else {
            error
        }
    })?;
    let fresh = to
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(failed)?;
    fresh.as_file().sync_all().with_context(failed)?;
    let bytes = fresh.as_file().metadata().with_context(failed)?.len();
    keep_mode(fresh.path(), path);
    fresh
        .persist(path)
        .map_err(|error| error.error)
        .with_context(failed)?;
    Ok((rows, bytes))
}

/// Gives a new file the mode that the one it replaces has, or that of any new file: a temporary one is its owner's only.
fn keep_mode(fresh: &Path, path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode());
        if let Err(error) = fs::set_permissions(fresh, fs::Permissions::from_mode(mode)) {
            tracing::warn!(%error, "the export keeps the mode of a temporary file");
        }
    }
    #[cfg(not(unix))]
    let _ = (fresh, path, fs::metadata::<&Path>);
}
