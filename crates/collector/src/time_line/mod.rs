//! From boots and anchors to UTC with bounds: a pure function.
//!
//! A meter knows `(boot, uptime)` only. An **anchor** says: at this uptime of this boot it was that UTC, give or take its
//! uncertainty. Uptime runs within ± [`DRIFT_PPM_MAX`] of true time, boots follow each other in order. A **link** says: this
//! boot's uptime 0 was that uptime of the boot before, give or take, because the chip's slow clock went through the reset. A
//! **receipt** says: this uptime was over by then. Each of these facts is a bound on a difference of two moments, so together
//! they give every moment a window `[low, high]` in which it truly lies, and one pass forward and one back along the chain
//! of moments find all windows exactly (`chain`).
//!
//! Within its window a moment is placed where it most likely was: on the straight line between two anchors, on the line
//! with the same drift before the first and behind the last, in the middle for a boot without anchor, as late as possible
//! where nothing bounds it from below (`place`). The stated uncertainty is the distance to the farther end of the window.
//! Half of the window is never more than the drift over the distance to the nearest anchor and that anchor's own
//! uncertainty; a placement beside the middle, as the line between two anchors is, may state up to twice that, because a
//! crystal that was off by 40 ppm in the mean may still have been off by 50 ppm the other way for a while.
//!
//! What follows from that: order is kept; gaps are never negative; a further fact only narrows windows, so a time never
//! moves by more than was stated. Anchors that cannot all be true are told apart by majority (`agreement`): the others
//! are flagged and left out, never averaged in. Where there is no majority, both sides' times lie within what is stated.
//! As long as any anchor is flagged, receipts are trusted no more than the clock that was wrong.

mod agreement;
mod chain;
mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use agreement::Verdict;
use chain::{Boot, Chain, Trust};
use place::Placed;

/// How far a meter's crystal may be off, in parts per million.
pub const DRIFT_PPM_MAX: f64 = 50.0;
/// Longest uptime that is believed, in ms: 2⁴⁸, some 8,900 years.
pub const UPTIME_MS_MAX: u64 = 1 << 48;

/// What is known of the extent of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootSpan {
    /// Number of the boot.
    pub boot: u32,
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

/// A boot continued the one before: the meter restarted without losing count of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The boot that began.
    pub boot: u32,
    /// Uptime of the boot before in ms at which this one's uptime was 0.
    pub uptime_ms: u64,
    /// The truth lies within ± this, in ms.
    pub uncertainty_ms: u32,
}

/// A moment of a meter, placed in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedTime {
    /// Milliseconds since 1970 in UTC.
    pub utc_ms: i64,
    /// The true time lies within ± this, in ms; years where nothing is known.
    pub uncertainty_ms: u64,
    /// Whether neither the boot nor one that it is linked with has an anchor that can be relied on, so that only its
    /// neighbours place it.
    pub estimated: bool,
}

/// The times between which something lies, in ms of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At the earliest.
    pub from_ms: i64,
    /// At the latest.
    pub to_ms: i64,
}

/// The time between the last that is known of a boot and the begin of the next one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the last known moment at the earliest to the next begin at the latest.
    pub within: Window,
    /// Its least length in ms.
    pub least_ms: u64,
    /// Its greatest length in ms.
    pub most_ms: u64,
}

/// Places the moments of one history.
#[derive(Clone, Debug, Default)]
pub struct TimeLine {
    placed: Placed,
    contradictory: Vec<Anchor>,
    doubted_links: Vec<Link>,
    are_receipts_contradictory: bool,
}

impl TimeLine {
    /// Computes the time line of one history from all that is known of it, in any order.
    #[must_use]
    pub fn new(spans: &[BootSpan], anchors: &[Anchor], links: &[Link]) -> Self {
        let mut boots: BTreeMap<u32, Boot> = BTreeMap::new();
        for span in spans {
            entry(&mut boots, span.boot).take_span(span);
        }
        for anchor in anchors {
            entry(&mut boots, anchor.boot).include(anchor.uptime_ms);
        }
        for link in links {
            let Some(before) = link.boot.checked_sub(1) else {
                continue;
            };
            entry(&mut boots, before);
            entry(&mut boots, link.boot).link = Some(*link);
        }
        let mut boots: Vec<Boot> = boots.into_values().collect();
        let mut verdict = agreement::judge(&mut boots, anchors);
        verdict.contradictory.sort_by_key(|anchor| anchor.event);
        let mut chain = Chain::believed(boots, &verdict.pins);
        let is_certain = verdict.pins.iter().all(|pin| pin.trust == Trust::Certain);
        let mut covering =
            (!is_certain).then(|| Chain::covering(chain.boots.clone(), &verdict.pins));
        let error_ms = slow_ms(covering.as_ref().unwrap_or(&chain), &verdict);
        let mut are_possible = chain.narrow_by_receipts(error_ms);
        if let Some(covering) = &mut covering {
            are_possible = covering.narrow_by_receipts(error_ms);
        }
        Self {
            placed: Placed::new(chain, covering),
            contradictory: verdict.contradictory,
            doubted_links: verdict.doubted_links,
            are_receipts_contradictory: !are_possible,
        }
    }

    /// Places one moment; `None` for a boot of which nothing is known.
    #[must_use]
    pub fn resolve(&self, boot: u32, uptime_ms: u64) -> Option<ResolvedTime> {
        let index = self.placed.find(boot)?;
        Some(self.placed.resolve(index, uptime_ms))
    }

    /// Returns between which times a moment lies; `None` for a boot of which nothing is known.
    #[must_use]
    pub fn window(&self, boot: u32, uptime_ms: u64) -> Option<Window> {
        let index = self.placed.find(boot)?;
        let (low, high) = self.placed.window(index, uptime_ms);
        Some(Window {
            from_ms: low.floor() as i64,
            to_ms: high.ceil() as i64,
        })
    }

    /// Returns what lies before a boot; `None` for the first one, and for one of which nothing is known.
    #[must_use]
    pub fn gap_before(&self, boot: u32) -> Option<Gap> {
        let index = self.placed.find(boot)?;
        self.placed.gap_before(index)
    }

    /// Returns the anchors that cannot be true together with the others, by number of event.
    #[must_use]
    pub fn contradictory(&self) -> &[Anchor] {
        &self.contradictory
    }

    /// Returns the links that anchors contradict or leave in doubt; they are not used.
    #[must_use]
    pub fn doubted_links(&self) -> &[Link] {
        &self.doubted_links
    }

    /// Tells whether readings were received before they can have been, by the anchors: some clock was wrong.
    #[must_use]
    pub fn are_receipts_contradictory(&self) -> bool {
        self.are_receipts_contradictory
    }
}

/// Returns by how much the clocks behind anchors in doubt may have been slow, in ms: they stamped receipts too.
fn slow_ms(chain: &Chain, verdict: &Verdict) -> f64 {
    let in_doubt = verdict
        .pins
        .iter()
        .filter(|pin| pin.trust != Trust::Certain);
    let in_doubt = in_doubt.map(|pin| &pin.anchor);
    let slow_ms = in_doubt.chain(&verdict.contradictory).filter_map(|anchor| {
        let (_, high) = chain.window(chain.find(anchor.boot)?, anchor.uptime_ms);
        Some(high - anchor.utc_ms as f64)
    });
    slow_ms.fold(0.0, f64::max)
}

fn entry(boots: &mut BTreeMap<u32, Boot>, boot: u32) -> &mut Boot {
    boots.entry(boot).or_insert_with(|| Boot::new(boot))
}
