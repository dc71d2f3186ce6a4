//! Aggregated reads: points of a range summed up in buckets.
//!
//! Buckets start at the range's start, whatever the wall clock says, and the last one is cut off at the range's end. The
//! answer carries the **middle** of a bucket as its time, leaves empty buckets out and knows no difference or last value;
//! energy per hour has to be computed from a register by whoever asks.

use std::ops::Range;

use crate::series::Point;
use crate::value::Value;

/// Buckets that one query may ask for.
pub const BUCKETS_MAX: i64 = 700;

/// The bucket count is checked as if no interval were shorter than this.
const CHECKED_INTERVAL_MS_MIN: i64 = 1000;

/// What a bucket's points are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Min,
    Max,
    Avg,
    Sum,
    Count,
}

impl Aggregation {
    /// Reads the `agg` parameter; `None` inside is `NONE`, and an unknown name gives `None` outside.
    pub(crate) fn parse(name: &str) -> Option<Option<Aggregation>> {
        Some(match name {
            "NONE" => None,
            "MIN" => Some(Aggregation::Min),
            "MAX" => Some(Aggregation::Max),
            "AVG" => Some(Aggregation::Avg),
            "SUM" => Some(Aggregation::Sum),
            "COUNT" => Some(Aggregation::Count),
            _ => return None,
        })
    }
}

/// A query that the server refuses with its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntervalError {
    #[error("Invalid TsKvQuery: 'interval' must be greater than 0, but got {0}.")]
    NotPositive(i64),
    #[error(
        "Incorrect TsKvQuery. Number of intervals is to high - {0}. Please increase 'interval' parameter."
    )]
    TooMany(i128),
}

/// Checks the number of buckets before anything is read.
///
/// # Errors
/// When the interval is not positive, the range runs backwards or more than [`BUCKETS_MAX`] buckets come out.
pub(crate) fn check_interval(range: &Range<i64>, interval_ms: i64) -> Result<(), IntervalError> {
    if interval_ms < 1 {
        return Err(IntervalError::NotPositive(interval_ms));
    }
    let step_ms = i128::from(interval_ms.max(CHECKED_INTERVAL_MS_MIN));
    let buckets = (i128::from(range.end) - i128::from(range.start)) / step_ms;
    if buckets < 0 || buckets > i128::from(BUCKETS_MAX) {
        return Err(IntervalError::TooMany(buckets));
    }
    Ok(())
}

/// Sums up ascending points of `range` in buckets of `interval_ms` (≥ 1).
pub(crate) fn aggregate<'a>(
    points: impl Iterator<Item = (&'a i64, &'a Value)>,
    range: &Range<i64>,
    interval_ms: i64,
    kind: Aggregation,
) -> Vec<Point> {
    let (start, end, interval) = (
        i128::from(range.start),
        i128::from(range.end),
        i128::from(interval_ms),
    );
    let mut buckets: Vec<(i128, Bucket)> = Vec::new();
    for (ts_ms, value) in points {
        let index = (i128::from(*ts_ms) - start) / interval;
        match buckets.last_mut() {
            Some((last, bucket)) if *last == index => bucket.add(value),
            _ => {
                let mut bucket = Bucket::default();
                bucket.add(value);
                buckets.push((index, bucket));
            }
        }
    }
    let in_time = |(index, bucket): (i128, Bucket)| {
        let bucket_start = start + index * interval;
        let bucket_end = (bucket_start + interval).min(end);
        let middle = i64::try_from(bucket_start + (bucket_end - bucket_start) / 2).ok()?;
        Some((middle, bucket.result(kind)?))
    };
    buckets.into_iter().filter_map(in_time).collect()
}

/// Running totals of one bucket, apart by kind of value because the server's answer depends on the mix.
#[derive(Debug, Default)]
struct Bucket {
    bools: i64,
    texts: i64,
    jsons: i64,
    longs: i64,
    doubles: i64,
    long_sum: i64,
    double_sum: f64,
    long_range: Option<(i64, i64)>,
    double_range: Option<(f64, f64)>,
    text_range: Option<(String, String)>,
}

