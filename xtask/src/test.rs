//! `./x test`: everything that must hold before a change lands, as stages.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::project::Project;
use crate::stages::Stages;
use crate::{command, double, firmware, fuzz, guest, lint, littlefs, targets, ui};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leaves out the chips' images, documentation, browser and what needs Python, and fuzzes shorter
    #[arg(long)]
    quick: bool,
    /// The stages to run; without them, all
    stages: Vec<Stage>,
}

/// The stages, in the order in which they run: what fails fast comes first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Format, clippy, tidy, cargo-deny
    Lint,
    /// The crates of the meter for a chip without an operating system
    BareMetal,
    /// The web page: types, unit tests, build
    Ui,
    /// All Rust tests
    Cargo,
    /// The images of the chips: budgets, and the ESP32-C3's in the emulator
    Firmware,
    /// Documentation without warnings
    Doc,
    /// Each fuzz target for some seconds
    Fuzz,
    /// The C implementation of LittleFS against ours
    Littlefs,
    /// ThingsBoard's own Python client against the double
    Thingsboard,
    /// The web page in a browser against the program
    UiE2e,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::BareMetal => "bare-metal",
            Self::Ui => "ui",
            Self::Cargo => "cargo",
            Self::Firmware => "firmware",
            Self::Doc => "doc",
            Self::Fuzz => "fuzz",
            Self::Littlefs => "littlefs",
            Self::Thingsboard => "thingsboard",
            Self::UiE2e => "ui-e2e",
        }
    }

    /// Tells whether `--quick` runs it.
    fn is_quick(self) -> bool {
        !matches!(
            self,
            Self::Firmware | Self::Doc | Self::Littlefs | Self::Thingsboard | Self::UiE2e
        )
    }
}

/// Runs the stages that were asked for and prints their times.
///
/// # Errors
/// Never by a failed stage: that is in the table and in the exit code.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let mut stages = Stages::new("./x test");
    let asked = |stage: &Stage| arguments.stages.is_empty() || arguments.stages.contains(stage);
    for stage in Stage::value_variants().iter().copied().filter(asked) {
        if arguments.quick && !stage.is_quick() {
            stages.leave_out(format!("{} (--quick)", stage.name()));
            continue;
        }
        let mut without_deny = false;
        stages.run(stage.name(), || match stage {
            Stage::Lint => {
                without_deny = !lint::all(project, !arguments.quick)?;
                Ok(())
            }
            Stage::BareMetal => bare_metal(project),
            Stage::Ui => ui::check(project),
            Stage::Cargo => command::run(project.cargo().args(["test", "--workspace"])),
            Stage::Firmware => firmware::all(project),
            Stage::Doc => document(project),
            Stage::Fuzz => fuzz::smoke(
                project,
                Duration::from_secs(if arguments.quick { 2 } else { 30 }),
            ),
            Stage::Littlefs => littlefs::compare(project),
            Stage::Thingsboard => double::check_with_python_client(project),
            Stage::UiE2e => ui::test_in_browser(project),
        });
        if without_deny {
            stages.leave_out("cargo-deny (--quick does not install it; ./x lint does)");
        }
    }
    Ok(stages.finish())
}

/// Builds the crates that run on a meter for the smallest of its chips, and compares what they measure and keep there with
/// what they do here.
fn bare_metal(project: &Project) -> Result<()> {
    let target = targets::prepare(project, targets::BARE_METAL[0])?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--no-default-features"]);
    cargo.args(
        ["metering", "protocol", "littlefs", "flash-store", "device"]
            .iter()
            .flat_map(|name| ["-p", name]),
    );
    target.choose(&mut cargo)?;
    command::run(&mut cargo)?;
    // The same selection of packages as in the stage `cargo`, so that nothing is built twice.
    let mut same_bits = project.cargo();
    same_bits.args(["test", "--workspace", "--test", "emulator", "--"]);
    // What runs whole images is in the stage `firmware`.
    same_bits.args(["--ignored", "--nocapture", "--skip", "firmware"]);
    for guest in [guest::METERING, guest::STORE] {
        same_bits.env(guest.variable, guest.build(project)?);
    }
    command::run(&mut same_bits)
}

/// Builds the documentation of all crates; a warning is an error.
///
/// # Errors
/// When rustdoc warns or fails.
pub(crate) fn document(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    command::run(&mut cargo)?;
    println!(
        "documentation: {}",
        project.target.join("doc/ofmon/index.html").display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_repeated_by_the_name_that_it_prints() {
        for stage in Stage::value_variants() {
            assert_eq!(stage.to_possible_value().unwrap().get_name(), stage.name());
        }
    }
}
