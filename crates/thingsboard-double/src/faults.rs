//! Switchable faults: what goes wrong between a client and a server that are both in order.
//!
//! [`Faults`] is the whole setting; setting it anew replaces all of it, and `Faults::default()` is a server in order.
//! Fields that count (“the next N requests”) go down as they strike, and [`FOREVER`] does not. The connection faults
//! strike any request whose path and query contain [`Faults::only_paths_containing`]; the others belong to the telemetry
//! endpoint of the device API.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A count that never runs out.
pub const FOREVER: u32 = u32::MAX;

/// What goes wrong, all of it off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Restricts the connection faults (the next six fields) to requests whose path and query contain this text.
    pub only_paths_containing: String,
    /// Delays each request by this many milliseconds before it is handled.
    pub delay_ms: u64,
    /// Reads the next N requests and closes their connections without handling them.
    pub close_before_handling: u32,
    /// Handles the next N requests in full and closes their connections instead of answering.
    pub close_after_handling: u32,
    /// Reads the next N requests and never answers; the connection stays open.
    pub stall: u32,
    /// Answers the next N requests with status 200 and a web page, as the log-in page of a public network does.
    pub html_page: u32,
    /// Answers the next N requests with 503, as a proxy in front of a dead server does.
    pub unavailable: u32,

    /// Answers the next N telemetry posts with 500 and no body, as for a rate limit, a quota or a full queue.
    pub telemetry_errors: u32,
    /// Answers the next N requests of the device API with 401 and no body, as for a token that is not known.
    pub refuse_tokens: u32,
    /// Acknowledges this share (0 to 1) of the messages without storing them, spread evenly; a message is one timestamp.
    pub drop_fraction: f64,
    /// Stores acknowledged data only after this many milliseconds, as a busy queue does.
    pub store_delay_ms: u64,
    /// Limits the data points of each device.
    pub rate_limit: Option<RateLimit>,
    /// Answers 413 to bodies larger than this many bytes.
    pub body_bytes_max: Option<usize>,
    /// Shortens the life of access tokens that are issued from now on to this many seconds.
    pub access_token_lifetime_s: Option<u64>,
}

/// A bucket of data points that refills steadily; a post that does not fit in whole takes nothing and is refused.
///
/// A post with more points than the bucket holds can therefore never succeed, however long its sender waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Points that the full bucket holds.
    pub points: u32,
    /// Seconds in which an empty bucket fills up; at least 1.
    pub seconds: u32,
}

/// What happens to the connection of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    CloseBeforeHandling,
    CloseAfterHandling,
    Stall,
    HtmlPage,
    Unavailable,
}

/// The setting together with what it has to remember.
#[derive(Debug, Default)]
pub(crate) struct FaultBox(Mutex<FaultState>);

#[derive(Debug, Default)]
struct FaultState {
    faults: Faults,
    buckets: HashMap<Uuid, Bucket>,
    drop_due: f64,
}

#[derive(Debug)]
struct Bucket {
    points: f64,
    filled_at: Instant,
}

impl FaultBox {
    fn lock(&self) -> MutexGuard<'_, FaultState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the setting; buckets start full.
    pub(crate) fn set(&self, faults: Faults) {
        *self.lock() = FaultState {
            faults,
            ..FaultState::default()
        };
    }

