//! The programs that run on the emulated chip.

use std::path::PathBuf;

use anyhow::Result;

use crate::project::{Project, cargo_in};
use crate::{command, targets};

/// A program, by its folder and its name.
pub(crate) struct Guest {
    folder: &'static str,
    name: &'static str,
    /// Tells tests and the report where the program is.
    pub(crate) variable: &'static str,
}

/// The program that measures.
pub(crate) const METERING: Guest = Guest {
    folder: "crates/emulator/guests/metering",
    name: "metering-guest",
    variable: "OFMON_METERING_GUEST",
};

/// The program that keeps readings.
pub(crate) const STORE: Guest = Guest {
    folder: "crates/emulator/guests/store",
    name: "store-guest",
    variable: "OFMON_STORE_GUEST",
};

impl Guest {
    /// Builds the program for the smallest chip and returns its path.
    ///
    /// # Errors
    /// When the target cannot be had or something does not build.
    pub(crate) fn build(&self, project: &Project) -> Result<PathBuf> {
        let name = targets::BARE_METAL[0];
        let built = project.scratch("guests");
        let mut cargo = cargo_in(&project.root.join(self.folder));
        cargo
            .args(["build", "--release", "--locked", "--target-dir"])
            .arg(&built);
        targets::prepare(project, name)?.choose(&mut cargo)?;
        command::run(&mut cargo)?;
        Ok(built.join(name).join("release").join(self.name))
    }
}
