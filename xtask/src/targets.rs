//! Bare-metal targets: those of the toolchain when they are installed, else by
//! the way that `OFMON_TARGETS` names.
//!
//! rustup downloads a prebuilt `core`. Where its server may not be used, `core`
//! and `alloc` are built here, once, by the compiler at hand out of its own
//! version's source, and kept in a sysroot of their own below `target/`. Only
//! builds for that target look into it, so that nothing of the toolchain is
//! copied or changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::project::{Compiler, Project, cargo_in, rustc};
use crate::{apt, command};

/// The RISC-V chips: ESP32-C3, then ESP32-C6.
pub(crate) const BARE_METAL: [&str; 2] = [
    "riscv32imc-unknown-none-elf",
    "riscv32imac-unknown-none-elf",
];

/// A bare-metal target that can be built for.
pub(crate) struct Target {
    name: &'static str,
    /// Where its `core` lies when the toolchain has none.
    sysroot: Option<PathBuf>,
}

impl Target {
    /// Makes a cargo command build for this target.
    ///
    /// # Errors
    /// When the sysroot's path is no UTF-8.
    pub(crate) fn choose(&self, cargo: &mut Command) -> Result<()> {
        cargo.args(["--target", self.name]);
        if let Some(sysroot) = &self.sysroot {
            let path = serde_json::to_string(
                sysroot
                    .to_str()
                    .context("the checkout's path is no UTF-8")?,
            )?;
            cargo.arg("--config").arg(format!(
                "target.{}.rustflags=['--sysroot',{path}]",
                self.name
            ));
            // Either would replace the flags above.
            cargo
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        Ok(())
    }
}

/// Where missing targets come from.
enum Source {
    Rustup,
    Debian,
}

impl Source {
    fn parse(value: Option<&str>) -> Result<Self> {
        match value {
            None | Some("" | "rustup") => Ok(Self::Rustup),
            Some("debian") => Ok(Self::Debian),
            Some(other) => bail!("OFMON_TARGETS is {other:?}, must be rustup or debian"),
        }
    }
}

/// Makes sure that `name` can be built for, and says what it had to install.
///
/// # Errors
/// When the target is not there and cannot be had in the way chosen.
pub(crate) fn prepare(project: &Project, name: &'static str) -> Result<Target> {
    let mut asked = Command::new(rustc());
    asked
        .current_dir(&project.root)
        .args(["--print", "target-libdir", "--target", name]);
    if has_core(Path::new(command::capture(&mut asked)?.trim())) {
        return Ok(Target {
            name,
            sysroot: None,
        });
    }
    match Source::parse(env::var("OFMON_TARGETS").ok().as_deref())? {
        Source::Rustup => {
            command::run(Command::new("rustup").current_dir(&project.root).args(["target", "add", name])).with_context(
                || format!("cannot install {name}; where rustup's server may not be used, OFMON_TARGETS=debian"),
            )?;
            Ok(Target {
                name,
                sysroot: None,
            })
        }
        Source::Debian => {
            let compiler = Compiler::find()?;
            let sysroot =
                project.scratch(&format!("sysroot-{}-{}", compiler.version, compiler.commit));
            let libraries = sysroot.join("lib/rustlib").join(name).join("lib");
            if !has_core(&libraries) {
                let source = apt::library_source(&project.scratch("rust-src"), &compiler.version)?;
                build(project, name, &source, &libraries)?;
            }
            Ok(Target {
                name,
                sysroot: Some(sysroot),
            })
        }
    }
}

fn has_core(libraries: &Path) -> bool {
    let names = fs::read_dir(libraries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name());
    names.into_iter().any(|name| {
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

/// Builds `core`, `alloc` and `compiler_builtins` and puts them into `libraries`, all or none.
fn build(project: &Project, name: &str, source: &Path, libraries: &Path) -> Result<()> {
    println!("building core and alloc for {name} (about 20 seconds, once)");
    let probe = project.scratch("sysroot-build");
    fs::create_dir_all(probe.join("src"))?;
    fs::write(
        probe.join("src/lib.rs"),
        "#![no_std]\nextern crate alloc;\n",
    )?;
    fs::write(
        probe.join("Cargo.toml"),
        "[package]\nname = \"sysroot-build\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.release]\ncodegen-units = 1\ndebug = 0\n",
    )?;
    let built = probe.join("target");
    let mut cargo = cargo_in(&probe);
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "-Zbuild-std=core,alloc",
            "--target",
            name,
            "--target-dir",
        ])
        .arg(&built)
        // What -Z needs on a stable compiler; it reaches this one command only.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", source)
        // Prebuilt libraries carry bitcode, so that a firmware build may use LTO.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    command::run(&mut cargo)?;
    let parent = libraries.parent().context("a sysroot has folders")?;
    let staged = parent.join("staged");
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    fs::create_dir_all(&staged)?;
    for entry in fs::read_dir(built.join(name).join("release/deps"))? {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let ours = ["libcore-", "liballoc-", "libcompiler_builtins-"]
            .iter()
            .any(|start| file.starts_with(start));
        if ours && file.ends_with(".rlib") {
            fs::copy(&path, staged.join(file))?;
        }
    }
    if libraries.exists() {
        fs::remove_dir_all(libraries)?;
    }
    fs::rename(&staged, libraries)?;
    Ok(fs::remove_dir_all(&probe)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_rustup_unless_named_otherwise() {
        assert!(matches!(Source::parse(None), Ok(Source::Rustup)));
        assert!(matches!(Source::parse(Some("debian")), Ok(Source::Debian)));
        assert!(Source::parse(Some("fedora")).is_err());
    }

    #[test]
    fn sysroot_is_given_as_flags_of_that_target_alone() {
        let target = Target {
            name: BARE_METAL[0],
            sysroot: Some("/a \"b\"/c".into()),
        };
        let mut cargo = Command::new("cargo");
        target.choose(&mut cargo).unwrap();
        let arguments: Vec<_> = cargo
            .get_args()
            .map(|argument| argument.to_str().unwrap())
            .collect();
        assert_eq!(arguments[..3], ["--target", BARE_METAL[0], "--config"]);
        assert_eq!(
            arguments[3],
            r#"target.riscv32imc-unknown-none-elf.rustflags=['--sysroot',"/a \"b\"/c"]"#
        );
    }
}
