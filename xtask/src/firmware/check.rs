//! What must hold of the images: the stage `firmware` of `./x test`, and what the report measures on them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::build::{self, Build};
use super::chip::Chip;
use super::update::{self, Signing};
use super::{Sizes, chip_files, make, make_all};
use crate::project::{Project, cargo_in};
use crate::{command, lint};

/// An image that tests run, and the variable that tells them where its `merged.bin` is.
struct Tested {
    variable: &'static str,
    features: &'static [&'static str],
}

/// Images of the ESP32-C3. Beside a `merged.bin` lie `app.bin`, `firmware.elf` and the update file.
const TESTED: [Tested; 6] = [
    Tested {
        variable: "OFMON_FIRMWARE_C3_WIFI",
        features: build::SHIPPED,
    },
    Tested {
        variable: "OFMON_FIRMWARE_C3",
        features: EMULATED,
    },
    Tested {
        variable: "OFMON_FIRMWARE_C3_FAULT_HANG",
        features: &["emulated-network", "dev", "fault-hang"],
    },
    Tested {
        variable: "OFMON_FIRMWARE_C3_FAULT_PANIC",
        features: &["emulated-network", "dev", "fault-panic"],
    },
    Tested {
        variable: "OFMON_FIRMWARE_C3_FAULT_NO_ACCESS_POINT",
        features: &["emulated-network", "dev", "fault-no-access-point"],
    },
    Tested {
        variable: "OFMON_FIRMWARE_C3_FAULT_LATER",
        features: &["emulated-network", "dev", "fault-later"],
    },
];
/// Updates of the tests are signed with this key; the file is in the repository, so it is no secret.
const TEST_KEY: &str = "crates/e2e/keys/test-only.pub";
/// The shipped program, but with the emulator's network, and with the key of the tests.
const EMULATED: &[&str] = &["emulated-network", "dev"];
/// Tells tests where the mask ROM of the ESP32-C3 is.
const ROM: &str = "OFMON_ROM";
/// Tells the report where the sizes of the images are, a flat JSON object.
const SIZES: &str = "OFMON_FIRMWARE_SIZES";

/// The images, built, with what tests and the report must be told of them.
pub(crate) struct Images {
    variables: Vec<(&'static str, PathBuf)>,
}

impl Images {
    /// Builds all of them.
    ///
    /// # Errors
    /// When one does not build, or a shipped one takes more than its budget.
    pub(crate) fn build(project: &Project) -> Result<Self> {
        let mut variables = vec![(ROM, chip_files::rom(project)?)];
        let shipped = Build::new(Chip::Esp32c3, build::SHIPPED);
        let mut c3 = None;
        for tested in TESTED {
            let mut build = Build::new(Chip::Esp32c3, tested.features);
            if tested.features == EMULATED {
                build = build.with_keys(vec![update::key(&project.root.join(TEST_KEY))?]);
            }
            let sizes = make_all(project, &build, &Signing::default())?;
            if build == shipped {
                c3 = Some(sizes);
            }
            variables.push((tested.variable, build.merged(project)));
        }
        let c6 = make(project, &Build::new(Chip::Esp32c6, build::SHIPPED))?;
        let c3 = c3.context("the shipped image is not among those tested")?;
        variables.push((SIZES, write_sizes(project, &c3, &c6)?));
        Ok(Self { variables })
    }

    /// Tells a command where they are.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, path)| (name, path)));
    }
}

fn write_sizes(project: &Project, c3: &Sizes, c6: &Sizes) -> Result<PathBuf> {
    let sizes = json!({
        "c3_image_bytes": c3.image_bytes,
        "c6_image_bytes": c6.image_bytes,
        "c3_ram_static_bytes": c3.memory.static_bytes,
        "c3_stack_bytes": c3.memory.stack_bytes,
    });
    let file = project.scratch("firmware/sizes.json");
    fs::write(&file, serde_json::to_vec_pretty(&sizes)?)?;
    Ok(file)
}

/// Builds what is shipped and what is tested, checks the budgets, and runs the images in the emulator.
///
/// # Errors
/// When any of it does not hold.
pub(crate) fn all(project: &Project) -> Result<()> {
    build::resolve_unbuilt(project)?;
    let images = Images::build(project)?;
    lint::sum_up(vec![
        ("clippy", clippy(project, build::SHIPPED)),
        ("clippy", clippy(project, EMULATED)),
        ("tests", tests(project, &images)),
    ])
}

fn tests(project: &Project, images: &Images) -> Result<()> {
    // The same selection of packages as in the stage `cargo`, so that nothing is built twice.
    let test = |how: &str| {
        let mut tests = project.cargo();
        tests.args(["test", "--workspace", "--test", "e2e", "--test", "emulator"]);
        tests.args(["--", "--ignored", how, "firmware"]);
        images.tell(&mut tests);
        tests
    };
    // A filter that matches nothing passes.
    let listed = command::capture(&mut test("--list"))?;
    ensure!(
        listed.lines().any(|line| line.ends_with(": test")),
        "there is no test called firmware"
    );
    command::run(&mut test("--nocapture"))
}

/// Checks a program of the ESP32-C3 as clippy checks all other crates.
fn clippy(project: &Project, features: &[&str]) -> Result<()> {
    let mut cargo = cargo_in(&project.root.join("firmware"));
    cargo.args(["clippy", "--release", "--locked"]);
    Build::new(Chip::Esp32c3, features).select(project, &mut cargo)?;
    cargo.args(["--", "-D", "warnings"]);
    command::run(&mut cargo)
}
