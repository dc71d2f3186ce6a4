//! The windows of all moments, and where in them each is placed.
//!
//! The chain has a knot at the first and last uptime of each boot and at each anchor. Between two knots of a boot true
//! time advances by the uptime's difference ± drift; from the last knot of a boot to the first of the next by any amount
//! that is not negative. On a chain, tightening each window by its neighbour's once forward and once back leaves no
//! value in any window that could not be true; choosing from first to last, each within what the choice before leaves,
//! never gets stuck.

use super::{Anchor, DRIFT_PPM_MAX, ResolvedTime, UPTIME_MS_MAX};

/// How far a meter's crystal may be off, as a fraction.
pub(super) const DRIFT: f64 = DRIFT_PPM_MAX / 1e6;
/// No meter measured before 2000-01-01.
pub(super) const TIME_MS_MIN: f64 = 946_684_800_000.0;
/// No collector of this version works after 2200-01-01.
pub(super) const TIME_MS_MAX: f64 = 7_258_118_400_000.0;
/// Error that is assumed of the clock by which receipts are stamped, in ms.
const RECEIPT_ERROR_MS: f64 = 2_000.0;

/// What is known of one boot.
#[derive(Clone, Debug, Default)]
pub(super) struct BootFacts {
    /// Lowest and highest known uptime in ms.
    extent: Option<(u64, u64)>,
    /// In order of uptime once they are [separated](super::agreement::separate).
    pub(super) anchors: Vec<Anchor>,
    pub(super) received_offset_ms: Option<i64>,
    /// How far the anchors that were left out speak against those that were kept, where neither side has a majority.
    pub(super) doubt_ms: f64,
}

impl BootFacts {
    /// Extends the boot to an uptime.
    pub(super) fn include(&mut self, uptime_ms: u64) {
        let uptime_ms = uptime_ms.min(UPTIME_MS_MAX);
        let (first, last) = self.extent.unwrap_or((uptime_ms, uptime_ms));
        self.extent = Some((first.min(uptime_ms), last.max(uptime_ms)));
    }

    fn extent(&self) -> (u64, u64) {
        self.extent.expect("a boot is known by at least one uptime")
    }

    /// Returns the known length in ms of uptime.
    pub(super) fn length_ms(&self) -> f64 {
        let (first, last) = self.extent();
        (last - first) as f64
    }

    /// Returns the knots with the windows that the boot's own anchors give.
    fn knots(&self) -> Vec<Knot> {
        let (first, last) = self.extent();
        let mut knots = vec![Knot::free(first)];
        for anchor in &self.anchors {
            let uncertainty_ms = f64::from(anchor.uncertainty_ms);
            let low = anchor.utc_ms as f64 - uncertainty_ms;
            let high = anchor.utc_ms as f64 + uncertainty_ms;
            let newest = knots.last_mut().expect("there is a first knot");
            if newest.uptime_ms == anchor.uptime_ms {
                newest.low = newest.low.max(low);
                newest.high = newest.high.min(high);
            } else {
                knots.push(Knot {
                    uptime_ms: anchor.uptime_ms,
                    low,
                    high,
                    at: 0.0,
                });
            }
        }
        if knots[knots.len() - 1].uptime_ms != last {
            knots.push(Knot::free(last));
        }
        knots
    }
}

/// One moment of the chain.
#[derive(Clone, Copy, Debug)]
struct Knot {
    uptime_ms: u64,
    /// Window in ms of UTC.
    low: f64,
    high: f64,
    /// Where it was placed.
    at: f64,
}

impl Knot {
    fn free(uptime_ms: u64) -> Self {
        Self {
            uptime_ms,
            low: TIME_MS_MIN,
            high: TIME_MS_MAX,
            at: 0.0,
        }
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.low, self.high)
    }
}

/// A boot whose knots are placed.
#[derive(Clone, Debug)]
pub(super) struct PlacedBoot {
    pub(super) boot: u32,
    knots: Vec<Knot>,
    estimated: bool,
    doubt_ms: f64,
    /// Drift before the first and behind the last knot.
    drift: f64,
}

