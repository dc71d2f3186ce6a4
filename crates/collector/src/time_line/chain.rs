//! The windows of all moments.
//!
//! The chain has a knot at the first and last uptime of each boot and at each anchor. Between two knots of a boot true
//! time advances by the uptime's difference ± drift; from the last knot of a boot to the first of the next by any amount
//! that is not negative, or, where the next boot continues the one before, by what the link says ± its uncertainty and
//! the drift. On a chain, tightening each window by its neighbour's once forward and once back leaves no value in any
//! window that could not be true.

use super::{Anchor, BootSpan, DRIFT_PPM_MAX, Link, UPTIME_MS_MAX};

/// How far a meter's crystal may be off, as a fraction.
pub(super) const DRIFT: f64 = DRIFT_PPM_MAX / 1e6;
/// No meter measured before 2000-01-01.
pub(super) const TIME_MS_MIN: f64 = 946_684_800_000.0;
/// No collector of this version works after 2200-01-01.
pub(super) const TIME_MS_MAX: f64 = 7_258_118_400_000.0;
/// What rounding to floating point may cost, in ms.
pub(super) const SLACK_MS: f64 = 1.0;
/// Error that is assumed of the clock by which receipts are stamped, in ms.
const RECEIPT_ERROR_MS: f64 = 2_000.0;

/// What is known of one boot, apart from its anchors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    pub(super) boot: u32,
    /// Highest known uptime in ms; the lowest is 0, at which each boot begins.
    pub(super) last_uptime_ms: u64,
    pub(super) received_offset_ms: Option<i64>,
    /// How it continues the boot before.
    pub(super) link: Option<Link>,
}

impl Boot {
    pub(super) fn new(boot: u32) -> Self {
        Self {
            boot,
            last_uptime_ms: 0,
            received_offset_ms: None,
            link: None,
        }
    }

    /// Extends the boot to an uptime.
    pub(super) fn include(&mut self, uptime_ms: u64) {
        self.last_uptime_ms = self.last_uptime_ms.max(uptime_ms.min(UPTIME_MS_MAX));
    }

    pub(super) fn take_span(&mut self, span: &BootSpan) {
        self.include(span.last_uptime_ms);
        self.received_offset_ms = span.received_offset_ms;
    }

    /// Returns the step from the last known uptime of the boot before to this one's begin.
    pub(super) fn step_from(&self, before: &Self) -> Step {
        match &self.link {
            Some(link) => Step::linked(before.last_uptime_ms, link),
            None => Step::ORDER,
        }
    }

    /// Returns the latest time at which an uptime can have been, by the receipts, whose clock was off by `error_ms`.
    ///
    /// Which uptime was received is not known, so the drift counts up to the farther end of the boot.
    fn received_before_ms(&self, uptime_ms: u64, error_ms: f64) -> f64 {
        let Some(offset_ms) = self.received_offset_ms else {
            return TIME_MS_MAX;
        };
        let farther_ms = uptime_ms.max(self.last_uptime_ms.saturating_sub(uptime_ms));
        offset_ms as f64 + uptime_ms as f64 + error_ms + farther_ms as f64 * DRIFT
    }
}

/// By how much true time advances from one moment to a later one, in ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// What the uptime says.
    pub(super) length_ms: f64,
    pub(super) least_ms: f64,
    /// Infinite where nothing but the order is known.
    pub(super) most_ms: f64,
}

impl Step {
    const ORDER: Self = Self {
        length_ms: 0.0,
        least_ms: 0.0,
        most_ms: f64::INFINITY,
    };

    fn uptime(length_ms: u64) -> Self {
        let length_ms = length_ms as f64;
        Self {
            length_ms,
            least_ms: length_ms * (1.0 - DRIFT),
            most_ms: length_ms * (1.0 + DRIFT),
        }
    }

