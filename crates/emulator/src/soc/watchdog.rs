//! What the three watchdogs have in common: four stages, each with a time and an action.

/// What a stage does when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Interrupt,
    ResetCpu,
    ResetSystem,
    /// The real-time part too.
    ResetAll,
}

/// A running watchdog: since when, and in which stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watchdog {
    since: u64,
    stage: usize,
}

/// Length in cycles of 160 MHz and action of each stage.
pub(crate) type Stages = [(u64, Option<Action>); 4];

impl Watchdog {
    pub(crate) fn feed(&mut self, now: u64) {
        *self = Self {
            since: now,
            stage: 0,
        };
    }

    /// Returns when the stage ends that is running; after the last one nothing follows until it is fed.
    pub(crate) fn next_event(&self, stages: &Stages) -> Option<u64> {
        Some(self.since + stages.get(self.stage)?.0)
    }

    /// Returns what stages that ended by now ask for.
    pub(crate) fn advance(&mut self, stages: &Stages, now: u64) -> Option<Action> {
        let mut asked = None;
        while let Some(end) = self.next_event(stages).filter(|end| *end <= now) {
            asked = stages[self.stage].1.or(asked);
            self.since = end;
            self.stage += 1;
            if asked.is_some_and(|action| action != Action::Interrupt) {
                break;
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_and_feeding_starts_over() {
        let stages = [
            (100, Some(Action::Interrupt)),
            (50, Some(Action::ResetCpu)),
            (10, None),
            (10, Some(Action::ResetSystem)),
        ];
        let mut watchdog = Watchdog::default();
        watchdog.feed(1_000);
        assert_eq!(watchdog.advance(&stages, 1_099), None);
        assert_eq!(watchdog.advance(&stages, 1_100), Some(Action::Interrupt));
        assert_eq!(watchdog.next_event(&stages), Some(1_150));
        watchdog.feed(1_140);
        assert_eq!(watchdog.advance(&stages, 1_239), None);
        assert_eq!(watchdog.advance(&stages, 1_290), Some(Action::ResetCpu));
        assert_eq!(watchdog.advance(&stages, 1_310), Some(Action::ResetSystem));
        assert_eq!(watchdog.next_event(&stages), None);
    }
}
