//! `ofmon flash`: what lies in the dump of a meter's flash, and getting its readings out.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand};
use collector::store::Store;
use flash_store::salvage::Damage;
use serde::Serialize;

use super::export;
use crate::{
    context::Context,
    exit::Problem,
    flash::{
        dump::{Dump, DumpArguments},
        haul::{HaulReport, Salvaged},
        map,
        report::{self, Sector, StoreReport},
        text,
    },
    output::{Column, table},
};

const EXAMPLES: &str = "\
Examples:
  esptool read-flash 0 0x400000 dump.bin     the whole flash of a chip, over its serial port
  ofmon flash inspect dump.bin               what lies in it
  ofmon flash salvage dump.bin               its readings, as if the meter had been collected
  ofmon flash salvage dump.bin --csv saved.csv --json

`espflash read-flash 0 0x400000 dump.bin` reads it as well. The dump also holds the access token and the
access-point password of the meter: keep it to yourself. Neither command shows them, and neither writes to
the dump. Encrypted flash cannot be read.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  ofmon flash inspect dump.bin
  ofmon flash inspect dump.bin --offset 0x200000 --json

Stores are found by themselves, with damage too; --offset and --length narrow where they are looked for.
The picture has one character a sector of 4096 bytes.";

const SALVAGE_EXAMPLES: &str = "\
Examples:
  ofmon flash salvage dump.bin                    into the readings of this computer
  ofmon flash salvage dump.bin --data rescued     into a directory of their own
  ofmon flash salvage dump.bin --csv saved.csv    into a file, and nowhere else

Every sector is looked at for itself, and only what its checksum vouches for is taken: a broken file system or
a meter that no longer starts makes no difference. Readings that are there twice are taken once, the finest
wins, and what this computer holds already stays. Time comes from the clock that collectors told the meter,
as after any collection. A later `ofmon collect` still asks the meter for what is missing.";

/// Arguments of `flash`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Flash {
    /// What to do with the dump.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows what lies in a dump and what of it is damaged
    Inspect(Inspect),
    /// Gets every reading out of a dump that can be read, however damaged it is
    Salvage(Salvage),
}

/// Arguments of `flash inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
struct Inspect {
    #[command(flatten)]
    dump: DumpArguments,
}

/// Arguments of `flash salvage`.
#[derive(Debug, Args)]
#[command(after_help = SALVAGE_EXAMPLES)]
struct Salvage {
    #[command(flatten)]
    dump: DumpArguments,
    /// Writes the readings as CSV to this file, in place of the readings of this computer
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Flash {
    /// Does what was asked for.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self.action {
            Action::Inspect(command) => command.run(context),
            Action::Salvage(command) => command.run(context),
        }
    }
}

/// What lies in a dump.
#[derive(Serialize)]
struct Inspected<'a> {
    file: &'a Path,
    bytes: u64,
    stores: Vec<StoreReport>,
    damaged: Vec<DamagedSector>,
    map: Vec<String>,
    legend: String,
}

/// A sector in which something is damaged.
#[derive(Serialize)]
struct DamagedSector {
    offset_bytes: u64,
    what: &'static str,
    /// Readings that lay in it and are missing, at least; null where nothing tells.
    readings_lost: Option<u64>,
}

impl DamagedSector {
    fn of(dump: &Dump, sector: &Sector) -> Option<Self> {
        let (what, readings_lost) = match sector.damage? {
            Damage::Header => ("header or checksum", None),
            Damage::Entries => ("entries", None),
            Damage::Readings(0) => ("readings", None),
            Damage::Readings(count) => ("readings", Some(count)),
        };
        Some(Self {
            offset_bytes: dump.offset_of(sector.number),
            what,
            readings_lost,
        })
    }
}

impl Inspect {
    fn run(self, context: &Context) -> Result<()> {
        let dump = self.dump.read()?;
        let (stores, places, sectors) = report::inspect(&dump)?;
        if stores.is_empty() {
            return Err(self.dump.no_dump("holds no store of a meter"));
        }
        let map = map::lines(&dump, &sectors, &places);
        let inspected = Inspected {
            file: self.dump.path(),
            bytes: (dump.sectors() * crate::flash::dump::SECTOR_BYTES) as u64,
            stores,
            damaged: sectors
                .iter()
                .filter_map(|each| DamagedSector::of(&dump, each))
                .collect(),
            legend: map::legend(&map),
            map,
        };
        context.output.print(&inspected, inspected_text)
    }
}

