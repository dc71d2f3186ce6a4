//! The project's own tasks. They are called as `./x VERB`, which first installs
//! what the verb lacks; see `./x --help`.

mod apt;
mod command;
mod demo;
mod double;
mod firmware;
mod fuzz;
mod guest;
mod lint;
mod littlefs;
mod project;
mod python;
mod report;
mod stages;
mod targets;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::project::Project;

#[derive(Parser)]
#[command(
    name = "xtask",
    bin_name = "./x",
    about = "Tasks of the ofmon project",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Shows three simulated meters, collected, on a web page
    Demo(demo::Arguments),
    /// Runs everything that must hold before a change lands
    Test(test::Arguments),
    /// Checks format, clippy, tidy and cargo-deny
    Lint,
    /// Checks the rules of the architecture
    Tidy,
    /// Runs the measured claims and writes target/report.json
    Report(report::Arguments),
    /// Builds the documentation of all crates
    Doc,
    /// Builds the firmware of the chips, its images, and flashes a board
    Firmware(firmware::Arguments),
    /// Runs a fuzz target, or lists them
    Fuzz(fuzz::Arguments),
    /// Installs what all verbs need
    Setup,
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("[x] error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    let project = Project::find()?;
    match verb {
        Verb::Demo(arguments) => demo::run(&project, &arguments),
        Verb::Test(arguments) => test::run(&project, &arguments),
        Verb::Lint => Ok(lint::run(&project)),
        Verb::Tidy => tidy::run(&project).map(|()| ExitCode::SUCCESS),
        Verb::Report(arguments) => report::run(&project, &arguments),
        Verb::Doc => test::document(&project).map(|()| ExitCode::SUCCESS),
        Verb::Firmware(arguments) => firmware::run(&project, &arguments),
        Verb::Fuzz(arguments) => fuzz::run(&project, &arguments).map(|()| ExitCode::SUCCESS),
        Verb::Setup => setup(&project).map(|()| ExitCode::SUCCESS),
    }
}

/// Installs what `./x` itself leaves to the tasks: bare-metal targets, npm and Python packages.
fn setup(project: &Project) -> Result<()> {
    for target in targets::BARE_METAL {
        targets::prepare(project, target)?;
    }
    ui::install(project)?;
    double::prepare_python_client(project)?;
    littlefs::prepare(project)?;
    firmware::prepare(project)?;
    println!("everything is installed");
    Ok(())
}
