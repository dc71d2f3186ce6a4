//! Many simulated meters in one program.

use std::{fs, path::PathBuf, pin::pin, thread, time::Duration};

use protocol::{DeviceId, access_point::ssid, firmware::PublicKey, limits::CHANNELS_MAX};
use tokio::sync::{mpsc, watch};

use crate::{
    Error,
    meter::{self, ChannelPlan, News, Plan},
    registry::{self, MeterEntry},
    signal::{FrontEnd, FullScale, Recipe, Source},
};

/// Meters of a fleet at the most: one thread each.
pub const DEVICES_MAX: usize = 256;
/// Rating of the simulated current transformers where the load is no recording.
const CT_AMPERES: f64 = 100.0;

/// What a fleet is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many meters, 1 to [`DEVICES_MAX`].
    pub devices: usize,
    /// How many channels each meter has, 1 to [`CHANNELS_MAX`].
    pub channels: usize,
    /// Directory of flash files and `meters.json`; made where it is not there.
    pub state: PathBuf,
    /// What flows through the meters.
    pub load: Load,
    /// History before the present begins; a file has its own length instead.
    pub history: Duration,
    /// Local time at which the present begins, in seconds since a Monday's midnight: gives households their rhythm.
    pub present_s: u64,
    /// Makes history of means over 10 s instead of samples.
    pub fast_history: bool,
    /// Seconds of history in a second of time; 0 is as fast as it goes.
    pub speed: f64,
    /// Accepts a simulated clock: a time from before the program was built.
    pub simulated_clock: bool,
    /// Keys that the meters believe updates of, at most two; without one they take unsigned updates.
    pub update_keys: Vec<PublicKey>,
    /// Makes every run alike.
    pub seed: u64,
}

/// What flows through the meters.
#[derive(Clone, Debug)]
pub enum Load {
    /// A load profile or a recording, the same for all meters.
    File {
        /// The file; its content tells its kind.
        path: PathBuf,
        /// What the full scale of a WAV file stands for; `None` for other files.
        full_scale: Option<FullScale>,
    },
    /// Built-in recipes, another for each meter.
    Recipes,
}

/// How far a fleet is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// History is being made.
    History {
        /// The meter.
        device: DeviceId,
        /// Made so far.
        done: Duration,
        /// To be made.
        total: Duration,
    },
    /// All meters answer and are listed in `meters.json`. Comes before history where that is paced by a speed, else after it.
    Ready(Vec<MeterEntry>),
    /// All history is there and time runs with the wall clock.
    Live {
        /// Pairs of samples that were measured for it.
        samples: u64,
    },
}

/// Runs a fleet until `stop` is ready.
///
/// # Errors
/// [`Error`]; the whole fleet ends when one of its meters fails.
pub async fn run(
    options: &Options,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Progress),
) -> Result<(), Error> {
    if !(1..=DEVICES_MAX).contains(&options.devices) {
        return Err(Error::Devices(options.devices));
    }
    if !(1..=CHANNELS_MAX).contains(&options.channels) {
        return Err(Error::Channels(options.channels));
    }
    // What is wrong with a file is said before anything is made.
    let plans = plans(options)?;
    fs::create_dir_all(&options.state)
        .map_err(|source| Error::State(options.state.clone(), source))?;
    let mut fleet = Fleet::new(options, &plans)?;
    let (stop_sender, stop_receiver) = watch::channel(false);
    let (news_sender, mut news) = mpsc::unbounded_channel();
    let mut threads = Vec::new();
    for plan in plans {
        let (news, stop) = (news_sender.clone(), stop_receiver.clone());
        let thread = thread::Builder::new().name(plan.id.to_string());
        let life = move || {
            if let Err(error) = meter::run(&plan, &news, stop) {
                let _ = news.send((plan.id, News::Failed(error)));
            }
        };
        threads.push(thread.spawn(life).map_err(Error::Runtime)?);
    }
    drop(news_sender);
    let mut stop = pin!(stop);
    let result = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            piece = news.recv() => match piece {
                Some((device, piece)) => if let Err(error) = fleet.hear(device, piece, &mut progress) {
                    break Err(error);
                },
                None => break Ok(()),
            },
        }
    };
    // Meters end between two samples; nothing is lost by that, and their flash files are whole at any moment.
    let _ = stop_sender.send(true);
    for thread in threads {
        if thread.join().is_err() {
            return Err(Error::Panicked);
        }
    }
    result
}

