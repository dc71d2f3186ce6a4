//! Power over time, in columns of equal length, as a graph wants it.

use serde::Serialize;

/// Buckets in rising order; a bucket covers `[time − resolution, time)`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PowerView {
    /// Length of a bucket.
    pub(crate) resolution_ms: i64,
    /// End of each bucket.
    pub(crate) time_ms: Vec<i64>,
    /// Mean of each bucket; null where nothing was recorded.
    pub(crate) power_w: Vec<Option<f64>>,
    /// Least reading of each bucket.
    pub(crate) minimum_w: Vec<Option<f64>>,
    /// Greatest reading of each bucket.
    pub(crate) maximum_w: Vec<Option<f64>>,
    /// Whether the place in time is an estimate.
    pub(crate) estimated: Vec<bool>,
}
