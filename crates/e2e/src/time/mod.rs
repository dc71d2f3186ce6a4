//! The time line on random true histories, beside what is logically possible.
//!
//! Each history is made by seed (`histories`), told to the time line as a collector would, and its moments compared with
//! the truth and with bounds that are solved independently (`bounds`). What is compared:
//!
//! - `outside_uncertainty`: moments whose true time is farther from the stated one than the stated uncertainty.
//! - `too_wide`: moments of honest histories for which any of these fails, each but for `ROUNDING_MS`:
//!   the window that the time line leaves is no wider than the one that is logically possible; in a boot with anchors half
//!   of it is at most 50 ppm of the distance to the nearest anchor and that one's own uncertainty; the stated uncertainty is
//!   no more than from the stated time to the farther end of what is possible; without anchors it is at most 1.1 times the
//!   width of what is possible.
//! - `median_error_ms`: of moments between two anchors of at most 50 ms in a boot of constant drift.
//!
//! Half of the window and not the stated uncertainty is held against the 50 ppm, because three wishes exclude each other: a
//! time on the line between two anchors, which is what is best where the drift is constant; an uncertainty that holds for
//! every drift within the bounds; and one that is no more than half of the window. The first two are kept;
//! `stated_over_half_window_max`, below 2, tells what that costs, and `stated_over_bound_percent` how often it does.
//!
//! Histories in which a collector's clock was wrong by more than it said are counted apart: `conflicts_missed` are those
//! that are contradictory by the independent solution and not flagged. A lie that contradicts nothing cannot be seen.

mod bounds;
mod histories;
mod lies;

use anyhow::{Result, ensure};
use collector::time_line::{DRIFT_PPM_MAX, TimeLine};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub use histories::{History, TrueBoot};

use crate::report::{Figures, rounded};
use bounds::{Bounds, Facts, Moment};

/// What rounding to whole ms may add to a comparison of two windows: floor, ceiling and 1 ms of slack on either side.
const ROUNDING_MS: f64 = 4.0;
/// Moments of each boot that are drawn beside its begin, its end and its anchors.
const DRAWN: usize = 12;
/// Anchors that are at most so uncertain count for the median, in ms.
const GOOD_MS: u32 = 50;
/// Histories of the report, honest and with lies.
const HISTORIES: [u64; 2] = [2_000, 1_500];

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Honest histories.
    pub histories: u64,
    /// Moments of them that were compared.
    pub moments: u64,
    /// True times outside of what was stated, in honest histories and in those whose lies are the smaller part.
    pub outside: u64,
    /// Stated uncertainties and windows that are wider than they must be.
    pub too_wide: u64,
    /// Anchors that were flagged though all can be true.
    pub falsely_flagged: u64,
    /// Greatest stated uncertainty as a multiple of half of what is possible.
    pub stated_over_half_window_max: f64,
    /// Moments of boots with anchors.
    pub anchored: u64,
    /// Those of them whose stated uncertainty is more than 50 ppm of the distance and the anchor's own.
    pub stated_over_bound: u64,
    /// Errors of moments between two good anchors at constant drift, in ms.
    pub errors_ms: Vec<f64>,
    /// Histories in which a lie contradicts something.
    pub conflict_histories: u64,
    /// Those of them in which nothing was flagged.
    pub conflicts_missed: u64,
    /// Histories whose lies contradict nothing.
    pub invisible_histories: u64,
    /// Histories in which the honest are more than those that contradict them, or one stands against one.
    pub honest_majorities: u64,
    /// True times outside of what was stated in them.
    pub outside_with_lies: u64,
}

/// Compares so many honest histories, and so many with lies, from a seed on.
#[must_use]
pub fn run(seed: u64, honest: u64, with_lies: u64) -> Outcome {
    let mut outcome = Outcome::default();
    for seed in seed..seed + honest {
        compare(&mut outcome, &History::random(seed, false), seed);
    }
    for seed in seed..seed + with_lies {
        lies::compare(&mut outcome, &History::random(seed, true), seed);
    }
    outcome
}