impl Bucket {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Bool(_) => self.bools += 1,
            Value::Json(_) => self.jsons += 1,
            Value::Text(text) => {
                self.texts += 1;
                let (low, high) = self
                    .text_range
                    .get_or_insert_with(|| (text.clone(), text.clone()));
                if text < low {
                    *low = text.clone();
                }
                if text > high {
                    *high = text.clone();
                }
            }
            Value::Long(number) => {
                self.longs += 1;
                self.long_sum = self.long_sum.wrapping_add(*number);
                let (low, high) = self.long_range.unwrap_or((*number, *number));
                self.long_range = Some((low.min(*number), high.max(*number)));
            }
            Value::Double(number) => {
                self.doubles += 1;
                self.double_sum += number;
                let (low, high) = self.double_range.unwrap_or((*number, *number));
                self.double_range = Some((low.min(*number), high.max(*number)));
            }
        }
    }

    fn result(self, kind: Aggregation) -> Option<Value> {
        let numbers = self.longs + self.doubles;
        let total = self.long_sum as f64 + self.double_sum;
        match kind {
            // The first kind that is there decides; only numbers of both kinds are counted together.
            Aggregation::Count => Some(Value::Long(
                [self.bools, self.texts, self.jsons]
                    .into_iter()
                    .find(|count| *count > 0)
                    .unwrap_or(numbers),
            )),
            Aggregation::Sum if numbers == 0 => None,
            Aggregation::Sum if self.doubles == 0 => Some(Value::Long(self.long_sum)),
            Aggregation::Sum => Some(Value::Double(total)),
            Aggregation::Avg => (numbers > 0).then(|| Value::Double(total / numbers as f64)),
            Aggregation::Min => {
                self.extreme(|(low, _)| low, |(low, _)| low, |(low, _)| low, f64::min)
            }
            Aggregation::Max => self.extreme(
                |(_, high)| high,
                |(_, high)| high,
                |(_, high)| high,
                f64::max,
            ),
        }
    }

    /// Text wins over numbers, and a mix of longs and doubles answers a double.
    fn extreme(
        self,
        of_text: fn((String, String)) -> String,
        of_long: fn((i64, i64)) -> i64,
        of_double: fn((f64, f64)) -> f64,
        pick: fn(f64, f64) -> f64,
    ) -> Option<Value> {
        if let Some(range) = self.text_range {
            return Some(Value::Text(of_text(range)));
        }
        match (
            self.long_range.map(of_long),
            self.double_range.map(of_double),
        ) {
            (Some(long), Some(double)) => Some(Value::Double(pick(long as f64, double))),
            (Some(long), None) => Some(Value::Long(long)),
            (None, double) => double.map(Value::Double),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn aggregated(
        points: &[(i64, Value)],
        range: Range<i64>,
        interval_ms: i64,
        kind: Aggregation,
    ) -> Vec<Point> {
        let points: BTreeMap<i64, Value> = points.iter().cloned().collect();
        aggregate(points.range(range.clone()), &range, interval_ms, kind)
    }

    #[test]
    fn buckets_start_at_the_range_and_answer_their_middle() {
        let points: Vec<_> = (0..10)
            .map(|step| (1000 + step * 10, Value::Long(step)))
            .collect();
        // [1005,1045) holds 1..=4, [1045,1085) holds 5..=8, the last bucket is cut at 1095 and holds 9.
        assert_eq!(
            aggregated(&points, 1005..1095, 40, Aggregation::Sum),
            [
                (1025, Value::Long(10)),
                (1065, Value::Long(26)),
                (1090, Value::Long(9))
            ]
        );
    }

    #[test]
    fn empty_buckets_are_left_out() {
        let points = [(0, Value::Long(1)), (95, Value::Long(2))];
        assert_eq!(
            aggregated(&points, 0..100, 10, Aggregation::Count),
            [(5, Value::Long(1)), (95, Value::Long(1))]
        );
    }

    #[test]
    fn longs_stay_longs_and_a_mix_becomes_a_double() {
        let longs = [(0, Value::Long(1)), (1, Value::Long(4))];
        let mixed = [(0, Value::Long(1)), (1, Value::Double(4.5))];
        let one = |points, kind| aggregated(points, 0..10, 10, kind).remove(0).1;
        assert_eq!(one(&longs, Aggregation::Sum), Value::Long(5));
        assert_eq!(one(&longs, Aggregation::Avg), Value::Double(2.5));
        assert_eq!(one(&longs, Aggregation::Max), Value::Long(4));
        assert_eq!(one(&mixed, Aggregation::Sum), Value::Double(5.5));
        assert_eq!(one(&mixed, Aggregation::Min), Value::Double(1.0));
        assert_eq!(one(&mixed, Aggregation::Max), Value::Double(4.5));
        assert_eq!(one(&mixed, Aggregation::Count), Value::Long(2));
    }

    #[test]
    fn text_hides_numbers_from_a_count() {
        let points = [
            (0, Value::Long(1)),
            (1, Value::Text("a".into())),
            (2, Value::Long(3)),
        ];
        assert_eq!(
            aggregated(&points, 0..10, 10, Aggregation::Count),
            [(5, Value::Long(1))]
        );
        assert_eq!(aggregated(&points[1..2], 0..10, 10, Aggregation::Sum), []);
    }

    #[test]
    fn more_than_700_buckets_are_refused() {
        assert_eq!(check_interval(&(0..700_000), 1000), Ok(()));
        assert_eq!(
            check_interval(&(0..701_000), 1000),
            Err(IntervalError::TooMany(701))
        );
        assert_eq!(
            check_interval(&(0..700_000), 1),
            Ok(()),
            "counted as if it were a second"
        );
        assert_eq!(
            check_interval(
                &Range {
                    start: 10_000,
                    end: 0
                },
                1000
            ),
            Err(IntervalError::TooMany(-10))
        );
        assert_eq!(
            check_interval(&(0..1), -5),
            Err(IntervalError::NotPositive(-5))
        );
        assert!(check_interval(&(i64::MIN..i64::MAX), 1).is_err());
    }

    proptest::proptest! {
        #[test]
        fn counts_add_up_to_the_points_of_the_range(
            stamps in proptest::collection::btree_set(0_i64..1000, 0..50),
            start in 0_i64..1000,
            length in 1_i64..1000,
            interval_ms in 1_i64..300,
        ) {
            let points: Vec<_> = stamps.iter().map(|ts_ms| (*ts_ms, Value::Double(1.0))).collect();
            let range = start..start + length;
            let answer = aggregated(&points, range.clone(), interval_ms, Aggregation::Count);
            let counted: f64 = answer.iter().filter_map(|(_, value)| value.as_f64()).sum();
            proptest::prop_assert_eq!(counted as usize, stamps.range(range.clone()).count());
            proptest::prop_assert!(answer.iter().all(|(middle, _)| range.contains(middle)));
        }
    }
}
