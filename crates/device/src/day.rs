//! Mean power of the last 24 hours in bars of five minutes, from what the store holds.
//!
//! A bar counts measured time. Where it lies is said by the uptime of this boot; what was measured in boots before lies before
//! uptime 0, as if each had gone on where the one before it ended: nobody has told the meter how long it had no power.
//!
//! The store is read backwards, one [stretch](flash_store::Stretch) at a time, so that measuring has its turn in between. What
//! is found stays in memory, 4 bytes a bar and channel, and the next time only the bars since are read.

use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use flash_store::{ReadError, Stretch, StretchReading};
use protocol::{Seq, limits::DAY_BARS_MAX};

use crate::meter::{Meter, Refused};

/// Length of a bar in ms.
pub(crate) const STEP_MS: u64 = 5 * 60 * 1000;
/// Stretches that are read for a day at the most: a meter that starts every minute has more, and shows its newest hours.
const STRETCHES_MAX: usize = 512;
/// Time in ms within which the reading of an interval that ended is in the store.
const SETTLED_MS: u64 = 1_000;
/// Stands for a bar in which nothing was measured.
const NOTHING: i32 = i32::MIN;

/// The bars of all channels, as they were when the newest ended.
#[derive(Debug)]
pub(crate) struct Day {
    /// Uptime at the end of the newest bar in ms, a whole number of bars.
    pub(crate) end_ms: u64,
    /// Mean power in W, oldest bar first, channel by channel within a bar.
    means_w: Vec<i32>,
    channels: usize,
}

impl Day {
    /// Returns the bars of a channel, counted from 0, oldest first.
    pub(crate) fn bars(
        &self,
        channel: usize,
    ) -> impl ExactSizeIterator<Item = Option<i32>> + Clone {
        let means = self.means_w.iter().skip(channel).step_by(self.channels);
        means.map(|&mean_w| (mean_w != NOTHING).then_some(mean_w))
    }
}

/// What was found so far of the bars that are wanted.
///
/// Places on the line of measured time are in ms of this boot's uptime, before it negative.
pub(crate) struct Search {
    begin_ms: i64,
    end_ms: i64,
    /// Time measured within each bar in ms.
    times_ms: Vec<u32>,
    /// Net energy in mJ, channel by channel within a bar.
    energies_mj: Vec<i64>,
    channels: usize,
    /// The boot that the last stretch was of, and where its uptime 0 lies.
    boot: u32,
    boot_ms: i64,
    /// Number before which the next stretch lies.
    before: Seq,
    stretches: usize,
}

impl Search {
    /// Reads one stretch; true when all is found.
    pub(crate) fn step<F: NorFlash>(&mut self, meter: &mut Meter<F>) -> Result<bool, ReadError> {
        let before = self.before;
        let mut oldest_ms = self.end_ms;
        let begin = meter
            .store()
            .visit_before(before, &mut |stretch, reading| {
                oldest_ms = oldest_ms.min(self.take(stretch, reading));
            })?;
        let Some(begin) = begin else {
            return Ok(true);
        };
        self.before = begin;
        self.stretches += 1;
        Ok(oldest_ms <= self.begin_ms || self.stretches >= STRETCHES_MAX)
    }

    /// Adds a reading to the bars that it lies in and returns where it begins.
    fn take(&mut self, stretch: &Stretch, reading: &StretchReading<'_>) -> i64 {
        if stretch.boot != self.boot {
            // An older boot: its newest reading ended where the boot after it began.
            self.boot = stretch.boot;
            self.boot_ms = self.boot_ms.saturating_sub_unsigned(stretch.end_ms);
        }
        let length_ms = i64::from(reading.span) * i64::from(stretch.params.interval_ms);
        let end_ms = self.boot_ms.saturating_add_unsigned(reading.end_ms);
        let begin_ms = end_ms.saturating_sub(length_ms);
        let is_measured = (reading.channels.iter()).any(|channel| channel.coverage_permille > 0);
        let mut from_ms = begin_ms.max(self.begin_ms);
        while is_measured && from_ms < end_ms.min(self.end_ms) {
            let index = (from_ms - self.begin_ms) / STEP_MS as i64;
            let bar_end_ms = self.begin_ms + (index + 1) * STEP_MS as i64;
            let part_ms = bar_end_ms.min(end_ms) - from_ms;
            let index = index as usize;
            self.times_ms[index] = self.times_ms[index].saturating_add(part_ms as u32);
            let energies_mj = self.energies_mj[index * self.channels..].iter_mut();
            for (energy_mj, channel) in energies_mj.zip(reading.channels) {
                let quantum_mj = stretch.params.quantum_mj() as i64;
                let whole_mj = i64::from(channel.energy_quanta) * quantum_mj;
                let part_mj = i128::from(whole_mj) * i128::from(part_ms) / i128::from(length_ms);
                *energy_mj = energy_mj.saturating_add(part_mj as i64);
            }
            from_ms = bar_end_ms;
        }
        begin_ms
    }

