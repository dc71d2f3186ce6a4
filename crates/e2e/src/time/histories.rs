//! Random true histories of a meter, and what a collector gets to know of each.
//!
//! A history is made by seed: boots from seconds to months, apart by power cuts or resets that the slow clock went
//! through, each with a crystal that is off by up to 50 ppm, constantly or wandering with the temperature; and visits of
//! collectors that tell the time, fetch all, a part or nothing.

use std::collections::BTreeMap;

use collector::time_line::{Anchor, BootSpan, DRIFT_PPM_MAX, Link};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// 2027-01-15; a whole number of ms since 1970.
const BEGIN_MS: f64 = 1_800_000_000_000.0;
const BOOTS_MAX: usize = 40;
const DAY_MS: f64 = 86_400_000.0;
/// Shortest and longest boot, in ms.
const LENGTHS_MS: [f64; 2] = [5_000.0, 60.0 * DAY_MS];
/// Shortest and longest time without power, in ms.
const CUTS_MS: [f64; 2] = [1_000.0, 30.0 * DAY_MS];
/// Shortest and longest time from a reset to the next start, in ms.
const RESETS_MS: [f64; 2] = [300.0, 5_000.0];
/// Lowest and highest uncertainty of an anchor, in ms.
const UNCERTAINTIES_MS: [f64; 2] = [10.0, 2_000.0];
/// Least and greatest error of an anchor that lies, in ms: three seconds to ten years.
const LIES_MS: [f64; 2] = [3_000.0, 3_650.0 * DAY_MS];
/// Stretches of a boot in which a wandering drift is constant.
const WANDER_STEPS: usize = 48;

/// What truly was, and what is known of it.
#[derive(Clone, Debug)]
pub struct History {
    /// In order.
    pub boots: Vec<TrueBoot>,
    /// What was received of the boots.
    pub spans: Vec<BootSpan>,
    /// What collectors told.
    pub anchors: Vec<Anchor>,
    /// Which boots continue the one before.
    pub links: Vec<Link>,
    /// Numbers of the anchors that are off by more than they state.
    pub lies: Vec<u64>,
}

/// One boot as it truly was.
#[derive(Clone, Debug)]
pub struct TrueBoot {
    length_ms: f64,
    /// Where each stretch begins: uptime, UTC, and the drift from there on.
    pieces: Vec<(f64, f64, f64)>,
}

impl TrueBoot {
    /// Returns the true UTC in ms of an uptime, also beyond the boot's end.
    #[must_use]
    pub fn utc_ms(&self, uptime_ms: f64) -> f64 {
        let after = self
            .pieces
            .partition_point(|(begin_ms, ..)| *begin_ms <= uptime_ms);
        let (begin_ms, utc_ms, drift) = self.pieces[after.saturating_sub(1)];
        utc_ms + (uptime_ms - begin_ms) * (1.0 + drift)
    }

    /// Returns the uptime of a true UTC, as if the boot went on beyond its end.
    fn uptime_ms(&self, utc_ms: f64) -> f64 {
        let after = self
            .pieces
            .partition_point(|(_, at_ms, _)| *at_ms <= utc_ms);
        let (begin_ms, at_ms, drift) = self.pieces[after.saturating_sub(1)];
        begin_ms + (utc_ms - at_ms) / (1.0 + drift)
    }

    fn end_ms(&self) -> f64 {
        self.utc_ms(self.length_ms)
    }

    /// Tells whether the crystal was off by the same all the time.
    #[must_use]
    pub fn is_drift_constant(&self) -> bool {
        self.pieces.len() == 1
    }
}

impl History {
    /// Makes the history of a seed; with up to two visits whose clock is wrong, where that is asked for.
    #[must_use]
    pub fn random(seed: u64, with_lies: bool) -> Self {
        let mut random = Random(StdRng::seed_from_u64(seed));
        let (boots, links) = boots(&mut random);
        let mut told = Told {
            known: BTreeMap::new(),
            anchors: Vec::new(),
            lies: Vec::new(),
            reach: 0.0,
        };
        let mut visits = visits(&mut random, &boots);
        if with_lies {
            lie(&mut random, &mut visits);
        }
        let is_careful = random.one_in(2);
        for visit in &visits {
            told.take(&mut random, &boots, visit, is_careful);
        }
        let known = told.known.keys().next_back().map_or(0, |last| *last);
        let links = links.into_iter().filter(|link| link.boot <= known);
        Self {
            links: links.collect(),
            spans: told.known.into_values().collect(),
            anchors: told.anchors,
            lies: told.lies,
            boots,
        }
    }
}