fn inspected_text(inspected: &Inspected<'_>) -> String {
    let mut said = String::new();
    if inspected.stores.len() > 1 {
        let _ = writeln!(
            said,
            "{} stores lie in this dump.\n",
            inspected.stores.len()
        );
    }
    for store in &inspected.stores {
        said.push_str(&text::store(store));
        said.push('\n');
    }
    if inspected.damaged.is_empty() {
        said.push_str("No sector is damaged.\n");
    } else {
        let columns = [
            Column::Text("damaged at"),
            Column::Text("what"),
            Column::Number("readings lost there"),
        ];
        let row = |sector: &DamagedSector| {
            let lost = sector
                .readings_lost
                .map_or("-".to_owned(), |count| count.to_string());
            vec![
                format!("{:#x}", sector.offset_bytes),
                sector.what.to_owned(),
                lost,
            ]
        };
        let _ = writeln!(
            said,
            "{}",
            table(&columns, inspected.damaged.iter().map(row))
        );
    }
    let _ = write!(
        said,
        "\n{}\n\n{}",
        inspected.map.join("\n"),
        inspected.legend
    );
    said
}

/// What was saved from a dump.
#[derive(Serialize)]
struct SavedView<'a> {
    file: &'a Path,
    damaged_sectors: u32,
    meters: Vec<HaulReport>,
    csv: Option<Written<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    rows: u64,
    bytes: u64,
}

impl Salvage {
    fn run(self, context: &Context) -> Result<()> {
        if let (Some(_), Some(_)) = (&self.csv, context.data_argument()) {
            let hint = "leave one of the two away: --csv touches no data directory";
            return Err(Problem::usage("--csv and --data name two places", hint).into());
        }
        let dump = self.dump.read()?;
        let salvaged = Salvaged::of(&dump)?;
        if salvaged.hauls.is_empty() {
            return Err(self
                .dump
                .no_dump("holds no reading of a meter that is whole"));
        }
        let now_ms = context.clock()?.now_ms();
        // A store of its own that goes with the command, or the user's.
        let scratch = self.csv.as_ref().map(|_| tempfile::tempdir()).transpose()?;
        let mut store = match &scratch {
            Some(directory) => Store::open(directory.path())?,
            None => context.store_to_write()?,
        };
        let mut meters = Vec::new();
        for (history, haul) in &salvaged.hauls {
            meters.push(haul.put(&mut store, *history, now_ms)?);
        }
        let csv = match &self.csv {
            Some(file) => {
                let (rows, bytes) = export::all_as_csv(&store, file)?;
                Some(Written { file, rows, bytes })
            }
            None => None,
        };
        let saved = SavedView {
            file: self.dump.path(),
            damaged_sectors: salvaged.damaged_sectors,
            meters,
            csv,
        };
        context.output.print(&saved, saved_text)
    }
}

fn saved_text(saved: &SavedView<'_>) -> String {
    let mut text = String::new();
    for meter in &saved.meters {
        let tiers: Vec<String> = meter
            .tiers
            .iter()
            .map(|tier| format!("{} {}", tier.numbers, tier.tier))
            .collect();
        let _ = writeln!(
            text,
            "Meter {}, store {}: readings {} to {}\n  saved: {}; new here: {}; events: {}\n  \
             lost: {} readings, {:.3} kWh in, {:.3} kWh out\n  registers: {:.3} kWh in, {:.3} kWh out",
            meter.device,
            meter.store_id,
            meter.first_seq,
            meter.next_seq,
            tiers.join(", "),
            meter.readings_new,
            meter.events,
            meter.lost,
            meter.lost_import_wh / 1e3,
            meter.lost_export_wh / 1e3,
            meter.energy_import_wh / 1e3,
            meter.energy_export_wh / 1e3,
        );
        if meter.conflicts > 0 {
            let _ = writeln!(
                text,
                "  {} blocks or events contradict others",
                meter.conflicts
            );
        }
    }
    let _ = writeln!(text, "{} sectors are damaged.", saved.damaged_sectors);
    match &saved.csv {
        Some(csv) => {
            let _ = write!(text, "{} rows in {}", csv.rows, csv.file.display());
        }
        None => text.push_str("`ofmon devices` and `ofmon export` show them now."),
    }
    text
}
