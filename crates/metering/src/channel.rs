//! One channel: clock, windows and intervals in a row.

use crate::{
    clock::SampleClock,
    config::{ChannelConfig, ConfigError, Pair},
    interval::{IntervalStage, Segment},
    output::{Interval, Output, Window},
    window::WindowStage,
};

/// Intervals without a sample that one call gives at most.
const EMPTY_INTERVALS_MAX: u32 = 64;

/// Measures one voltage and one current.
///
/// It allocates nothing, keeps no time of its own and cannot fail: any samples and any times give some readings. A call
/// works in proportion to its pairs, and gives at most 64 intervals without samples: after a longer pause the next calls
/// give the others first, and their own pairs count as missing.
#[derive(Clone, Debug)]
pub struct Channel {
    config: ChannelConfig,
    clock: SampleClock,
    windows: WindowStage,
    intervals: IntervalStage,
    /// Whether the last call fed samples.
    sampling: bool,
    /// Where the pairs so far end: half a period after the last.
    pairs_end_us: u64,
    /// Intervals without samples up to here are still to be given.
    owed_until_us: Option<u64>,
}

impl Channel {
    /// Makes a channel that has seen nothing yet.
    ///
    /// # Errors
    /// The first value of `config` that is out of range.
    pub fn new(config: ChannelConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            clock: SampleClock::new(config.sample_rate_hz),
            windows: WindowStage::new(&config),
            intervals: IntervalStage::new(&config),
            sampling: false,
            pairs_end_us: 0,
            owed_until_us: None,
            config,
        })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// Returns the energy that was measured but not yet given as quanta, in pJ: the rest and the open interval.
    #[must_use]
    pub fn pending_energy_pj(&self) -> i128 {
        self.intervals.pending_pj()
    }

    /// Feeds pairs sampled without a gap among them; the last was taken at uptime `end_us`.
    ///
    /// A time that is later than the pairs explain means that samples are missing before them. A gap of up to a second
    /// is taken to be like the window around it; a longer one counts no energy. Both lower the coverage.
    pub fn push(&mut self, pairs: &[Pair], end_us: u64, output: &mut impl FnMut(Output)) {
        if pairs.is_empty() {
            return;
        }
        const HALF_Q15: i64 = 1 << 14;
        let span = self.clock.stamp(pairs.len() as u64, end_us);
        let from_us = span.time_us(0, HALF_Q15);
        let gap_from_us =
            core::mem::replace(&mut self.pairs_end_us, span.time_us(pairs.len(), HALF_Q15));
        if self.owed_until_us.is_some() {
            self.skip_to(self.pairs_end_us, output);
            return;
        }
        let Self {
            clock,
            windows,
            intervals,
            ..
        } = self;
        let broken = if self.sampling {
            span.gap
                && windows.gap(gap_from_us, from_us, clock, &mut |segment| {
                    give(intervals, &segment, output)
                })
        } else {
            self.sampling = true;
            true
        };
        if broken && !self.skip_to(from_us, output) {
            return;
        }
        let Self {
            clock,
            windows,
            intervals,
            ..
        } = self;
        windows.feed(pairs, &span, clock, &mut |segment| {
            give(intervals, &segment, output)
        });
    }

    /// Feeds means over `[start_us, window.end_us)`, above the sampling level: simulated history.
    ///
    /// It may be longer than an interval and gives each that ends within it. What overlaps time already measured is
    /// ignored. Samples that have not made a window yet are dropped.
    pub fn push_window(&mut self, start_us: u64, window: Window, output: &mut impl FnMut(Output)) {
        self.sampling = false;
        self.clock.restart();
        if !self.skip_to(start_us, output) {
            return;
        }
        let position_us = self.intervals.position_us();
        if window.end_us <= position_us {
            return;
        }
        output(Output::Window(window));
        let segment = Segment {
            end_us: window.end_us,
            covered_us: window.end_us - position_us,
            power_uw: i64::from(window.active_power_mw) * 1_000,
            reactive_uvar: Some(i64::from(window.reactive_power_mvar) * 1_000),
            voltage_mv: window.voltage_mv,
            current_ua: u64::from(window.current_ma) * 1_000,
            frequency_mhz: window.frequency_mhz,
            flags: window.flags,
        };
        self.intervals
            .advance(&segment, &mut |interval| output(Output::Interval(interval)));
    }

    /// Goes on to a time without samples and begins there; tells whether it got there.
    fn skip_to(&mut self, to_us: u64, output: &mut impl FnMut(Output)) -> bool {
        let mut output = |interval: Interval| output(Output::Interval(interval));
        let reached = self
            .intervals
            .skip_to(to_us, EMPTY_INTERVALS_MAX, &mut output);
        self.owed_until_us = (!reached).then_some(to_us);
        self.windows.start(self.intervals.position_us());
        reached
    }
}

fn give(intervals: &mut IntervalStage, segment: &Segment, output: &mut impl FnMut(Output)) {
    output(Output::Window(window(segment)));
    intervals.advance(segment, &mut |interval| output(Output::Interval(interval)));
}

fn window(segment: &Segment) -> Window {
    let thousandth = |millionths: i64| {
        let rounded = (millionths + 500).div_euclid(1_000);
        rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    Window {
        end_us: segment.end_us,
        active_power_mw: thousandth(segment.power_uw),
        reactive_power_mvar: segment.reactive_uvar.map_or(0, thousandth),
        voltage_mv: segment.voltage_mv,
        current_ma: ((segment.current_ua + 500) / 1_000) as u32,
        frequency_mhz: segment.frequency_mhz,
        flags: segment.flags,
    }
}