struct Random(StdRng);

impl Random {
    fn one_in(&mut self, count: u32) -> bool {
        self.0.random_range(0..count) == 0
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0.random_range(low..=high)
    }

    /// Draws so that each order of magnitude is equally likely.
    fn magnitude(&mut self, [low, high]: [f64; 2]) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// Draws an error that stays within what is stated in whole ms.
    fn error_ms(&mut self, stated_ms: u32) -> f64 {
        let most_ms = f64::from(stated_ms) - 1.0;
        self.between(-most_ms, most_ms)
    }
}

fn boots(random: &mut Random) -> (Vec<TrueBoot>, Vec<Link>) {
    let count = random.0.random_range(1..=BOOTS_MAX);
    // Some meters stand at a bad plug: all of their boots are short.
    let longest_ms = if random.one_in(4) {
        600_000.0
    } else {
        LENGTHS_MS[1]
    };
    let (mut boots, mut links): (Vec<TrueBoot>, Vec<Link>) = (Vec::new(), Vec::new());
    for boot in 0..count {
        let begin_ms = match boots.last() {
            None => BEGIN_MS,
            Some(before) if random.one_in(3) => {
                let begin_ms = before.end_ms() + random.magnitude(RESETS_MS);
                let uncertainty_ms = random.magnitude([2.0, 100.0]) as u32;
                let error_ms = random.error_ms(uncertainty_ms);
                let uptime_ms = before.uptime_ms(begin_ms) + error_ms;
                links.push(Link {
                    boot: boot as u32,
                    uptime_ms: uptime_ms.round() as u64,
                    uncertainty_ms,
                });
                begin_ms
            }
            Some(before) => before.end_ms() + random.magnitude(CUTS_MS),
        };
        let length_ms = random.magnitude([LENGTHS_MS[0], longest_ms]).round();
        boots.push(TrueBoot {
            length_ms,
            pieces: pieces(random, begin_ms, length_ms),
        });
    }
    (boots, links)
}

/// Draws how the crystal of a boot was off: constantly, or by a random walk that is turned back at the bounds.
fn pieces(random: &mut Random, begin_ms: f64, length_ms: f64) -> Vec<(f64, f64, f64)> {
    let most = DRIFT_PPM_MAX / 1e6;
    let mut drift = random.between(-most, most);
    if random.one_in(2) {
        return vec![(0.0, begin_ms, drift)];
    }
    let step_ms = length_ms / WANDER_STEPS as f64;
    let mut pieces = Vec::with_capacity(WANDER_STEPS);
    let mut utc_ms = begin_ms;
    for step in 0..WANDER_STEPS {
        pieces.push((step as f64 * step_ms, utc_ms, drift));
        utc_ms += step_ms * (1.0 + drift);
        drift += random.between(-most / 4.0, most / 4.0);
        if drift.abs() > most {
            drift = 2.0 * most.copysign(drift) - drift;
        }
    }
    pieces
}

/// A collector comes by.
#[derive(Clone, Copy, Debug)]
struct Visit {
    boot: usize,
    uptime_ms: f64,
    /// By how much its clock is wrong beyond what it states; 0 for an honest one.
    lie_ms: f64,
}

/// Draws visits, in order.
fn visits(random: &mut Random, boots: &[TrueBoot]) -> Vec<Visit> {
    let count = random.0.random_range(0..=30);
    let total_ms: f64 = boots.iter().map(|boot| boot.length_ms).sum();
    let draw = |_| {
        // As often any boot as any time: short boots are visited too.
        let mut at_ms = random.between(0.0, total_ms);
        let mut boot = random.0.random_range(0..boots.len());
        if random.one_in(2) {
            boot = 0;
            while at_ms > boots[boot].length_ms && boot + 1 < boots.len() {
                at_ms -= boots[boot].length_ms;
                boot += 1;
            }
        }
        Visit {
            boot,
            uptime_ms: random.between(0.0, boots[boot].length_ms).floor(),
            lie_ms: 0.0,
        }
    };
    let mut visits: Vec<Visit> = (0..count).map(draw).collect();
    visits.sort_by(|a, b| {
        (a.boot, a.uptime_ms)
            .partial_cmp(&(b.boot, b.uptime_ms))
            .expect("numbers")
    });
    visits
}

