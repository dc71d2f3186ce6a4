//! A meter's chip on this computer: runs the image that a real one is flashed with.

mod life;
mod load;
mod options;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options::Options { command } = options::Options::parse();
    match command {
        options::Command::Run(run) => life::live(&run),
    }
}
