//! The collector's own idea of the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Error that is assumed of a computer's clock that nobody vouches for, in ms.
pub const UNKNOWN_CLOCK_ERROR_MS: u32 = 2_000;

/// Tells UTC: the computer's clock, shifted for simulated meters that live in another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Added to the computer's clock, in ms.
    pub offset_ms: i64,
    /// The true time lies within ± this, in ms.
    pub uncertainty_ms: u32,
}

impl Default for WallClock {
    fn default() -> Self {
        Self {
            offset_ms: 0,
            uncertainty_ms: UNKNOWN_CLOCK_ERROR_MS,
        }
    }
}

impl WallClock {
    /// Returns milliseconds since 1970 in UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let utc_ms = match since {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            // A clock set before 1970: negative milliseconds.
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        utc_ms.saturating_add(self.offset_ms)
    }
}
