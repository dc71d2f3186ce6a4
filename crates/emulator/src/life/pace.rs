//! Virtual time against the time of this computer.

use std::time::{Duration, Instant};

/// How fast virtual time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many times as fast as a real chip's, above 0; slower where this computer is.
    Times(f64),
    /// As fast as it goes.
    Max,
}

/// Keeps virtual time at its pace.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    /// When the next step may begin.
    due: Instant,
    late: Duration,
}

impl Pacer {
    /// Begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            due: Instant::now(),
            late: Duration::ZERO,
        }
    }

    /// Waits as long as the virtual time that has just passed is ahead.
    pub fn keep(&mut self, passed: Duration, pace: Pace) {
        if let Some(early) = self.early(Instant::now(), passed, pace) {
            std::thread::sleep(early);
        }
    }

    /// Returns by how much virtual time was too slow in all; it is not caught up with.
    #[must_use]
    pub fn late(&self) -> Duration {
        self.late
    }

    fn early(&mut self, now: Instant, passed: Duration, pace: Pace) -> Option<Duration> {
        let Pace::Times(speed) = pace else {
            self.due = now;
            return None;
        };
        self.due += passed.div_f64(speed);
        let early = self.due.checked_duration_since(now);
        if early.is_none() {
            self.late += now - self.due;
            self.due = now;
        }
        early
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    #[test]
    fn what_is_early_waits_and_what_is_late_is_counted() {
        let mut pacer = Pacer::new();
        let begun = pacer.due;
        let real = Pace::Times(1.0);
        assert_eq!(pacer.early(begun, STEP, real), Some(STEP));
        assert_eq!(
            pacer.early(begun + STEP, STEP, Pace::Times(2.0)),
            Some(STEP / 2)
        );
        assert_eq!(pacer.late(), Duration::ZERO);
        assert_eq!(pacer.early(begun + STEP * 4, STEP, real), None);
        assert_eq!(pacer.late(), STEP * 3 / 2);
        assert_eq!(
            pacer.early(begun + STEP * 4, STEP, real),
            Some(STEP),
            "it is not caught up with"
        );
    }

    #[test]
    fn what_goes_as_fast_as_it_goes_is_never_late() {
        let mut pacer = Pacer::new();
        let begun = pacer.due;
        assert_eq!(pacer.early(begun + STEP * 100, STEP, Pace::Max), None);
        assert_eq!(pacer.late(), Duration::ZERO);
        assert_eq!(
            pacer.early(begun + STEP * 100, STEP, Pace::Times(1.0)),
            Some(STEP)
        );
    }
}
