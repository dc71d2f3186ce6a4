//! One channel: clock, windows and intervals in a row.

use crate::{
    clock::{SampleClock, Span},
    config::{Calibration, ChannelConfig, ConfigError, Pair},
    evaluate::Closed,
    input::{CHUNK, Input},
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
    input: Input,
    windows: WindowStage,
    intervals: IntervalStage,
    /// Whether the last call fed samples.
    sampling: bool,
    /// Whether samples are missing since the last that were measured.
    interrupted: bool,
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
            input: Input::new(config.voltage, config.sample_rate_hz),
            windows: WindowStage::new(&config),
            intervals: IntervalStage::new(&config),
            sampling: false,
            interrupted: false,
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

    /// Changes the calibration; everything goes on, and the window that is open counts by the new one.
    ///
    /// # Errors
    /// The first value that is out of range; nothing is changed then.
    pub fn recalibrate(&mut self, calibration: Calibration) -> Result<(), ConfigError> {
        let config = ChannelConfig {
            calibration,
            ..self.config.clone()
        };
        config.check()?;
        self.windows.recalibrate(&config);
        self.intervals.recalibrate(&config);
        self.config = config;
        Ok(())
    }

    /// Asks for the harmonics of the next window of whole cycles; [`Output::Spectrum`] gives them.
    ///
    /// Without a signal to cut cycles by there is no such window, and the request stays.
    pub fn request_spectrum(&mut self) {
        self.windows.request_spectrum();
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
        if self.owed_until_us.is_some() {
            self.pairs_end_us = span.time_us(pairs.len(), HALF_Q15);
            self.input.restart();
            self.skip_to(self.pairs_end_us, output);
            return;
        }
        if span.gap || !self.sampling {
            self.input.restart();
            self.interrupted = true;
        }
        self.follow_frequency(output);
        let known = self.input.load(pairs);
        if known.is_empty() {
            return;
        }
        let span = span.after(pairs.len() - known.len());
        let from_us = span.time_us(0, HALF_Q15);
        let end_us = span.time_us(known.len(), HALF_Q15);
        let gap_from_us = core::mem::replace(&mut self.pairs_end_us, end_us);
        let begins = !core::mem::replace(&mut self.sampling, true);
        let interrupted = core::mem::take(&mut self.interrupted);
        let Self {
            clock,
            windows,
            intervals,
            ..
        } = self;
        let broken = begins
            || interrupted
                && windows.gap(gap_from_us, from_us, clock, &mut |closed| {
                    give(intervals, &closed, output)
                });
        if broken && !self.skip_to(from_us, output) {
            return;
        }
        self.measure(known, &span, output);
    }

    /// Lets a shared voltage's delay follow the frequency; what was measured by the old delay ends there.
    fn follow_frequency(&mut self, output: &mut impl FnMut(Output)) {
        let Self {
            clock,
            windows,
            intervals,
            ..
        } = self;
        if self.input.follow(windows.phase_step()) {
            windows.finish(self.pairs_end_us, clock, &mut |closed| {
                give(intervals, &closed, output)
            });
        }
        windows.set_voltage_angle(self.input.angle(windows.phase_step()));
    }

    fn measure(&mut self, pairs: &[Pair], span: &Span, output: &mut impl FnMut(Output)) {
        let Self {
            clock,
            windows,
            intervals,
            ..
        } = self;
        let mut output = |closed: Closed| give(intervals, &closed, output);
        if self.input.is_direct() {
            windows.feed(pairs, span, clock, &mut output);
            return;
        }
        let mut chunk = [Pair::default(); CHUNK];
        for (index, part) in pairs.chunks(CHUNK).enumerate() {
            let own = self.input.own(part, &mut chunk);
            windows.feed(own, &span.after(index * CHUNK), clock, &mut output);
        }
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
            current_ua: window.current_ua.into(),
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

fn give(intervals: &mut IntervalStage, closed: &Closed, output: &mut impl FnMut(Output)) {
    let segment = &closed.segment;
    output(Output::Window(window(segment)));
    if let Some(spectrum) = closed.spectrum {
        output(Output::Spectrum(spectrum));
    }
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
        current_ua: u32::try_from(segment.current_ua).unwrap_or(u32::MAX),
        frequency_mhz: segment.frequency_mhz,
        flags: segment.flags,
    }
}
