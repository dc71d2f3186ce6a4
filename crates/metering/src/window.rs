//! From samples to windows of whole cycles.
//!
//! ```text
//!             200 ms seen, mean and size known           second rise: period known
//!  Acquiring ──────────────────────────────▶ Aligning ─────────────────────────────▶ Synchronised ◀─┐
//!   ▲    ▲ │ no voltage: window of 200 ms       │ no rise in 260 ms                     │  gap │    │ first rise
//!   │    └─┘                                    ▼                                       │      ▼    │
//!   └────────────────────────────────────── (window) ◀──────────────────────────────────┴─ Resuming ┘
//! ```
//!
//! A cycle begins and ends where the voltage rises through its mean of the window before, after it was below it by a
//! quarter of its rms value. When samples are missing, the cycle that they are missing from does not count; the window
//! goes on with whole cycles after the gap, and the time between is taken to be like them.
//!
//! The fundamental is correlated with a sine that starts anew at each cycle and turns as fast as the window before did.

use crate::{
    clock::{SampleClock, Span},
    config::{ChannelConfig, Pair},
    cycle::{Moments, Sample, Sums, Totals},
    evaluate::{Evaluator, Facts},
    interval::Segment,
    output::Spectrum,
    spectrum::Spectrometer,
};

/// Longest time with missing samples that is taken to be like the window around it.
const FILLED_US_MAX: u64 = 1_000_000;
/// Half a sample in 1/2^15: between two samples' times.
const HALF_Q15: i64 = 1 << 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Acquiring,
    Aligning,
    Synchronised,
    Resuming,
}

/// Where a cycle began.
#[derive(Clone, Copy, Debug)]
struct CycleStart {
    /// The sample that is split, its phase, and the part of it that is added to this cycle.
    edge: Pair,
    /// Current of the sample before it.
    current_before: u16,
    phase: u32,
    weight_q15: i64,
    /// The rise, counted from the sample before it.
    rise_q15: i64,
}

/// Numbers of samples and codes that follow from the configuration.
#[derive(Clone, Debug)]
struct Limits {
    samples_200_ms: u32,
    samples_260_ms: u32,
    /// 10 cycles at 55 Hz in 1/2^15 samples.
    ten_cycles_q15: i64,
    /// 170 ms in 1/2^15 samples.
    shortest_q15: i64,
    clipped_from: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct WindowStage {
    evaluator: Evaluator,
    spectrometer: Spectrometer,
    limits: Limits,
    /// Angle by which a shared voltage is late, in 1/2^32 of a turn.
    voltage_angle: i32,
    mode: Mode,
    /// Codes that are subtracted from voltage and current: their rounded means of the window before.
    reference: Option<(i32, i32)>,
    /// Where a rise counts, less the reference: in codes and in 1/2^15 code.
    level: i32,
    level_q15: i64,
    /// The voltage must have been below this before a rise counts.
    arm_level: i32,
    armed: bool,
    phase: u32,
    phase_step: u32,
    /// The cycle that is open.
    sums: Sums,
    samples: u32,
    cycle_start: Option<CycleStart>,
    /// The window that is open.
    start_us: u64,
    totals: Totals,
    cycles: u32,
    cycles_q15: i64,
    clipped: bool,
    /// Samples looked at since the window or its last gap.
    scanned: u32,
    /// The last sample, and the one before it.
    last: (Pair, Pair),
}

/// What a window gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) segment: Segment,
    /// Its harmonics, if they were asked for.
    pub(crate) spectrum: Option<Spectrum>,
}

