//! `ofmon firmware list`: packages, meters, pushes.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use collector::firmware::{self, Packages};
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Ending, ErrorBody},
    output::{Column, table},
    views::firmware::PushView,
};

const EXAMPLES: &str = "\
Examples:
  ofmon firmware list                              packages here, and what each meter runs
  ofmon firmware list --add 0.2.0-esp32c3.ofmon    keeps a package, for `ofmon firmware push 0.2.0`
  ofmon firmware list --json

Packages lie in the data directory, as firmware/VERSION-CHIP.ofmon. What a meter runs is what it said at the last
visit; nothing is asked now.";

/// Arguments of `firmware list`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Keeps this package first
    #[arg(long, value_name = "FILE")]
    add: Option<PathBuf>,
}

#[derive(Serialize)]
struct Listed {
    packages: Vec<PackageView>,
    meters: Vec<MeterView>,
}

#[derive(Serialize)]
struct PackageView {
    file: PathBuf,
    version: Option<String>,
    chip: Option<String>,
    minimum: Option<String>,
    image_bytes: Option<u32>,
    /// Whether there is a signature; a meter knows whose it must be.
    signed: bool,
    /// Why it is none; null where it is.
    error: Option<ErrorBody>,
}

#[derive(Serialize)]
struct MeterView {
    device: DeviceId,
    name: String,
    /// What it said it runs; null before a visit.
    firmware: Option<String>,
    /// The last update that was pushed from here; null where there was none.
    update: Option<PushView>,
}

impl List {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let packages = Packages::of(&context.data_dir()?);
        if let Some(file) = &self.add {
            packages.add(&firmware::read(file)?)?;
        }
        let mut listed = Listed {
            packages: packages.list()?.into_iter().map(package).collect(),
            meters: Vec::new(),
        };
        if let Some(store) = context.store_if_any()? {
            for device in store.devices()? {
                let version = store.firmware(device.id)?;
                listed.meters.push(MeterView {
                    device: device.id,
                    name: device.name,
                    firmware: Some(version).filter(|version| !version.is_empty()),
                    update: store.last_push(device.id)?.as_ref().map(PushView::of),
                });
            }
        }
        context.output.print(&listed, text)
    }
}

fn package(
    (file, read): (
        PathBuf,
        Result<firmware_package::Package, firmware::FileError>,
    ),
) -> PackageView {
    let header = read.as_ref().ok().map(|package| package.header().clone());
    PackageView {
        file,
        version: header.as_ref().map(|header| header.version.to_string()),
        chip: header
            .as_ref()
            .map(|header| header.chip.as_str().to_owned()),
        minimum: header.as_ref().map(|header| header.minimum.to_string()),
        image_bytes: header.as_ref().map(|header| header.image_bytes),
        signed: header.as_ref().is_some_and(|header| header.is_signed()),
        error: read.err().map(|error| Ending::of(&error.into()).body()),
    }
}

fn text(listed: &Listed) -> String {
    let mut said = String::new();
    if listed.packages.is_empty() {
        said.push_str(
            "No package is kept here: `ofmon firmware push FILE` or `list --add FILE` keep one.",
        );
    } else {
        let columns = [
            Column::Text("version"),
            Column::Text("chip"),
            Column::Text("needs"),
            Column::Number("bytes"),
            Column::Text("signature"),
            Column::Text("file"),
        ];
        said.push_str(&table(&columns, listed.packages.iter().map(package_row)));
    }
    if !listed.meters.is_empty() {
        let columns = [
            Column::Text("meter"),
            Column::Text("name"),
            Column::Text("runs"),
            Column::Text("last update"),
        ];
        let row = |meter: &MeterView| {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            vec![
                meter.device.to_string(),
                meter.name.clone(),
                or_dash(meter.firmware.clone()),
                or_dash(meter.update.as_ref().map(PushView::sentence)),
            ]
        };
        said.push_str("\n\n");
        said.push_str(&table(&columns, listed.meters.iter().map(row)));
    }
    said
}

fn package_row(package: &PackageView) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let signature = match (&package.error, package.signed) {
        (Some(error), _) => error.message.as_str(),
        (None, true) => "signed",
        (None, false) => "unsigned",
    };
    vec![
        or_dash(&package.version),
        or_dash(&package.chip),
        or_dash(&package.minimum),
        or_dash(&package.image_bytes.map(|bytes| bytes.to_string())),
        signature.to_owned(),
        package.file.display().to_string(),
    ]
}