    fn linked(last_uptime_ms: u64, link: &Link) -> Self {
        let length_ms = link.uptime_ms as f64 - last_uptime_ms as f64;
        let spread_ms = length_ms.abs() * DRIFT + f64::from(link.uncertainty_ms);
        Self {
            length_ms: length_ms.max(0.0),
            least_ms: (length_ms - spread_ms).max(0.0),
            most_ms: length_ms + spread_ms,
        }
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.most_ms.is_finite()
    }
}

/// An anchor as the chain takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    /// Index of its boot.
    pub(super) boot: usize,
    pub(super) anchor: Anchor,
    /// What it says: the true time lies in this window, in ms of UTC.
    pub(super) own: (f64, f64),
    /// The window that also covers what those say that contradict it, where there is no majority.
    pub(super) covered: (f64, f64),
    pub(super) trust: Trust,
}

/// How far an anchor is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing speaks against it, or only what was overruled.
    Certain,
    /// It places moments, but as much speaks against it.
    Preferred,
    /// It was not preferred, but may be true.
    Doubted,
}

/// One moment of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knot {
    pub(super) uptime_ms: u64,
    /// From the knot before.
    pub(super) step: Step,
    /// Window in ms of UTC.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether an anchor that is believed lies here, and how far it is relied on.
    pub(super) trust: Option<Trust>,
    /// When it was at the latest if all clocks were right: at first by its own boot's receipts.
    pub(super) latest_ms: f64,
    /// Where it was placed.
    pub(super) at: f64,
}

/// All knots of a history, and which are whose.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub(super) boots: Vec<Boot>,
    pub(super) knots: Vec<Knot>,
    /// Index of each boot's first knot.
    begins: Vec<usize>,
    /// Error that the receipts may have; `None` where they are not used.
    receipt_error_ms: Option<f64>,
}

impl Chain {
    /// Ties the chain of what is believed and finds its windows; the pins come in the order of boots and uptimes.
    pub(super) fn believed(boots: Vec<Boot>, pins: &[Pin]) -> Self {
        let pins = pins.iter().filter(|pin| pin.trust != Trust::Doubted);
        Self::new(boots, pins.map(|pin| (pin, pin.own)))
    }

    /// Ties the chain whose windows hold the truth whichever side is right.
    pub(super) fn covering(boots: Vec<Boot>, pins: &[Pin]) -> Self {
        Self::new(boots, pins.iter().map(|pin| (pin, pin.covered)))
    }