/// Has one visit or two come with a clock that is wrong: set wrong and then back, or each in its own way.
fn lie(random: &mut Random, visits: &mut [Visit]) {
    if visits.is_empty() {
        return;
    }
    let draw = |random: &mut Random| {
        let lie_ms = random.magnitude(LIES_MS);
        if random.one_in(2) { lie_ms } else { -lie_ms }
    };
    let lie_ms = draw(random);
    let first = random.0.random_range(0..visits.len());
    visits[first].lie_ms = lie_ms;
    if random.one_in(3) {
        let second = random.0.random_range(0..visits.len());
        visits[second].lie_ms = if random.one_in(2) {
            lie_ms
        } else {
            draw(random)
        };
    }
}

/// What the collectors know by now.
struct Told {
    known: BTreeMap<u32, BootSpan>,
    anchors: Vec<Anchor>,
    lies: Vec<u64>,
    /// Received up to here: boot and, in its fraction, the share of its length.
    reach: f64,
}

impl Told {
    fn take(&mut self, random: &mut Random, boots: &[TrueBoot], visit: &Visit, is_careful: bool) {
        let true_ms = boots[visit.boot].utc_ms(visit.uptime_ms);
        let widest = if is_careful {
            50.0
        } else {
            UNCERTAINTIES_MS[1]
        };
        let uncertainty_ms = random.magnitude([UNCERTAINTIES_MS[0], widest]) as u32;
        let error_ms = random.error_ms(uncertainty_ms);
        // The connection may break before anything came, in between, or before the time was told.
        let breaks = random.0.random_range(0..10);
        if breaks != 0 {
            let share = visit.uptime_ms / boots[visit.boot].length_ms;
            let here = visit.boot as f64 + share.min(0.999_999);
            let reach = if breaks == 1 {
                self.reach.min(here) + random.between(0.0, 1.0) * (here - self.reach).max(0.0)
            } else {
                here
            };
            self.receive(boots, reach, true_ms + error_ms + visit.lie_ms);
        }
        if breaks > 1 || breaks == 0 {
            let event = self.anchors.len() as u64;
            if visit.lie_ms != 0.0 {
                self.lies.push(event);
            }
            self.anchors.push(Anchor {
                event,
                boot: visit.boot as u32,
                uptime_ms: visit.uptime_ms as u64,
                utc_ms: (true_ms + error_ms + visit.lie_ms).round() as i64,
                uncertainty_ms,
            });
            self.know(visit.boot, visit.uptime_ms);
        }
    }

    /// Receives everything up to a boot and share of its length, at what the collector holds for the time.
    fn receive(&mut self, boots: &[TrueBoot], reach: f64, clock_ms: f64) {
        let reached = self.reach as usize..=reach as usize;
        let boots = boots.iter().enumerate();
        for (boot, truth) in boots.filter(|(boot, _)| reached.contains(boot)) {
            let share = if boot == reach as usize {
                reach.fract()
            } else {
                1.0
            };
            let uptime_ms = (truth.length_ms * share).floor();
            let span = self.know(boot, uptime_ms);
            let offset_ms = (clock_ms - uptime_ms).round() as i64;
            let least_ms = span
                .received_offset_ms
                .map_or(offset_ms, |ms| ms.min(offset_ms));
            span.received_offset_ms = Some(least_ms);
        }
        self.reach = self.reach.max(reach);
    }

    fn know(&mut self, boot: usize, uptime_ms: f64) -> &mut BootSpan {
        let span = self.known.entry(boot as u32).or_insert(BootSpan {
            boot: boot as u32,
            last_uptime_ms: 0,
            received_offset_ms: None,
        });
        span.last_uptime_ms = span.last_uptime_ms.max(uptime_ms as u64);
        span
    }
}
