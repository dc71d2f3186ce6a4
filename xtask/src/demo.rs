//! `./x demo`: the page and the program, built for release, and started.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::double::{Double, own_group, signal};
use crate::project::Project;
use crate::ui;

/// Account of the ThingsBoard double, which has no secrets.
const DOUBLE_USER: &str = "tenant@thingsboard.org";
const DOUBLE_PASSWORD: &str = "tenant";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Starts a ThingsBoard double too, and uploads to it
    #[arg(long)]
    sync: bool,
    /// What else `ofmon demo` takes, such as --once
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Arguments {
    /// Returns whether to sync, and what goes to `ofmon demo`: `--sync` may stand anywhere.
    fn split(&self) -> (bool, Vec<&str>) {
        let rest: Vec<_> = self.rest.iter().map(String::as_str).collect();
        let sync = self.sync || rest.contains(&"--sync");
        (
            sync,
            rest.into_iter().filter(|word| *word != "--sync").collect(),
        )
    }
}

/// Builds and runs the demonstration until it ends or is interrupted.
///
/// # Errors
/// When something does not build or start.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let (sync, rest) = arguments.split();
    ui::build(project)?;
    project.build_for_release()?;
    let mut ofmon = Command::new(project.program("release", "ofmon"));
    ofmon.arg("demo").args(rest);
    if !sync {
        return replace_by(ofmon);
    }
    let double = Double::start(Command::new(
        project.program("release", "thingsboard-double"),
    ))?;
    ofmon
        .args(["--sync-to", &double.url, "--user", DOUBLE_USER])
        .env("OFMON_PASSWORD", DOUBLE_PASSWORD);
    supervise(ofmon)
}

/// Becomes the program, so that signals reach it without a go-between.
fn replace_by(mut program: Command) -> Result<ExitCode> {
    let error = program.exec();
    Err(error).with_context(|| format!("cannot start {}", program.get_program().to_string_lossy()))
}

/// Runs the program and hands signals on to it; returns its exit code.
fn supervise(mut program: Command) -> Result<ExitCode> {
    // Before the child exists, so that no signal falls in between.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    // A terminal sends Ctrl-C to the whole group: in its own, the child gets it once, from here.
    own_group(&mut program);
    let mut child = program.spawn().context("cannot start ofmon")?;
    let process = child.id();
    let forwarder = thread::spawn(move || {
        for number in &mut signals {
            signal(if number == SIGINT { "INT" } else { "TERM" }, process).ok();
        }
    });
    let status = child.wait();
    handle.close();
    forwarder.join().ok();
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn sync_is_ours_wherever_it_stands_and_the_rest_is_the_programs() {
        for line in [
            ["x", "--sync", "--once", "--port=0"],
            ["x", "--once", "--port=0", "--sync"],
        ] {
            let arguments = Line::parse_from(line).arguments;
            assert_eq!(arguments.split(), (true, vec!["--once", "--port=0"]));
        }
        let arguments = Line::parse_from(["x", "--once"]).arguments;
        assert_eq!(arguments.split(), (false, vec!["--once"]));
    }

    #[test]
    fn signal_reaches_the_child_and_its_exit_code_comes_back() {
        let mut child = Command::new("sh");
        child.args([
            "-c",
            "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.05; done",
        ]);
        assert_eq!(supervise(child).unwrap(), ExitCode::from(7));
    }
}