    fn new<'a>(boots: Vec<Boot>, pins: impl Iterator<Item = (&'a Pin, (f64, f64))>) -> Self {
        let mut chain = Self::default();
        let mut pins = pins.peekable();
        for (index, boot) in boots.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &boots[before]);
            chain.begins.push(chain.knots.len());
            let step = before.map_or(Step::ORDER, |before| boot.step_from(before));
            chain.knots.push(Knot::free(boot, 0, step));
            while let Some((pin, window)) = pins.next_if(|(pin, _)| pin.boot == index) {
                let knot = chain.knot_at(boot, pin.anchor.uptime_ms);
                knot.take(pin.trust, window);
            }
            chain.knot_at(boot, boot.last_uptime_ms);
        }
        chain.boots = boots;
        chain.tighten();
        chain
    }

    /// Returns the last knot, after a new one has been tied where it is at a lower uptime.
    fn knot_at(&mut self, boot: &Boot, uptime_ms: u64) -> &mut Knot {
        let newest = self.knots.len() - 1;
        let before_ms = self.knots[newest].uptime_ms;
        if before_ms < uptime_ms {
            let step = Step::uptime(uptime_ms - before_ms);
            self.knots.push(Knot::free(boot, uptime_ms, step));
        }
        self.knots.last_mut().expect("each boot has a first knot")
    }

    /// Narrows the windows to what the receipts allow, if that is possible at all; tells whether it was.
    ///
    /// `error_ms` is added to the error that is assumed anyway.
    pub(super) fn narrow_by_receipts(&mut self, error_ms: f64) -> bool {
        let error_ms = RECEIPT_ERROR_MS + error_ms;
        let mut narrowed = self.clone();
        narrowed.receipt_error_ms = Some(error_ms);
        for index in 0..self.boots.len() {
            let boot = &self.boots[index];
            for knot in &mut narrowed.knots[self.range(index)] {
                let bound = boot.received_before_ms(knot.uptime_ms, error_ms);
                knot.high = knot.high.min(bound);
            }
        }
        narrowed.tighten();
        let is_possible = narrowed
            .knots
            .iter()
            .all(|knot| knot.low <= knot.high + SLACK_MS);
        if is_possible {
            *self = narrowed;
        }
        is_possible
    }

    pub(super) fn find(&self, boot: u32) -> Option<usize> {
        let boots = &self.boots;
        boots.binary_search_by_key(&boot, |known| known.boot).ok()
    }

    /// Returns which knots are a boot's.
    pub(super) fn range(&self, boot: usize) -> std::ops::Range<usize> {
        let end = self.begins.get(boot + 1).copied();
        self.begins[boot]..end.unwrap_or(self.knots.len())
    }

    /// Returns the window of a moment in ms of UTC.
    pub(super) fn window(&self, boot: usize, uptime_ms: u64) -> (f64, f64) {
        self.window_between(boot, uptime_ms, self.around(boot, uptime_ms))
    }

    /// Returns the window of a moment whose neighbours are known.
    pub(super) fn window_between(
        &self,
        boot: usize,
        uptime_ms: u64,
        (left, right): (&Knot, Option<&Knot>),
    ) -> (f64, f64) {
        let (mut low, mut high) = (TIME_MS_MIN, TIME_MS_MAX);
        for knot in [Some(left), right].into_iter().flatten() {
            let step_ms = uptime_ms as f64 - knot.uptime_ms as f64;
            let spread_ms = step_ms.abs() * DRIFT;
            low = low.max(knot.low + step_ms - spread_ms);
            high = high.min(knot.high + step_ms + spread_ms);
        }
        let error_ms = self.receipt_error_ms;
        let received_ms =
            error_ms.map(|error_ms| self.boots[boot].received_before_ms(uptime_ms, error_ms));
        (low, received_ms.map_or(high, |bound| high.min(bound)))
    }

    /// Returns the knots of a boot before and behind a moment; the first is at the moment where one is.
    pub(super) fn around(&self, boot: usize, uptime_ms: u64) -> (&Knot, Option<&Knot>) {
        let knots = &self.knots[self.range(boot)];
        // The first knot is at 0, so there is always one before.
        let after = knots.partition_point(|knot| knot.uptime_ms <= uptime_ms);
        (&knots[after - 1], knots.get(after))
    }

    /// Narrows each window to what its neighbours allow.
    fn tighten(&mut self) {
        for index in 1..self.knots.len() {
            let left = self.knots[index - 1];
            let knot = &mut self.knots[index];
            knot.low = knot.low.max(left.low + knot.step.least_ms);
            knot.high = knot.high.min(left.high + knot.step.most_ms);
        }
        for index in (1..self.knots.len()).rev() {
            let right = self.knots[index];
            let knot = &mut self.knots[index - 1];
            knot.high = knot.high.min(right.high - right.step.least_ms);
            knot.low = knot.low.max(right.low - right.step.most_ms);
        }
    }
}

impl Knot {
    fn free(boot: &Boot, uptime_ms: u64, step: Step) -> Self {
        Self {
            uptime_ms,
            step,
            low: TIME_MS_MIN,
            high: TIME_MS_MAX,
            trust: None,
            latest_ms: match boot.received_offset_ms {
                Some(offset_ms) => offset_ms as f64 + uptime_ms as f64,
                None => TIME_MS_MAX,
            },
            at: 0.0,
        }
    }

    fn take(&mut self, trust: Trust, (low, high): (f64, f64)) {
        self.low = self.low.max(low);
        self.high = self.high.min(high);
        if trust != Trust::Doubted && self.trust != Some(Trust::Certain) {
            self.trust = Some(trust);
        }
    }

    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.low, self.high)
    }
}