impl PlacedBoot {
    /// Places a moment of this boot.
    pub(super) fn resolve(&self, uptime_ms: u64) -> ResolvedTime {
        let after = self
            .knots
            .partition_point(|knot| knot.uptime_ms <= uptime_ms);
        let left = after.checked_sub(1).map(|index| &self.knots[index]);
        let right = self.knots.get(after);
        let signed_ms = |knot: &Knot| uptime_ms as f64 - knot.uptime_ms as f64;
        let (mut low, mut high) = (TIME_MS_MIN, TIME_MS_MAX);
        for knot in [left, right].into_iter().flatten() {
            let (step_ms, spread_ms) = (signed_ms(knot), signed_ms(knot).abs() * DRIFT);
            low = low.max(knot.low + step_ms - spread_ms);
            high = high.min(knot.high + step_ms + spread_ms);
        }
        let at = match (left, right) {
            (Some(left), Some(right)) => {
                let length_ms = (right.uptime_ms - left.uptime_ms) as f64;
                left.at + signed_ms(left) / length_ms * (right.at - left.at)
            }
            (Some(knot), None) | (None, Some(knot)) => {
                knot.at + signed_ms(knot) * (1.0 + self.drift)
            }
            (None, None) => unreachable!("a placed boot has a knot"),
        };
        let at = at.round();
        // Half a millisecond of rounding on either side of a comparison makes one.
        let uncertainty_ms = (at - low).max(high - at).max(0.0).ceil() + 1.0;
        ResolvedTime {
            utc_ms: at as i64,
            uncertainty_ms: (uncertainty_ms + self.doubt_ms.ceil()) as u64,
            estimated: self.estimated,
        }
    }
}

/// Returns when an anchored boot began at the latest and ended at the earliest, by its own anchors.
pub(super) fn anchored_window(facts: &BootFacts) -> (f64, f64) {
    let mut chain = [facts.knots()];
    tighten(&mut chain);
    let knots = &chain[0];
    (knots[0].high, knots[knots.len() - 1].low)
}

/// Places all boots, which come in order and with anchors that agree.
pub(super) fn place(boots: &[(u32, BootFacts)]) -> Vec<PlacedBoot> {
    let mut chain: Vec<Vec<Knot>> = boots.iter().map(|(_, facts)| facts.knots()).collect();
    for (knots, (_, facts)) in chain.iter_mut().zip(boots) {
        let last = knots.last_mut().expect("a boot has knots");
        if let Some(bound) = receipt_bound(facts) {
            last.high = last.high.min(bound);
        }
    }
    tighten(&mut chain);
    let impossible = |knot: &Knot| knot.low > knot.high + 1.0;
    if chain.iter().flatten().any(impossible) {
        // Some receipt was stamped by a wrong clock; the anchors alone do agree.
        chain = boots.iter().map(|(_, facts)| facts.knots()).collect();
        tighten(&mut chain);
    }
    choose(boots, chain)
}

/// Returns the latest time at which the boot's last known uptime can have been.
fn receipt_bound(facts: &BootFacts) -> Option<f64> {
    let (_, last) = facts.extent();
    let bound = facts.received_offset_ms? as f64 + last as f64;
    Some(bound + RECEIPT_ERROR_MS + facts.length_ms() * DRIFT)
}

/// Narrows each window to what its neighbours allow.
fn tighten(chain: &mut [Vec<Knot>]) {
    let mut before: Option<Knot> = None;
    for knots in chain.iter_mut() {
        if let Some(last) = before {
            knots[0].low = knots[0].low.max(last.low);
        }
        for index in 1..knots.len() {
            let left = knots[index - 1];
            let knot = &mut knots[index];
            let step_ms = (knot.uptime_ms - left.uptime_ms) as f64;
            knot.low = knot.low.max(left.low + step_ms * (1.0 - DRIFT));
            knot.high = knot.high.min(left.high + step_ms * (1.0 + DRIFT));
        }
        before = knots.last().copied();
    }
    let mut after: Option<Knot> = None;
    for knots in chain.iter_mut().rev() {
        if let Some(first) = after {
            let last = knots.last_mut().expect("a boot has knots");
            last.high = last.high.min(first.high);
        }
        for index in (0..knots.len() - 1).rev() {
            let right = knots[index + 1];
            let knot = &mut knots[index];
            let step_ms = (right.uptime_ms - knot.uptime_ms) as f64;
            knot.high = knot.high.min(right.high - step_ms * (1.0 - DRIFT));
            knot.low = knot.low.max(right.low - step_ms * (1.0 + DRIFT));
        }
        after = knots.first().copied();
    }
}

