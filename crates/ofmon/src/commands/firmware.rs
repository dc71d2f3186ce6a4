//! `ofmon firmware`: keys, signatures, packages, and updates for meters.

mod keygen;
mod list;
mod push;
mod sign;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::{
    context::Context,
    exit::{Kind, Problem},
};

const EXAMPLES: &str = "\
Examples:
  ofmon firmware keygen release                     a pair of keys: release.key, release.pub
  ./x firmware image --key release.pub              firmware that believes them; the first one goes onto
                                                    the board over USB, see firmware/README.md
  ofmon firmware sign ofmon-0.2.0.ofmon --key release.key
  ofmon firmware push 0.2.0-esp32c3.ofmon cellar    hands it to a meter
  ofmon firmware push 0.2.0 --all                   the same version to all in range, each its chip's
  ofmon firmware list                               packages, and what became of each push

A meter takes an update only with a signature by a key that its firmware was built with. It then restarts and
proves the new firmware on its own; where that fails, it goes back to the one before. The next `ofmon collect`
tells which. Readings stay. Whoever has the private key can make firmware that your meters believe: keep it
off the computers that visit meters, which need only the signed file.";

/// Arguments of `firmware`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Firmware {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a pair of keys for signing updates
    Keygen(keygen::Keygen),
    /// Signs an update
    Sign(sign::Sign),
    /// Lists the packages here, what meters run, and what became of pushes
    List(list::List),
    /// Hands an update to meters
    Push(push::Push),
}

impl Firmware {
    /// Does what was asked for.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self.action {
            Action::Keygen(command) => command.run(context),
            Action::Sign(command) => command.run(context),
            Action::List(command) => command.run(context),
            Action::Push(command) => command.run(context).await,
        }
    }
}

/// Longest file that holds a key, in bytes.
const KEY_BYTES_MAX: u64 = 4096;

/// Reads the text of a key; what is in it is in no error.
pub(crate) fn read_key(path: &Path) -> Result<String> {
    let cannot = || {
        let message = format!("the key {} cannot be read", path.display());
        Problem::new(
            Kind::NotFound,
            message,
            "`ofmon firmware keygen` makes keys",
        )
    };
    let length = fs::metadata(path).with_context(cannot)?.len();
    if length > KEY_BYTES_MAX {
        let message = format!("{} is longer than a key", path.display());
        return Err(Problem::new(Kind::Corrupt, message, "").into());
    }
    fs::read_to_string(path).with_context(cannot)
}
