//! Power over time, at the resolution of a screen.
//!
//! Where no more readings than points lie in the range, they are the points. Else the range is cut into buckets of at
//! least two intervals, so that a clock that drifts against them never empties one that has data. A gap is a point
//! without a value.

use protocol::{DeviceId, Reading};

use super::{
    Readings, Resolved, Span, Store, StoreError,
    readings::{Placed, snapshot},
};

/// Most points of one question.
pub const POINTS_MAX: usize = 4_000;

/// Power over time in columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PowerSeries {
    /// Length of a point in ms.
    pub resolution_ms: i64,
    /// End of each point in ms of UTC.
    pub time_ms: Vec<i64>,
    /// Mean power of each point in mW; `None` in a gap.
    pub mean_mw: Vec<Option<i64>>,
    /// Lowest power of a reading in each point, in mW.
    pub minimum_mw: Vec<Option<i64>>,
    /// Highest power of a reading in each point, in mW.
    pub maximum_mw: Vec<Option<i64>>,
    /// Whether a reading in the point has an estimated time.
    pub estimated: Vec<bool>,
}

/// What the readings of one point add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Point {
    energy: i128,
    duration_ms: i64,
    minimum_mw: i64,
    maximum_mw: i64,
    estimated: bool,
}

impl Point {
    fn add(&mut self, power_mw: i64, reading: &Reading, estimated: bool) {
        if self.duration_ms == 0 {
            (self.minimum_mw, self.maximum_mw) = (power_mw, power_mw);
        }
        self.energy += i128::from(power_mw) * i128::from(reading.interval_ms);
        self.duration_ms += i64::from(reading.interval_ms);
        self.minimum_mw = self.minimum_mw.min(power_mw);
        self.maximum_mw = self.maximum_mw.max(power_mw);
        self.estimated |= estimated;
    }
}

impl PowerSeries {
    fn push(&mut self, time_ms: i64, point: &Point) {
        let held = point.duration_ms > 0;
        let mean_mw = || (point.energy / i128::from(point.duration_ms)) as i64;
        self.time_ms.push(time_ms);
        self.mean_mw.push(held.then(mean_mw));
        self.minimum_mw.push(held.then_some(point.minimum_mw));
        self.maximum_mw.push(held.then_some(point.maximum_mw));
        self.estimated.push(point.estimated);
    }
}

impl Store {
    /// Returns the power of a channel (counted from 0) over a time range in about `points` points.
    ///
    /// # Errors
    /// [`StoreError::BadRequest`] for an empty range, or for no points or more than [`POINTS_MAX`].
    pub fn power_series(
        &self,
        device: DeviceId,
        channel: usize,
        (from_ms, to_ms): (i64, i64),
        points: usize,
    ) -> Result<PowerSeries, StoreError> {
        let Some(length_ms) = to_ms
            .checked_sub(from_ms)
            .filter(|length_ms| *length_ms > 0)
        else {
            return Err(StoreError::BadRequest("the time range is empty"));
        };
        if !(1..=POINTS_MAX).contains(&points) {
            return Err(StoreError::BadRequest("a series has 1 to 4000 points"));
        }
        let _snapshot = snapshot(&self.connection)?;
        let (count, interval_ms) = self.density(device, from_ms, to_ms)?;
        let readings = self.readings(device, Span::Time { from_ms, to_ms })?;
        if count <= points as u64 {
            each(readings, channel, interval_ms)
        } else {
            let fitting_ms = (length_ms as u64).div_ceil(points as u64) as i64;
            let resolution_ms = fitting_ms.max(2 * interval_ms);
            buckets(readings, channel, (from_ms, to_ms), resolution_ms)
        }
    }

    /// Returns about how many readings a range holds, and their longest interval in ms.
    fn density(
        &self,
        device: DeviceId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<(u64, i64), StoreError> {
        let (mut count, mut longest_ms) = (0, 0);
        for placed in Placed::load(&self.connection, device)? {
            for piece in &placed.pieces {
                let (begin_ms, end_ms) = placed.times_ms(piece);
                let overlap_ms = end_ms.min(to_ms) - begin_ms.max(from_ms);
                if overlap_ms > 0 {
                    let interval_ms = piece.row.interval_ms.max(1) as i64;
                    count += overlap_ms as u64 / interval_ms as u64;
                    longest_ms = longest_ms.max(interval_ms);
                }
            }
        }
        Ok((count, longest_ms))
    }
}

fn power_of(resolved: &Resolved, channel: usize) -> Option<i64> {
    resolved.reading.active_power_mw(channel)
}

/// Makes each reading a point.
fn each(
    readings: Readings<'_>,
    channel: usize,
    interval_ms: i64,
) -> Result<PowerSeries, StoreError> {
    let mut series = PowerSeries {
        resolution_ms: interval_ms,
        ..PowerSeries::default()
    };
    let mut previous_ms: Option<i64> = None;
    for resolved in readings {
        let resolved = resolved?;
        let Some(power_mw) = power_of(&resolved, channel) else {
            continue;
        };
        let end_ms = resolved.time.utc_ms;
        let begin_ms = end_ms - i64::from(resolved.reading.interval_ms);
        // A step of half an interval is more than drift can be.
        let tolerance_ms = i64::from(resolved.reading.interval_ms) / 2;
        if previous_ms.is_some_and(|previous_ms| begin_ms - previous_ms > tolerance_ms) {
            series.push(begin_ms, &Point::default());
        }
        let mut point = Point::default();
        point.add(power_mw, &resolved.reading, resolved.time.estimated);
        series.push(end_ms, &point);
        previous_ms = Some(end_ms);
    }
    Ok(series)
}

/// Sums readings up by the bucket in which they end.
fn buckets(
    readings: Readings<'_>,
    channel: usize,
    (from_ms, to_ms): (i64, i64),
    resolution_ms: i64,
) -> Result<PowerSeries, StoreError> {
    let count = (to_ms - from_ms).div_euclid(resolution_ms)
        + i64::from((to_ms - from_ms) % resolution_ms != 0);
    let mut points = vec![Point::default(); count as usize];
    for resolved in readings {
        let resolved = resolved?;
        let Some(power_mw) = power_of(&resolved, channel) else {
            continue;
        };
        // A reading that ends on a cut belongs before it.
        let index = (resolved.time.utc_ms - 1 - from_ms) / resolution_ms;
        if let Some(point) = points.get_mut(index as usize) {
            point.add(power_mw, &resolved.reading, resolved.time.estimated);
        }
    }
    let mut series = PowerSeries {
        resolution_ms,
        ..PowerSeries::default()
    };
    for (index, point) in points.iter().enumerate() {
        let end_ms = from_ms + (index as i64 + 1) * resolution_ms;
        series.push(end_ms.min(to_ms), point);
    }
    Ok(series)
}
