//! Power over time, at the resolution of a screen.
//!
//! Where no more readings than points lie in the range, they are the points. Else the range is cut into buckets of at
//! least two intervals, so that a clock that drifts against them never empties one that has data. A gap is a point
//! without a value. A coarse reading is shown over all of its time with its mean, its least and its largest power: at
//! every number that it stands for, or in every bucket that it touches.

use protocol::{DeviceId, Reading, reading::Extremes};

use super::{
    Readings, Span, Store, StoreError,
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
    /// Adds `duration_ms` of a reading.
    fn add(&mut self, power: Power, duration_ms: i64, estimated: bool) {
        if self.duration_ms == 0 {
            (self.minimum_mw, self.maximum_mw) = (power.minimum_mw, power.maximum_mw);
        }
        self.energy += i128::from(power.mean_mw) * i128::from(duration_ms);
        self.duration_ms += duration_ms;
        self.minimum_mw = self.minimum_mw.min(power.minimum_mw);
        self.maximum_mw = self.maximum_mw.max(power.maximum_mw);
        self.estimated |= estimated;
    }
}

/// Power of one channel in a reading.
#[derive(Clone, Copy, Debug)]
struct Power {
    mean_mw: i64,
    minimum_mw: i64,
    maximum_mw: i64,
}

impl Power {
    fn of(reading: &Reading, channel: usize) -> Option<Self> {
        let mean_mw = reading.active_power_mw(channel)?;
        let extremes = reading.extremes.get(channel);
        let extreme = |value: fn(&Extremes) -> i32| {
            extremes.map_or(mean_mw, |extremes| {
                i64::from(value(extremes)) * i64::from(reading.power_unit_mw)
            })
        };
        Some(Self {
            mean_mw,
            minimum_mw: extreme(|extremes| extremes.power_min).min(mean_mw),
            maximum_mw: extreme(|extremes| extremes.power_max).max(mean_mw),
        })
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
        let Density {
            count,
            interval_ms,
            coarse_ms,
        } = self.density(device, from_ms, to_ms)?;
        // A coarse reading that ends behind the range may begin in it.
        let span = Span::Time {
            from_ms,
            to_ms: to_ms.saturating_add(coarse_ms),
        };
        let readings = self.readings(device, span)?;
        if count <= points as u64 {
            each(readings, channel, (from_ms, to_ms), interval_ms)
        } else {
            let fitting_ms = (length_ms as u64).div_ceil(points as u64) as i64;
            let resolution_ms = fitting_ms.max(2 * interval_ms);
            buckets(readings, channel, (from_ms, to_ms), resolution_ms)
        }
    }

    /// Returns what a range holds, about.
    fn density(&self, device: DeviceId, from_ms: i64, to_ms: i64) -> Result<Density, StoreError> {
        let mut density = Density::default();
        for placed in Placed::load(&self.connection, device)? {
            for piece in &placed.pieces {
                let (begin_ms, end_ms) = placed.times_ms(piece);
                let overlap_ms = end_ms.min(to_ms) - begin_ms.max(from_ms);
                if overlap_ms > 0 {
                    let interval_ms = piece.row.interval_ms.max(1) as i64;
                    density.count += overlap_ms as u64 / interval_ms as u64;
                    density.interval_ms = density.interval_ms.max(interval_ms);
                    let coarse_ms = piece.row.coarse_ms_max() as i64;
                    density.coarse_ms = density.coarse_ms.max(coarse_ms);
                }
            }
        }
        Ok(density)
    }
}

/// What a range of time holds.
#[derive(Clone, Copy, Debug, Default)]
struct Density {
    /// Numbers.
    count: u64,
    /// The longest interval of one number.
    interval_ms: i64,
    /// What a coarse reading has at the most; 0 where there is none.
    coarse_ms: i64,
}

/// Makes each number of each reading a point.
fn each(
    readings: Readings<'_>,
    channel: usize,
    (from_ms, to_ms): (i64, i64),
    interval_ms: i64,
) -> Result<PowerSeries, StoreError> {
    let mut series = PowerSeries {
        resolution_ms: interval_ms,
        ..PowerSeries::default()
    };
    let mut previous_ms: Option<i64> = None;
    for resolved in readings {
        let resolved = resolved?;
        let Some(power) = Power::of(&resolved.reading, channel) else {
            continue;
        };
        let step_ms = i64::from(resolved.reading.interval_ms / resolved.reading.span.max(1));
        let end_ms = resolved.time.utc_ms;
        let begin_ms = end_ms - i64::from(resolved.reading.interval_ms);
        // A step of half an interval is more than drift can be.
        let tolerance_ms = step_ms / 2;
        if previous_ms.is_some_and(|previous_ms| begin_ms - previous_ms > tolerance_ms)
            && begin_ms <= to_ms
        {
            series.push(begin_ms, &Point::default());
        }
        for left in (0..i64::from(resolved.reading.span)).rev() {
            let time_ms = end_ms - left * step_ms;
            if from_ms < time_ms && time_ms <= to_ms {
                let mut point = Point::default();
                point.add(power, step_ms, resolved.time.estimated);
                series.push(time_ms, &point);
            }
        }
        previous_ms = Some(end_ms);
    }
    Ok(series)
}

/// Sums readings up by the bucket in which they end; coarse ones are divided among those that they touch.
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
        let Some(power) = Power::of(&resolved.reading, channel) else {
            continue;
        };
        let estimated = resolved.time.estimated;
        let end_ms = resolved.time.utc_ms;
        let length_ms = i64::from(resolved.reading.interval_ms);
        // A reading that ends on a cut belongs before it.
        let index_of = |at_ms: i64| (at_ms - 1 - from_ms) / resolution_ms;
        if resolved.reading.span == 1 {
            if end_ms <= to_ms
                && let Some(point) = points.get_mut(index_of(end_ms) as usize)
            {
                point.add(power, length_ms, estimated);
            }
            continue;
        }
        let (mut at_ms, end_ms) = ((end_ms - length_ms).max(from_ms), end_ms.min(to_ms));
        while at_ms < end_ms {
            let index = (at_ms - from_ms) / resolution_ms;
            let next_ms = (from_ms + (index + 1) * resolution_ms).min(end_ms);
            if let Some(point) = points.get_mut(index as usize) {
                point.add(power, next_ms - at_ms, estimated);
            }
            at_ms = next_ms;
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