impl Outcome {
    /// Returns the error in ms that so large a share of the moments between good anchors does not exceed.
    #[must_use]
    pub fn error_ms(&self, share: f64) -> f64 {
        let mut errors_ms = self.errors_ms.clone();
        errors_ms.sort_by(f64::total_cmp);
        let index = (errors_ms.len() as f64 * share) as usize;
        errors_ms.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// Measures the section `time`.
pub(crate) fn measure(figures: &mut Figures<'_>) -> Result<()> {
    let outcome = run(1, HISTORIES[0], HISTORIES[1]);
    figures.set("histories", outcome.histories)?;
    figures.set("moments", outcome.moments)?;
    figures.set("outside_uncertainty", outcome.outside)?;
    figures.set("too_wide", outcome.too_wide)?;
    figures.set("falsely_flagged", outcome.falsely_flagged)?;
    figures.set(
        "stated_over_half_window_max",
        rounded(outcome.stated_over_half_window_max, 3),
    )?;
    let share = outcome.stated_over_bound as f64 / outcome.anchored as f64;
    figures.set("stated_over_bound_percent", rounded(100.0 * share, 1))?;
    figures.set("median_error_moments", outcome.errors_ms.len())?;
    figures.set("median_error_ms", rounded(outcome.error_ms(0.5), 1))?;
    figures.set("error_ms_95_percent", rounded(outcome.error_ms(0.95), 1))?;
    figures.set("conflict_histories", outcome.conflict_histories)?;
    figures.set("conflicts_missed", outcome.conflicts_missed)?;
    figures.set("invisible_lie_histories", outcome.invisible_histories)?;
    figures.set("honest_majority_histories", outcome.honest_majorities)?;
    figures.set("honest_majority_outside", outcome.outside_with_lies)?;
    ensure!(!outcome.errors_ms.is_empty(), "no two good anchors");
    Ok(())
}

/// Returns begin, end, anchors and some drawn moments of each known boot.
fn moments(history: &History, seed: u64) -> Vec<Moment> {
    let mut random = StdRng::seed_from_u64(!seed);
    let mut moments = Vec::new();
    for span in &history.spans {
        moments.extend([(span.boot, 0), (span.boot, span.last_uptime_ms)]);
        let mut draw = |_| (span.boot, random.random_range(0..=span.last_uptime_ms));
        moments.extend((0..DRAWN).map(&mut draw));
    }
    let anchors = history.anchors.iter();
    moments.extend(anchors.map(|anchor| (anchor.boot, anchor.uptime_ms)));
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn compare(outcome: &mut Outcome, history: &History, seed: u64) {
    let line = TimeLine::new(&history.spans, &history.anchors, &history.links);
    let moments = moments(history, seed);
    let facts = Facts {
        spans: &history.spans,
        anchors: &history.anchors,
        links: &history.links,
        with_receipts: true,
    };
    let bounds = Bounds::solve(&facts, &moments, 1.0).expect("the truth contradicts nothing");
    outcome.histories += 1;
    outcome.moments += moments.len() as u64;
    outcome.falsely_flagged += line.contradictory().len() as u64
        + line.doubted_links().len() as u64
        + u64::from(line.are_receipts_contradictory());
    for moment in moments {
        let (boot, uptime_ms) = moment;
        let time = line.resolve(boot, uptime_ms).expect("the boot is known");
        let true_ms = history.boots[boot as usize].utc_ms(uptime_ms as f64);
        let error_ms = (time.utc_ms as f64 - true_ms).abs();
        let stated_ms = time.uncertainty_ms as f64;
        outcome.outside += u64::from(error_ms > stated_ms);

        let (earliest_ms, latest_ms) = bounds.of(moment);
        let possible_ms = latest_ms - earliest_ms;
        let window = line.window(boot, uptime_ms).expect("the boot is known");
        let left_ms = (window.to_ms - window.from_ms) as f64;
        let farther_ms = (latest_ms - time.utc_ms as f64).max(time.utc_ms as f64 - earliest_ms);
        let mut is_too_wide =
            left_ms > possible_ms + ROUNDING_MS || stated_ms > farther_ms + ROUNDING_MS;
        let around = Around::find(history, moment);
        match around.bound_ms() {
            Some(bound_ms) => {
                is_too_wide |= left_ms / 2.0 > bound_ms + ROUNDING_MS;
                outcome.anchored += 1;
                outcome.stated_over_bound += u64::from(stated_ms > bound_ms + ROUNDING_MS);
                let half_ms = (possible_ms / 2.0).max(1.0);
                let ratio = (stated_ms - ROUNDING_MS) / half_ms;
                outcome.stated_over_half_window_max =
                    outcome.stated_over_half_window_max.max(ratio);
            }
            None => is_too_wide |= stated_ms > 1.1 * possible_ms + ROUNDING_MS,
        }
        outcome.too_wide += u64::from(is_too_wide);
        if around.is_between_good() && history.boots[boot as usize].is_drift_constant() {
            outcome.errors_ms.push(error_ms);
        }
    }
}

/// The nearest anchors of a moment's boot before and after it: distance and uncertainty in ms.
struct Around {
    before: Option<(u64, u32)>,
    after: Option<(u64, u32)>,
}

impl Around {
    fn find(history: &History, (boot, uptime_ms): Moment) -> Self {
        let own = || history.anchors.iter().filter(|anchor| anchor.boot == boot);
        let told = |anchor: &collector::time_line::Anchor| {
            (anchor.uptime_ms.abs_diff(uptime_ms), anchor.uncertainty_ms)
        };
        Self {
            before: own()
                .filter(|anchor| anchor.uptime_ms <= uptime_ms)
                .map(told)
                .min(),
            after: own()
                .filter(|anchor| anchor.uptime_ms >= uptime_ms)
                .map(told)
                .min(),
        }
    }

    /// Returns 50 ppm of the distance to the nearest anchor and that one's own uncertainty; `None` without one.
    fn bound_ms(&self) -> Option<f64> {
        let nearest = self.before.into_iter().chain(self.after).min()?;
        Some(nearest.0 as f64 * DRIFT_PPM_MAX / 1e6 + f64::from(nearest.1))
    }

    fn is_between_good(&self) -> bool {
        let is_good = |told: Option<(u64, u32)>| {
            told.is_some_and(|(_, uncertainty_ms)| uncertainty_ms <= GOOD_MS)
        };
        is_good(self.before) && is_good(self.after)
    }
}
