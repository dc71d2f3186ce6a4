//! Where in its window each moment is placed.
//!
//! Boots that continue each other are placed as one stretch of uptime. Choosing from the first knot to the last, each
//! within what the choice before leaves of its window, never gets stuck.

use std::ops::Range;

use super::{
    Gap, ResolvedTime, Window,
    chain::{Chain, DRIFT, Knot, TIME_MS_MIN, Trust},
};

/// A chain whose knots are placed.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    chain: Chain,
    /// The same chain with windows that hold the truth whichever side is right, where anchors are in doubt.
    covering: Option<Chain>,
    /// For each boot.
    stretches: Vec<Stretch>,
}

/// What holds for all boots of a stretch.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Drift before the first and behind the last anchor.
    drift: f64,
    /// No anchor of it can be relied on.
    is_estimated: bool,
}

impl Placed {
    pub(super) fn new(mut chain: Chain, covering: Option<Chain>) -> Self {
        let stretches = stretches(&chain.knots);
        expect(&mut chain.knots, &stretches);
        let has_anchor = |stretch: &&Range<usize>| {
            let mut knots = chain.knots[Range::clone(stretch)].iter();
            knots.any(|knot| knot.trust.is_some())
        };
        let first_anchored = stretches.iter().find(has_anchor).cloned();
        let count = stretches.len();
        let mut of_knots: Vec<Stretch> = Vec::with_capacity(chain.knots.len());
        let mut before: Option<f64> = None;
        for (index, range) in stretches.into_iter().enumerate() {
            // Nothing bounds what came before the first anchor from below; what was just received has just happened.
            let is_late = first_anchored
                .as_ref()
                .is_none_or(|first| range.start < first.start)
                || index + 1 == count;
            let knots = &mut chain.knots[range];
            let stretch = choose(knots, before, is_late);
            before = knots.last().map(|knot| knot.at);
            of_knots.extend(std::iter::repeat_n(stretch, knots.len()));
        }
        let boots = 0..chain.boots.len();
        let stretches = boots.map(|boot| of_knots[chain.range(boot).start]);
        Self {
            stretches: stretches.collect(),
            covering,
            chain,
        }
    }

    pub(super) fn find(&self, boot: u32) -> Option<usize> {
        self.chain.find(boot)
    }

    pub(super) fn window(&self, boot: usize, uptime_ms: u64) -> (f64, f64) {
        let chain = self.covering.as_ref().unwrap_or(&self.chain);
        chain.window(boot, uptime_ms)
    }

    pub(super) fn gap_before(&self, boot: usize) -> Option<Gap> {
        let chain = self.covering.as_ref().unwrap_or(&self.chain);
        let first = chain.range(boot).start;
        let (before, begin) = (&chain.knots[first.checked_sub(1)?], &chain.knots[first]);
        let least_ms = (begin.low - before.high).max(begin.step.least_ms);
        let most_ms = (begin.high - before.low).min(begin.step.most_ms);
        Some(Gap {
            within: Window {
                from_ms: before.low.floor() as i64,
                to_ms: begin.high.ceil() as i64,
            },
            least_ms: least_ms.max(0.0).floor() as u64,
            most_ms: most_ms.max(0.0).ceil() as u64,
        })
    }

    pub(super) fn resolve(&self, boot: usize, uptime_ms: u64) -> ResolvedTime {
        let (left, right) = self.chain.around(boot, uptime_ms);
        let (low, high) = match &self.covering {
            Some(covering) => covering.window(boot, uptime_ms),
            None => self.chain.window_between(boot, uptime_ms, (left, right)),
        };
        let Stretch {
            drift,
            is_estimated,
        } = self.stretches[boot];
        let since_ms = (uptime_ms - left.uptime_ms) as f64;
        let at = match right {
            Some(right) => left.at + since_ms / right.step.length_ms * (right.at - left.at),
            None => left.at + since_ms * (1.0 + drift),
        };
        let at = at.round();
        // Half a millisecond of rounding on either side of a comparison makes one.
        let uncertainty_ms = (at - low).max(high - at).max(0.0).ceil() + 1.0;
        ResolvedTime {
            utc_ms: at as i64,
            uncertainty_ms: uncertainty_ms as u64,
            estimated: is_estimated,
        }
    }
}

