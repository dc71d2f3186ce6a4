//! Timestamps that are fixed for good.
//!
//! The server identifies a point by its timestamp, so a reading must keep the timestamp under which it was first sent,
//! also when the time line places it a little better later. Readings of one boot lie on a line; a window of them is fixed
//! by the times of its first and last reading, and the others are interpolated. A window takes only as many readings as
//! lie on the line to within [`TOLERANCE_MS`].
//!
//! Timestamps of a meter strictly increase, also between windows: where the time line left no room, the ends are moved
//! inwards. Otherwise two readings could share a timestamp and one would overwrite the other.

/// Deviation from the time line that interpolation may cause, in ms: what rounding does.
pub(super) const TOLERANCE_MS: u64 = 2;

/// The timestamps of consecutive readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frozen {
    /// How many; at least 1.
    pub(super) count: u64,
    /// Timestamp of the first reading, in ms since 1970 UTC.
    pub(super) first_ms: i64,
    /// Timestamp of the last reading; at least `count − 1` ms later.
    pub(super) last_ms: i64,
}

impl Frozen {
    /// Returns the timestamp of the reading with this index.
    pub(super) fn at(&self, index: u64) -> i64 {
        let steps = i128::from(self.count.max(2) - 1);
        let length = i128::from(self.last_ms) - i128::from(self.first_ms);
        let offset = length * i128::from(index) / steps;
        // Between two i64 for every index of the window.
        self.first_ms.saturating_add(offset as i64)
    }
}

/// What lies around a window: the timestamp before it and the one after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) after_ms: Option<i64>,
    pub(super) before_ms: Option<i64>,
}

/// Between the neighbours there are fewer milliseconds than readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// Fixes the timestamps of the first readings of `times_ms`, of as many as lie on a line; `times_ms` is not empty.
pub(super) fn freeze(times_ms: &[i64], bounds: Bounds) -> Result<Frozen, NoRoom> {
    let mut count = times_ms.len();
    while count > 2 && !is_line(&times_ms[..count]) {
        count = count.div_ceil(2);
    }
    let (first_ms, last_ms) = match &times_ms[..count] {
        [] => return Err(NoRoom),
        [only] => (*only, *only),
        [first, .., last] => (*first, *last),
    };
    fit(count as u64, first_ms, last_ms, bounds)
}

/// Moves the ends of a window inwards until it fits between its neighbours.
pub(super) fn fit(
    count: u64,
    first_ms: i64,
    last_ms: i64,
    bounds: Bounds,
) -> Result<Frozen, NoRoom> {
    let length_min = i64::try_from(count.max(1) - 1).map_err(|_| NoRoom)?;
    let earliest = bounds.after_ms.map_or(i64::MIN, |ms| ms.saturating_add(1));
    let latest = bounds.before_ms.map_or(i64::MAX, |ms| ms.saturating_sub(1));
    if latest.saturating_sub(length_min) < earliest {
        return Err(NoRoom);
    }
    let first_ms = first_ms.clamp(earliest, latest.saturating_sub(length_min));
    let last_ms = last_ms.clamp(first_ms.saturating_add(length_min), latest);
    Ok(Frozen {
        count,
        first_ms,
        last_ms,
    })
}

fn is_line(times_ms: &[i64]) -> bool {
    let [first_ms, .., last_ms] = *times_ms else {
        return true;
    };
    let line = Frozen {
        count: times_ms.len() as u64,
        first_ms,
        last_ms,
    };
    let on_line = |(index, ms): (u64, &i64)| line.at(index).abs_diff(*ms) <= TOLERANCE_MS;
    (0..).zip(times_ms).all(on_line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readings_on_a_line_keep_their_times() {
        let times: Vec<i64> = (0..1000).map(|n| 1_700_000_000_000 + 10_000 * n).collect();
        let frozen = freeze(&times, Bounds::default()).expect("room");
        assert_eq!(frozen.count, 1000);
        let kept: Vec<i64> = (0..1000).map(|index| frozen.at(index)).collect();
        assert_eq!(kept, times);
    }

    #[test]
    fn a_window_ends_before_the_line_bends() {
        let mut times: Vec<i64> = (0..600).map(|n| 10_000 * n).collect();
        times.extend((0..400).map(|n| 6_000_000 + 3_600_000 + 10_000 * n));
        let frozen = freeze(&times, Bounds::default()).expect("room");
        assert!((100..=600).contains(&frozen.count), "{frozen:?}");
        for index in 0..frozen.count {
            assert!(frozen.at(index).abs_diff(times[index as usize]) <= TOLERANCE_MS);
        }
    }

    #[test]
    fn an_overlap_squeezes_and_no_room_is_refused() {
        let times: Vec<i64> = (0..10).map(|n| 10_000 * n).collect();
        let bounds = Bounds {
            after_ms: Some(3_000),
            before_ms: Some(85_000),
        };
        let frozen = freeze(&times, bounds).expect("room");
        assert_eq!((frozen.first_ms, frozen.last_ms), (3_001, 84_999));
        let narrow = Bounds {
            after_ms: Some(100),
            before_ms: Some(110),
        };
        assert_eq!(freeze(&times, narrow), Err(NoRoom));
        let just = Bounds {
            after_ms: Some(100),
            before_ms: Some(111),
        };
        let frozen = freeze(&times, just).expect("ten milliseconds for ten readings");
        assert_eq!((frozen.first_ms, frozen.last_ms), (101, 110));
    }

    proptest! {
        #[test]
        fn timestamps_strictly_increase_between_their_neighbours(
            times in prop::collection::vec(-50_000i64..50_000, 1..60),
            after_ms in prop::option::of(-60_000i64..60_000),
            room in prop::option::of(0i64..120_000),
        ) {
            let before_ms = room.map(|room| after_ms.unwrap_or(-60_000) + room);
            let bounds = Bounds { after_ms, before_ms };
            let Ok(frozen) = freeze(&times, bounds) else {
                let room = room.expect("only neighbours leave no room");
                prop_assert!(room <= times.len() as i64);
                return Ok(());
            };
            prop_assert!((1..=times.len() as u64).contains(&frozen.count));
            let kept: Vec<i64> = (0..frozen.count).map(|index| frozen.at(index)).collect();
            prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(after_ms.is_none_or(|ms| ms < kept[0]));
            prop_assert!(before_ms.is_none_or(|ms| kept[kept.len() - 1] < ms));
        }
    }
}
