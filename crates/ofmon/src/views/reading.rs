//! The newest reading of a meter, all channels together.

use serde::Serialize;

use super::row::Row;

/// The newest reading; the first channel's values, because channels share mains and clock but not loads.
#[derive(Debug, Serialize)]
pub(crate) struct LatestView {
    /// End of the interval.
    pub(crate) time_ms: i64,
    /// The values, as in an export.
    #[serde(flatten)]
    pub(crate) row: Row,
}