/// Returns the stretches of knots between which nothing but the order is known.
fn stretches(knots: &[Knot]) -> Vec<Range<usize>> {
    let begins = (0..knots.len()).filter(|&index| index == 0 || !knots[index].step.is_bounded());
    let begins: Vec<usize> = begins.collect();
    let ends = begins.iter().skip(1).copied().chain([knots.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(&begin, end)| begin..end)
        .collect()
}

/// Finds when each knot was at the latest if anchors and receipts are exact, so that what is placed late or beyond an
/// anchor does not push away what an anchor places.
fn expect(knots: &mut [Knot], stretches: &[Range<usize>]) {
    for range in stretches {
        let knots = &mut knots[range.clone()];
        let is_anchored = knots.iter().any(|knot| knot.trust.is_some());
        for knot in knots {
            let latest_ms = match knot.trust {
                Some(_) => knot.middle(),
                None if is_anchored => knot.high,
                None => knot.high.min(knot.latest_ms),
            };
            knot.latest_ms = latest_ms;
        }
    }
    for index in (1..knots.len()).rev() {
        let latest_ms = knots[index].latest_ms - knots[index].step.least_ms;
        knots[index - 1].latest_ms = knots[index - 1].latest_ms.min(latest_ms);
    }
}

/// Places each knot of a stretch where it most likely was within what the one before leaves.
fn choose(knots: &mut [Knot], before: Option<f64>, is_late: bool) -> Stretch {
    let told = |knot: &Knot| knot.trust.is_some();
    let anchored = knots
        .iter()
        .position(told)
        .zip(knots.iter().rposition(told));
    let drift = anchored.map_or(0.0, |(first, last)| drift(knots, first, last));
    let mut before = before.unwrap_or(TIME_MS_MIN);
    for index in 0..knots.len() {
        let preferred = match anchored {
            Some(anchored) => preferred(knots, index, anchored, drift),
            None => preferred_without_anchor(knots, index, is_late),
        };
        let knot = &mut knots[index];
        let preferred = match knot.trust {
            Some(_) => preferred,
            None => preferred.min(knot.latest_ms),
        };
        let low = knot.low.max(before + knot.step.least_ms);
        let high = knot.high.min(before + knot.step.most_ms);
        // In this order, so that rounding can never break the order of time.
        knot.at = preferred.min(high).max(low);
        before = knot.at;
    }
    let is_certain = |knot: &Knot| knot.trust == Some(Trust::Certain);
    Stretch {
        drift,
        is_estimated: !knots.iter().any(is_certain),
    }
}

/// Returns the uptime from one knot to a later one, in ms.
fn length_ms(knots: &[Knot], from: usize, to: usize) -> f64 {
    let steps = knots[from + 1..=to].iter();
    steps.map(|knot| knot.step.length_ms).sum()
}

/// Returns the middle of the drifts that the anchors of a stretch allow; none for fewer than two.
fn drift(knots: &[Knot], first: usize, last: usize) -> f64 {
    let length_ms = length_ms(knots, first, last);
    if length_ms <= 0.0 {
        return 0.0;
    }
    let (left, right) = (&knots[first], &knots[last]);
    let low = ((right.low - left.high) / length_ms - 1.0).max(-DRIFT);
    let high = ((right.high - left.low) / length_ms - 1.0).min(DRIFT);
    f64::midpoint(low, high).clamp(-DRIFT, DRIFT)
}

/// Returns where a knot of a stretch with anchors would be placed if nothing bounded it.
fn preferred(knots: &[Knot], index: usize, (first, last): (usize, usize), drift: f64) -> f64 {
    let knot = &knots[index];
    if index < first {
        return knots[first].middle() - length_ms(knots, index, first) * (1.0 + drift);
    }
    if knot.trust.is_some() {
        return knot.middle();
    }
    let left_ms = knots[index - 1].at;
    if index > last {
        return left_ms + knot.step.length_ms * (1.0 + drift);
    }
    // On the straight line to the next anchor.
    let next = (index..=last).find(|&next| knots[next].trust.is_some());
    let next = next.expect("the last anchor lies behind");
    let rest_ms = length_ms(knots, index, next);
    let share = knot.step.length_ms / (knot.step.length_ms + rest_ms).max(f64::MIN_POSITIVE);
    left_ms + share * (knots[next].middle() - left_ms)
}

fn preferred_without_anchor(knots: &[Knot], index: usize, is_late: bool) -> f64 {
    let knot = &knots[index];
    match index.checked_sub(1) {
        Some(left) => knots[left].at + knot.step.length_ms,
        None if is_late => knot.latest_ms,
        None => knot.middle(),
    }
}
