//! `ofmon sim`: meters on this computer, for trying and for tests.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use collector::WallClock;
use firmware_package::keys::public_from_pem;
use jiff::{Span, SpanRelativeTo, tz::TimeZone};
use protocol::firmware::{PublicKey, UPDATE_KEYS_MAX};
use serde::Serialize;
use sim::{
    fleet::{self, Load, Options, Progress},
    registry::MeterEntry,
    signal::{FullScale, RecordingError},
};

use crate::{
    air, chips,
    commands::firmware::read_key,
    context::Context,
    exit::Problem,
    moment,
    output::{Column, table},
    progress::Joint,
    stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon sim --devices 3 --state /tmp/air
      three households with a day of history, then they measure on until Ctrl-C
  ofmon sim --devices 10 --state /tmp/air --days 60 --fast-history
      two months of history in seconds, made of 10 s means instead of samples
  ofmon sim --state /tmp/air --replay household_power_consumption.txt
      one meter whose history is a load profile: minutes of date, time, kW, kvar and V, each through 2 kHz samples
  ofmon sim --state /tmp/air --replay scope.csv
      one meter that samples a recorded waveform at its own rate
  ofmon sim --state /tmp/air --replay mains.wav --wav-volts 400 --wav-amperes 50
      the same for a WAV file whose full scale is 400 V and 50 A
  ofmon sim --state /tmp/air --start 2026-01-01 --history 48h
      two days of January; collectors that use this directory live there too
  ofmon sim --devices 2 --state /tmp/chips --firmware merged.bin --rom esp32c3_rev101_rom.elf
      two emulated chips that run the image of a real meter, from power-on

Files for --replay, told by their content; after its end a file begins anew:
  load profile   Date;Time;Global_active_power;Global_reactive_power;Voltage
                 1/1/2007;00:00:00;0.374;0.090;243.870
                 a line a minute: kW, kvar and V
  samples        t_s,v,i
                 0.000000,1.25,-0.031
                 0.000125,14.02,0.176
                 a line a sample: s, V and A; evenly spaced within 1 %, 2 to 50 kHz
  WAV            two channels: voltage, current; 16, 24 or 32-bit integers or 32-bit floats, 2 to 50 kHz;
                 --wav-volts and --wav-amperes say what full scale (1.0 of a float) stands for
Samples and WAV last at least 1 s and have up to 1 GiB, 100 million samples, 1000 V and 1000 A. Their meters have
the smallest current transformer that the peak fits into, of 5 to 1000 A.

A meter keeps its flash in DIR/ID.flash: started again with the same DIR and seed, it goes on as after
a power cut. DIR/meters.json says where the meters are; `--sim DIR` or OFMON_SIM leads the other commands there.

With --firmware each meter is an emulated ESP32-C3 that runs IMAGE, the merged.bin of
`./x firmware image --features emulated-network,dev`: an image with Wi-Fi reaches nobody here. Its flash is
DIR/ID.nor, made of IMAGE where it is missing; where it is there, the meter goes on with what it holds, and IMAGE is not
looked at. Its parts are a few percent off, as those of a meter that nobody has calibrated. It starts without history;
--history or --days let it live through so much first, which takes some seconds a minute and meter; --speed paces that. --fast-history, --start and --channels above 1 are refused, and recorded waveforms of another rate than
the image's 2000 Hz. The mask ROM is Espressif's; it comes with the espflash crate, as
resources/roms/esp32c3_rev101_rom.elf. `--log debug` shows what the chips print.";

/// Arguments of `sim`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sim {
    /// How many meters, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 1)]
    devices: usize,
    /// Channels of each meter, 1 to 3: three make a three-phase meter
    #[arg(long, value_name = "N", default_value_t = 1)]
    channels: usize,
    /// Directory of the meters' flash files and of meters.json; made where it is missing
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Lets FILE flow through the meters instead of built-in households: a load profile or recorded samples, as below;
    /// all of it becomes history
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Voltage in V at the full scale of the WAV file FILE
    #[arg(long, value_name = "X", requires_all = ["replay", "wav_amperes"], value_parser = parse_full_scale)]
    wav_volts: Option<f64>,
    /// Current in A at the full scale of the WAV file FILE
    #[arg(long, value_name = "Y", requires_all = ["replay", "wav_volts"], value_parser = parse_full_scale)]
    wav_amperes: Option<f64>,
    /// Runs this image of a real meter on emulated chips, as below
    #[arg(long, value_name = "IMAGE")]
    firmware: Option<PathBuf>,
    /// The chips' mask ROM, an ELF file; only --firmware needs it
    #[arg(long, value_name = "FILE", env = "OFMON_ROM", hide_env_values = true)]
    rom: Option<PathBuf>,
    /// Days of history before the present begins [default: 1; none with --firmware]
    #[arg(long, value_name = "D")]
    days: Option<u32>,
    /// Length of that history as a span, such as 36h or 14d
    #[arg(long, value_name = "SPAN", conflicts_with = "days", value_parser = parse_span)]
    history: Option<Duration>,
    /// Makes history of 10 s means instead of samples: a hundred times faster, and not a test of measuring
    #[arg(long)]
    fast_history: bool,
    /// Seconds of history in a second; 0 is as fast as it goes
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    speed: f64,
    /// Lets history begin at this moment instead of ending now; collectors that use DIR then take their time from there
    #[arg(long, value_name = "UTC", value_parser = parse_start)]
    start: Option<i64>,
    /// Lets the meters believe updates that are signed by this key, at most two, and no others; without one they take
    /// unsigned ones
    #[arg(long, value_name = "FILE.pub", conflicts_with = "firmware")]
    update_key: Vec<PathBuf>,
    /// Makes other households; the same seed makes the same
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// What the program says about itself when the meters are ready.
#[derive(Serialize)]
struct Ready<'a> {
    state: &'a std::path::Path,
    meters: Vec<Meter<'a>>,
    /// Pairs of samples behind the history; null while history is still being made, and of emulated chips.
    samples: Option<u64>,
    /// Whether history was made of means instead of samples.
    fast_history: bool,
    /// The image that the meters run; null where they are simulated above it.
    firmware: Option<&'a std::path::Path>,
}

