//! Updates: what was pushed and what became of it.

use collector::{
    firmware::Seen,
    store::{Push, PushOutcome},
};
use serde::Serialize;

/// An update that a meter took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PushView {
    /// Its version.
    pub(crate) version: String,
    /// What ran before.
    pub(crate) before: String,
    /// When it was pushed.
    pub(crate) pushed_ms: i64,
    /// `on_trial`, `confirmed`, `left` or `replaced`.
    pub(crate) outcome: &'static str,
}

/// What a visit saw of a meter's firmware.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FirmwareView {
    /// What runs.
    pub(crate) version: String,
    /// Whether it proved itself.
    pub(crate) confirmed: bool,
    /// The last update from here, where nobody had seen before what became of it.
    pub(crate) update: Option<PushView>,
}

impl PushView {
    /// Tells of a push.
    pub(crate) fn of(push: &Push) -> Self {
        Self {
            version: push.version.clone(),
            before: push.before.clone(),
            pushed_ms: push.pushed_ms,
            outcome: push.outcome.word(),
        }
    }

    /// Says what became of it.
    pub(crate) fn sentence(&self) -> String {
        let version = &self.version;
        let is = |outcome: PushOutcome| self.outcome == outcome.word();
        if is(PushOutcome::Confirmed) {
            format!("update {version} works and is confirmed")
        } else if is(PushOutcome::Left) {
            format!(
                "update {version} did not work: the meter went back to {}",
                self.before
            )
        } else if is(PushOutcome::Replaced) {
            format!("update {version} was followed by another")
        } else {
            format!("update {version} is on trial: the next visit tells")
        }
    }
}

impl FirmwareView {
    /// Tells what was seen.
    pub(crate) fn of(seen: &Seen) -> Self {
        Self {
            version: seen.version.clone(),
            confirmed: seen.confirmed,
            update: seen.push.as_ref().map(PushView::of),
        }
    }
}
