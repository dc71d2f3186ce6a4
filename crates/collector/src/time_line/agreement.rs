//! Which anchors can be true together.
//!
//! Two anchors agree when the true time can pass through both within their uncertainties, the drift and the order of the
//! boots. Windows on a chain that agree in pairs agree as a whole, so pairs are all that is looked at. Of those that do not,
//! the one that contradicts most others goes first, until none is left.
//!
//! An anchor that more others contradict than side with it is overruled and left out. Where neither side has more,
//! nobody knows who is right: both stay, each with a window that covers what the other side says of its moment.
//!
//! A link between boots is left out where that alone explains what else would be lies of anchors.

use std::collections::BTreeMap;

use super::{
    Anchor, Link, UPTIME_MS_MAX,
    chain::{Boot, DRIFT, Pin, SLACK_MS, Step, TIME_MS_MAX, TIME_MS_MIN, Trust},
};

/// How many are compared each with each; beyond, the newest decide and the others follow.
const COMPARED_MAX: usize = 1_000;

/// What may be relied on.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// In order of boots and uptimes.
    pub(super) pins: Vec<Pin>,
    /// Those that contradict what was believed.
    pub(super) contradictory: Vec<Anchor>,
    pub(super) doubted_links: Vec<Link>,
}

/// Judges the anchors of a history, and takes the links that cannot be relied on out of `boots`.
pub(super) fn judge(boots: &mut [Boot], anchors: &[Anchor]) -> Verdict {
    let mut verdict = Verdict::default();
    doubt_links(boots, &mut verdict, |boots, index| {
        boots[index].step_from(&boots[index - 1]).most_ms < 0.0
    });
    let mut anchors: Vec<Anchor> = anchors.to_vec();
    let is_believable = |anchor: &Anchor| {
        (TIME_MS_MIN..=TIME_MS_MAX).contains(&(anchor.utc_ms as f64))
            && anchor.uptime_ms <= UPTIME_MS_MAX
    };
    let unbelievable = anchors.extract_if(.., |anchor| !is_believable(anchor));
    verdict.contradictory.extend(unbelievable);
    anchors.sort_by_key(|anchor| (anchor.boot, anchor.uptime_ms, anchor.event));
    let trial = loop {
        let trial = Trial::hold(boots, &anchors);
        let mut explained: BTreeMap<usize, usize> = BTreeMap::new();
        for doubted in trial.doubted() {
            for link in trial.explaining_links(boots, doubted) {
                *explained.entry(link).or_default() += 1;
            }
        }
        let worst = explained.iter().max_by_key(|(_, count)| **count);
        match worst {
            // One wrong link is likelier than several wrong anchors.
            Some((&worst, 2..)) => {
                doubt_links(boots, &mut verdict, |_, index| index == worst);
            }
            _ => break trial,
        }
    };
    trial.conclude(boots, &mut verdict);
    verdict
}

fn doubt_links(
    boots: &mut [Boot],
    verdict: &mut Verdict,
    is_wrong: impl Fn(&[Boot], usize) -> bool,
) {
    for index in 1..boots.len() {
        if boots[index].link.is_some() && is_wrong(boots, index) {
            verdict.doubted_links.extend(boots[index].link.take());
        }
    }
}

/// An anchor and where on the chain it lies.
#[derive(Clone, Copy, Debug)]
struct Witness {
    pin: Pin,
    /// Least and greatest true time since the first boot's begin; the greatest only within a stretch.
    least_ms: f64,
    most_ms: f64,
    /// Boots that continue each other are one stretch.
    stretch: usize,
}

impl Witness {
    /// Returns the true time from this one to a later one.
    fn step_to(&self, later: &Self) -> Step {
        Step {
            length_ms: (later.pin.anchor.uptime_ms as f64) - (self.pin.anchor.uptime_ms as f64),
            least_ms: later.least_ms - self.least_ms,
            most_ms: if self.stretch == later.stretch {
                later.most_ms - self.most_ms
            } else {
                f64::INFINITY
            },
        }
    }

    fn agrees(&self, later: &Self, step: &Step) -> bool {
        let ((low, high), (later_low, later_high)) = (self.pin.own, later.pin.own);
        low + step.least_ms <= later_high + SLACK_MS && later_low <= high + step.most_ms + SLACK_MS
    }
}

