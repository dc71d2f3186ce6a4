//! What the rules look at: the crates as cargo sees them, and the texts of all files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::project::Project;

/// Folders that hold what is made, not what is written.
const NOT_OURS: [&str; 8] = [
    ".git",
    "target",
    "node_modules",
    "dist",
    "corpus",
    "artifacts",
    "out",
    ".svelte-kit",
];
/// A text beyond this is data.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The project as the rules see it.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) crates: Vec<Crate>,
    pub(super) files: Vec<File>,
}

/// A crate of the main workspace.
#[derive(Default)]
pub(super) struct Crate {
    pub(super) name: String,
    /// Folder relative to the root, such as `crates/protocol`.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// What a crate depends on.
pub(super) struct Dependency {
    pub(super) name: String,
    /// Whether only its tests do.
    pub(super) tests_only: bool,
}

/// A text file.
pub(super) struct File {
    /// Path relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Workspace {
    /// Reads the project.
    pub(super) fn read(project: &Project) -> Result<Self> {
        let packages = project.metadata["packages"]
            .as_array()
            .context("cargo metadata has no packages")?;
        let crates = packages
            .iter()
            .map(|package| Crate::read(package, &project.root))
            .collect::<Result<_>>()?;
        let mut files = Vec::new();
        read_folder(&project.root, &project.root, &mut files)?;
        files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
        Ok(Self { crates, files })
    }

    /// Returns the text of a file by its path from the root.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }
}

impl Crate {
    fn read(package: &Value, root: &Path) -> Result<Self> {
        let name = package["name"]
            .as_str()
            .context("a package has no name")?
            .to_owned();
        let manifest = Path::new(
            package["manifest_path"]
                .as_str()
                .context("a package has no manifest")?,
        );
        let folder = manifest.parent().unwrap_or(manifest);
        let folder = folder
            .strip_prefix(root)
            .unwrap_or(folder)
            .to_string_lossy()
            .replace('\\', "/");
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let dependencies = dependencies.filter_map(|dependency| {
            let name = dependency["name"].as_str()?.to_owned();
            Some(Dependency {
                name,
                tests_only: dependency["kind"].as_str() == Some("dev"),
            })
        });
        Ok(Self {
            name,
            folder,
            dependencies: dependencies.collect(),
        })
    }
}

fn read_folder(folder: &Path, root: &Path, files: &mut Vec<File>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                read_folder(&path, root, files)?;
            }
        } else if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
            // What is no UTF-8 is a picture or a golden file.
            if let Ok(text) = fs::read_to_string(&path) {
                let path = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .replace('\\', "/");
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod planted {
    //! Small projects for the rules' tests.

    use super::{Crate, Dependency, File, Workspace};

    /// A project of these files alone.
    pub(in super::super) fn files(files: &[(&str, &str)]) -> Workspace {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.into(),
            text: text.into(),
        };
        Workspace {
            files: files.iter().map(file).collect(),
            crates: Vec::new(),
        }
    }

    /// A crate in a folder, with dependencies; those of tests begin with `test:`.
    pub(in super::super) fn krate(name: &str, folder: &str, dependencies: &[&str]) -> Crate {
        let dependency = |text: &&str| match text.strip_prefix("test:") {
            Some(name) => Dependency {
                name: name.into(),
                tests_only: true,
            },
            None => Dependency {
                name: (*text).into(),
                tests_only: false,
            },
        };
        Crate {
            name: name.into(),
            folder: folder.into(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_project_is_read_with_its_crates_and_without_what_is_built() {
        let workspace = Workspace::read(&Project::find().unwrap()).unwrap();
        let xtask = workspace
            .crates
            .iter()
            .find(|each| each.name == "xtask")
            .unwrap();
        assert_eq!(xtask.folder, "xtask");
        assert!(
            xtask
                .dependencies
                .iter()
                .any(|dependency| dependency.name == "clap")
        );
        assert!(workspace.text("xtask/src/tidy/workspace.rs").is_some());
        assert!(
            !workspace
                .files
                .iter()
                .any(|file| file.path.starts_with("target/") || file.path.contains("node_modules"))
        );
    }
}
