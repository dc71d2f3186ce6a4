//! The way through a calibration on a terminal: what to switch on and off, what to read, and what came of it.

use std::io::{self, BufRead as _, Read as _, Write as _};

use anyhow::{Context as _, Result};
use collector::calibrate::{CalibrateError, Calibrated};
use protocol::messages::CalibrationStep;

use super::{Bench, Reference, STAYS, parse_volts, parse_watts};
use crate::exit::{Ending, Kind, Problem};

/// Longest answer in bytes.
const ANSWER_BYTES_MAX: u64 = 256;

const NEEDED: &str = "\
Needed are a resistive load of 500 to 3,000 W, such as a kettle or a heater, and a plug-in or other reference
meter that shows its volts and watts. The meter measures on meanwhile, what does not fit is refused, and the last
step can be taken back. Ctrl-C ends this at any time.";

const NO_LOAD: &str = "\
Step 1 of 2: switch off everything behind this transformer, what is on standby too.";

const LOAD: &str = "\
Step 2 of 2: switch the load on behind this transformer, and nothing else. It must not change until the step ends:
a kettle that is full and cold does not switch itself off.";

const GO_ON: &str = "Enter goes on, s leaves this step out: ";

/// Walks through both steps and says what they changed together.
pub(super) async fn walk(bench: &Bench<'_>) -> Result<()> {
    let (channel, name, seconds) = (bench.channel, &bench.name, bench.seconds);
    say(&format!(
        "This calibrates channel {channel} of {name} in two steps of {seconds} s.\n{NEEDED}"
    ));
    let mut whole: Option<Calibrated> = None;
    for (step, task) in [
        (CalibrationStep::NoLoad, NO_LOAD),
        (CalibrationStep::Load, LOAD),
    ] {
        say(&format!("\n{task}"));
        if let Some(done) = until_it_fits(bench, step).await? {
            let before = whole.map_or(done.before, |whole| whole.before);
            whole = Some(Calibrated {
                before,
                after: done.after,
            });
        }
    }
    say("");
    match whole {
        Some(whole) => bench.report(&whole),
        None => bench.context.output.text("Nothing was changed."),
    }
}

/// Repeats a step until it fits; `None` where it is left out.
async fn until_it_fits(bench: &Bench<'_>, step: CalibrationStep) -> Result<Option<Calibrated>> {
    loop {
        if ask(GO_ON).await?.eq_ignore_ascii_case("s") {
            return Ok(None);
        }
        let reference = match step {
            CalibrationStep::Load => Some(reference().await?),
            CalibrationStep::NoLoad | CalibrationStep::Undo => None,
        };
        match bench.step(step, reference).await {
            Ok(done) => {
                say("This step is done.");
                return Ok(Some(done));
            }
            Err(error) if is_refusal(&error) => {
                let ending = Ending::of(&error);
                say(&format!("{}\nhint: {}", ending.message, ending.hint));
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(CalibrateError::Refused { .. }))
}

/// Asks what the reference meter shows.
async fn reference() -> Result<Reference> {
    let voltage_mv = loop {
        let answer =
            ask("How many volts does the reference show? (Enter leaves the voltage as it is) ")
                .await?;
        if answer.is_empty() {
            break None;
        }
        match parse_volts(&answer) {
            Ok(voltage_mv) => break Some(voltage_mv),
            Err(wanted) => say(&wanted),
        }
    };
    let power_mw = loop {
        match parse_watts(&ask("How many watts? ").await?) {
            Ok(power_mw) => break power_mw,
            Err(wanted) => say(&wanted),
        }
    };
    Ok(Reference {
        voltage_mv,
        power_mw,
        resistive: true,
    })
}

/// Says something beside the results.
fn say(text: &str) {
    // Who cannot be told cannot be told of that either.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Asks for a line and returns it without its ends.
async fn ask(question: &str) -> Result<String> {
    let mut to = io::stderr();
    let _ = write!(to, "{question}").and_then(|()| to.flush());
    // Nobody waits for this thread when the program is ended meanwhile.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = io::stdin()
            .lock()
            .take(ANSWER_BYTES_MAX)
            .read_line(&mut line);
        read.map(|length| (length, line))
    });
    let (length, line) = read.await?.context("the answer cannot be read")?;
    if length == 0 {
        return Err(Problem::new(Kind::Interrupted, "there was no answer", STAYS).into());
    }
    Ok(line.trim().to_owned())
}