/// A meter that answers; its password stays in `meters.json`.
#[derive(Serialize)]
struct Meter<'a> {
    id: String,
    ssid: &'a str,
    url: &'a str,
}

impl Sim {
    /// Simulates until the user ends it.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let start_ms = self.start;
        let image = self.firmware.clone();
        let rom = self.rom.clone();
        if image.is_some() {
            self.check_for_chips()?;
        }
        let options = self.options(context.zone())?;
        let firmware = image
            .map(|image| chips::Firmware::read(image, rom))
            .transpose()?;
        let mut report = Report::new(context, &options, start_ms);
        report.firmware = firmware.as_ref().map(chips::Firmware::image);
        let mut failed = None;
        let progress = |progress| {
            if let Err(error) = report.hear(progress) {
                failed.get_or_insert(error);
            }
        };
        match &firmware {
            Some(firmware) => chips::run(&options, firmware, stop::asked(), progress)
                .await
                .map_err(explained)?,
            None => fleet::run(&options, stop::asked(), progress)
                .await
                .map_err(|error| explained(error.into()))?,
        }
        failed.map_or(Ok(()), Err)
    }

    /// Refuses what an image on a chip cannot do.
    fn check_for_chips(&self) -> Result<()> {
        let refused = |what: &str, hint| {
            let message = format!("--firmware and {what} do not go together");
            Err(Problem::usage(message, hint).into())
        };
        if self.fast_history {
            return refused(
                "--fast-history",
                "a chip measures every sample; --history lets it live through a time as fast as it goes",
            );
        }
        if self.start.is_some() {
            return refused("--start", "a chip takes its time from who collects it");
        }
        if air::has_clock(&self.state) {
            let what = "a directory whose meters live in another time";
            return refused(what, "give --state a directory of its own");
        }
        if self.channels != 1 {
            return refused("--channels", "the image has one channel");
        }
        Ok(())
    }

    fn options(self, zone: &TimeZone) -> Result<Options> {
        if !(self.speed >= 0.0 && self.speed.is_finite()) {
            return Err(
                Problem::usage("--speed is a number from 0 on", "0 is as fast as it goes").into(),
            );
        }
        let is_firmware = self.firmware.is_some();
        let has_length = self.days.is_some() || self.history.is_some();
        if self.replay.is_some() && has_length && !is_firmware {
            let hint = "leave --days and --history away: all of the file becomes history";
            return Err(Problem::usage("the history of a file has its own length", hint).into());
        }
        if self.start.is_some() && self.speed > 0.0 {
            let hint = "leave --speed away: other dates need a history that is there at once";
            return Err(Problem::usage("--start and --speed do not go together", hint).into());
        }
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        let days_by_default = u32::from(!is_firmware);
        let history = self
            .history
            .unwrap_or_else(|| days(self.days.unwrap_or(days_by_default)));
        let length_ms = i64::try_from(history.as_millis()).unwrap_or(i64::MAX);
        let present_ms = match self.start {
            Some(start_ms) => start_ms.saturating_add(length_ms),
            None => WallClock::default().now_ms(),
        };
        let update_keys = update_keys(&self.update_key)?;
        let full_scale = self
            .wav_volts
            .zip(self.wav_amperes)
            .map(|(volts, amperes)| FullScale { volts, amperes });
        Ok(Options {
            devices: self.devices,
            channels: self.channels,
            // Meters that lived in another time before go on there.
            simulated_clock: self.start.is_some() || air::has_clock(&self.state),
            update_keys,
            state: self.state,
            load: self
                .replay
                .map_or(Load::Recipes, |path| Load::File { path, full_scale }),
            history,
            present_s: moment::seconds_since_monday(present_ms, zone),
            fast_history: self.fast_history,
            speed: self.speed,
            seed: self.seed,
        })
    }
}

