//! The file system of a meter's flash, read by the C implementation (littlefs-python), and the other way round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::project::Project;
use crate::{command, python};

const SCRIPT: &str = "crates/littlefs/tests/open_image.py";
const REQUIREMENTS: &str = "crates/littlefs/tests/requirements.txt";
/// Where the image that Python makes has its file system.
const MADE_AT: (&str, &str) = ("8192", "64");

/// Installs littlefs-python and returns the interpreter that has it.
///
/// # Errors
/// When Python has no `venv` or the package cannot be installed.
pub(crate) fn prepare(project: &Project) -> Result<PathBuf> {
    python::prepare(project, "venv-littlefs", Path::new(REQUIREMENTS))
}

/// Compares what both implementations find on the image of a store in use, and on one that Python made.
///
/// # Errors
/// When they do not find the same, or less than there must be.
pub(crate) fn compare(project: &Project) -> Result<()> {
    let python = prepare(project)?;
    command::run(project.cargo().args(["build", "--workspace", "--examples"]))?;
    let examples = project.program("debug", "examples");
    let folder = project.scratch("tmp/littlefs");
    fs::create_dir_all(&folder)?;

    let image = folder.join("store.bin");
    let place = command::capture(Command::new(examples.join("store_image")).arg(&image))?;
    let (offset, blocks) = place
        .trim()
        .split_once(' ')
        .with_context(|| format!("store_image said {place:?}"))?;
    let theirs = open(project, &python, &[], &image, (offset, blocks))?;
    ensure_same(&ours(&examples, &image, (offset, blocks))?, &theirs)?;
    for wanted in [
        "/settings ",
        "/full/",
        "/minutes/",
        "/quarters/",
        "/events/",
    ] {
        ensure!(
            theirs.lines().any(|line| line.starts_with(wanted)),
            "no file {wanted} on the store's image:\n{theirs}"
        );
    }
    println!("store: both find the same {} files", theirs.lines().count());

    let image = folder.join("python.bin");
    let theirs = open(project, &python, &["--make"], &image, MADE_AT)?;
    ensure_same(&ours(&examples, &image, MADE_AT)?, &theirs)?;
    println!(
        "Python's image: both find the same {} files",
        theirs.lines().count()
    );
    Ok(())
}

fn open(
    project: &Project,
    python: &Path,
    options: &[&str],
    image: &Path,
    (offset, blocks): (&str, &str),
) -> Result<String> {
    let mut script = Command::new(python);
    script.arg(project.root.join(SCRIPT)).args(options);
    script.arg(image).args([offset, blocks]);
    command::capture(&mut script)
}

fn ours(examples: &Path, image: &Path, (offset, blocks): (&str, &str)) -> Result<String> {
    let mut show = Command::new(examples.join("littlefs_image"));
    show.arg("show").arg(image).args([offset, blocks]);
    command::capture(&mut show)
}

fn ensure_same(ours: &str, theirs: &str) -> Result<()> {
    let mut pairs = ours.trim().lines().zip(theirs.trim().lines());
    if let Some((ours, theirs)) = pairs.find(|(ours, theirs)| ours != theirs) {
        bail!("we find {ours:?}, littlefs-python finds {theirs:?}");
    }
    let counts = [ours, theirs].map(|text| text.trim().lines().count());
    ensure!(
        counts[0] == counts[1] && counts[0] > 0,
        "we find {} files, littlefs-python finds {}",
        counts[0],
        counts[1]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_the_same_only_where_every_file_is() {
        assert!(ensure_same("/a 1 2\n", "/a 1 2").is_ok());
        for (ours, theirs) in [
            ("", ""),
            ("/a 1 2", ""),
            ("/a 1 2", "/a 1 3"),
            ("/a 1 2", "/a 1 2\n/b 1 2"),
        ] {
            assert!(ensure_same(ours, theirs).is_err(), "{ours:?} {theirs:?}");
        }
    }
}
