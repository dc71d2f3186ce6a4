//! Histories in which a collector's clock was wrong.

use collector::time_line::{Anchor, TimeLine};

use super::{
    Outcome,
    bounds::{Bounds, Facts},
    histories::History,
    moments,
};

/// Contradictions of no more than this many ms need not be seen: rounding.
const SLACK_MS: f64 = 1.1;

pub(super) fn compare(outcome: &mut Outcome, history: &History, seed: u64) {
    if history.lies.is_empty() {
        return;
    }
    let line = TimeLine::new(&history.spans, &history.anchors, &history.links);
    if is_possible(history, &history.anchors) {
        outcome.invisible_histories += 1;
        return;
    }
    outcome.conflict_histories += 1;
    outcome.conflicts_missed += u64::from(line.contradictory().is_empty());
    if !is_majority_honest(history) || line.doubted_links().len() > 1 && history.lies.len() > 1 {
        return;
    }
    outcome.honest_majorities += 1;
    for (boot, uptime_ms) in moments(history, seed) {
        let time = line.resolve(boot, uptime_ms).expect("the boot is known");
        let true_ms = history.boots[boot as usize].utc_ms(uptime_ms as f64);
        let error_ms = (time.utc_ms as f64 - true_ms).abs();
        outcome.outside_with_lies += u64::from(error_ms > time.uncertainty_ms as f64);
    }
}

/// Tells whether these anchors can all be true, receipts apart.
fn is_possible(history: &History, anchors: &[Anchor]) -> bool {
    let facts = Facts {
        spans: &history.spans,
        anchors,
        links: &history.links,
        with_receipts: false,
    };
    Bounds::solve(&facts, &[], SLACK_MS).is_some()
}

/// Tells whether each lie, and all of them, are contradicted by more honest anchors than they are; one may stand against
/// one.
fn is_majority_honest(history: &History) -> bool {
    let is_lie = |anchor: &&Anchor| history.lies.contains(&anchor.event);
    let lies: Vec<Anchor> = history.anchors.iter().filter(is_lie).copied().collect();
    let honest = history.anchors.iter().filter(|anchor| !is_lie(anchor));
    let contradicted: Vec<Vec<bool>> = honest
        .map(|honest| {
            let lies = lies.iter();
            lies.map(|lie| !is_possible(history, &[*honest, *lie]))
                .collect()
        })
        .collect();
    let count = |of: &dyn Fn(&[bool]) -> bool| contradicted.iter().filter(|each| of(each)).count();
    if let [_] = lies[..] {
        return count(&|each| each[0]) > 0;
    }
    let each = (0..lies.len()).all(|lie| count(&|each| each[lie]) > 1);
    each && count(&|each| each.contains(&true)) > lies.len()
}
