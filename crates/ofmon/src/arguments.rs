//! The command line: what can be asked for, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

const OVERVIEW: &str = "\
Collects the readings of energy meters that have no network, keeps them, shows them, and hands them
to a ThingsBoard server when one is in reach.";

const EXAMPLES: &str = "\
Try it without a meter:
  ofmon demo                                three simulated meters, a web page
  ofmon sim --devices 3 --state /tmp/air    simulated meters to go on with; then, in another terminal:
  export OFMON_SIM=/tmp/air
  ofmon scan                                which meters are in range
  ofmon setup --local --all                 make them yours, without a server
  ofmon collect                             fetch what they recorded
  ofmon devices                             the meters and their energy
  ofmon export --output readings.csv        everything as CSV
  ofmon serve                               a page at http://127.0.0.1:7373

Exit codes:
  0 done, 1 failed or only in part, 2 wrong call, 3 unreachable, 4 refused credentials,
  5 corrupt data, 6 storage, 130 interrupted";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "ofmon", version, about = OVERVIEW, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Directory of readings and settings [env: OFMON_DATA] [default: the platform's own for ofmon]
    // Read from the environment by `context`, because `demo` must not touch a user's own data.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Prints one JSON document instead of text; failures too, as {"error":{…}}
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How much goes to the log on standard error: error, warn, info, debug, trace [env: RUST_LOG] [default: warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Time zone in which days begin and dates are read, such as Europe/Berlin [default: the system's]
    #[arg(long, global = true, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Looks for simulated meters in this directory of `ofmon sim` [env: OFMON_SIM]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) sim: Option<PathBuf>,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tries everything at once: simulated meters, collected, on a web page
    Demo(commands::demo::Demo),
    /// Simulates meters until Ctrl-C
    Sim(commands::sim::Sim),
    /// Lists the meters in range
    Scan(commands::scan::Scan),
    /// Gives a meter its access token, name and settings
    Setup(commands::setup::Setup),
    /// Fetches what meters recorded since the last time
    Collect(commands::collect::Collect),
    /// Holds a channel of a meter against a known load, step by step
    Calibrate(commands::calibrate::Calibrate),
    /// Says where data lies and how much there is
    Status(commands::status::Status),
    /// Lists the meters that were set up or collected
    Devices(commands::devices::Devices),
    /// Prints readings of a meter
    Readings(commands::readings::Readings),
    /// Prints what happened to a meter: starts, power cuts, visits, losses
    Events(commands::events::Events),
    /// Writes readings as CSV or JSON
    Export(commands::export::Export),
    /// Takes in readings that a meter saved as a file
    Import(commands::import::Import),
    /// Makes keys, signs updates, hands them to meters
    Firmware(commands::firmware::Firmware),
    /// Looks into the dump of a meter's flash, or gets its readings out
    Flash(commands::flash::Flash),
    /// Gives a meter another access token
    Token(commands::token::Token),
    /// Logs in at a ThingsBoard server
    Login(commands::account::Login),
    /// Forgets the ThingsBoard account
    Logout(commands::account::Logout),
    /// Sends to the ThingsBoard server what it lacks
    Sync(commands::sync::Sync),
    /// Shows meters and energy on a web page of this computer
    Serve(commands::serve::Serve),
}
