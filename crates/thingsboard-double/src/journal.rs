//! What the server saw: for tests that hold a client to its manners.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests that are remembered; older ones are forgotten.
pub const REQUESTS_REMEMBERED: usize = 10_000;

/// One request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The method, in capitals.
    pub method: String,
    /// The path with its query; a device token in it is replaced by `***`.
    pub path: String,
    /// Size of the body in bytes.
    pub body_bytes: usize,
    /// The status that was answered, or `None` when the connection was closed instead.
    pub status: Option<u16>,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Telemetry posts of the device API that were received.
    pub telemetry_posts: u64,
    /// Data points that were written by either API, replacements included.
    pub points_written: u64,
    /// Data points that were acknowledged and not stored: by a fault, for a bad key or because the server is full.
    pub points_dropped: u64,
    /// The largest number of telemetry posts that one device ever had under way at the same time.
    pub telemetry_in_flight_max: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<RequestRecord>,
    statistics: Statistics,
    in_flight: HashMap<String, u32>,
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, request: RequestRecord) {
        let requests = &mut self.lock().requests;
        if requests.len() == REQUESTS_REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.iter().cloned().collect()
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.lock().statistics
    }

    pub(crate) fn count_points(&self, written: usize, dropped: usize) {
        let statistics = &mut self.lock().statistics;
        statistics.points_written += written as u64;
        statistics.points_dropped += dropped as u64;
    }

    /// Counts a telemetry post as under way until the guard goes.
    pub(crate) fn telemetry_post(&self, token: &str) -> InFlight<'_> {
        let mut state = self.lock();
        state.statistics.telemetry_posts += 1;
        let count = state.in_flight.entry(token.to_owned()).or_default();
        *count += 1;
        state.statistics.telemetry_in_flight_max =
            (*count).max(state.statistics.telemetry_in_flight_max);
        InFlight {
            journal: self,
            token: token.to_owned(),
        }
    }
}

/// A telemetry post that is under way.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    journal: &'a Journal,
    token: String,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.journal.lock();
        let Some(count) = state.in_flight.get_mut(&self.token) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.in_flight.remove(&self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_of_one_device_count_as_parallel_only_while_they_overlap() {
        let journal = Journal::default();
        drop(journal.telemetry_post("a"));
        let first = journal.telemetry_post("a");
        let other = journal.telemetry_post("b");
        assert_eq!(journal.statistics().telemetry_in_flight_max, 1);
        let second = journal.telemetry_post("a");
        drop((first, second, other));
        assert_eq!(journal.statistics().telemetry_in_flight_max, 2);
        assert_eq!(journal.statistics().telemetry_posts, 4);
    }
}