/// What the fleet has heard of its meters.
struct Fleet {
    state: PathBuf,
    entries: Vec<MeterEntry>,
    history: Duration,
    /// Meters that do not answer yet.
    silent: usize,
    /// Meters that are not in the present yet.
    in_history: usize,
    samples: u64,
    /// Whether meters are told of as soon as they answer, in the middle of their history.
    announce_early: bool,
}

impl Fleet {
    /// Keeps the passwords of an earlier run in the same directory; a meter that has one in its store tells it.
    fn new(options: &Options, plans: &[Plan]) -> Result<Self, Error> {
        let state_error = |source| Error::State(options.state.clone(), source);
        let known = registry::read(&options.state).map_err(state_error)?;
        let entry = |plan: &Plan| {
            let password = known
                .iter()
                .find(|entry| entry.id == plan.id)
                .map(|entry| entry.password.clone());
            MeterEntry {
                id: plan.id,
                ssid: ssid(plan.id).as_str().to_owned(),
                url: String::new(),
                password: password.unwrap_or_default(),
            }
        };
        Ok(Self {
            state: options.state.clone(),
            entries: plans.iter().map(entry).collect(),
            history: Duration::from_micros(plans.first().map_or(0, |plan| plan.history_us)),
            silent: plans.len(),
            in_history: plans.len(),
            samples: 0,
            announce_early: options.speed > 0.0,
        })
    }

    fn hear(
        &mut self,
        device: DeviceId,
        news: News,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        match news {
            News::Listening(port, password) => {
                if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == device) {
                    if let Some(password) = password {
                        password.as_str().clone_into(&mut entry.password);
                    }
                    entry.url = format!("http://127.0.0.1:{port}");
                }
                self.silent -= 1;
                if self.silent == 0 && self.announce_early {
                    self.announce(progress)?;
                }
            }
            News::History(done_us) => progress(Progress::History {
                device,
                done: Duration::from_micros(done_us),
                total: self.history,
            }),
            News::Live(samples) => {
                self.in_history -= 1;
                self.samples += samples;
                if self.in_history == 0 {
                    if !self.announce_early {
                        self.announce(progress)?;
                    }
                    progress(Progress::Live {
                        samples: self.samples,
                    });
                }
            }
            News::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn announce(&self, progress: &mut impl FnMut(Progress)) -> Result<(), Error> {
        registry::write(&self.state, &self.entries)
            .map_err(|source| Error::State(self.state.clone(), source))?;
        progress(Progress::Ready(self.entries.clone()));
        Ok(())
    }
}

fn plans(options: &Options) -> Result<Vec<Plan>, Error> {
    let replayed = match &options.load {
        Load::File { path, full_scale } => Some(Source::read(path, *full_scale)?),
        Load::Recipes => None,
    };
    let history_us = replayed
        .as_ref()
        .and_then(Source::len_us)
        .unwrap_or(options.history.as_micros() as u64);
    let plan = |index: usize| {
        let id = DeviceId([
            0x02,
            0x0f,
            b'm',
            (options.seed & 0xff) as u8,
            (index >> 8) as u8,
            index as u8,
        ]);
        let channel = |channel: usize| {
            // The first channel's seed is the meter's, whatever else it has.
            let seed = options
                .seed
                .wrapping_add((index + channel * DEVICES_MAX) as u64);
            ChannelPlan {
                front_end: match &replayed {
                    Some(Source::Recording(recording)) => recording.front_end(seed),
                    _ => FrontEnd::esp32c3(CT_AMPERES, seed),
                },
                source: match &replayed {
                    Some(source) => source.clone(),
                    None => Source::Recipe(Recipe::of(index + channel, seed)),
                },
                seed,
            }
        };
        Plan {
            id,
            flash: options.state.join(format!("{id}.flash")),
            slots: options.state.join(format!("{id}.slots")),
            channels: (0..options.channels).map(channel).collect(),
            history_us,
            present_s: options.present_s,
            fast_history: options.fast_history,
            speed: options.speed,
            simulated_clock: options.simulated_clock,
            update_keys: options.update_keys.clone(),
        }
    };
    Ok((0..options.devices).map(plan).collect())
}