impl WindowStage {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        let rate = config.sample_rate_hz;
        Self {
            evaluator: Evaluator::new(config),
            spectrometer: Spectrometer::new(),
            voltage_angle: 0,
            limits: Limits {
                samples_200_ms: rate / 5,
                samples_260_ms: rate * 13 / 50,
                ten_cycles_q15: (i64::from(rate) << 15) * 2 / 11,
                shortest_q15: (i64::from(rate) << 15) * 17 / 100,
                clipped_from: config.full_scale_code - 1,
            },
            mode: Mode::Acquiring,
            reference: None,
            level: i32::MAX,
            level_q15: 0,
            arm_level: i32::MIN,
            armed: false,
            phase: 0,
            phase_step: 0,
            sums: Sums::default(),
            samples: 0,
            cycle_start: None,
            start_us: 0,
            totals: Totals::default(),
            cycles: 0,
            cycles_q15: 0,
            clipped: false,
            scanned: 0,
            last: (Pair::default(), Pair::default()),
        }
    }

    /// Begins anew at `start_us`; what was open is dropped.
    pub(crate) fn start(&mut self, start_us: u64) {
        self.clear_cycle();
        self.clear_window(start_us);
        self.acquire();
    }

    /// Changes how codes become quantities. The open window goes on: whatever it holds counts by the new calibration.
    pub(crate) fn recalibrate(&mut self, config: &ChannelConfig) {
        self.evaluator = Evaluator::new(config);
    }

    /// Asks for the harmonics of the next window of whole cycles.
    pub(crate) fn request_spectrum(&mut self) {
        self.spectrometer.request();
    }

    /// Angle between two samples in 1/2^32 of a turn of the fundamental, 0 where it is unknown.
    pub(crate) fn phase_step(&self) -> u32 {
        self.phase_step
    }

    /// Sets by what angle a shared voltage is late, in 1/2^32 of a turn.
    pub(crate) fn set_voltage_angle(&mut self, angle: i32) {
        self.voltage_angle = angle;
    }

    /// Ends the open window at `end_us` and begins anew.
    pub(crate) fn finish(
        &mut self,
        end_us: u64,
        clock: &SampleClock,
        output: &mut impl FnMut(Closed),
    ) {
        self.end_cycle_whole();
        self.close(end_us, clock, output);
        self.start(end_us);
    }

    /// Feeds pairs that follow the last ones without a gap.
    pub(crate) fn feed(
        &mut self,
        pairs: &[Pair],
        span: &Span,
        clock: &SampleClock,
        output: &mut impl FnMut(Closed),
    ) {
        let mut at = 0;
        while at < pairs.len() {
            let room = self.scanned_max().saturating_sub(self.scanned) as usize;
            let end = pairs.len().min(at.saturating_add(room));
            let phase = self.phase;
            let (used, rise) = self.scan(&pairs[at..end], self.before(pairs, at).0.current);
            if self.spectrometer.is_recording() {
                let recorded = &pairs[at..at + used];
                let reference = self.reference();
                self.spectrometer
                    .add(recorded, reference, phase, self.phase_step);
            }
            at += used;
            self.samples += used as u32;
            self.scanned += used as u32;
            if rise {
                let before = self.before(pairs, at);
                self.rise(
                    before,
                    pairs[at],
                    |fraction_q15| span.time_us(at, fraction_q15),
                    clock,
                    output,
                );
            } else if self.scanned >= self.scanned_max() {
                self.expire(span.time_us(at, HALF_Q15), clock, output);
            }
        }
        self.last = self.before(pairs, pairs.len());
    }

    /// Returns the sample before `pairs[at]`, and the one before that.
    fn before(&self, pairs: &[Pair], at: usize) -> (Pair, Pair) {
        match at {
            0 => self.last,
            1 => (pairs[0], self.last.0),
            _ => (pairs[at - 1], pairs[at - 2]),
        }
    }

    /// Takes note that samples are missing from `from_us` to `to_us`; tells whether that is too long to be filled.
    ///
    /// If so, the window ended before the gap and the next begins after it.
    pub(crate) fn gap(
        &mut self,
        from_us: u64,
        to_us: u64,
        clock: &SampleClock,
        output: &mut impl FnMut(Closed),
    ) -> bool {
        self.spectrometer.interrupt();
        match self.mode {
            Mode::Synchronised | Mode::Resuming => {
                self.clear_cycle();
                self.mode = Mode::Resuming;
            }
            Mode::Acquiring | Mode::Aligning => self.end_cycle_whole(),
        }
        self.armed = false;
        self.scanned = ((self.totals.weight_q15() + (1 << 15) - 1) >> 15) as u32;
        let too_long = to_us.saturating_sub(self.start_us) > FILLED_US_MAX;
        if too_long {
            self.close(from_us, clock, output);
            self.start(to_us);
        }
        too_long
    }

    fn scanned_max(&self) -> u32 {
        match self.mode {
            Mode::Acquiring => self.limits.samples_200_ms,
            Mode::Aligning | Mode::Synchronised | Mode::Resuming => self.limits.samples_260_ms,
        }
    }

    /// Adds samples up to the next rise; returns their number and whether a rise follows.
    fn scan(&mut self, pairs: &[Pair], current_before: u16) -> (usize, bool) {
        let Some(&first) = pairs.first() else {
            return (0, false);
        };
        let reference = *self
            .reference
            .get_or_insert((i32::from(first.voltage), i32::from(first.current)));
        let rise = self.find_rise(pairs, reference.0);
        let used = rise.unwrap_or(pairs.len());
        let pairs = &pairs[..used];
        // Each loop keeps its sums in registers; together they would not fit.
        self.sums.add_powers(pairs, current_before, reference);
        self.sums
            .add_fundamental(pairs, reference, self.phase, self.phase_step);
        let turn = self.phase_step.wrapping_mul(used as u32);
        self.phase = self.phase.wrapping_add(turn);
        (used, rise.is_some())
    }

    /// Returns how many samples lie before the next rise; takes note of clipped ones.
    fn find_rise(&mut self, pairs: &[Pair], voltage_reference: i32) -> Option<usize> {
        let (level, arm_level) = (
            self.level.saturating_add(voltage_reference),
            self.arm_level.saturating_add(voltage_reference),
        );
        let clipped_from = self.limits.clipped_from;
        let (mut armed, mut clipped) = (self.armed, self.clipped);
        let mut rise = None;
        for (index, pair) in pairs.iter().enumerate() {
            let voltage = i32::from(pair.voltage);
            if voltage >= level {
                if armed {
                    rise = Some(index);
                    armed = false;
                    break;
                }
            } else if voltage < arm_level {
                armed = true;
            }
            // Code 0 wraps to the highest value, so one comparison finds both ends.
            clipped |= pair.voltage.wrapping_sub(1) >= clipped_from
                || pair.current.wrapping_sub(1) >= clipped_from;
        }
        (self.armed, self.clipped) = (armed, clipped);
        rise
    }

    /// Ends a cycle between the pairs `before` and `after`, and the window if it is complete.
    fn rise(
        &mut self,
        (before, earlier): (Pair, Pair),
        after: Pair,
        time_us: impl Fn(i64) -> u64,
        clock: &SampleClock,
        output: &mut impl FnMut(Closed),
    ) {
        let rise_q15 = self.rise_q15(before, after).clamp(0, 1 << 15);
        let weight_q15 = rise_q15 - HALF_Q15;
        let (edge, current_before) = if weight_q15 >= 0 {
            (after, before.current)
        } else {
            (before, earlier.current)
        };
        let mut begins_window = false;
        if self.mode == Mode::Resuming {
            self.clear_cycle();
            self.mode = Mode::Synchronised;
        } else {
            let phase = self
                .phase
                .wrapping_sub(if weight_q15 >= 0 { 0 } else { self.phase_step });
            let started = self.cycle_start.is_some();
            if let Some(start) = self.cycle_start {
                self.cycles += 1;
                self.cycles_q15 += (i64::from(self.samples) << 15) + rise_q15 - start.rise_q15;
            }
            self.end_cycle_whole();
            let reference = self.reference();
            let sample = Sample::new(edge, current_before, reference, phase);
            self.totals.add_part(sample, weight_q15);
            if match self.mode {
                Mode::Synchronised => self.is_complete(),
                _ => started,
            } {
                self.spectrometer
                    .add_part(edge, reference, phase, weight_q15);
                self.close(time_us(rise_q15), clock, output);
                self.mode = Mode::Synchronised;
                begins_window = true;
            }
        }
        // The level may have moved: the frequency is counted between rises through the same level.
        let rise_q15 = self.rise_q15(before, after);
        let lead_q15 = ((1 << 15) - rise_q15.clamp(0, 1 << 15)) as u64;
        self.phase = ((u64::from(self.phase_step) * lead_q15) >> 15) as u32;
        let start = CycleStart {
            edge,
            current_before,
            phase: self
                .phase
                .wrapping_sub(if weight_q15 >= 0 { 0 } else { self.phase_step }),
            weight_q15: -weight_q15,
            rise_q15,
        };
        if begins_window {
            self.spectrometer.begin();
            if self.spectrometer.is_recording() {
                let reference = self.reference();
                self.spectrometer
                    .add_part(start.edge, reference, start.phase, start.weight_q15);
            }
        }
        self.cycle_start = Some(start);
    }

    /// Where between two pairs the voltage rises through the level, in 1/2^15 of a period; may lie outside of 0 to 1.
    fn rise_q15(&self, before: Pair, after: Pair) -> i64 {
        let (low, high) = (i32::from(before.voltage), i32::from(after.voltage));
        let missing_q15 = self.level_q15 - (i64::from(low - self.reference().0) << 15);
        // 32 bits suffice for any level between the pairs, and one instruction divides them.
        let missing_q15 = missing_q15.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        i64::from(missing_q15 / (high - low).max(1))
    }

    fn is_complete(&self) -> bool {
        let weight_q15 = self.totals.weight_q15();
        (self.cycles == 10 && weight_q15 >= self.limits.ten_cycles_q15)
            || (self.cycles >= 12 && weight_q15 >= self.limits.shortest_q15)
    }

    /// Acts when a window has waited for rises as long as it may.
    fn expire(&mut self, now_us: u64, clock: &SampleClock, output: &mut impl FnMut(Closed)) {
        self.spectrometer.interrupt();
        if self.mode == Mode::Resuming {
            self.clear_cycle();
        } else {
            self.end_cycle_whole();
        }
        let acquired = (self.mode == Mode::Acquiring)
            .then(|| self.totals.moments())
            .flatten()
            .filter(|moments| self.evaluator.has_signal(moments));
        if let Some(moments) = acquired {
            self.mode = Mode::Aligning;
            self.level_q15 = moments.mean_q15.0;
            self.level = ((self.level_q15 + HALF_Q15) >> 15) as i32;
            self.arm(&moments);
        } else {
            self.close(now_us, clock, output);
            self.scanned = 0;
            self.acquire();
        }
    }

    fn acquire(&mut self) {
        self.mode = Mode::Acquiring;
        self.level = i32::MAX;
        self.arm_level = i32::MIN;
        self.armed = false;
    }

    fn arm(&mut self, moments: &Moments) {
        let rms = (moments.variance_q15.0 >> 15).isqrt() as i32;
        self.arm_level = self.level - rms / 4;
        self.armed = false;
    }

    fn reference(&self) -> (i32, i32) {
        self.reference.unwrap_or_default()
    }

    fn clear_cycle(&mut self) {
        self.sums = Sums::default();
        self.samples = 0;
        self.cycle_start = None;
    }

    /// Adds the open cycle's whole samples, and its part of the sample where it began.
    fn end_cycle_whole(&mut self) {
        if let Some(start) = self.cycle_start {
            let edge = Sample::new(
                start.edge,
                start.current_before,
                self.reference(),
                start.phase,
            );
            self.totals.add_part(edge, start.weight_q15);
        }
        self.totals.add_whole(&self.sums, self.samples);
        self.clear_cycle();
    }

    /// Ends the window, if it has a sample, and takes the references of the next from it.
    fn close(&mut self, end_us: u64, clock: &SampleClock, output: &mut impl FnMut(Closed)) {
        let Some(moments) = self.totals.moments() else {
            return;
        };
        let is_synchronised = matches!(self.mode, Mode::Synchronised | Mode::Resuming);
        let cycles = if is_synchronised { self.cycles } else { 0 };
        if self.cycles > 0 && self.cycles_q15 > 0 {
            // Below 2^13 cycles.
            self.phase_step = ((i64::from(self.cycles) << 47) / self.cycles_q15) as u32;
        }
        let facts = Facts {
            end_us,
            weight_q15: self.totals.weight_q15(),
            cycles,
            cycles_q15: if cycles > 0 { self.cycles_q15 } else { 0 },
            step: self.phase_step,
            voltage_angle: self.voltage_angle,
            clipped: self.clipped,
        };
        let spectrum = self.spectrometer.finish();
        output(Closed {
            segment: self.evaluator.segment(&moments, &facts, clock),
            spectrum: spectrum.map(|(voltage, current)| Spectrum {
                end_us,
                voltage,
                current,
            }),
        });
        let rounded = |mean_q15: i64| ((mean_q15 + HALF_Q15) >> 15) as i32;
        let (x, y) = (rounded(moments.mean_q15.0), rounded(moments.mean_q15.1));
        let (voltage, current) = self.reference();
        self.reference = Some((voltage + x, current + y));
        self.level = 0;
        self.level_q15 = moments.mean_q15.0 - (i64::from(x) << 15);
        self.arm(&moments);
        self.clear_window(end_us);
    }

    fn clear_window(&mut self, start_us: u64) {
        self.start_us = start_us;
        self.totals = Totals::default();
        self.cycles = 0;
        self.cycles_q15 = 0;
        self.clipped = false;
        self.scanned = 0;
    }
}
