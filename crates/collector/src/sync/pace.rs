//! How much to send at once, and how long to wait after a failure.
//!
//! ThingsBoard answers a rate limit, a quota and an internal failure alike, and a post with more points than its bucket
//! holds never succeeds however long one waits. So after such an answer the batch is halved *and* time passes. A server
//! that cannot be reached gets the same batch again: sending twice does no harm.

use std::time::Duration;

use crate::thingsboard::ServerError;

/// Accepted uploads in a row after which a batch grows again.
const ACCEPTED_TO_GROW: u32 = 8;

/// How failures are waited out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Failures in a row after which a device is given up for this time.
    pub failures_max: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            failures_max: 12,
        }
    }
}

impl Backoff {
    /// Returns the wait after this many failures in a row; `None` when it is time to give up.
    pub(super) fn wait(&self, failures: u32) -> Option<Duration> {
        if failures == 0 || failures >= self.failures_max {
            return None;
        }
        let factor = 1u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        Some(self.first.saturating_mul(factor).min(self.longest))
    }
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on at once.
    GoOn,
    /// Go on after this time.
    Wait(Duration),
    /// Leave this device.
    GiveUp,
}

/// Tells whether the same request may succeed later.
pub(super) fn is_passing(error: &ServerError) -> bool {
    matches!(
        error,
        ServerError::Unreachable(_)
            | ServerError::Unavailable { .. }
            | ServerError::Overloaded { .. }
    )
}

/// The pace of one device.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    batch: usize,
    batch_max: usize,
    failures: u32,
    accepted: u32,
}

impl Pace {
    /// Begins with the largest batch, in readings.
    pub(super) fn new(backoff: Backoff, batch_max: usize) -> Self {
        Self {
            backoff,
            batch: batch_max.max(1),
            batch_max: batch_max.max(1),
            failures: 0,
            accepted: 0,
        }
    }

    /// Returns how many readings to send at once, at least 1.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Takes note of an accepted upload.
    pub(super) fn accepted(&mut self) {
        self.failures = 0;
        self.accepted += 1;
        if self.accepted >= ACCEPTED_TO_GROW {
            self.accepted = 0;
            self.batch = (self.batch * 2).min(self.batch_max);
        }
    }

    /// Takes note of a failed upload of `readings` readings.
    pub(super) fn failed(&mut self, error: &ServerError, readings: usize) -> Step {
        self.accepted = 0;
        // A batch may have been cut by the limit of points before: half of what was sent counts.
        let half = (readings / 2).max(1);
        match error {
            ServerError::TooLarge if readings <= 1 => return Step::GiveUp,
            ServerError::TooLarge => {
                // It will not accept more next time either.
                self.batch_max = half;
                self.batch = half;
                return Step::GoOn;
            }
            ServerError::Overloaded { .. } => self.batch = half,
            error if !is_passing(error) => return Step::GiveUp,
            _ => {}
        }
        self.failures += 1;
        match self.backoff.wait(self.failures) {
            Some(wait) => Step::Wait(wait),
            None => Step::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLOADED: ServerError = ServerError::Overloaded { status: 500 };
    const UNAVAILABLE: ServerError = ServerError::Unavailable { status: 503 };

    fn seconds(step: Step) -> u64 {
        match step {
            Step::Wait(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_overloaded_server_gets_half_and_twice_the_time_down_to_one_reading() {
        let mut pace = Pace::new(Backoff::default(), 500);
        let mut seen = Vec::new();
        for _ in 0..11 {
            let batch = pace.batch();
            seen.push((batch, seconds(pace.failed(&OVERLOADED, batch))));
        }
        assert_eq!(
            seen,
            [
                (500, 1),
                (250, 2),
                (125, 4),
                (62, 8),
                (31, 16),
                (15, 32),
                (7, 60),
                (3, 60),
                (1, 60),
                (1, 60),
                (1, 60)
            ]
        );
        assert_eq!(pace.failed(&OVERLOADED, 1), Step::GiveUp);
    }

    #[test]
    fn an_unavailable_server_gets_the_same_again() {
        let mut pace = Pace::new(Backoff::default(), 300);
        assert_eq!(seconds(pace.failed(&UNAVAILABLE, 300)), 1);
        assert_eq!(pace.batch(), 300);
        pace.accepted();
        assert_eq!(seconds(pace.failed(&UNAVAILABLE, 300)), 1, "counted anew");
    }

    #[test]
    fn too_large_is_halved_at_once_and_remembered() {
        let mut pace = Pace::new(Backoff::default(), 400);
        assert_eq!(pace.failed(&ServerError::TooLarge, 400), Step::GoOn);
        for _ in 0..100 {
            pace.accepted();
            assert!(pace.batch() <= 200);
        }
        assert_eq!(pace.failed(&ServerError::TooLarge, 1), Step::GiveUp);
    }

    #[test]
    fn batches_grow_again_after_a_rate_limit() {
        let mut pace = Pace::new(Backoff::default(), 100);
        for _ in 0..3 {
            let batch = pace.batch();
            pace.failed(&OVERLOADED, batch);
        }
        assert_eq!(pace.batch(), 12);
        for _ in 0..4 * ACCEPTED_TO_GROW {
            pace.accepted();
        }
        assert_eq!(pace.batch(), 100);
    }

    #[test]
    fn refusals_are_not_repeated() {
        for error in [
            ServerError::UnknownToken,
            ServerError::Forbidden,
            ServerError::NotThingsBoard { status: 200 },
        ] {
            let mut pace = Pace::new(Backoff::default(), 100);
            assert_eq!(pace.failed(&error, 100), Step::GiveUp);
        }
    }
}
