//! Emulated chips that run the image of a real meter, as many as asked for, one thread each.
//!
//! They look like simulated meters from outside: a directory with their flash files and `meters.json`.

mod chip;

use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Result, ensure};
use emulator::{
    Rom,
    life::{self, FLASH_BYTES},
};
use protocol::{DeviceId, access_point::ssid};
use sim::{
    Error,
    fleet::{DEVICES_MAX, Load, Options, Progress},
    registry::{self, MeterEntry},
    signal::{Recipe, Source},
};
use tokio::sync::mpsc;

use crate::exit::{Kind, Problem};
use chip::{News, Plan};

/// Rating of the current transformers that the image assumes.
const TRANSFORMER_A: f64 = 100.0;
/// Rate at which the image samples, in pairs a second.
const RATE_HZ: u32 = 2_000;
/// Fifth byte of the chips' addresses, which simulated meters have at 0: they stay others to whoever collected them.
const CHIP: u8 = 0xc3;

/// What the chips run.
#[derive(Debug)]
pub(crate) struct Firmware {
    image: PathBuf,
    rom: Rom,
}

impl Firmware {
    /// Reads the mask ROM and looks whether the image is one.
    ///
    /// # Errors
    /// A wrong call, where one of the files is missing or something else.
    pub(crate) fn read(image: PathBuf, rom: Option<PathBuf>) -> Result<Self> {
        const ROM_HINT: &str = "Espressif's ROM comes with the espflash crate, as resources/roms/esp32c3_rev101_rom.elf: \
            name it by --rom or OFMON_ROM";
        const IMAGE_HINT: &str =
            "`./x firmware image --features emulated-network,dev` makes one and says where it lies";
        let wrong = |error: life::FileError, hint| {
            let problem = Problem::usage(error.to_string(), hint);
            anyhow::Error::new(error).context(problem)
        };
        let rom =
            rom.ok_or_else(|| Problem::usage("--firmware needs the chip's mask ROM", ROM_HINT))?;
        let rom = life::read_rom(&rom).map_err(|error| wrong(error, ROM_HINT))?;
        let whole = life::read_image(&image).map_err(|error| wrong(error, IMAGE_HINT))?;
        debug_assert_eq!(whole.len(), FLASH_BYTES);
        Ok(Self { image, rom })
    }

    /// Returns the file of the image.
    pub(crate) fn image(&self) -> &Path {
        &self.image
    }
}

/// Runs chips until `stop` is ready; tells of history and, once all answer, of all.
///
/// # Errors
/// What is wrong with the options, and what ends a chip; the whole fleet ends with it.
pub(crate) async fn run(
    options: &Options,
    firmware: &Firmware,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Progress),
) -> Result<()> {
    if !(1..=DEVICES_MAX).contains(&options.devices) {
        return Err(Error::Devices(options.devices).into());
    }
    let plans = plans(options)?;
    let unusable = |source| Error::State(options.state.clone(), source);
    fs::create_dir_all(&options.state).map_err(unusable)?;
    // The addresses of an earlier run lead nowhere, or to others.
    let mut entries = known(&options.state, &plans)?;
    let ends = Arc::new(AtomicBool::new(false));
    let (news_sender, mut news) = mpsc::unbounded_channel();
    let mut threads = Vec::new();
    for plan in plans {
        let (news, ends) = (news_sender.clone(), Arc::clone(&ends));
        let (rom, image) = (firmware.rom.clone(), firmware.image.clone());
        let live = move || {
            let id = plan.id;
            let ended = chip::live(plan, rom, &image, &ends, |piece| {
                // Nobody listens any more when the fleet ends.
                let _ = news.send((id, piece));
            });
            if let Err(error) = ended {
                let _ = news.send((id, News::Failed(error)));
            }
        };
        let thread = thread::Builder::new().name(format!("chip-{}", threads.len()));
        threads.push(thread.spawn(live).map_err(Error::Runtime)?);
    }
    drop(news_sender);
    let mut silent = threads.len();
    let mut stop = pin!(stop);
    let result = loop {
        let (id, piece) = tokio::select! {
            () = &mut stop => break Ok(()),
            piece = news.recv() => match piece {
                Some(piece) => piece,
                None => break Ok(()),
            },
        };
        match piece {
            News::History(done) => progress(Progress::History {
                device: id,
                done,
                total: options.history,
            }),
            News::Reachable { address, password } => {
                if let Some(entry) = entries.iter_mut().find(|entry| entry.id == id) {
                    entry.url = format!("http://{address}");
                    if let Some(password) = password {
                        entry.password = password;
                    }
                }
                silent -= 1;
                let there: Vec<_> = entries
                    .iter()
                    .filter(|entry| !entry.url.is_empty())
                    .cloned()
                    .collect();
                if let Err(error) = registry::write(&options.state, &there) {
                    break Err(unusable(error).into());
                }
                if silent == 0 {
                    progress(Progress::Ready(there));
                }
            }
            News::Failed(error) => break Err(error.context(format!("meter {id} has ended"))),
        }
    };
    // A chip ends between two steps, as by a power cut; its flash file is whole at any moment.
    ends.store(true, Ordering::Relaxed);
    for thread in threads {
        if thread.join().is_err() {
            return Err(Error::Panicked.into());
        }
    }
    result
}

/// Makes the list of the meters without their addresses; the password of one that no longer prints it is that of the
/// earlier list.
fn known(state: &Path, plans: &[Plan]) -> Result<Vec<MeterEntry>> {
    let earlier = registry::read(state).map_err(|source| Error::State(state.to_owned(), source))?;
    let entry = |plan: &Plan| {
        let password = earlier.iter().find(|entry| entry.id == plan.id);
        MeterEntry {
            id: plan.id,
            ssid: ssid(plan.id).as_str().to_owned(),
            url: String::new(),
            password: password
                .map(|entry| entry.password.clone())
                .unwrap_or_default(),
        }
    };
    Ok(plans.iter().map(entry).collect())
}

fn plans(options: &Options) -> Result<Vec<Plan>> {
    let replayed = match &options.load {
        Load::File { path, full_scale } => {
            let source = Source::read(path, *full_scale)?;
            let rate_hz = source.sample_rate_hz();
            ensure!(
                rate_hz == RATE_HZ,
                Problem::usage(
                    format!(
                        "{} has {rate_hz} samples a second, and the image takes {RATE_HZ}",
                        path.display()
                    ),
                    "a simulated meter, without --firmware, takes samples at their own rate"
                )
            );
            Some(source)
        }
        Load::Recipes => None,
    };
    let history_us = options.history.as_micros() as u64;
    let plan = |index: usize| {
        let seed = options.seed.wrapping_add(index as u64);
        let source = match &replayed {
            Some(source) => source.clone(),
            None => Source::Recipe(Recipe::of(index, seed)),
        };
        let source = source.with_present(history_us, options.present_s);
        let id = DeviceId([
            0x02,
            0x0f,
            b'm',
            (options.seed & 0xff) as u8,
            CHIP,
            index as u8,
        ]);
        Plan {
            id,
            flash: options.state.join(format!("{id}.nor")),
            feed: life::wired(source, TRANSFORMER_A, seed),
            seed,
            history: options.history,
            speed: options.speed,
        }
    };
    Ok((0..options.devices).map(plan).collect())
}

/// Makes the failure of a chip whose image gives nobody an address.
fn unreachable(seconds: u64) -> Problem {
    Problem::new(
        Kind::Unreachable,
        format!("its firmware has given no address within {seconds} s of its time"),
        "nothing of a radio is emulated: the image needs the feature emulated-network; `--log debug` shows what it prints",
    )
}
