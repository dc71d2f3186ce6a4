//! Progress of long work on standard error: bars on a terminal, a line now and then elsewhere, nothing beside `--json`.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use protocol::DeviceId;

use crate::output::Output;

/// All bars of the program, so that the log can be written above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

const STYLE: &str = "{msg:24} {bar:30} {human_pos}/{human_len} {prefix}, {rate}, {eta} left";

/// Runs `write` while no bar is being drawn.
pub(crate) fn above_bars(write: impl FnOnce()) {
    BARS.suspend(write);
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Nothing,
    Lines,
    Bars,
}

/// The progress of one piece of work, such as the collection of one meter.
#[derive(Debug)]
pub(crate) struct Work {
    manner: Manner,
    name: String,
    unit: &'static str,
    bar: ProgressBar,
    begun: Instant,
    line_due: Instant,
}

impl Work {
    /// Begins a piece of work that is counted in `unit`.
    pub(crate) fn begin(output: Output, name: &str, unit: &'static str) -> Self {
        let manner = match (output.is_json(), io::stderr().is_terminal()) {
            (true, _) => Manner::Nothing,
            (false, true) => Manner::Bars,
            (false, false) => Manner::Lines,
        };
        let bar = ProgressBar::hidden();
        let bar = if manner == Manner::Bars {
            BARS.add(bar)
        } else {
            bar
        };
        let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
            // A style cannot fail; at worst the rate is missing.
            let _ = write!(to, "{:.0}/s", state.per_sec());
        };
        let style = ProgressStyle::with_template(STYLE)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", rate);
        bar.set_style(style);
        bar.set_prefix(unit);
        bar.set_message(name.to_owned());
        let begun = Instant::now();
        Self {
            manner,
            name: name.to_owned(),
            unit,
            bar,
            begun,
            line_due: begun + LINE_EVERY,
        }
    }

    /// Tells how much is done.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        match self.manner {
            Manner::Nothing => {}
            Manner::Bars => {
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            Manner::Lines => {
                let now = Instant::now();
                if now >= self.line_due {
                    self.line_due = now + LINE_EVERY;
                    let line = line(&self.name, self.unit, done, total, now - self.begun);
                    let _ = writeln!(io::stderr(), "{line}");
                }
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The progress of several meters at a time.
#[derive(Debug)]
pub(crate) struct Bars {
    output: Output,
    unit: &'static str,
    works: Mutex<HashMap<DeviceId, Work>>,
}

impl Bars {
    /// Begins with no meter.
    pub(crate) fn new(output: Output, unit: &'static str) -> Self {
        Self {
            output,
            unit,
            works: Mutex::default(),
        }
    }

    /// Tells how far a meter is.
    pub(crate) fn set(&self, device: DeviceId, done: u64, total: u64) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Work::begin(self.output, &device.to_string(), self.unit);
        works.entry(device).or_insert_with(begin).set(done, total);
    }
}

/// The progress of work that several meters do together, in one figure.
#[derive(Debug)]
pub(crate) struct Joint {
    work: Work,
    /// Meters that take part.
    meters: u64,
    done: HashMap<DeviceId, u64>,
}

impl Joint {
    /// Begins work of so many meters that is counted in `unit`.
    pub(crate) fn begin(output: Output, name: &str, unit: &'static str, meters: usize) -> Self {
        Self {
            work: Work::begin(output, name, unit),
            meters: meters as u64,
            done: HashMap::new(),
        }
    }

    /// Tells how far a meter is; each has `total` to do.
    pub(crate) fn set(&mut self, device: DeviceId, done: u64, total: u64) {
        self.done.insert(device, done);
        let all_done = self.done.values().sum();
        self.work.set(all_done, total.saturating_mul(self.meters));
    }
}

/// Says in one line how far something is.
fn line(name: &str, unit: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let per_second = done as f64 / elapsed.as_secs_f64().max(0.001);
    let left_s = total.saturating_sub(done) as f64 / per_second.max(0.001);
    format!("{name}: {done}/{total} {unit}, {per_second:.0}/s, {left_s:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_time_left() {
        let said = line("cellar", "readings", 500, 2_000, Duration::from_secs(5));
        assert_eq!(said, "cellar: 500/2000 readings, 100/s, 15 s left");
    }

    #[test]
    fn a_line_at_the_very_beginning_divides_by_nothing() {
        assert_eq!(
            line("a", "readings", 0, 0, Duration::ZERO),
            "a: 0/0 readings, 0/s, 0 s left"
        );
    }
}
