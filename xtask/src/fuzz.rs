//! `./x fuzz`: libFuzzer on the exact stable compiler.
//!
//! cargo-fuzz asks for a nightly compiler because of its sanitizers. The
//! project has no unsafe code for them to watch, and coverage guidance alone is
//! LLVM's and can be switched on by code generation options. These go to the
//! fuzzed crates only (an explicit `--target` keeps build scripts free of them).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
use crate::project::{Compiler, Project, cargo_in};

const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The target to run; without it, the targets are listed
    target: Option<String>,
    /// How long to run it
    #[arg(default_value_t = 60)]
    seconds: u64,
}

/// Runs one target or lists them.
///
/// # Errors
/// When there is no such target, it does not build, or it finds a crash.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let fuzz = Fuzz::find(project)?;
    match &arguments.target {
        Some(target) => fuzz.run(target, Duration::from_secs(arguments.seconds), false),
        None => {
            for target in &fuzz.targets {
                println!("{target}");
            }
            Ok(())
        }
    }
}

/// Runs every target for some seconds.
///
/// # Errors
/// When there is no target, one does not build, or one finds a crash.
pub(crate) fn smoke(project: &Project, each: Duration) -> Result<()> {
    let fuzz = Fuzz::find(project)?;
    if fuzz.targets.is_empty() {
        bail!("fuzz/Cargo.toml has no target");
    }
    fuzz.targets
        .iter()
        .try_for_each(|target| fuzz.run(target, each, true))
}

/// The workspace below `fuzz/`.
struct Fuzz {
    folder: PathBuf,
    built: PathBuf,
    host: String,
    targets: Vec<String>,
}

impl Fuzz {
    fn find(project: &Project) -> Result<Self> {
        let folder = project.root.join("fuzz");
        let mut metadata = cargo_in(&folder);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&command::capture(&mut metadata)?)?;
        let built = metadata["target_directory"]
            .as_str()
            .context("cargo metadata has no target_directory")?;
        // Shared with the main workspace it would be built anew at each change of flags.
        let built = if Path::new(built).starts_with(&project.root) {
            built.into()
        } else {
            Path::new(built).join("fuzz")
        };
        Ok(Self {
            built,
            host: Compiler::find()?.host,
            targets: programs(&metadata),
            folder,
        })
    }

    /// Runs a target; `quiet` leaves out each step of its progress.
    fn run(&self, target: &str, time: Duration, quiet: bool) -> Result<()> {
        if !self.targets.iter().any(|known| known == target) {
            let known = self.targets.join(", ");
            bail!("there is no fuzz target {target:?}; there are: {known}");
        }
        let mut build = cargo_in(&self.folder);
        build.args(["build", "--release", "--bin", target]);
        build
            .args(["--target", &self.host, "--target-dir"])
            .arg(&self.built);
        build
            .env("RUSTFLAGS", COVERAGE)
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        command::run(&mut build)?;

        let [corpus, artifacts, seeds] =
            ["corpus", "artifacts", "seeds"].map(|folder| format!("{folder}/{target}"));
        fs::create_dir_all(self.folder.join(&corpus))?;
        fs::create_dir_all(self.folder.join(&artifacts))?;
        let program = self.built.join(&self.host).join("release").join(target);
        let mut fuzzer = Command::new(program);
        fuzzer.current_dir(&self.folder);
        // New inputs go into the first folder; committed seeds are only read.
        fuzzer.arg(&corpus);
        if self.folder.join(&seeds).is_dir() {
            fuzzer.arg(seeds);
        }
        fuzzer.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        fuzzer.arg(format!("-artifact_prefix={artifacts}/"));
        fuzzer.args(["-timeout=10", "-rss_limit_mb=1024"]);
        fuzzer.arg(if quiet {
            "-verbosity=0"
        } else {
            "-verbosity=1"
        });
        fuzzer.arg("-print_final_stats=1");
        command::run(&mut fuzzer).with_context(|| {
            format!("{target} failed, by the input in fuzz/{artifacts}; the program takes its path as argument")
        })
    }
}

/// Returns the names of the programs in `cargo metadata`'s answer.
fn programs(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let is_program = |target: &&Value| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.contains(&"bin".into()))
    };
    targets
        .filter(is_program)
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_programs_of_the_fuzz_workspace() {
        let metadata = serde_json::json!({"packages": [{"targets": [
            {"name": "fuzz", "kind": ["lib"]},
            {"name": "block_decode", "kind": ["bin"]},
            {"name": "frame_decode", "kind": ["bin"]},
        ]}]});
        assert_eq!(programs(&metadata), ["block_decode", "frame_decode"]);
    }
}
