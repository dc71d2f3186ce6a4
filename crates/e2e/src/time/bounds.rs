//! What is logically possible: a system of difference constraints over all moments, solved by Bellman and Ford's method.
//!
//! It shares nothing with the time line that it is held against. Each fact is an edge "this moment is at most so long
//! after that one"; the latest a moment can have been is the shortest path to it from the beginning of time, the earliest
//! the shortest path back. A circle that is shorter than nothing is a contradiction.

use std::collections::{BTreeMap, BTreeSet};

use collector::time_line::{Anchor, BootSpan, DRIFT_PPM_MAX, Link};

const DRIFT: f64 = DRIFT_PPM_MAX / 1e6;
/// 2000-01-01 and 2200-01-01: between them everything happens.
const EVER_MS: [f64; 2] = [946_684_800_000.0, 7_258_118_400_000.0];
/// Error that the clock of a receipt may have, in ms.
const RECEIPT_ERROR_MS: f64 = 2_000.0;
/// Shorter than this is nothing, in ms: rounding.
const ROUNDING_MS: f64 = 0.01;

/// What is known of a history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) spans: &'a [BootSpan],
    pub(super) anchors: &'a [Anchor],
    pub(super) links: &'a [Link],
    /// Whether the receipts count.
    pub(super) with_receipts: bool,
}

/// A moment: boot and uptime in ms.
pub(super) type Moment = (u32, u64);

/// The earliest and latest time of each moment, in its order, in ms of UTC.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    moments: Vec<Moment>,
    earliest_ms: Vec<f64>,
    latest_ms: Vec<f64>,
}

impl Bounds {
    /// Solves; `None` where the facts contradict each other by more than `slack_ms`.
    pub(super) fn solve(facts: &Facts<'_>, asked: &[Moment], slack_ms: f64) -> Option<Self> {
        let system = System::new(facts, asked);
        let latest_ms = system.shortest(slack_ms, false)?;
        let earliest_ms = system.shortest(slack_ms, true)?;
        Some(Self {
            moments: system.moments,
            earliest_ms: earliest_ms.into_iter().map(|ms| -ms).collect(),
            latest_ms,
        })
    }

    /// Returns the earliest and the latest time of a moment that was asked for.
    pub(super) fn of(&self, moment: Moment) -> (f64, f64) {
        let index = self
            .moments
            .binary_search(&moment)
            .expect("it was asked for");
        (self.earliest_ms[index], self.latest_ms[index])
    }
}

/// The node `to` is at most `most_ms` after the node `from`; the beginning of time is the node behind the last moment.
#[derive(Clone, Copy, Debug)]
struct Edge {
    from: usize,
    to: usize,
    most_ms: f64,
}

struct System {
    moments: Vec<Moment>,
    edges: Vec<Edge>,
}

impl System {
    fn new(facts: &Facts<'_>, asked: &[Moment]) -> Self {
        let mut moments: BTreeSet<Moment> = asked.iter().copied().collect();
        for span in facts.spans {
            moments.extend([(span.boot, 0), (span.boot, span.last_uptime_ms)]);
        }
        moments.extend(
            facts
                .anchors
                .iter()
                .map(|anchor| (anchor.boot, anchor.uptime_ms)),
        );
        for link in facts.links {
            moments.extend([
                (link.boot - 1, 0),
                (link.boot - 1, link.uptime_ms),
                (link.boot, 0),
            ]);
        }
        let mut system = Self {
            moments: moments.into_iter().collect(),
            edges: Vec::new(),
        };
        system.of_uptime();
        system.of_order(facts);
        system.of_reports(facts);
        system
    }

    fn node(&self, moment: Moment) -> usize {
        self.moments.binary_search(&moment).expect("each is listed")
    }

    fn bound(&mut self, from: usize, to: usize, least_ms: f64, most_ms: f64) {
        self.edges.push(Edge { from, to, most_ms });
        self.edges.push(Edge {
            from: to,
            to: from,
            most_ms: -least_ms,
        });
    }

