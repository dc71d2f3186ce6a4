//! What is to be done, found without doing it.
//!
//! Sync is a difference: the readings that are held, less the windows that were begun, is what is to be sent; a window
//! whose readings now lie elsewhere in time is to be deleted on the server and sent anew. Both are pure functions.

use std::ops::Range;

use super::frozen::{Bounds, Frozen, TOLERANCE_MS, fit};

/// Where the time line places a window now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// End of the first reading's interval, in ms since 1970 UTC.
    pub(super) first_ms: i64,
    /// End of the last reading's interval.
    pub(super) last_ms: i64,
    /// The boot has no anchor of its own.
    pub(super) estimated: bool,
}

/// A window that the server has, and where it belongs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The timestamps that the server has.
    pub(super) frozen: Frozen,
    /// Those were estimated.
    pub(super) estimated: bool,
    /// Length of an interval, in ms.
    pub(super) interval_ms: u32,
    /// The window may move: it was verified, so that nothing of it is still under way to the server.
    pub(super) movable: bool,
    /// Where it belongs now.
    pub(super) now: Placement,
}

/// Returns what `held` covers and `begun` does not; both ascending and without overlap among themselves.
pub(super) fn missing(held: &[Range<u64>], begun: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut missing = Vec::new();
    let mut begun = begun.iter().peekable();
    for range in held {
        let mut start = range.start;
        while start < range.end {
            while begun.next_if(|known| known.end <= start).is_some() {}
            match begun.peek() {
                Some(known) if known.start <= start => start = known.end,
                next => {
                    let end = next.map_or(range.end, |known| known.start.min(range.end));
                    missing.push(start..end);
                    start = end;
                }
            }
        }
    }
    missing
}

/// Returns the indices of the windows that are to be moved; `windows` are all of one meter, in order.
///
/// A timestamp that was sent is frozen. It moves only when it was an estimate and is one no more, or when it is wrong by
/// more than half an interval; and never to where it would not stay because its neighbours are in the way.
pub(super) fn moves(windows: &[Known]) -> Vec<usize> {
    let wanted: Vec<bool> = windows
        .iter()
        .map(|window| window.movable && is_due(window, window.now.first_ms, window.now.last_ms))
        .collect();
    let staying = |index: &usize| !wanted[*index];
    (0..windows.len())
        .filter(|index| wanted[*index])
        .filter(|index| {
            let window = &windows[*index];
            let before = (0..*index).rev().find(staying);
            let after = (*index + 1..windows.len()).find(staying);
            let bounds = Bounds {
                after_ms: before.map(|index| windows[index].frozen.last_ms),
                before_ms: after.map(|index| windows[index].frozen.first_ms),
            };
            let now = window.now;
            match fit(window.frozen.count, now.first_ms, now.last_ms, bounds) {
                Ok(target) => is_due(window, target.first_ms, target.last_ms),
                Err(_) => false,
            }
        })
        .collect()
}

/// Tells whether a window is so far from these times that it must move.
fn is_due(window: &Known, first_ms: i64, last_ms: i64) -> bool {
    let frozen = window.frozen;
    let first = frozen.first_ms.abs_diff(first_ms);
    let shift = first.max(frozen.last_ms.abs_diff(last_ms));
    let has_become_sure = window.estimated && !window.now.estimated;
    shift > u64::from(window.interval_ms / 2) || (has_become_sure && shift > TOLERANCE_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: [usize; 0] = [];

    #[test]
    fn what_was_begun_is_not_missing() {
        type Pairs<'a> = &'a [(u64, u64)];
        let cases: [(Pairs, Pairs, Pairs); 6] = [
            (&[(0, 10)], &[], &[(0, 10)]),
            (&[(0, 10)], &[(0, 10)], &[]),
            (&[(0, 10)], &[(2, 4), (6, 7)], &[(0, 2), (4, 6), (7, 10)]),
            (&[(0, 3), (5, 9)], &[(1, 6)], &[(0, 1), (6, 9)]),
            (&[(5, 9)], &[(0, 2), (2, 6), (8, 20)], &[(6, 8)]),
            (&[], &[(0, 2)], &[]),
        ];
        let ranges = |pairs: Pairs| -> Vec<Range<u64>> {
            pairs.iter().map(|(start, end)| *start..*end).collect()
        };
        for (held, begun, expected) in cases {
            assert_eq!(missing(&ranges(held), &ranges(begun)), ranges(expected));
        }
    }

    fn ranges(bits: &[bool]) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for index in (0..).zip(bits).filter(|(_, set)| **set).map(|(n, _)| n) {
            match ranges.last_mut().filter(|last| last.end == index) {
                Some(last) => last.end += 1,
                None => ranges.push(index..index + 1),
            }
        }
        ranges
    }

    proptest! {
        #[test]
        fn the_difference_is_that_of_sets(
            bits in prop::collection::vec((any::<bool>(), any::<bool>()), 0..60),
        ) {
            let held: Vec<bool> = bits.iter().map(|bits| bits.0).collect();
            let begun: Vec<bool> = bits.iter().map(|bits| bits.1).collect();
            let expected: Vec<bool> = bits.iter().map(|bits| bits.0 && !bits.1).collect();
            prop_assert_eq!(missing(&ranges(&held), &ranges(&begun)), ranges(&expected));
        }
    }

    /// Ten readings of 10 s that were sent from `sent_ms` and belong at `now_ms`.
    fn window(sent_ms: i64, now_ms: i64, estimated: bool, still: bool) -> Known {
        Known {
            frozen: Frozen {
                count: 10,
                first_ms: sent_ms,
                last_ms: sent_ms + 90_000,
            },
            estimated,
            interval_ms: 10_000,
            movable: true,
            now: Placement {
                first_ms: now_ms,
                last_ms: now_ms + 90_000,
                estimated: still,
            },
        }
    }

    #[test]
    fn frozen_times_stay_within_half_an_interval() {
        assert_eq!(moves(&[window(0, 5_000, false, false)]), NONE);
        assert_eq!(moves(&[window(0, 5_001, false, false)]), [0]);
        assert_eq!(moves(&[window(0, -5_001, false, false)]), [0]);
    }

    #[test]
    fn estimates_move_once_they_are_sure() {
        assert_eq!(moves(&[window(0, 500, true, false)]), [0]);
        assert_eq!(
            moves(&[window(0, 500, true, true)]),
            NONE,
            "still an estimate"
        );
        assert_eq!(moves(&[window(0, 2, true, false)]), NONE, "it was right");
        assert_eq!(moves(&[window(0, 60_000, true, true)]), [0]);
    }

    #[test]
    fn windows_that_may_be_under_way_stay() {
        let under_way = Known {
            movable: false,
            ..window(0, 60_000, true, false)
        };
        assert_eq!(moves(&[under_way]), NONE);
    }

    #[test]
    fn a_window_does_not_move_towards_a_wall_for_ever() {
        let wall = window(100_000, 100_000, false, false);
        // It belongs 60 s later, but its last timestamp can only come as far as the wall, where it already is.
        let squeezed = Known {
            frozen: Frozen {
                count: 10,
                first_ms: 60_000,
                last_ms: 99_999,
            },
            ..window(0, 60_000, true, true)
        };
        assert_eq!(moves(&[squeezed, wall]), NONE);
        assert_eq!(
            moves(&[squeezed, window(100_000, 200_000, false, false)]),
            [0, 1],
            "a wall that moves away is none"
        );
    }
}
