//! `./x lint`: format, clippy, the architecture's rules, and what the dependencies are.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::project::{Project, cargo_in};
use crate::stages::Stages;
use crate::{command, tidy};

/// Runs all of it, each as a stage.
pub(crate) fn run(project: &Project) -> ExitCode {
    let mut stages = Stages::new("./x");
    stages.run("lint", || all(project, true).map(drop));
    stages.finish()
}

/// Runs all of it, cheap checks first, each also after another has failed.
/// Returns whether cargo-deny ran, too.
///
/// # Errors
/// When a check fails, or cargo-deny is missing though it is `required`.
pub(crate) fn all(project: &Project, required: bool) -> Result<bool> {
    let deny = project.scratch("tools/bin/cargo-deny");
    let with_deny = required || deny.exists();
    let mut checks = vec![
        (
            "format",
            command::run(project.cargo().args(["fmt", "--all", "--check"])),
        ),
        (
            "format of the firmware",
            command::run(cargo_in(&project.root.join("firmware")).args(["fmt", "--check"])),
        ),
        ("tidy", tidy::run(project)),
    ];
    if with_deny {
        checks.push(("cargo-deny", check_dependencies(project, &deny)));
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
    checks.push(("clippy", command::run(&mut clippy)));
    sum_up(checks).map(|()| with_deny)
}

/// Checks the licences and sources of all workspaces.
fn check_dependencies(project: &Project, deny: &Path) -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml", "firmware/Cargo.toml"] {
        let mut check = Command::new(deny);
        check.current_dir(&project.root);
        check.args(["--manifest-path", manifest, "--config", "deny.toml"]);
        // Without advisories: their database would need a network.
        check.args(["check", "bans", "licenses", "sources"]);
        command::run(&mut check)?;
    }
    Ok(())
}

/// Returns one error for all checks that failed.
///
/// # Errors
/// When any of them did.
pub(crate) fn sum_up(checks: Vec<(&str, Result<()>)>) -> Result<()> {
    let failed: Vec<_> = checks
        .into_iter()
        .filter_map(|(name, outcome)| outcome.err().map(|error| format!("{name}: {error:#}")))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{}", failed.join("; "))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn every_failed_check_is_named() {
        assert!(sum_up(vec![("format", Ok(())), ("tidy", Ok(()))]).is_ok());
        let checks = vec![
            ("format", Err(anyhow!("a"))),
            ("tidy", Ok(())),
            ("clippy", Err(anyhow!("b"))),
        ];
        assert_eq!(
            sum_up(checks).unwrap_err().to_string(),
            "format: a; clippy: b"
        );
    }
}
