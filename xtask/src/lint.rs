//! `./x lint`: format, clippy, the architecture's rules, and what the dependencies are.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::project::Project;
use crate::stages::Stages;
use crate::{command, tidy};

/// Runs all of it, each as a stage.
pub(crate) fn run(project: &Project) -> ExitCode {
    let mut stages = Stages::new("./x");
    stages.run("lint", || all(project, true).map(drop));
    stages.finish()
}

/// Runs all of it; cheap checks first. Returns whether cargo-deny ran, too.
///
/// # Errors
/// When a check fails, or cargo-deny is missing though it is `required`.
pub(crate) fn all(project: &Project, required: bool) -> Result<bool> {
    command::run(project.cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run(project)?;
    let deny = project.scratch("tools/bin/cargo-deny");
    let present = deny.exists();
    if present || required {
        for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
            let mut check = Command::new(&deny);
            check.current_dir(&project.root);
            check.args(["--manifest-path", manifest, "--config", "deny.toml"]);
            // Without advisories: their database would need a network.
            check.args(["check", "bans", "licenses", "sources"]);
            command::run(&mut check)?;
        }
    }
    let mut clippy = project.cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    command::run(&mut clippy)?;
    Ok(present || required)
}