fn witnesses(boots: &[Boot], anchors: &[Anchor]) -> Vec<Witness> {
    let mut witnesses = Vec::with_capacity(anchors.len());
    let mut anchors = anchors.iter().peekable();
    let (mut least_ms, mut most_ms, mut stretch) = (0.0, 0.0, 0);
    for (index, boot) in boots.iter().enumerate() {
        if let Some(before) = index.checked_sub(1) {
            let step = boot.step_from(&boots[before]);
            let length_ms = boots[before].last_uptime_ms as f64;
            least_ms += length_ms * (1.0 - DRIFT) + step.least_ms;
            most_ms += length_ms * (1.0 + DRIFT) + step.most_ms;
            if !step.is_bounded() {
                (most_ms, stretch) = (0.0, stretch + 1);
            }
        }
        while let Some(anchor) = anchors.next_if(|anchor| anchor.boot == boot.boot) {
            let uptime_ms = anchor.uptime_ms as f64;
            let uncertainty_ms = f64::from(anchor.uncertainty_ms);
            let utc_ms = anchor.utc_ms as f64;
            let window = (utc_ms - uncertainty_ms, utc_ms + uncertainty_ms);
            witnesses.push(Witness {
                pin: Pin {
                    boot: index,
                    anchor: *anchor,
                    own: window,
                    covered: window,
                    trust: Trust::Certain,
                },
                least_ms: least_ms + uptime_ms * (1.0 - DRIFT),
                most_ms: most_ms + uptime_ms * (1.0 + DRIFT),
                stretch,
            });
        }
    }
    witnesses
}

/// Who contradicts whom, and who is believed.
#[derive(Debug)]
struct Trial {
    witnesses: Vec<Witness>,
    believed: Vec<bool>,
    /// For each, those that it contradicts.
    opponents: Vec<Vec<usize>>,
}

impl Trial {
    fn hold(boots: &[Boot], anchors: &[Anchor]) -> Self {
        let witnesses = witnesses(boots, anchors);
        let count = witnesses.len();
        let mut trial = Self {
            believed: vec![true; count],
            opponents: vec![Vec::new(); count],
            witnesses,
        };
        if !trial.all_agree() {
            let compared = count.saturating_sub(COMPARED_MAX)..count;
            trial.oppose(compared.clone());
            trial.believe_most(compared.clone());
            trial.follow(compared.start);
        }
        trial
    }

    /// Tells whether all agree, in one pass: what no pair contradicts, the tightest bound so far does not either.
    fn all_agree(&self) -> bool {
        let mut low = f64::NEG_INFINITY;
        let (mut high, mut stretch) = (f64::INFINITY, 0);
        self.witnesses.iter().all(|witness| {
            let (own_low, own_high) = witness.pin.own;
            if witness.stretch != stretch {
                (high, stretch) = (f64::INFINITY, witness.stretch);
            }
            let agrees = low <= own_high - witness.least_ms + SLACK_MS
                && own_low - witness.most_ms <= high + SLACK_MS;
            low = low.max(own_low - witness.least_ms);
            high = high.min(own_high - witness.most_ms);
            agrees
        })
    }

    fn agree(&self, a: usize, b: usize) -> bool {
        let (earlier, later) = (&self.witnesses[a.min(b)], &self.witnesses[a.max(b)]);
        earlier.agrees(later, &earlier.step_to(later))
    }

    fn oppose(&mut self, compared: std::ops::Range<usize>) {
        for b in compared.clone() {
            for a in compared.start..b {
                if !self.agree(a, b) {
                    self.opponents[a].push(b);
                    self.opponents[b].push(a);
                }
            }
        }
    }

    /// Leaves out the one that contradicts most, until all that are left agree.
    fn believe_most(&mut self, compared: std::ops::Range<usize>) {
        let mut against: Vec<usize> = self.opponents.iter().map(Vec::len).collect();
        let believed = &mut self.believed;
        loop {
            let left = compared.clone().filter(|&index| believed[index]);
            // Of equals the oldest: a wrong clock is set right more often than a right one wrong.
            let Some(worst) = left.max_by_key(|&index| (against[index], usize::MAX - index)) else {
                break;
            };
            if against[worst] == 0 {
                break;
            }
            believed[worst] = false;
            for &opponent in &self.opponents[worst] {
                against[opponent] -= 1;
            }
        }
        for index in compared.rev() {
            let mut opponents = self.opponents[index].iter();
            if !believed[index] && opponents.all(|&opponent| !believed[opponent]) {
                believed[index] = true;
            }
        }
    }

    /// Has the ones before `first`, newest first, follow those that are believed.
    fn follow(&mut self, first: usize) {
        let mut high = f64::INFINITY;
        let (mut low, mut stretch) = (f64::NEG_INFINITY, usize::MAX);
        for index in (0..self.witnesses.len()).rev() {
            let witness = &self.witnesses[index];
            if witness.stretch != stretch {
                (low, stretch) = (f64::NEG_INFINITY, witness.stretch);
            }
            let own_low = witness.pin.own.0 - witness.least_ms;
            let own_high = witness.pin.own.1 - witness.most_ms;
            if index < first {
                self.believed[index] = own_low <= high + SLACK_MS && low <= own_high + SLACK_MS;
            }
            if self.believed[index] {
                high = high.min(witness.pin.own.1 - witness.least_ms);
                low = low.max(witness.pin.own.0 - witness.most_ms);
            }
        }
    }