/// Reads the keys of updates.
fn update_keys(files: &[PathBuf]) -> Result<Vec<PublicKey>> {
    if files.len() > UPDATE_KEYS_MAX {
        let message = format!("a meter has at most {UPDATE_KEYS_MAX} keys");
        return Err(Problem::usage(message, "the one in use, and the next one").into());
    }
    let key = |file: &PathBuf| {
        public_from_pem(&read_key(file)?).with_context(|| format!("the key {}", file.display()))
    };
    files.iter().map(key).collect()
}

/// Tells the user how far the fleet is.
struct Report<'a> {
    context: &'a Context,
    options: &'a Options,
    start_ms: Option<i64>,
    history: Option<Joint>,
    history_length: Duration,
    /// The image that the meters run.
    firmware: Option<&'a std::path::Path>,
    /// Meters that answer, until they are told of.
    ready: Vec<MeterEntry>,
}

impl<'a> Report<'a> {
    fn new(context: &'a Context, options: &'a Options, start_ms: Option<i64>) -> Self {
        Self {
            context,
            options,
            start_ms,
            history: None,
            history_length: options.history,
            firmware: None,
            ready: Vec::new(),
        }
    }

    fn hear(&mut self, progress: Progress) -> Result<()> {
        match progress {
            Progress::History {
                device,
                done,
                total,
            } => {
                self.history_length = total;
                let (output, meters) = (self.context.output, self.options.devices);
                let begin = || Joint::begin(output, "history", "s", meters);
                self.history
                    .get_or_insert_with(begin)
                    .set(device, done.as_secs(), total.as_secs());
                Ok(())
            }
            // Chips answer when their history is there.
            Progress::Ready(meters) if self.firmware.is_some() => {
                self.history = None;
                self.tell(&meters, None)
            }
            Progress::Ready(meters) if self.options.speed > 0.0 => self.tell(&meters, None),
            Progress::Ready(meters) => {
                self.ready = meters;
                Ok(())
            }
            Progress::Live { samples } => {
                self.history = None;
                self.shift_clock()?;
                match std::mem::take(&mut self.ready) {
                    meters if meters.is_empty() => Ok(()),
                    meters => self.tell(&meters, Some(samples)),
                }
            }
        }
    }

    /// Notes in which time the meters live, now that their history is at its end; those that went on keep theirs.
    fn shift_clock(&self) -> Result<()> {
        let state = &self.options.state;
        match self.start_ms {
            Some(start_ms) if !air::has_clock(state) => {
                let length_ms = i64::try_from(self.history_length.as_millis()).unwrap_or(i64::MAX);
                let there_ms = start_ms.saturating_add(length_ms);
                air::shift_clock(
                    state,
                    there_ms.saturating_sub(WallClock::default().now_ms()),
                )
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, meters: &[MeterEntry], samples: Option<u64>) -> Result<()> {
        let document = Ready {
            state: &self.options.state,
            meters: meters
                .iter()
                .map(|entry| Meter {
                    id: entry.id.to_string(),
                    ssid: &entry.ssid,
                    url: &entry.url,
                })
                .collect(),
            samples,
            fast_history: self.options.fast_history,
            firmware: self.firmware,
        };
        self.context.output.print(&document, |ready| {
            let columns = [
                Column::Text("meter"),
                Column::Text("access point"),
                Column::Text("address"),
            ];
            let row = |meter: &Meter<'_>| {
                vec![
                    meter.id.clone(),
                    meter.ssid.to_owned(),
                    meter.url.to_owned(),
                ]
            };
            let mut text = table(&columns, ready.meters.iter().map(row));
            if ready.fast_history {
                text.push_str("\n\nHistory was made above the sampling level, of 10 s means.");
            }
            let state = ready.state.display();
            text.push_str(&format!(
                "\n\nCollect from them with `--sim {state}` or OFMON_SIM={state}. Ctrl-C ends them."
            ));
            text
        })
    }
}

/// Says what to do about a file that cannot be replayed.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let Some(sim::Error::Recording(recording)) = error.downcast_ref::<sim::Error>() else {
        return error;
    };
    let hint = match recording {
        RecordingError::ScaleMissing => {
            "say so: --wav-volts 400 --wav-amperes 50, with the values of your recorder"
        }
        RecordingError::ScaleUnused => "leave --wav-volts and --wav-amperes away",
        _ => "`ofmon sim --help` shows the files that can be replayed",
    };
    let problem = Problem::usage(error.to_string(), hint);
    error.context(problem)
}

/// Reads what a full scale stands for.
fn parse_full_scale(text: &str) -> Result<f64> {
    let value: f64 = text.parse().context("no number")?;
    anyhow::ensure!(value > 0.0 && value.is_finite(), "not above 0");
    Ok(value)
}

/// Reads a moment; dates are those of UTC.
fn parse_start(text: &str) -> Result<i64> {
    moment::parse(text, &TimeZone::UTC, WallClock::default().now_ms())
}

/// Reads a length of time; a day has 24 hours.
pub(super) fn parse_span(text: &str) -> Result<Duration> {
    let span: Span = text.parse().context("no length of time: 36h and 14d are")?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .context("no fixed length of time")?;
    Duration::try_from(duration).context("a negative length of time")
}
