//! The server's clock: wall time in the unit that its API uses.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns milliseconds since 1970-01-01 UTC; 0 when the machine's clock stands before that.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
