//! Which anchors can be true together.
//!
//! Two anchors of one boot agree when the true time can pass through both within their uncertainties and the drift;
//! windows on a line that overlap in pairs have a point in common, so a set that agrees in pairs agrees as a whole. The
//! same holds for boots and their order. The one that agrees with most others is believed first, then each that agrees
//! with all believed so far.

use super::{
    Anchor, UPTIME_MS_MAX,
    chain::{self, BootFacts, DRIFT, TIME_MS_MAX, TIME_MS_MIN},
};

/// How many are compared each with each; beyond, the newest decide and the others follow.
const COMPARED_MAX: usize = 1_000;

/// What rounding to floating point may cost, in ms.
const SLACK_MS: f64 = 1.0;

/// Takes the anchors that contradict the others out of `boots` and returns them.
pub(super) fn separate(boots: &mut [(u32, BootFacts)]) -> Vec<Anchor> {
    let mut out = Vec::new();
    for (_, facts) in boots.iter_mut() {
        separate_within(facts, &mut out);
    }
    separate_between(boots, &mut out);
    out
}

fn separate_within(facts: &mut BootFacts, out: &mut Vec<Anchor>) {
    let believable = |anchor: &Anchor| {
        (TIME_MS_MIN..=TIME_MS_MAX).contains(&(anchor.utc_ms as f64))
            && anchor.uptime_ms <= UPTIME_MS_MAX
    };
    out.extend(facts.anchors.extract_if(.., |anchor| !believable(anchor)));
    facts
        .anchors
        .sort_by_key(|anchor| (anchor.uptime_ms, anchor.event));
    let anchors = &facts.anchors;
    let agree = |a: usize, b: usize| disagreement_ms(&anchors[a], &anchors[b]) <= SLACK_MS;
    let believed = largest_agreeing(anchors.len(), agree);
    let doubted = believed.iter().filter(|believed| !**believed).count();
    // Without a majority nobody knows who is right: the times are estimates, as far off as the other side says.
    if 2 * doubted >= anchors.len() {
        let farthest_ms = pairs(&believed)
            .map(|(a, b)| disagreement_ms(&anchors[a], &anchors[b]))
            .fold(0.0, f64::max);
        facts.doubt_ms = farthest_ms;
    }
    let mut believed = believed.into_iter();
    out.extend(
        facts
            .anchors
            .extract_if(.., |_| !believed.next().unwrap_or(true)),
    );
}

/// Yields each (doubted, believed) pair of the newest that are compared.
fn pairs(believed: &[bool]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let newest = believed.len().saturating_sub(COMPARED_MAX)..believed.len();
    let inner = newest.clone();
    newest
        .filter(|&index| !believed[index])
        .flat_map(move |doubted| {
            inner
                .clone()
                .filter(|&index| believed[index])
                .map(move |index| (doubted, index))
        })
}

/// Returns by how much two anchors of one boot are too far apart, in ms; not positive where they agree.
fn disagreement_ms(a: &Anchor, b: &Anchor) -> f64 {
    let uptime_ms = a.uptime_ms.abs_diff(b.uptime_ms) as f64;
    let (earlier, later) = if a.uptime_ms <= b.uptime_ms {
        (a, b)
    } else {
        (b, a)
    };
    let utc_ms = later.utc_ms as f64 - earlier.utc_ms as f64;
    let allowed_ms = f64::from(a.uncertainty_ms) + f64::from(b.uncertainty_ms) + uptime_ms * DRIFT;
    (utc_ms - uptime_ms).abs() - allowed_ms
}

fn separate_between(boots: &mut [(u32, BootFacts)], out: &mut Vec<Anchor>) {
    /// The window of an anchored boot: when it ended at the earliest and began at the latest.
    struct Window {
        index: usize,
        end_low: f64,
        begin_high: f64,
        /// Least time between the first boot's begin and this one's, from the known lengths.
        offset_ms: f64,
        length_ms: f64,
    }
    let mut offset_ms = 0.0;
    let mut windows = Vec::new();
    for (index, (_, facts)) in boots.iter().enumerate() {
        let length_ms = facts.length_ms() * (1.0 - DRIFT);
        if !facts.anchors.is_empty() {
            let (begin_high, end_low) = chain::anchored_window(facts);
            windows.push(Window {
                index,
                end_low,
                begin_high,
                offset_ms,
                length_ms,
            });
        }
        offset_ms += length_ms;
    }
    let agree = |a: usize, b: usize| {
        let (earlier, later) = (&windows[a.min(b)], &windows[a.max(b)]);
        let between_ms = later.offset_ms - earlier.offset_ms - earlier.length_ms;
        earlier.end_low + between_ms <= later.begin_high + SLACK_MS
    };
    let believed = largest_agreeing(windows.len(), agree);
    for (window, believed) in windows.iter().zip(believed) {
        if !believed {
            out.append(&mut boots[window.index].1.anchors);
        }
    }
}

/// Returns which of `count` items, oldest first, are believed.
fn largest_agreeing(count: usize, agree: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let compared = count.saturating_sub(COMPARED_MAX)..count;
    let mut by_support: Vec<(usize, usize)> = compared
        .clone()
        .map(|a| (compared.clone().filter(|&b| agree(a, b)).count(), a))
        .collect();
    // Of equally supported ones the newest: a wrong clock is set right more often than a right one wrong.
    by_support.sort_by(|a, b| b.cmp(a));
    let rest = (0..compared.start).rev();
    let mut believed = vec![false; count];
    let mut chosen: Vec<usize> = Vec::new();
    for candidate in by_support.into_iter().map(|(_, index)| index).chain(rest) {
        if chosen.iter().all(|&other| agree(candidate, other)) {
            believed[candidate] = true;
            chosen.push(candidate);
        }
    }
    believed
}
