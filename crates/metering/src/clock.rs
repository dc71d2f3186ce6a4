//! What the timer says about the samples: their true rate, the time of each, and where some are missing.
//!
//! Pairs come evenly, but their nominal rate may be wrong by several percent; the caller's timer is right, but its
//! stamps come only now and then and may be late. So the **period** is pairs counted against the timer over 8 to 16 s,
//! and the **time** of a sample follows that period, pulled by an eighth of its error at each stamp. A stamp that is
//! later than the pairs can explain means that samples are missing before this portion.
//!
//! Times are in 1/256 µs (`q8`), periods in 1/2^20 µs (`q20`, below 2^30 as the rate is at least 2 kHz).

/// Uptimes beyond 570 years are treated as that.
const UPTIME_US_MAX: u64 = 1 << 54;
/// A stamp that is later by less than this is jitter.
const JITTER_US: u64 = 2_000;
/// Time after which an anchor is replaced by the next.
const ANCHOR_US: u64 = 8_000_000;
/// Time that the first measurement of the period takes.
const FIRST_MEASUREMENT_US: u64 = 100_000;
/// After a gap the old period stays in force until the new one has been measured for so long.
const NEW_MEASUREMENT_US: u64 = 4_000_000;
/// Longest span that a period is measured over; longer portions are measured, but not learnt from.
const SPAN_US_MAX: u64 = 1 << 40;

/// Time line of the pairs of one portion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Time of the sample before the first, or where it would have been, in 1/256 µs.
    base_q8: u64,
    /// Time between two samples in this portion in 1/2^20 µs.
    step_q20: u64,
    /// Whether samples are missing before this portion.
    pub(crate) gap: bool,
}

impl Span {
    /// Returns the span without its first pairs.
    pub(crate) fn after(&self, pairs: usize) -> Self {
        let skipped_q8 = (pairs as u64).saturating_mul(self.step_q20) >> 12;
        Self {
            base_q8: self.base_q8 + skipped_q8,
            ..*self
        }
    }

    /// Returns the time in µs of a point `fraction_q15` of a sample after the sample before `index`.
    pub(crate) fn time_us(&self, index: usize, fraction_q15: i64) -> u64 {
        let whole = (index as u64).saturating_mul(self.step_q20) >> 12;
        let part = (fraction_q15.clamp(0, 1 << 15) as u64 * self.step_q20) >> 27;
        (self.base_q8 + whole + part + 128) >> 8
    }
}

/// A point that the period is measured from.
#[derive(Clone, Copy, Debug, Default)]
struct Anchor {
    us: u64,
    pairs: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct SampleClock {
    nominal_q20: u64,
    period_q20: u64,
    /// Span that the period was measured over, 0 before the first measurement.
    measured_us: u64,
    /// Time of the last sample, once there is one.
    time_q8: Option<u64>,
    old: Anchor,
    young: Anchor,
    /// Span that a new measurement must have to replace the period.
    needed_us: u64,
}

impl SampleClock {
    pub(crate) fn new(sample_rate_hz: u32) -> Self {
        let nominal_q20 = (1_000_000 << 20) / u64::from(sample_rate_hz);
        Self {
            nominal_q20,
            period_q20: nominal_q20,
            measured_us: 0,
            time_q8: None,
            old: Anchor::default(),
            young: Anchor::default(),
            needed_us: FIRST_MEASUREMENT_US,
        }
    }

    /// Forgets where the samples were, but not how fast they come.
    pub(crate) fn restart(&mut self) {
        self.time_q8 = None;
    }

    /// Whether the period was measured, not assumed.
    pub(crate) fn is_measured(&self) -> bool {
        self.measured_us > 0
    }

    /// Period in 1/2^20 µs, below 2^30.
    pub(crate) fn period_q20(&self) -> u64 {
        self.period_q20
    }

    /// Takes the stamp of the last of `pairs` pairs, at least one.
    pub(crate) fn stamp(&mut self, pairs: u64, end_us: u64) -> Span {
        let end_us = end_us.min(UPTIME_US_MAX);
        let end_q8 = end_us << 8;
        let Some(time_q8) = self.time_q8 else {
            self.anchor(end_us);
            return self.jump(pairs, end_q8, false);
        };
        let duration_q8 = (pairs.saturating_mul(self.period_q20)) >> 12;
        let doubt = if self.is_measured() { 1024 } else { 32 };
        let tolerance_q8 = (JITTER_US << 8) + duration_q8 / doubt;
        if end_q8
            > time_q8
                .saturating_add(duration_q8)
                .saturating_add(tolerance_q8)
        {
            self.anchor(end_us);
            self.needed_us = self
                .measured_us
                .clamp(FIRST_MEASUREMENT_US, NEW_MEASUREMENT_US);
            return self.jump(pairs, end_q8, true);
        }
        self.measure(pairs, end_us);
        let duration_q8 = (pairs.saturating_mul(self.period_q20)) >> 12;
        let error_q8 =
            end_q8 as i64 - time_q8.saturating_add(duration_q8).min(i64::MAX as u64) as i64;
        // Time must not run backwards, whatever the timer says.
        let half = (duration_q8 / 2).min(1 << 60) as i64;
        let duration_q8 = duration_q8.saturating_add_signed((error_q8 / 8).clamp(-half, half));
        let now_q8 = time_q8.saturating_add(duration_q8).min(UPTIME_US_MAX << 8);
        self.time_q8 = Some(now_q8);
        Span {
            base_q8: time_q8,
            step_q20: ((now_q8 - time_q8).min(1 << 51) << 12) / pairs,
            gap: false,
        }
    }

