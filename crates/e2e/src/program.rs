//! Running `ofmon`, collector side.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Returns the path of `ofmon`: `OFMON_BIN`, or the one that was built beside the caller.
///
/// It is not built from here: Cargo would choose other features for it than for the whole workspace, and build
/// everything twice. `cargo test --workspace` and `./x` build it first.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("OFMON_BIN") {
        return Ok(path.into());
    }
    let own = env::current_exe()?;
    let profile_dir = own.ancestors().find(|dir| dir.join("deps").is_dir());
    let profile_dir =
        profile_dir.context("this program does not lie in a Cargo target directory")?;
    let path = profile_dir.join(format!("ofmon{}", env::consts::EXE_SUFFIX));
    ensure!(
        path.exists(),
        "{} is missing: `cargo build --package ofmon` makes it",
        path.display()
    );
    Ok(path)
}

/// Someone who collects: a data directory and the simulated air that is in range.
#[derive(Clone, Debug)]
pub struct Collector {
    data: PathBuf,
    air: PathBuf,
}

impl Collector {
    /// Uses a data directory and the state directory of simulated meters.
    #[must_use]
    pub fn new(data: &Path, air: &Path) -> Self {
        Self {
            data: data.to_owned(),
            air: air.to_owned(),
        }
    }

    /// Returns the data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .arg("--sim")
            .arg(&self.air);
        command
            .env("TZ", "UTC")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command to its end and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success(),
            "ofmon {arguments:?} ended with {}: {said}{printed}",
            output.status
        );
        Ok(printed)
    }

    /// Runs a command with `--json` and returns its document.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--json"]].concat();
        let printed = self.text(&arguments)?;
        serde_json::from_str(&printed)
            .with_context(|| format!("ofmon {arguments:?} printed no JSON: {printed}"))
    }

    /// Starts a command whose output is thrown away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(arguments)?;
        Ok(command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// Gives every meter in range a token of its own.
    ///
    /// # Errors
    /// When set-up fails.
    pub fn set_up_all(&self) -> Result<()> {
        self.text(&["setup", "--local", "--all"]).map(drop)
    }

    /// Collects from every meter in range.
    ///
    /// # Errors
    /// When not all could be collected.
    pub fn collect_all(&self) -> Result<Value> {
        self.json(&["collect", "--all"])
    }

    /// Replaces the data directory by a copy of another collector's.
    ///
    /// # Errors
    /// What the file system says.
    pub fn become_copy_of(&self, other: &Self) -> Result<()> {
        if self.data.exists() {
            fs::remove_dir_all(&self.data)?;
        }
        fs::create_dir_all(&self.data)?;
        for entry in fs::read_dir(&other.data)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), self.data.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}