    /// Joins what was found to what was known of the time before.
    fn finish(self, known: Option<Day>) -> Result<Day, Refused> {
        let mut means_w = Vec::new();
        let values = DAY_BARS_MAX * self.channels;
        (means_w.try_reserve_exact(values)).map_err(|_| Refused::NoMemory)?;
        let (known_end_ms, mut known) =
            known.map_or((0, Vec::new()), |day| (day.end_ms as i64, day.means_w));
        // Bars that another request found meanwhile are here too.
        let twice = (known_end_ms - self.begin_ms).max(0) as usize / STEP_MS as usize;
        known.truncate(known.len().saturating_sub(twice * self.channels));
        let missing = values.saturating_sub(self.energies_mj.len());
        let kept = known.len().saturating_sub(missing);
        means_w.resize(missing - (known.len() - kept), NOTHING);
        means_w.extend_from_slice(&known[kept..]);
        for (index, energy_mj) in self.energies_mj.iter().enumerate() {
            let time_ms = self.times_ms[index / self.channels];
            means_w.push(mean_w(*energy_mj, time_ms));
        }
        Ok(Day {
            end_ms: self.end_ms as u64,
            means_w,
            channels: self.channels,
        })
    }
}

/// Returns mJ over ms, which is W, rounded to the nearest.
fn mean_w(energy_mj: i64, time_ms: u32) -> i32 {
    if time_ms == 0 {
        return NOTHING;
    }
    let half = i64::from(time_ms / 2) * energy_mj.signum();
    let mean_w = energy_mj.saturating_add(half) / i64::from(time_ms);
    mean_w.clamp((NOTHING + 1).into(), i32::MAX.into()) as i32
}

impl<F: NorFlash> Meter<F> {
    /// Begins to look for the bars that are not known yet; `None` where all are, up to the newest that is whole.
    ///
    /// # Errors
    /// [`Refused::NoMemory`].
    pub(crate) fn search_day(&self, now_ms: u64) -> Result<Option<Search>, Refused> {
        let settled_ms = now_ms.saturating_sub(u64::from(self.interval_ms()) + SETTLED_MS);
        let end_ms = settled_ms / STEP_MS * STEP_MS;
        let bars_new = match &self.day {
            Some(day) if day.end_ms >= end_ms => return Ok(None),
            Some(day) => ((end_ms - day.end_ms) / STEP_MS).min(DAY_BARS_MAX as u64) as usize,
            None => DAY_BARS_MAX,
        };
        let channels = self.channels.len();
        let (mut times_ms, mut energies_mj) = (Vec::new(), Vec::new());
        let reserved = (times_ms.try_reserve_exact(bars_new))
            .and_then(|()| energies_mj.try_reserve_exact(bars_new * channels));
        reserved.map_err(|_| Refused::NoMemory)?;
        times_ms.resize(bars_new, 0);
        energies_mj.resize(bars_new * channels, 0);
        Ok(Some(Search {
            begin_ms: end_ms as i64 - (bars_new as u64 * STEP_MS) as i64,
            end_ms: end_ms as i64,
            times_ms,
            energies_mj,
            channels,
            boot: self.recorder.boot,
            boot_ms: 0,
            before: self.next(),
            stretches: 0,
        }))
    }

