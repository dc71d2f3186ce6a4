//! The web page: npm packages, checks, build, and its tests in a browser.
//!
//! Packages are installed anew when the lock file is newer than what is
//! installed, the page is built anew when one of its sources is newer than it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::command;
use crate::project::Project;

/// What the built page is made of, below `ui/`.
const SOURCES: [&str; 7] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "svelte.config.js",
];
const CHROMIUM: &str = "/usr/bin/chromium";

fn folder(project: &Project) -> Result<PathBuf> {
    let folder = project.root.join("ui");
    if !folder.join("package.json").exists() {
        bail!("{} has no package.json", folder.display());
    }
    Ok(folder)
}

fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder).args(arguments);
    command
}

/// Installs exactly the packages of the lock file, if they are not there.
///
/// # Errors
/// When npm fails.
pub(crate) fn install(project: &Project) -> Result<()> {
    let folder = folder(project)?;
    // npm's own record of what it has installed.
    let installed = newest(&folder.join("node_modules/.package-lock.json"));
    let wanted =
        newest(&folder.join("package-lock.json")).max(newest(&folder.join("package.json")));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    command::run(&mut npm(&folder, &["ci", "--no-audit", "--no-fund"]))?;
    Ok(())
}

/// Builds the page into `ui/dist`, if a source is newer.
///
/// # Errors
/// When npm fails.
pub(crate) fn build(project: &Project) -> Result<()> {
    let folder = folder(project)?;
    let built = newest(&folder.join("dist/index.html"));
    let sources = SOURCES
        .iter()
        .filter_map(|name| newest(&folder.join(name)))
        .max();
    if built.is_some() && built >= sources {
        return Ok(());
    }
    install(project)?;
    command::run(&mut npm(&folder, &["run", "build"]))
}

/// Checks types and accessibility hints, runs the unit tests and builds the page.
///
/// # Errors
/// When one of them fails.
pub(crate) fn check(project: &Project) -> Result<()> {
    install(project)?;
    let folder = folder(project)?;
    for script in ["check", "test", "build"] {
        command::run(&mut npm(&folder, &["run", script]))?;
    }
    Ok(())
}

/// Tests the page in a browser against the built program.
///
/// # Errors
/// When the program or the page does not build, or a test fails.
pub(crate) fn test_in_browser(project: &Project) -> Result<()> {
    build(project)?;
    project.build_for_tests()?;
    let chromium = std::env::var_os("CHROMIUM").unwrap_or_else(|| CHROMIUM.into());
    let mut tests = npm(&folder(project)?, &["run", "e2e"]);
    tests
        .env("OFMON_BIN", project.program("debug", "ofmon"))
        .env("CHROMIUM", chromium);
    command::run(&mut tests)
}

/// Returns the time of the youngest file at or below `path`, if there is one.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_file() {
        return metadata.modified().ok();
    }
    fs::read_dir(path)
        .ok()?
        .flatten()
        .filter_map(|entry| newest(&entry.path()))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_as_new_as_its_newest_file() {
        let folder = std::env::temp_dir().join(format!("xtask-ui-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep")).unwrap();
        let file = |name: &str, age_s: u64| {
            let file = fs::File::create(folder.join(name)).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age_s);
            file.set_modified(time).unwrap();
            time
        };
        file("old", 100);
        let young = file("deep/young", 1);
        assert_eq!(newest(&folder), Some(young));
        assert_eq!(newest(&folder.join("absent")), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
