//! Time series of one device as the server's SQL tables hold them.
//!
//! Points are keyed by (key, timestamp): writing one anew replaces it, so an upload may be repeated. The latest value is
//! kept apart and moves only when a timestamp is not older than its own; back-dated data leaves it alone, and deleting
//! points can leave a latest value behind that has no point.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::aggregation::{Aggregation, aggregate};
use crate::value::Value;

/// A point: milliseconds since 1970-01-01 UTC, and the value.
pub(crate) type Point = (i64, Value);

/// What a deletion does to the latest value when that lies in the deleted range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeleteLatest {
    /// Removes the latest value (the default of the server's call).
    pub(crate) remove: bool,
    /// Puts the newest point before the range in its place.
    pub(crate) rewrite: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    points: BTreeMap<i64, Value>,
    latest: Option<Point>,
}

/// All series of a device by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesSet(BTreeMap<String, Series>);

impl SeriesSet {
    /// Stores a point and tells whether it is a new one (not a replacement).
    pub(crate) fn upsert(&mut self, key: &str, ts_ms: i64, value: Value) -> bool {
        if !self.0.contains_key(key) {
            self.0.insert(key.to_owned(), Series::default());
        }
        let Some(series) = self.0.get_mut(key) else {
            return false;
        };
        if series
            .latest
            .as_ref()
            .is_none_or(|(latest_ms, _)| ts_ms >= *latest_ms)
        {
            series.latest = Some((ts_ms, value.clone()));
        }
        series.points.insert(ts_ms, value).is_none()
    }

    /// Lists the keys that have a latest value.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|(_, series)| series.latest.is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(crate) fn latest(&self, key: &str) -> Option<&Point> {
        self.0.get(key)?.latest.as_ref()
    }

    pub(crate) fn points(&self, key: &str) -> BTreeMap<i64, Value> {
        self.0
            .get(key)
            .map(|series| series.points.clone())
            .unwrap_or_default()
    }

    pub(crate) fn point_count(&self) -> usize {
        self.0.values().map(|series| series.points.len()).sum()
    }

    /// Returns points of a range as they are stored, the newest first unless `ascending`, at most `limit`.
    pub(crate) fn raw(
        &self,
        key: &str,
        range: Range<i64>,
        limit: usize,
        ascending: bool,
    ) -> Vec<Point> {
        let Some(series) = self.0.get(key).filter(|_| range.start < range.end) else {
            return Vec::new();
        };
        let points = series
            .points
            .range(range)
            .map(|(ts_ms, value)| (*ts_ms, value.clone()));
        if ascending {
            points.take(limit).collect()
        } else {
            points.rev().take(limit).collect()
        }
    }

    /// Aggregates a range in buckets of `interval_ms`, in ascending order, without the empty buckets.
    pub(crate) fn aggregated(
        &self,
        key: &str,
        range: Range<i64>,
        interval_ms: i64,
        kind: Aggregation,
    ) -> Vec<Point> {
        let Some(series) = self.0.get(key).filter(|_| range.start < range.end) else {
            return Vec::new();
        };
        aggregate(
            series.points.range(range.clone()),
            &range,
            interval_ms,
            kind,
        )
    }

    /// Deletes a range of one key and returns how many points went.
    pub(crate) fn delete(&mut self, key: &str, range: Range<i64>, latest: DeleteLatest) -> usize {
        let Some(series) = self.0.get_mut(key).filter(|_| range.start < range.end) else {
            return 0;
        };
        let gone: Vec<i64> = series
            .points
            .range(range.clone())
            .map(|(ts_ms, _)| *ts_ms)
            .collect();
        for ts_ms in &gone {
            series.points.remove(ts_ms);
        }
        let latest_in_range = series
            .latest
            .as_ref()
            .is_some_and(|(ts_ms, _)| range.contains(ts_ms));
        if latest.remove && latest_in_range {
            let before = series.points.range(..range.start).next_back();
            series.latest = before
                .filter(|_| latest.rewrite)
                .map(|(ts_ms, value)| (*ts_ms, value.clone()));
        }
        gone.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOVE: DeleteLatest = DeleteLatest {
        remove: true,
        rewrite: false,
    };

    fn filled() -> SeriesSet {
        let mut set = SeriesSet::default();
        for ts_ms in [10, 20, 30] {
            assert!(set.upsert("p", ts_ms, Value::Long(ts_ms)));
        }
        set
    }

    #[test]
    fn writing_a_timestamp_again_replaces_its_value() {
        let mut set = filled();
        assert!(!set.upsert("p", 20, Value::Long(99)));
        assert_eq!(
            set.points("p"),
            [
                (10, Value::Long(10)),
                (20, Value::Long(99)),
                (30, Value::Long(30))
            ]
            .into()
        );
    }

    #[test]
    fn back_dated_points_leave_the_latest_value_alone() {
        let mut set = filled();
        set.upsert("p", 5, Value::Long(5));
        assert_eq!(set.latest("p"), Some(&(30, Value::Long(30))));
        set.upsert("p", 30, Value::Long(31));
        assert_eq!(set.latest("p"), Some(&(30, Value::Long(31))));
    }

    #[test]
    fn a_range_begins_with_its_start_and_ends_before_its_end() {
        let set = filled();
        let ts = |points: Vec<Point>| {
            points
                .into_iter()
                .map(|(ts_ms, _)| ts_ms)
                .collect::<Vec<_>>()
        };
        assert_eq!(ts(set.raw("p", 10..30, 100, true)), [10, 20]);
        assert_eq!(ts(set.raw("p", 10..31, 2, false)), [30, 20]);
        assert_eq!(set.raw("p", Range { start: 30, end: 10 }, 2, false), []);
    }

    #[test]
    fn deleting_treats_the_latest_value_as_asked() {
        let mut removed = filled();
        assert_eq!(removed.delete("p", 20..40, REMOVE), 2);
        assert_eq!(
            (
                removed.latest("p"),
                removed.keys().len(),
                removed.point_count()
            ),
            (None, 0, 1)
        );

        let mut rewritten = filled();
        rewritten.delete(
            "p",
            20..40,
            DeleteLatest {
                remove: true,
                rewrite: true,
            },
        );
        assert_eq!(rewritten.latest("p"), Some(&(10, Value::Long(10))));

        let mut kept = filled();
        kept.delete(
            "p",
            20..40,
            DeleteLatest {
                remove: false,
                rewrite: false,
            },
        );
        assert_eq!(kept.latest("p"), Some(&(30, Value::Long(30))));
    }
}
