//! Where the project lies and which compiler builds it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;

/// The checkout that the tasks work on.
pub(crate) struct Project {
    /// The workspace's root folder, absolute.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds, absolute.
    pub(crate) target: PathBuf,
    /// The description of the workspace by `cargo metadata --no-deps`.
    pub(crate) metadata: Value,
}

impl Project {
    /// Finds the workspace that this program belongs to.
    ///
    /// # Errors
    /// When `cargo metadata` fails or names no folders.
    pub(crate) fn find() -> Result<Self> {
        // At run time, not by env!(): a checkout may be moved after the build.
        let start = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(env::current_dir, |dir| Ok(dir.into()))?;
        let mut metadata = cargo_in(&start);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&command::capture(&mut metadata)?)
            .context("cargo metadata printed no JSON")?;
        let folder = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            metadata,
        })
    }

    /// Returns a cargo command that runs in the root folder.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// Returns a folder for what the tasks make, below `target/` of the checkout.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join("target").join(name)
    }

    /// Builds all programs for release: the one that people run, and those that measure or stand in for others.
    ///
    /// Always all together: alone each would get other features of its dependencies, and those be built twice.
    ///
    /// # Errors
    /// When one does not build.
    pub(crate) fn build_for_release(&self) -> Result<()> {
        let mut build = self.cargo();
        build.args(["build", "--release"]);
        build.args(["-p", "ofmon", "-p", "thingsboard-double", "-p", "e2e"]);
        command::run(&mut build)
    }

    /// Builds what the Rust tests build, all programs among it, with the same features of the dependencies.
    ///
    /// # Errors
    /// When something does not build.
    pub(crate) fn build_for_tests(&self) -> Result<()> {
        command::run(
            self.cargo()
                .args(["build", "--workspace", "--bins", "--tests"]),
        )
    }

    /// Returns the path of a built program of the workspace.
    pub(crate) fn program(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }
}

/// Returns a cargo command without what `cargo run` has put into the environment:
/// build scripts that watch those variables would run again on each change of caller.
pub(crate) fn cargo_in(folder: &Path) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(folder);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// What `rustc -vV` says of the compiler.
pub(crate) struct Compiler {
    /// Version, such as `1.95.0`.
    pub(crate) version: String,
    /// Commit, or the version where a distribution's build names none.
    pub(crate) commit: String,
    /// Host triple, such as `x86_64-unknown-linux-gnu`.
    pub(crate) host: String,
}

impl Compiler {
    /// Asks the compiler that cargo uses.
    ///
    /// # Errors
    /// When rustc does not run or prints something else.
    pub(crate) fn find() -> Result<Self> {
        Self::parse(&command::capture(Command::new(rustc()).arg("-vV"))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let (Some(version), Some(host)) = (field("release:"), field("host:")) else {
            bail!("rustc -vV printed no release and host");
        };
        let commit = field("commit-hash:")
            .filter(|commit| *commit != "unknown")
            .unwrap_or(version);
        Ok(Self {
            version: version.into(),
            commit: commit.into(),
            host: host.into(),
        })
    }
}

/// Returns the name of the compiler, as cargo chooses it.
pub(crate) fn rustc() -> std::ffi::OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_without_a_commit_is_told_apart_by_its_version() {
        let text = "rustc 1.95.0\nbinary: rustc\ncommit-hash: unknown\nhost: riscv64gc-unknown-linux-gnu\nrelease: 1.95.0\n";
        let compiler = Compiler::parse(text).unwrap();
        assert_eq!(compiler.version, "1.95.0");
        assert_eq!(compiler.commit, "1.95.0");
        assert_eq!(compiler.host, "riscv64gc-unknown-linux-gnu");
    }

    #[test]
    fn output_of_another_program_is_refused() {
        assert!(Compiler::parse("gcc (Debian) 12.2.0").is_err());
    }
}
