//! `ofmon calibrate`: holds a channel of a meter against a load that is known.
//!
//! Each step is a capture of the meter's own: this program begins it, waits and tells what it changed. On a terminal the
//! steps are walked through ([`walk`]); elsewhere each is asked for by an argument.

use std::{
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use clap::Args;
use collector::{
    WallClock,
    calibrate::{CalibrateError, Calibrated, calibrate},
    client::Session,
};
use protocol::messages::{Calibrate as Request, CalibrationStep, CaptureState};

use crate::{
    context::Context,
    engine::Engine,
    exit::{Kind, Problem},
    progress::Work,
    queries, stop,
};
use view::{CalibratedView, StateView};

mod view;
mod walk;

const EXAMPLES: &str = "\
Examples:
  ofmon calibrate cellar                              step by step, with questions (on a terminal)
  ofmon calibrate cellar --no-load                    everything is off: finds the noise
  ofmon calibrate cellar --watts 1980 --volts 231.4   a kettle is on, a plug-in meter shows this
  ofmon calibrate cellar --watts 750 --not-resistive  a motor is on: the phase stays as it is
  ofmon calibrate cellar --show                       what is in force, and how far a capture is
  ofmon calibrate cellar --undo                       back to the calibration before

A step takes --seconds, in which the load must not change; meanwhile the meter measures on. What does not fit is
refused and changes nothing. A capture goes on in the meter also when this program is ended. Readings name the
calibration that they were measured with; those of before stay as they are.";

/// Length of a capture in s where nothing else is said.
const SECONDS: u16 = 60;

const GOES_ON: &str =
    "the capture goes on in the meter; `ofmon calibrate METER --show` tells what became of it";
const STAYS: &str =
    "what was calibrated until then stays; `ofmon calibrate METER --show` tells what is in force";

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Calibrate {
    /// The meter by id or name
    #[arg(value_name = "METER")]
    meter: String,
    /// Captures the noise, while nothing is on behind the transformer
    #[arg(long, group = "step")]
    no_load: bool,
    /// Captures a steady load that a reference meter says has W watts, 1 to 100,000
    #[arg(long, value_name = "W", group = "step", value_parser = parse_watts)]
    watts: Option<u32>,
    /// What the reference meter says of the voltage, 50 to 500 V [default: the voltage stays as it is]
    // What is required is not asked for where something else excludes it, so that must be excluded too.
    #[arg(long, value_name = "V", requires = "watts", conflicts_with_all = ["no_load", "undo", "show"], value_parser = parse_volts)]
    volts: Option<u32>,
    /// The load is a motor or electronics: the phase stays as it is
    #[arg(long, requires = "watts", conflicts_with_all = ["no_load", "undo", "show"])]
    not_resistive: bool,
    /// Goes back to the calibration before; twice is forth again
    #[arg(long, group = "step", conflicts_with_all = ["channel", "seconds"])]
    undo: bool,
    /// Says what is in force and how far a capture is; what happens without a terminal and a step
    #[arg(long, group = "step", conflicts_with_all = ["channel", "seconds"])]
    show: bool,
    /// Channel, counted from 1 [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    channel: Option<u8>,
    /// Length of a capture, 30 to 600 [default: 60]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u16).range(30..=600))]
    seconds: Option<u16>,
}

/// What is known of a load.
#[derive(Clone, Copy, Debug)]
struct Reference {
    voltage_mv: Option<u32>,
    power_mw: u32,
    resistive: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
enum Task {
    Walk,
    Show,
    NoLoad,
    Load(Reference),
    Undo,
}

impl Calibrate {
    /// Does what was asked for; a capture that is refused is a failure.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let task = self.task(is_terminal && !context.output.is_json())?;
        let bench = Bench::open(context, &self).await?;
        let asked = stop::asked();
        tokio::select! {
            result = bench.work(task) => result,
            () = asked => Err(bench.interrupted()),
        }
    }

    fn task(&self, can_ask: bool) -> Result<Task> {
        if self.no_load {
            return Ok(Task::NoLoad);
        }
        if let Some(power_mw) = self.watts {
            return Ok(Task::Load(Reference {
                voltage_mv: self.volts,
                power_mw,
                resistive: !self.not_resistive,
            }));
        }
        match (self.undo, self.show, can_ask) {
            (true, ..) => Ok(Task::Undo),
            (false, false, true) => Ok(Task::Walk),
            _ if self.channel.is_some() || self.seconds.is_some() => {
                let hint = "name a step, such as --no-load, or run it on a terminal";
                Err(Problem::usage("--channel and --seconds belong to a capture", hint).into())
            }
            _ => Ok(Task::Show),
        }
    }
}

/// A meter that is being calibrated.
struct Bench<'a> {
    context: &'a Context,
    session: Session,
    clock: WallClock,
    name: String,
    channel: u8,
    seconds: u16,
    /// Whether a capture runs in the meter now.
    is_capturing: AtomicBool,
}