    fn of_uptime(&mut self) {
        for index in 1..self.moments.len() {
            let (before, after) = (self.moments[index - 1], self.moments[index]);
            if before.0 == after.0 {
                let length_ms = (after.1 - before.1) as f64;
                let (least, most) = (length_ms * (1.0 - DRIFT), length_ms * (1.0 + DRIFT));
                self.bound(index - 1, index, least, most);
            }
        }
    }

    fn of_order(&mut self, facts: &Facts<'_>) {
        let spans = facts.spans.iter();
        let mut lasts: BTreeMap<u32, u64> =
            spans.map(|span| (span.boot, span.last_uptime_ms)).collect();
        for link in facts.links {
            lasts.entry(link.boot - 1).or_default();
            lasts.entry(link.boot).or_default();
        }
        let lasts: Vec<Moment> = lasts.into_iter().collect();
        for pair in lasts.windows(2) {
            let (last, first) = (self.node(pair[0]), self.node((pair[1].0, 0)));
            self.edges.push(Edge {
                from: first,
                to: last,
                most_ms: 0.0,
            });
        }
        for link in facts.links {
            let before = self.node((link.boot - 1, link.uptime_ms));
            let first = self.node((link.boot, 0));
            let uncertainty_ms = f64::from(link.uncertainty_ms);
            self.bound(before, first, -uncertainty_ms, uncertainty_ms);
        }
    }

    fn of_reports(&mut self, facts: &Facts<'_>) {
        let zero = self.moments.len();
        for index in 0..self.moments.len() {
            let (boot, uptime_ms) = self.moments[index];
            let span = facts.spans.iter().find(|span| span.boot == boot);
            let received = span.and_then(|span| Some((span, span.received_offset_ms?)));
            let latest_ms = match received {
                Some((span, offset_ms)) if facts.with_receipts => {
                    // Whatever uptime was received: it is no farther than the farther end of the boot.
                    let away_ms = uptime_ms.max(span.last_uptime_ms.saturating_sub(uptime_ms));
                    let drift_ms = away_ms as f64 * DRIFT;
                    offset_ms as f64 + uptime_ms as f64 + RECEIPT_ERROR_MS + drift_ms
                }
                _ => EVER_MS[1],
            };
            self.bound(zero, index, EVER_MS[0], latest_ms.min(EVER_MS[1]));
        }
        for anchor in facts.anchors {
            let node = self.node((anchor.boot, anchor.uptime_ms));
            let (utc_ms, uncertainty_ms) = (anchor.utc_ms as f64, f64::from(anchor.uncertainty_ms));
            self.bound(zero, node, utc_ms - uncertainty_ms, utc_ms + uncertainty_ms);
        }
    }

    /// Returns the shortest paths from the beginning of time to each moment, or from each back to it; `None` where a
    /// circle is shorter than nothing.
    fn shortest(&self, slack_ms: f64, is_back: bool) -> Option<Vec<f64>> {
        let zero = self.moments.len();
        let mut shortest = vec![f64::INFINITY; zero + 1];
        shortest[zero] = 0.0;
        let mut edges: Vec<Edge> = self.edges.clone();
        if is_back {
            for edge in &mut edges {
                std::mem::swap(&mut edge.from, &mut edge.to);
            }
        }
        for _ in 0..=zero {
            let mut is_settled = true;
            // To and fro, for most paths follow the order of the moments.
            for index in (0..edges.len()).chain((0..edges.len()).rev()) {
                let Edge { from, to, most_ms } = edges[index];
                let through_ms = shortest[from] + most_ms;
                if through_ms + ROUNDING_MS < shortest[to] {
                    if to == zero {
                        if through_ms < -slack_ms {
                            return None;
                        }
                        continue;
                    }
                    shortest[to] = through_ms;
                    is_settled = false;
                }
            }
            if is_settled {
                shortest.pop();
                return Some(shortest);
            }
        }
        None
    }
}