/// Places each knot where it most likely was within what the knot before it leaves.
fn choose(boots: &[(u32, BootFacts)], chain: Vec<Vec<Knot>>) -> Vec<PlacedBoot> {
    let anchored = |index: &usize| !boots[*index].1.anchors.is_empty();
    let first_anchored = (0..boots.len()).find(anchored);
    let mut previous_end = TIME_MS_MIN;
    let mut placed = Vec::with_capacity(boots.len());
    for (index, mut knots) in chain.into_iter().enumerate() {
        let (boot, facts) = &boots[index];
        let drift = drift(facts, &knots);
        // Nothing bounds what came before the first anchor from below; what was just received has just happened.
        let late = first_anchored.is_none_or(|first| index < first) || index + 1 == boots.len();
        let mut before: Option<Knot> = None;
        for position in 0..knots.len() {
            let preferred = preferred(facts, &knots, position, drift, late);
            let knot = &mut knots[position];
            let (mut low, mut high) = (knot.low, knot.high);
            match before {
                None => low = low.max(previous_end),
                Some(left) => {
                    let step_ms = (knot.uptime_ms - left.uptime_ms) as f64;
                    low = low.max(left.at + step_ms * (1.0 - DRIFT));
                    high = high.min(left.at + step_ms * (1.0 + DRIFT));
                }
            }
            // In this order, so that rounding can never break the order of time.
            knot.at = preferred.min(high).max(low);
            before = Some(*knot);
        }
        previous_end = knots[knots.len() - 1].at;
        placed.push(PlacedBoot {
            boot: *boot,
            knots,
            estimated: facts.anchors.is_empty() || facts.doubt_ms > 0.0,
            doubt_ms: facts.doubt_ms,
            drift,
        });
    }
    placed
}

/// Returns the middle of the drifts that the anchors of a boot allow; none for fewer than two.
fn drift(facts: &BootFacts, knots: &[Knot]) -> f64 {
    let (Some(first), Some(last)) = (facts.anchors.first(), facts.anchors.last()) else {
        return 0.0;
    };
    let find = |anchor: &Anchor| knots.iter().find(|knot| knot.uptime_ms == anchor.uptime_ms);
    let (Some(left), Some(right)) = (find(first), find(last)) else {
        return 0.0;
    };
    let length_ms = (right.uptime_ms - left.uptime_ms) as f64;
    if length_ms <= 0.0 {
        return 0.0;
    }
    let low = ((right.low - left.high) / length_ms - 1.0).max(-DRIFT);
    let high = ((right.high - left.low) / length_ms - 1.0).min(DRIFT);
    f64::midpoint(low, high).clamp(-DRIFT, DRIFT)
}

/// Returns where a knot would be placed if nothing before it were placed yet.
fn preferred(facts: &BootFacts, knots: &[Knot], position: usize, drift: f64, late: bool) -> f64 {
    let knot = &knots[position];
    let (Some(first), Some(last)) = (facts.anchors.first(), facts.anchors.last()) else {
        return match position.checked_sub(1) {
            Some(left) => knots[left].at + (knot.uptime_ms - knots[left].uptime_ms) as f64,
            None if late => knot.high - late_margin_ms(facts),
            None => knot.middle(),
        };
    };
    if knot.uptime_ms < first.uptime_ms {
        let right = &knots[position + 1];
        right.middle() - (right.uptime_ms - knot.uptime_ms) as f64 * (1.0 + drift)
    } else if knot.uptime_ms > last.uptime_ms {
        let left = &knots[position - 1];
        left.at + (knot.uptime_ms - left.uptime_ms) as f64 * (1.0 + drift)
    } else {
        knot.middle()
    }
}

/// Returns what was added to the moment of a receipt as its possible error: most likely there was none.
fn late_margin_ms(facts: &BootFacts) -> f64 {
    match facts.received_offset_ms {
        Some(_) => RECEIPT_ERROR_MS,
        None => 0.0,
    }
}
