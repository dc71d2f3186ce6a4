//! Building the program of a chip, and where it and its images lie.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::chip::Chip;
use super::memory::{self, Memory};
use crate::project::{Project, cargo_in};
use crate::{command, targets};

/// The features of the program that is shipped, beside the chip's.
pub(super) const SHIPPED: &[&str] = &["wifi"];

/// Tells `firmware/build.rs` the keys.
const KEYS: &str = "OFMON_UPDATE_KEYS";

/// One way to build the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(super) chip: Chip,
    /// Features of the crate beside the chip's.
    features: Vec<String>,
    /// Public keys that it believes updates of, in hexadecimal.
    keys: Vec<String>,
}

/// A program that was built.
pub(super) struct Program {
    pub(super) elf: PathBuf,
    pub(super) memory: Memory,
}

impl Build {
    /// Chooses a chip and features; without features, those of the program that is shipped.
    pub(super) fn new<S: AsRef<str>>(chip: Chip, features: &[S]) -> Self {
        let mut features: Vec<String> = features.iter().map(|name| name.as_ref().into()).collect();
        if features.is_empty() {
            features = SHIPPED.iter().map(|name| (*name).into()).collect();
        }
        features.sort();
        features.dedup();
        Self {
            chip,
            features,
            keys: Vec::new(),
        }
    }

    /// Builds keys in.
    pub(super) fn with_keys(self, keys: Vec<String>) -> Self {
        Self { keys, ..self }
    }

    pub(super) fn is_shipped(&self) -> bool {
        self.features == SHIPPED
    }

    /// Returns the name of its folder below `target/firmware/`: the chip's, with the features where they are others than
    /// those shipped.
    pub(super) fn name(&self) -> String {
        let chip = self.chip.name();
        if self.is_shipped() {
            chip.into()
        } else {
            format!("{chip}-{}", self.features.join("-"))
        }
    }

    /// Returns the folder of its program and images.
    pub(super) fn folder(&self, project: &Project) -> PathBuf {
        project.scratch("firmware").join(self.name())
    }

    /// Returns what is flashed at address 0: bootloader, partition table and application.
    pub(crate) fn merged(&self, project: &Project) -> PathBuf {
        self.folder(project).join("merged.bin")
    }

    /// Returns the application's image as it lies in a slot.
    pub(super) fn app(&self, project: &Project) -> PathBuf {
        self.folder(project).join("app.bin")
    }

    /// Builds the program. All of them share one folder of cargo's, so that only what differs is built again.
    ///
    /// # Errors
    /// When the target cannot be had or something does not build.
    pub(super) fn program(&self, project: &Project) -> Result<Program> {
        let mut cargo = cargo_in(&project.root.join("firmware"));
        cargo.args(["build", "--release", "--locked"]);
        self.select(project, &mut cargo)?;
        if !self.keys.is_empty() {
            cargo.env(KEYS, self.keys.join(","));
        }
        command::run(&mut cargo)?;
        let built = cargo_target(project)
            .join(self.chip.target())
            .join("release/firmware");
        // The next build of another kind has the same path.
        let elf = self.folder(project).join("firmware.elf");
        fs::create_dir_all(self.folder(project))?;
        fs::copy(&built, &elf).with_context(|| format!("cannot copy {}", built.display()))?;
        let memory = memory::of(&fs::read(&elf)?, self.chip)?;
        Ok(Program { elf, memory })
    }

    /// Makes a cargo command work on this chip with these features, in the folder that all of them share.
    ///
    /// # Errors
    /// When the target cannot be had.
    pub(super) fn select(&self, project: &Project, cargo: &mut Command) -> Result<()> {
        cargo.args(["--no-default-features", "--features"]);
        cargo.arg(self.cargo_features());
        cargo.arg("--target-dir").arg(cargo_target(project));
        targets::prepare(project, self.chip.target())?.choose(cargo)
    }

    fn cargo_features(&self) -> String {
        let mut all = vec![self.chip.name()];
        all.extend(self.features.iter().map(String::as_str));
        all.join(",")
    }
}

fn cargo_target(project: &Project) -> PathBuf {
    project.scratch("firmware/build")
}

/// Returns the firmware's version, such as `0.1.0`.
///
/// # Errors
/// When `firmware/Cargo.toml` cannot be read.
pub(super) fn version(project: &Project) -> Result<String> {
    let mut metadata = cargo_in(&project.root.join("firmware"));
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&command::capture(&mut metadata)?)?;
    let version = metadata["packages"][0]["version"].as_str();
    Ok(version.context("the firmware has no version")?.to_owned())
}

/// Makes sure that cargo finds a set of dependencies for the chips that are not built here.
///
/// # Errors
/// When their features do not resolve, or the lock file lacks something for them.
pub(super) fn resolve_unbuilt(project: &Project) -> Result<()> {
    for chip in super::chip::XTENSA {
        let mut tree = cargo_in(&project.root.join("firmware"));
        tree.args(["tree", "--locked", "--target", "all", "--prefix", "none"]);
        tree.args(["--no-default-features", "--features"]);
        tree.arg(format!("{chip},{}", SHIPPED.join(",")));
        let crates = command::capture(&mut tree)?.lines().count();
        ensure!(crates > 1, "{chip} has no dependencies");
        println!("{chip}: its features resolve (not built here)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_image_is_named_by_its_chip_alone() {
        let shipped = Build::new::<&str>(Chip::Esp32c6, &[]);
        assert!(shipped.is_shipped());
        assert_eq!(shipped.name(), "esp32c6");
        assert_eq!(shipped.cargo_features(), "esp32c6,wifi");
        let other = Build::new(Chip::Esp32c3, &["emulated-network", "dev", "dev"]);
        assert!(!other.is_shipped());
        assert_eq!(other.name(), "esp32c3-dev-emulated-network");
        assert_eq!(
            other,
            Build::new(Chip::Esp32c3, &["dev", "emulated-network"])
        );
    }
}
