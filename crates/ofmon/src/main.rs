//! `ofmon`: collects energy meters that have no network, from the command line and on a local web page.
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`] | the command line and its help |
//! | [`commands`] | one command a file |
//! | [`engine`] | what commands and server do: open store and secrets, find meters, visit them |
//! | [`air`] | which meters are in range |
//! | [`queries`] | what commands and server read from the store |
//! | [`views`] | the names in JSON, CSV and HTTP answers |
//! | [`server`] | the web page and its HTTP API |
//! | [`flash`] | dumps of a meter's flash |
//! | [`context`] | data directory, zone, simulated meters |
//! | [`exit`] | kinds of failure: exit codes, words, HTTP statuses |
//! | [`output`], [`progress`], [`log`] | results on standard output; progress and log on standard error |
//! | [`moment`], [`stop`] | moments as people write them; Ctrl-C |
//!
//! The work itself is done by the `collector` library, which prints nothing; everything here is an edge.

mod air;
mod arguments;
mod chips;
mod commands;
mod context;
mod engine;
mod exit;
mod flash;
mod log;
mod moment;
mod output;
mod progress;
mod queries;
mod server;
mod stop;
mod views;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Parser as _, error::ErrorKind};

use arguments::{Arguments, Command};
use context::Context;
use exit::{Ending, Kind, Problem};
use output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return wrong_call(&error),
    };
    let output = Output::new(arguments.global.json);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read along had enough; that is no failure.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => end(output, &Ending::of(&error)),
    }
}

fn run(arguments: Arguments) -> Result<()> {
    log::start(arguments.global.log.as_deref())?;
    let context = Context::new(&arguments.global)?;
    let runtime = tokio::runtime::Runtime::new().context("no threads can be had")?;
    let result = runtime.block_on(dispatch(arguments.command, &context));
    // Work that still blocks, such as a name look-up, is not waited for.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Demo(command) => command.run(context).await,
        Command::Sim(command) => command.run(context).await,
        Command::Scan(command) => command.run(context).await,
        Command::Setup(command) => command.run(context).await,
        Command::Collect(command) => command.run(context).await,
        Command::Calibrate(command) => command.run(context).await,
        Command::Status(command) => command.run(context),
        Command::Devices(command) => command.run(context),
        Command::Readings(command) => command.run(context),
        Command::Events(command) => command.run(context),
        Command::Export(command) => command.run(context),
        Command::Import(command) => command.run(context).await,
        Command::Firmware(command) => command.run(context).await,
        Command::Flash(command) => command.run(context),
        Command::Token(command) => command.run(context).await,
        Command::Login(command) => command.run(context).await,
        Command::Logout(command) => command.run(context).await,
        Command::Sync(command) => command.run(context).await,
        Command::Serve(command) => command.run(context).await,
    }
}

/// Says what failed, for people on standard error or for programs on standard output.
fn end(output: Output, ending: &Ending) -> ExitCode {
    if output.is_json() {
        if !ending.reported {
            let _ = output.document(&ending.document());
        }
    } else {
        let mut to = io::stderr().lock();
        let _ = writeln!(to, "error: {}", ending.message);
        if !ending.hint.is_empty() {
            let _ = writeln!(to, "hint: {}", ending.hint);
        }
    }
    ExitCode::from(ending.kind.exit_code())
}

/// Prints help or says what is wrong with the command line.
fn wrong_call(error: &clap::Error) -> ExitCode {
    let asked_for_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let wants_json = env::args_os().any(|argument| argument == "--json");
    if asked_for_help || !wants_json {
        let _ = error.print();
        return ExitCode::from(if asked_for_help {
            0
        } else {
            Kind::Usage.exit_code()
        });
    }
    // In one line, without colours, without the leading word, which `code` says, and without the usage.
    let text = error.render().to_string();
    let said = text.trim_start_matches("error: ").lines().map(str::trim);
    let said: Vec<&str> = said
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty())
        .collect();
    let message = said.join(" ");
    let problem = Problem::usage(
        message,
        "`ofmon --help` and `ofmon COMMAND --help` tell how it is called",
    );
    end(Output::new(true), &Ending::of(&problem.into()))
}