    /// Keeps what a search found.
    ///
    /// # Errors
    /// [`Refused::NoMemory`].
    pub(crate) fn keep_day(&mut self, search: Search) -> Result<(), Refused> {
        // Another request may have been faster.
        let is_newer = |day: &Day| day.end_ms as i64 >= search.end_ms;
        if !self.day.as_ref().is_some_and(is_newer) {
            self.day = Some(search.finish(self.day.take())?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use flash_store::RunParams;
    use protocol::ChannelReading;

    use super::*;

    fn search(bars: usize, end_ms: i64) -> Search {
        Search {
            begin_ms: end_ms - bars as i64 * STEP_MS as i64,
            end_ms,
            times_ms: vec![0; bars],
            energies_mj: vec![0; 2 * bars],
            channels: 2,
            boot: 9,
            boot_ms: 0,
            before: Seq(0),
            stretches: 0,
        }
    }

    /// Takes readings of `power_w` on the first channel and its negative on the second.
    fn take(
        search: &mut Search,
        boot: u32,
        ends_ms: &[u64],
        interval_s: u32,
        span: u32,
        power_w: i32,
    ) {
        let stretch = Stretch {
            boot,
            end_ms: *ends_ms.last().unwrap(),
            params: RunParams {
                interval_ms: interval_s * 1000,
                power_unit_mw: 1000,
                calibration: 0,
            },
        };
        let channel = |power_w: i32| ChannelReading {
            energy_quanta: power_w * span as i32,
            ..ChannelReading::default()
        };
        for &end_ms in ends_ms {
            let channels = &[channel(power_w), channel(-power_w)];
            let reading = StretchReading {
                end_ms,
                span,
                channels,
            };
            search.take(&stretch, &reading);
        }
    }

    fn found(search: Search, known: Option<Day>) -> (Vec<Option<i32>>, Vec<Option<i32>>) {
        let bars = search.times_ms.len();
        let day = search.finish(known).unwrap();
        let newest = |channel| day.bars(channel).skip(DAY_BARS_MAX - bars).collect();
        assert_eq!(day.bars(0).len(), DAY_BARS_MAX);
        (newest(0), newest(1))
    }

    #[test]
    fn readings_that_lie_over_the_end_of_a_bar_are_shared_out() {
        // A quarter of an hour from 2 min before bar 1 to 2 min before bar 4 ends.
        let mut search = search(4, 1_200_000);
        take(&mut search, 9, &[1_080_000], 900, 1, 600);
        assert_eq!(search.times_ms, [120_000, 300_000, 300_000, 180_000]);
        let total_mj: i64 = search.energies_mj.iter().step_by(2).sum();
        assert_eq!(total_mj, 600 * 900_000);
        let all = |power_w| vec![Some(power_w); 4];
        assert_eq!(found(search, None), (all(600), all(-600)));
    }

    #[test]
    fn coarse_readings_count_for_their_span_and_what_lies_outside_does_not_count() {
        let mut search = search(2, 600_000);
        take(&mut search, 9, &[60_000, 120_000, 660_000], 10, 6, 50);
        assert_eq!(search.times_ms, [120_000, 0]);
        assert_eq!(found(search, None).0, [Some(50), None]);
    }

    #[test]
    fn boots_before_lie_one_behind_the_other_before_uptime_zero() {
        let mut search = search(4, 300_000);
        take(&mut search, 9, &[150_000, 300_000], 150, 1, 10);
        take(&mut search, 7, &[150_000, 300_000], 150, 1, 20);
        // Two stretches of one boot, the newer first.
        take(&mut search, 4, &[450_000, 600_000], 150, 1, 40);
        take(&mut search, 4, &[150_000, 300_000], 150, 1, 30);
        assert_eq!(found(search, None).0, [30, 40, 20, 10].map(Some));
    }

    #[test]
    fn new_bars_join_those_that_are_known_also_where_some_are_found_twice() {
        let known = |end_bar: u64| Day {
            end_ms: end_bar * STEP_MS,
            means_w: (0..2 * DAY_BARS_MAX as i32).collect(),
            channels: 2,
        };
        for (end_bar, older) in [(10, 574), (11, 572)] {
            let mut search = search(2, 12 * STEP_MS as i64);
            take(&mut search, 9, &[3_300_000, 3_600_000], 300, 1, 7);
            let day = search.finish(Some(known(end_bar))).unwrap();
            let bars: Vec<Option<i32>> = day.bars(0).collect();
            assert_eq!(bars.len(), DAY_BARS_MAX);
            assert_eq!(bars[DAY_BARS_MAX - 3..], [older, 7, 7].map(Some));
            assert_eq!(day.end_ms, 12 * STEP_MS);
        }
    }

    #[test]
    fn means_are_rounded_and_stay_in_range() {
        assert_eq!(mean_w(0, 0), NOTHING);
        assert_eq!((mean_w(1499, 1000), mean_w(1500, 1000)), (1, 2));
        assert_eq!((mean_w(-1499, 1000), mean_w(-1500, 1000)), (-1, -2));
        assert_eq!(mean_w(i64::MIN, 1), NOTHING + 1);
    }
}