    /// Returns the setting with the counts that are left.
    pub(crate) fn get(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Returns how long a request waits, and the connection fault that strikes it.
    pub(crate) fn connection_fault(&self, path_and_query: &str) -> (u64, Option<ConnectionFault>) {
        let mut state = self.lock();
        let faults = &mut state.faults;
        if !path_and_query.contains(&faults.only_paths_containing) {
            return (0, None);
        }
        let counters = [
            (
                &mut faults.close_before_handling,
                ConnectionFault::CloseBeforeHandling,
            ),
            (
                &mut faults.close_after_handling,
                ConnectionFault::CloseAfterHandling,
            ),
            (&mut faults.stall, ConnectionFault::Stall),
            (&mut faults.html_page, ConnectionFault::HtmlPage),
            (&mut faults.unavailable, ConnectionFault::Unavailable),
        ];
        let struck = counters
            .into_iter()
            .find_map(|(count, fault)| strike(count).then_some(fault));
        (faults.delay_ms, struck)
    }

    /// Tells whether a request of the device API is to be treated as one with an unknown token.
    pub(crate) fn refuses_token(&self) -> bool {
        strike(&mut self.lock().faults.refuse_tokens)
    }

    /// Tells whether a telemetry post fails as a whole.
    pub(crate) fn fails_telemetry(&self) -> bool {
        strike(&mut self.lock().faults.telemetry_errors)
    }

    /// Takes points out of a device's bucket; `false` when they do not fit, and then nothing is taken.
    pub(crate) fn takes_points(&self, device: Uuid, points: usize, now: Instant) -> bool {
        let mut state = self.lock();
        let Some(limit) = state.faults.rate_limit else {
            return true;
        };
        let capacity = f64::from(limit.points);
        let bucket = state.buckets.entry(device).or_insert(Bucket {
            points: capacity,
            filled_at: now,
        });
        let refill_per_s = capacity / f64::from(limit.seconds.max(1));
        let refilled = bucket.points
            + now
                .saturating_duration_since(bucket.filled_at)
                .as_secs_f64()
                * refill_per_s;
        bucket.points = refilled.min(capacity);
        bucket.filled_at = now;
        let fits = points as f64 <= bucket.points;
        if fits {
            bucket.points -= points as f64;
        }
        fits
    }

    /// Tells whether the next acknowledged message gets lost.
    pub(crate) fn drops_message(&self) -> bool {
        let mut state = self.lock();
        state.drop_due += state.faults.drop_fraction.clamp(0.0, 1.0);
        // The tolerance makes ten times a tenth a whole, in spite of binary fractions.
        let dropped = state.drop_due >= 1.0 - 1e-9;
        if dropped {
            state.drop_due -= 1.0;
        }
        dropped
    }
}

/// Takes one from a count; `true` when there was one.
fn strike(count: &mut u32) -> bool {
    match *count {
        0 => false,
        FOREVER => true,
        _ => {
            *count -= 1;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn with(faults: Faults) -> FaultBox {
        let faulty = FaultBox::default();
        faulty.set(faults);
        faulty
    }

    #[test]
    fn counts_run_out_and_forever_does_not() {
        let faulty = with(Faults {
            telemetry_errors: 2,
            refuse_tokens: FOREVER,
            ..Faults::default()
        });
        assert_eq!(
            [(); 3].map(|()| faulty.fails_telemetry()),
            [true, true, false]
        );
        assert!((0..1000).all(|_| faulty.refuses_token()));
        assert_eq!(
            faulty.get(),
            Faults {
                refuse_tokens: FOREVER,
                ..Faults::default()
            }
        );
    }

    #[test]
    fn connection_faults_spare_other_paths() {
        let faulty = with(Faults {
            only_paths_containing: "/tele".into(),
            stall: 1,
            ..Faults::default()
        });
        assert_eq!(faulty.connection_fault("/api/auth/login"), (0, None));
        assert_eq!(
            faulty.connection_fault("/api/v1/t/telemetry"),
            (0, Some(ConnectionFault::Stall))
        );
        assert_eq!(faulty.connection_fault("/api/v1/t/telemetry"), (0, None));
    }

    #[test]
    fn the_dropped_share_is_exact() {
        let faulty = with(Faults {
            drop_fraction: 0.1,
            ..Faults::default()
        });
        assert_eq!((0..1000).filter(|_| faulty.drops_message()).count(), 100);
        assert!(!(0..1000).any(|_| FaultBox::default().drops_message()));
    }

    #[test]
    fn a_bucket_refills_and_never_takes_more_than_it_holds() {
        let limit = RateLimit {
            points: 100,
            seconds: 10,
        };
        let faulty = with(Faults {
            rate_limit: Some(limit),
            ..Faults::default()
        });
        let (device, start) = (Uuid::nil(), Instant::now());
        let takes = |points, after_s| {
            faulty.takes_points(device, points, start + Duration::from_secs(after_s))
        };
        assert!(!takes(101, 0));
        assert!(takes(100, 0));
        assert!(!takes(1, 0));
        assert!(
            faulty.takes_points(Uuid::max(), 100, start),
            "each device has its own bucket"
        );
        assert!(!takes(51, 5));
        assert!(takes(50, 5));
        assert!(
            !takes(101, 3600),
            "waiting does not help a post that is too large"
        );
    }

    #[test]
    fn misspelt_settings_are_refused() {
        assert!(serde_json::from_str::<Faults>(r#"{"telemetry_error": 1}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Faults>("{}").ok(),
            Some(Faults::default())
        );
    }
}
