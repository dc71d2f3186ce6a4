//! The program that measures on the emulated chip.

use std::path::PathBuf;

use anyhow::Result;

use crate::project::{Project, cargo_in};
use crate::{command, targets};

/// Tells tests and the report where the program is.
pub(crate) const VARIABLE: &str = "OFMON_METERING_GUEST";

const FOLDER: &str = "crates/emulator/guests/metering";
const NAME: &str = "metering-guest";

/// Builds the program for the smallest chip and returns its path.
///
/// # Errors
/// When the target cannot be had or something does not build.
pub(crate) fn build(project: &Project) -> Result<PathBuf> {
    let name = targets::BARE_METAL[0];
    let built = project.scratch("guests");
    let mut cargo = cargo_in(&project.root.join(FOLDER));
    cargo
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(&built);
    targets::prepare(project, name)?.choose(&mut cargo)?;
    command::run(&mut cargo)?;
    Ok(built.join(name).join("release").join(NAME))
}
