//! Python environments of the checkout, one for each set of requirements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::project::Project;

/// Makes the environment `name` unless it is there as the file of requirements says, and returns its interpreter.
///
/// # Errors
/// When Python has no `venv` or a package cannot be installed.
pub(crate) fn prepare(project: &Project, name: &str, requirements: &Path) -> Result<PathBuf> {
    let requirements = project.root.join(requirements);
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = project.scratch(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    command::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet"]);
    pip.args(["--disable-pip-version-check", "-r"])
        .arg(&requirements);
    command::run(&mut pip)?;
    fs::write(stamp, wanted)?;
    Ok(python)
}
