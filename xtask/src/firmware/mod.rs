//! `./x firmware`: the program of the chips, its images, and getting them onto a board.

mod board;
mod budget;
mod build;
mod check;
mod chip;
mod chip_files;
mod image;
mod memory;
mod partitions;
mod update;
mod wifi_code;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use check::{Images, all};
pub(crate) use image::prepare;

use crate::project::Project;
use board::Board;
use build::Build;
use chip::Chip;
use update::Signing;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds the program and its image, and checks what they may take
    Build(What),
    /// Builds, and makes the file for a blank flash and the one for updates
    Image(ImageArguments),
    /// Builds, and writes the image to a board over USB; readings on it stay
    Flash(FlashArguments),
    /// Shows what a board prints, and its Wi-Fi as a QR code
    Monitor(board::Port),
}

#[derive(clap::Args)]
struct What {
    /// The chip; without it, all that can be built here
    #[arg(long)]
    chip: Option<Chip>,
    /// Features of the crate, in place of `wifi`; see firmware/README.md
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

#[derive(clap::Args)]
struct ImageArguments {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    signing: Signing,
}

#[derive(clap::Args)]
struct FlashArguments {
    /// The chip on the board
    #[arg(long, default_value = "esp32c3")]
    chip: Chip,
    /// Features of the crate, in place of `wifi`
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// A public key that the firmware believes updates of, such as release.pub; at most two
    #[arg(long = "key", value_name = "FILE.pub")]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    port: board::Port,
    /// Erases the whole flash first: readings, settings and password are lost
    #[arg(long)]
    erase: bool,
}

impl What {
    fn builds(&self) -> Vec<Build> {
        let all = [Chip::Esp32c3, Chip::Esp32c6];
        let chips = self.chip.as_ref().map_or(&all[..], std::slice::from_ref);
        chips
            .iter()
            .map(|chip| Build::new(*chip, &self.features))
            .collect()
    }
}

/// Does what was asked for.
///
/// # Errors
/// When something does not build, takes more than it may, or no board answers.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.verb {
        Verb::Build(what) => {
            for build in what.builds() {
                make(project, &build)?;
            }
        }
        Verb::Image(ImageArguments { what, signing }) => {
            let keys = signing.keys()?;
            for build in what.builds() {
                make_all(project, &build.with_keys(keys.clone()), signing)?;
            }
        }
        Verb::Flash(asked) => {
            let keys = asked.keys.iter().map(|file| update::key(file));
            let build =
                Build::new(asked.chip, &asked.features).with_keys(keys.collect::<Result<_>>()?);
            // Before minutes of building.
            let board = Board::find(project, &asked.port)?;
            make_all(project, &build, &Signing::default())?;
            board.flash(asked.chip, &build.merged(project), asked.erase)?;
        }
        Verb::Monitor(port) => Board::find(project, port)?.monitor(project)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What an image takes.
struct Sizes {
    image_bytes: u64,
    memory: memory::Memory,
}

/// Builds a program and the application's image, and checks what they take.
///
/// Budgets are for what is shipped: an image for tests may be larger, as long as it fits its slot.
fn make(project: &Project, build: &Build) -> Result<Sizes> {
    let program = build.program(project)?;
    let image_bytes = image::make_app(project, build, &program)?;
    let memory = program.memory;
    println!(
        "{}: image {image_bytes} bytes; RAM {} bytes static, {} left for the stack",
        build.name(),
        memory.static_bytes,
        memory.stack_bytes
    );
    if build.is_shipped() {
        budget::check(project, build.chip, image_bytes, &memory)?;
    }
    Ok(Sizes {
        image_bytes,
        memory,
    })
}

/// Builds a program and everything that can be made of it.
fn make_all(project: &Project, build: &Build, signing: &Signing) -> Result<Sizes> {
    let sizes = make(project, build)?;
    let merged = image::make_merged(project, build)?;
    let update = update::make(project, build, signing)?;
    println!("for a blank flash: {}", merged.display());
    println!("for a running meter: {}", update.display());
    if build.chip == Chip::Esp32c3 && !build.is_shipped() {
        let rom = chip_files::rom(project)?;
        println!("the emulator's mask ROM: {}", rom.display());
    }
    Ok(sizes)
}