impl<'a> Bench<'a> {
    /// Begins a session; the data directory is free for others again when this returns.
    async fn open(context: &'a Context, arguments: &Calibrate) -> Result<Self> {
        let engine = Engine::open(context)?;
        let device = queries::find_one(&engine.store().lock(), &arguments.meter)?;
        let name = engine.store().lock().device(device)?.name;
        Ok(Self {
            context,
            session: engine.session(device).await?,
            clock: engine.clock(),
            name: if name.is_empty() {
                device.to_string()
            } else {
                name
            },
            channel: arguments.channel.unwrap_or(1),
            seconds: arguments.seconds.unwrap_or(SECONDS),
            is_capturing: AtomicBool::new(false),
        })
    }

    async fn work(&self, task: Task) -> Result<()> {
        let done = match task {
            Task::Walk => return walk::walk(self).await,
            Task::Show => return self.show().await,
            Task::NoLoad => self.step(CalibrationStep::NoLoad, None).await?,
            Task::Load(reference) => self.step(CalibrationStep::Load, Some(reference)).await?,
            Task::Undo => self.step(CalibrationStep::Undo, None).await?,
        };
        self.report(&done)
    }

    async fn show(&self) -> Result<()> {
        let state = self.session.calibration().await?;
        let view = StateView::new(self.session.device(), &self.name, &state);
        self.context
            .output
            .print(&view, |view| view.text(self.context.zone()))
    }

    /// Says what was changed.
    fn report(&self, done: &Calibrated) -> Result<()> {
        let view = CalibratedView::new(self.session.device(), &self.name, done);
        self.context.output.print(&view, CalibratedView::text)
    }

    /// Does one step, with a bar while it lasts.
    async fn step(
        &self,
        step: CalibrationStep,
        reference: Option<Reference>,
    ) -> Result<Calibrated> {
        let request = Request {
            channel: self.channel,
            step,
            seconds: self.seconds,
            voltage_mv: reference.and_then(|reference| reference.voltage_mv),
            power_mw: reference.map(|reference| reference.power_mw),
            resistive: reference.is_some_and(|reference| reference.resistive),
            utc_ms: self.clock.now_ms(),
        };
        let mut bar = Work::begin(self.context.output, view::name_of(step), "windows");
        let mut on_progress = |capture: &CaptureState| {
            self.is_capturing.store(true, Ordering::Relaxed);
            bar.set(capture.windows.into(), capture.windows_needed.into());
        };
        let result = calibrate(&self.session, &request, &mut on_progress).await;
        let was_capturing = self.is_capturing.swap(false, Ordering::Relaxed);
        result.map_err(|error| explained(error, was_capturing))
    }

    fn interrupted(&self) -> anyhow::Error {
        let hint = match self.is_capturing.load(Ordering::Relaxed) {
            true => GOES_ON,
            false => STAYS,
        };
        Problem::new(Kind::Interrupted, "interrupted", hint).into()
    }
}