    fn doubted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.believed.len()).filter(|&index| !self.believed[index])
    }

    fn believed_opponents(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let opponents = self.opponents[index].iter().copied();
        opponents.filter(|&opponent| self.believed[opponent])
    }

    /// Returns the links without any one of which a doubted anchor would contradict nothing that is believed.
    fn explaining_links(&self, boots: &[Boot], doubted: usize) -> Vec<usize> {
        let own = self.witnesses[doubted].pin.boot;
        let (mut first, mut last) = (1, boots.len().saturating_sub(1));
        let mut are_any = false;
        for opponent in self.believed_opponents(doubted) {
            let other = self.witnesses[opponent].pin.boot;
            first = first.max(own.min(other) + 1);
            last = last.min(own.max(other));
            are_any = true;
        }
        if !are_any {
            return Vec::new();
        }
        let explains = |&link: &usize| {
            boots[link].link.is_some()
                && self.believed_opponents(doubted).all(|opponent| {
                    let (a, b) = (doubted.min(opponent), doubted.max(opponent));
                    let (earlier, later) = (&self.witnesses[a], &self.witnesses[b]);
                    let mut step = earlier.step_to(later);
                    step.least_ms -= boots[link].step_from(&boots[link - 1]).least_ms;
                    step.most_ms = f64::INFINITY;
                    earlier.agrees(later, &step)
                })
        };
        (first..=last).filter(explains).collect()
    }

    /// Writes down who is believed, who is flagged, and who stays in doubt.
    fn conclude(mut self, boots: &mut [Boot], verdict: &mut Verdict) {
        let sides = self.sides();
        let doubted: Vec<usize> = self.doubted().collect();
        let mut stays = self.believed.clone();
        for &index in &doubted {
            verdict.contradictory.push(self.witnesses[index].pin.anchor);
            let links = self.explaining_links(boots, index);
            let is_overruled = sides[index].0 > sides[index].1 && links.is_empty();
            doubt_links(boots, verdict, |_, link| links.contains(&link));
            let opponents: Vec<usize> = self.believed_opponents(index).collect();
            if is_overruled || opponents.is_empty() {
                continue;
            }
            stays[index] = true;
            self.witnesses[index].pin.trust = Trust::Doubted;
            for opponent in opponents {
                self.cover(index, opponent);
                self.witnesses[opponent].pin.trust = Trust::Preferred;
            }
        }
        let pins = self.witnesses.iter().zip(stays);
        verdict.pins = pins
            .filter(|(_, stays)| *stays)
            .map(|(witness, _)| witness.pin)
            .collect();
    }

    /// Widens the windows of two that contradict each other by what each says of the other's moment.
    fn cover(&mut self, a: usize, b: usize) {
        let (a, b) = (a.min(b), a.max(b));
        let (earlier, later) = (self.witnesses[a], self.witnesses[b]);
        let step = earlier.step_to(&later);
        let widen = |window: &mut (f64, f64), low: f64, high: f64| {
            *window = (window.0.min(low), window.1.max(high));
        };
        let (low, high) = later.pin.own;
        let window = &mut self.witnesses[a].pin.covered;
        widen(window, low - step.most_ms, high - step.least_ms);
        let (low, high) = earlier.pin.own;
        let window = &mut self.witnesses[b].pin.covered;
        widen(window, low + step.least_ms, high + step.most_ms);
    }

    /// Returns for each how many are believed and how many doubted among those that it is in conflict with, directly or
    /// through others.
    fn sides(&self) -> Vec<(usize, usize)> {
        let count = self.witnesses.len();
        let mut group: Vec<usize> = vec![usize::MAX; count];
        let mut sizes = Vec::new();
        for begin in self.doubted() {
            if group[begin] != usize::MAX {
                continue;
            }
            let (mut open, mut size) = (vec![begin], (0, 0));
            group[begin] = sizes.len();
            while let Some(index) = open.pop() {
                let is_believed = self.believed[index];
                if is_believed {
                    size.0 += 1;
                } else {
                    size.1 += 1;
                }
                for &opponent in &self.opponents[index] {
                    if self.believed[opponent] != is_believed && group[opponent] == usize::MAX {
                        group[opponent] = sizes.len();
                        open.push(opponent);
                    }
                }
            }
            sizes.push(size);
        }
        group
            .into_iter()
            .map(|group| sizes.get(group).copied().unwrap_or((0, 0)))
            .collect()
    }
}
