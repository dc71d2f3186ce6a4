//! Firmware on trial: when it is confirmed, and when the chip restarts because it is not.

use embedded_storage::nor_flash::NorFlash;
use protocol::event::{Version, What};

use crate::{meter::Meter, slots::Slots};

/// Uptime at which firmware on trial must have proved itself, in ms.
pub const TRIAL_MS: u64 = 120_000;
/// A confirmation that could not be written is tried again after this time, in ms.
const RETRY_MS: u64 = 10_000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    GoOn,
    /// Restart: the firmware did not prove itself in time, and there is another one.
    Restart,
}

/// Watches a boot until the firmware is confirmed.
#[derive(Debug, Default)]
pub struct Trial {
    is_over: bool,
    /// Uptime before which nothing is tried, in ms.
    not_before_ms: u64,
}

impl Trial {
    /// Begins with a boot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at how far the boot is; to be called some times a second. That there is a meter says that the store is mounted.
    ///
    /// Confirms the firmware when a window of samples was measured and the access point is up. Where a slot was left for
    /// this one, that goes into the event log here.
    pub fn step<F: NorFlash, S: NorFlash>(
        &mut self,
        meter: &mut Meter<F>,
        slots: &mut Slots<S>,
        is_access_point_up: bool,
        now_ms: u64,
    ) -> Step {
        if self.is_over || now_ms < self.not_before_ms {
            return Step::GoOn;
        }
        if is_access_point_up && meter.is_measuring() {
            self.is_over = conclude(meter, slots, now_ms);
            self.not_before_ms = now_ms.saturating_add(RETRY_MS);
            return Step::GoOn;
        }
        let is_late = now_ms >= TRIAL_MS && !slots.is_confirmed();
        if is_late && slots.can_leave().unwrap_or(false) {
            return Step::Restart;
        }
        if is_late {
            // Nothing better is there; looking once is enough.
            self.not_before_ms = now_ms.saturating_add(RETRY_MS);
        }
        Step::GoOn
    }
}

/// Confirms and tells; `false` where the flash of the slots failed.
fn conclude<F: NorFlash, S: NorFlash>(
    meter: &mut Meter<F>,
    slots: &mut Slots<S>,
    now_ms: u64,
) -> bool {
    if let Some(left) = slots.left() {
        let header = slots.header(left).ok().flatten();
        let version = header.and_then(|header| Version::try_from(header.version.as_str()).ok());
        meter.log(
            now_ms,
            What::FirmwareLeft {
                version: version.unwrap_or_default(),
            },
        );
        if slots.left_told().is_err() {
            return false;
        }
    }
    if slots.is_confirmed() {
        return true;
    }
    let version = meter.firmware().clone();
    if slots.confirm().is_err() {
        return false;
    }
    meter.log(now_ms, What::FirmwareConfirmed { version });
    true
}