/// Says what can be done about a step that failed.
fn explained(error: CalibrateError, was_capturing: bool) -> anyhow::Error {
    let hint = match &error {
        CalibrateError::Refused { step, code, .. } => hint(*step, code),
        CalibrateError::Client(_) if was_capturing => GOES_ON,
        _ => return error.into(),
    };
    let problem = Problem::new(error.kind().into(), error.to_string(), hint);
    Err::<(), _>(error).context(problem).unwrap_err()
}

/// Says what to do about a refusal; one that is not known gets the hint of its step.
fn hint(step: CalibrationStep, code: &str) -> &'static str {
    const EVERYTHING_OFF: &str = "switch off everything behind this transformer, what is on standby too, and repeat the step";
    match code {
        "load_present" => EVERYTHING_OFF,
        "reversed" => "turn the transformer round on its wire and repeat the step",
        "unsteady" => {
            "take a load without a thermostat, and let nothing else switch on or off meanwhile"
        }
        "too_small" => "take a larger load: a kettle has some 2,000 W",
        "wrong_load" => {
            "check both figures, and that this load and nothing else flows through the transformer"
        }
        "not_resistive" => {
            "take a kettle or a heater, or say --not-resistive and let the phase be as it is"
        }
        "no_voltage" => {
            "is the voltage input connected? `ofmon readings METER` shows what it measures"
        }
        "clipped" => "take a smaller load, or a transformer for more amperes",
        "storage" => "it can be tried again at any time",
        _ if step == CalibrationStep::NoLoad => EVERYTHING_OFF,
        _ => "let one steady load flow through the transformer, and repeat the step",
    }
}

/// Reads volts as mV.
fn parse_volts(text: &str) -> Result<u32, String> {
    parse_thousandths(text, 50.0, 500.0, "a voltage is a number from 50 to 500")
}

/// Reads watts as mW.
fn parse_watts(text: &str) -> Result<u32, String> {
    parse_thousandths(text, 1.0, 100_000.0, "a power is a number from 1 to 100000")
}

fn parse_thousandths(text: &str, min: f64, max: f64, wanted: &str) -> Result<u32, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if (min..=max).contains(&value) => Ok((value * 1e3).round() as u32),
        _ => Err(wanted.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_in_their_ranges_only() {
        assert_eq!(parse_volts(" 231.4 "), Ok(231_400));
        assert_eq!(
            (parse_volts("50"), parse_volts("500")),
            (Ok(50_000), Ok(500_000))
        );
        assert_eq!(
            (parse_watts("1"), parse_watts("1e5")),
            (Ok(1_000), Ok(100_000_000))
        );
        for wrong in ["49.9", "500.1", "NaN", "inf", "-230", "", "230 V", "231,4"] {
            assert!(parse_volts(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0.9", "100001", "nan", "-inf"] {
            assert!(parse_watts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_gets_the_hint_of_its_step() {
        let no_load = hint(CalibrationStep::NoLoad, "full_moon");
        assert!(no_load.contains("switch off"), "{no_load}");
        let load = hint(CalibrationStep::Load, "full_moon");
        assert!(load.contains("steady load"), "{load}");
        assert!(hint(CalibrationStep::Load, "reversed").contains("turn the transformer"));
    }

    #[test]
    fn a_connection_that_breaks_while_a_capture_runs_is_said_to_leave_it_running() {
        let hint_of = |was_capturing: bool| {
            let error = collector::client::ClientError::CutShort.into();
            crate::exit::Ending::of(&explained(error, was_capturing))
        };
        let (before, meanwhile) = (hint_of(false), hint_of(true));
        assert_eq!(
            (before.kind, meanwhile.kind),
            (Kind::Unreachable, Kind::Unreachable)
        );
        assert_eq!((meanwhile.hint, before.hint == GOES_ON), (GOES_ON, false));
        assert_eq!(before.message, meanwhile.message);
    }
}
