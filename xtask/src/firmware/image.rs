//! From a program to what is written to a chip: the application's image, and the file for a blank flash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::build::{Build, Program};
use super::chip_files;
use super::partitions::{self, Partition};
use crate::project::Project;
use crate::{command, python};

const REQUIREMENTS: &str = "xtask/requirements-esptool.txt";
const TABLE: &str = "firmware/partitions.csv";
/// Where the mask ROM of both chips looks for the bootloader.
const BOOTLOADER_OFFSET: &str = "0x0";
/// What every module with these chips can do: two data lines, 80 MHz.
const FLASH: [&str; 6] = [
    "--flash-mode",
    "dio",
    "--flash-freq",
    "80m",
    "--flash-size",
    "4MB",
];

/// Installs esptool and returns the interpreter that has it.
///
/// # Errors
/// When Python has no `venv` or the package cannot be installed.
pub(crate) fn prepare(project: &Project) -> Result<PathBuf> {
    python::prepare(project, "venv-esptool", Path::new(REQUIREMENTS))
}

/// Returns an esptool command for a chip.
pub(super) fn esptool(python: &Path, chip: &str) -> Command {
    let mut esptool = Command::new(python);
    esptool.args(["-m", "esptool", "--chip", chip]);
    esptool
}

/// Makes the application's image of a program, and returns its length in bytes.
///
/// # Errors
/// When esptool cannot be had or refuses the program.
pub(super) fn make_app(project: &Project, build: &Build, program: &Program) -> Result<u64> {
    let app = build.app(project);
    let mut elf2image = esptool(&prepare(project)?, build.chip.name());
    elf2image.arg("elf2image").args(FLASH);
    elf2image.arg("--output").arg(&app).arg(&program.elf);
    command::capture(&mut elf2image)?;
    let bytes = fs::metadata(&app).context("esptool left no image")?.len();
    for slot in table(project)?.iter().filter(|each| each.is_slot()) {
        ensure!(
            bytes <= u64::from(slot.bytes),
            "the image has {bytes} bytes, the slot {} {}",
            slot.name,
            slot.bytes
        );
    }
    Ok(bytes)
}

/// Puts bootloader, partition table and the application's image into one file, to be written at address 0.
///
/// Between them it holds `ff`: a chip that gets it starts the first slot, and knows nothing of earlier starts. It ends
/// with the application, before the second slot and the store.
///
/// # Errors
/// When a part cannot be had or esptool refuses it.
pub(super) fn make_merged(project: &Project, build: &Build) -> Result<PathBuf> {
    let partitions = table(project)?;
    let slot = partitions
        .iter()
        .find(|each| each.is_slot())
        .context("the partition table has no slot for an application")?;
    let encoded = build.folder(project).join("partitions.bin");
    fs::write(&encoded, partitions::encode(&partitions)?)?;
    let bootloader = chip_files::bootloader(project, build.chip)?;
    let room = u64::from(partitions::OFFSET);
    ensure!(
        fs::metadata(&bootloader)?.len() <= room,
        "the bootloader reaches into the partition table"
    );
    let merged = build.merged(project);
    let mut merge = esptool(&prepare(project)?, build.chip.name());
    merge.arg("merge-bin").args(FLASH);
    merge.arg("--output").arg(&merged);
    merge.arg(BOOTLOADER_OFFSET).arg(&bootloader);
    merge.arg(partitions::OFFSET.to_string()).arg(&encoded);
    merge.arg(slot.offset.to_string()).arg(build.app(project));
    command::capture(&mut merge)?;
    Ok(merged)
}

fn table(project: &Project) -> Result<Vec<Partition>> {
    let text = fs::read_to_string(project.root.join(TABLE))
        .with_context(|| format!("cannot read {TABLE}"))?;
    partitions::parse(&text).with_context(|| format!("cannot use {TABLE}"))
}
