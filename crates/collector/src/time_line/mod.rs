//! From boots and anchors to UTC with bounds: a pure function.
//!
//! A meter knows `(boot, uptime)` only. An **anchor** says: at this uptime of this boot it was that UTC, give or take its
//! uncertainty. Uptime runs within ± [`DRIFT_PPM_MAX`] of true time, boots follow each other in order. Each of these
//! facts is a bound on a difference of two moments, so together they give every moment a window `[low, high]` in which it
//! truly lies, and one pass forward and one back along the chain of moments find all windows exactly (`chain`).
//!
//! Within its window a moment is placed where it most likely was: on the straight line between two anchors, on the line
//! with the same drift before the first and behind the last, in the middle for a boot without anchor, as late as possible
//! where nothing bounds it from below. The stated uncertainty is the distance to the farther end of the window.
//!
//! What follows from that: order is kept; gaps are never negative; a further fact only narrows windows, so a time never
//! moves by more than was stated. Anchors that cannot all be true are told apart by majority (`agreement`): the others
//! are flagged and left out, never averaged in.

mod agreement;
mod chain;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chain::PlacedBoot;

/// How far a meter's crystal may be off, in parts per million.
pub const DRIFT_PPM_MAX: f64 = 50.0;
/// Longest uptime that is believed, in ms: 2⁴⁸, some 8,900 years.
pub const UPTIME_MS_MAX: u64 = 1 << 48;

/// What is known of the extent of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootSpan {
    /// Number of the boot.
    pub boot: u32,
    /// Lowest uptime that is known of it, in ms.
    pub first_uptime_ms: u64,
    /// Highest uptime that is known of it, in ms.
    pub last_uptime_ms: u64,
    /// Least of (UTC at a receipt − uptime of what was received) in ms: nothing is received before it happened.
    pub received_offset_ms: Option<i64>,
}

/// A collector told the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Number of the event that recorded it.
    pub event: u64,
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime in ms at which the time was told.
    pub uptime_ms: u64,
    /// What was told: milliseconds since 1970 in UTC.
    pub utc_ms: i64,
    /// The true time lay within ± this, in ms.
    pub uncertainty_ms: u32,
}

/// A moment of a meter, placed in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedTime {
    /// Milliseconds since 1970 in UTC.
    pub utc_ms: i64,
    /// The true time lies within ± this, in ms; years where nothing is known.
    pub uncertainty_ms: u64,
    /// Whether the boot has no anchor that can be relied on, so that only its neighbours place it.
    pub estimated: bool,
}

/// Places the moments of one history.
#[derive(Clone, Debug, Default)]
pub struct TimeLine {
    /// In order of boots.
    boots: Vec<PlacedBoot>,
    contradictory: Vec<Anchor>,
}

impl TimeLine {
    /// Computes the time line of one history from all that is known of it, in any order.
    #[must_use]
    pub fn new(spans: &[BootSpan], anchors: &[Anchor]) -> Self {
        let mut boots: BTreeMap<u32, chain::BootFacts> = BTreeMap::new();
        for span in spans {
            let facts = boots.entry(span.boot).or_default();
            facts.include(span.first_uptime_ms);
            facts.include(span.last_uptime_ms);
            facts.received_offset_ms = span.received_offset_ms;
        }
        for anchor in anchors {
            let facts = boots.entry(anchor.boot).or_default();
            facts.include(anchor.uptime_ms);
            facts.anchors.push(*anchor);
        }
        let mut boots: Vec<(u32, chain::BootFacts)> = boots.into_iter().collect();
        let mut contradictory = agreement::separate(&mut boots);
        contradictory.sort_by_key(|anchor| anchor.event);
        Self {
            boots: chain::place(&boots),
            contradictory,
        }
    }

    /// Places one moment; `None` for a boot of which nothing is known.
    #[must_use]
    pub fn resolve(&self, boot: u32, uptime_ms: u64) -> Option<ResolvedTime> {
        let index = self.boots.binary_search_by_key(&boot, |placed| placed.boot);
        Some(self.boots[index.ok()?].resolve(uptime_ms))
    }

    /// Returns the anchors that cannot be true together with the others, by number of event.
    #[must_use]
    pub fn contradictory(&self) -> &[Anchor] {
        &self.contradictory
    }
}