    /// Places the portion by its stamp alone, but never before the last sample.
    fn jump(&mut self, pairs: u64, end_q8: u64, gap: bool) -> Span {
        let duration_q8 = (pairs.saturating_mul(self.period_q20)) >> 12;
        let base_q8 = end_q8
            .saturating_sub(duration_q8)
            .max(self.time_q8.unwrap_or(0));
        self.time_q8 = Some(end_q8);
        // Shorter than its pairs take only where the uptime would begin before 0.
        let duration_q8 = (end_q8 - base_q8).min(duration_q8).min(1 << 51);
        Span {
            base_q8,
            step_q20: (duration_q8 << 12) / pairs,
            gap,
        }
    }

    fn anchor(&mut self, us: u64) {
        self.old = Anchor { us, pairs: 0 };
        self.young = self.old;
    }

    fn measure(&mut self, pairs: u64, end_us: u64) {
        self.old.pairs = self.old.pairs.saturating_add(pairs);
        self.young.pairs = self.young.pairs.saturating_add(pairs);
        let span_us = end_us.saturating_sub(self.old.us);
        if span_us >= self.needed_us && span_us < SPAN_US_MAX {
            let period_q20 = (span_us << 20) / self.old.pairs;
            let nominal_q20 = self.nominal_q20;
            // A timer that disagrees by more than 5 % is not believed.
            if period_q20.abs_diff(nominal_q20) <= nominal_q20 / 20 {
                self.period_q20 = period_q20;
                self.measured_us = span_us;
                self.needed_us = FIRST_MEASUREMENT_US;
            }
        }
        if end_us.saturating_sub(self.young.us) >= ANCHOR_US {
            self.old = self.young;
            self.young = Anchor {
                us: end_us,
                pairs: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// Feeds portions of 100 pairs that really come at `rate_hz`.
    fn fed(clock: &mut SampleClock, rate_hz: f64, portions: u64, from: u64) {
        for portion in from + 1..=from + portions {
            let end_us = portion as f64 * 100.0 / rate_hz * 1e6;
            assert!(!clock.stamp(100, end_us as u64).gap);
        }
    }

    #[test]
    fn rate_that_is_off_by_two_percent_is_measured_to_1e6() {
        for rate_hz in [1960.0, 2000.0, 2040.0] {
            let mut clock = SampleClock::new(2_000);
            fed(&mut clock, rate_hz, 400, 0);
            let period_us = clock.period_q20() as f64 / f64::from(1 << 20);
            assert!(
                (period_us * rate_hz / 1e6 - 1.0).abs() < 1e-6,
                "{rate_hz}: {period_us}"
            );
        }
    }

    #[test]
    fn jitter_of_a_millisecond_is_no_gap_and_moves_the_rate_by_less_than_2e4() {
        let mut clock = SampleClock::new(2_000);
        for portion in 1..=1000_u64 {
            let late_us = portion * 7919 % 1000;
            assert!(!clock.stamp(100, portion * 50_000 + late_us).gap);
        }
        let period_us = clock.period_q20() as f64 / f64::from(1 << 20);
        assert!((period_us / 500.0 - 1.0).abs() < 2e-4, "{period_us}");
    }

    #[test]
    fn missing_samples_show_and_leave_the_rate() {
        let mut clock = SampleClock::new(2_000);
        fed(&mut clock, 2_010.0, 100, 0);
        let before = clock.period_q20();
        let end_us = (10_000.0 / 2_010.0 * 1e6) as u64 + 45_000;
        let span = clock.stamp(20, end_us);
        assert!(span.gap);
        assert_eq!(clock.period_q20(), before);
        assert_eq!(span.time_us(20, 0), end_us);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut clock = SampleClock::new(2_000);
        let mut last = 0;
        for end_us in [0, 5, 100_000, 3, u64::MAX, 0, 1, u64::MAX, 200_000] {
            for pairs in [1, 7, 100_000, u64::from(u32::MAX)] {
                let span = clock.stamp(pairs, end_us);
                for index in [0, pairs as usize / 2, pairs as usize] {
                    let time = span.time_us(index, 0);
                    assert!(time >= last, "{end_us} {pairs} {index}: {time} < {last}");
                    last = time;
                }
            }
        }
    }
}
