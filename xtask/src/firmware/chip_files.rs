//! Files of the chip's maker that no image starts without, and the emulator neither: the second-stage bootloader and the
//! mask ROM.
//!
//! Both come out of the source of the crate `espflash`, in the version that `xtask/chip-files` names. cargo fetches it
//! like any other source, checks its hash, and says where it lies; nothing of it is built or committed.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::chip::Chip;
use crate::command;
use crate::project::{Compiler, Project, cargo_in};

/// The mask ROM that the emulator runs: that of chip revision 1.1, and of the ones between 0.4 and 2.0.
const ROM: &str = "roms/esp32c3_rev101_rom.elf";

/// Returns the file of a chip's bootloader (ESP-IDF's, Apache-2.0).
///
/// # Errors
/// When espflash's source cannot be fetched or has no such file.
pub(super) fn bootloader(project: &Project, chip: Chip) -> Result<PathBuf> {
    file(
        project,
        &format!("bootloaders/{}-bootloader.bin", chip.name()),
    )
}

/// Returns the file of the ESP32-C3's mask ROM, an ELF program.
///
/// # Errors
/// When espflash's source cannot be fetched or has no such file.
pub(crate) fn rom(project: &Project) -> Result<PathBuf> {
    file(project, ROM)
}

fn file(project: &Project, name: &str) -> Result<PathBuf> {
    let host = Compiler::find()?.host;
    let mut metadata = cargo_in(&project.root.join("xtask/chip-files"));
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    metadata.args(["--filter-platform", &host]);
    let metadata: Value = serde_json::from_str(&command::capture(&mut metadata)?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == "espflash")
        .find_map(|package| package["manifest_path"].as_str())
        .context("xtask/chip-files does not depend on espflash")?;
    let path = PathBuf::from(manifest)
        .with_file_name("resources")
        .join(name);
    ensure!(path.is_file(), "espflash has no {}", path.display());
    Ok(path)
}
