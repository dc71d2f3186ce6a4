//! From waveforms to pairs of ADC codes.
//!
//! Both waveforms of a second are tabulated in codes, once for as long as they stay the same; a sample is a look-up with
//! linear interpolation, an offset, the converter's bow and noise. The phase follows from the number of the sample, so
//! signals are continuous over changes and a generator can start anywhere. The samples of a recording take the place of
//! the table: each pair becomes one pair of codes.

use metering::Pair;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::{
    FrontEnd, Recording, Source,
    source::{Cycle, FREQUENCY_MHZ},
    waveform::POINTS,
};

/// Values of noise that are drawn from.
const NOISES: usize = 8192;
/// Bits of a phase that choose between two points.
const FRACTION_BITS: u32 = 32 - POINTS.trailing_zeros();

/// Makes the pairs that a meter would sample.
#[derive(Clone, Debug)]
pub struct Generator {
    source: Source,
    front_end: FrontEnd,
    sample_rate_hz: u32,
    frequency_mhz: u32,
    seed: u64,
    /// Number of the next sample since the start of the load.
    sample: u64,
    /// Samples of the current second that are still to come.
    second_left: u64,
    cycle: Option<Cycle>,
    /// Voltage and current in codes about the middle, with the first point repeated at the end.
    table: Vec<[f32; 2]>,
    offset: [f32; 2],
    phase: u64,
    phase_step: u64,
    noises: Vec<f32>,
    random: Pcg64Mcg,
}

impl Generator {
    /// Starts at the beginning of a load; `sample_rate_hz` is the rate at which it is really sampled, 2,000 to 50,000.
    ///
    /// # Panics
    /// When the rate is 0, or another one than that of a recording: its samples are given as they are.
    #[must_use]
    pub fn new(source: Source, front_end: FrontEnd, sample_rate_hz: u32, seed: u64) -> Self {
        if let Source::Recording(recording) = &source {
            assert_eq!(recording.sample_rate_hz(), sample_rate_hz, "other rate");
        }
        let mut generator = Self {
            source,
            front_end,
            sample_rate_hz,
            frequency_mhz: FREQUENCY_MHZ,
            seed,
            sample: 0,
            second_left: 0,
            cycle: None,
            table: vec![[0.0; 2]; POINTS + 1],
            offset: [0.0; 2],
            phase: 0,
            phase_step: 0,
            noises: noises(seed, front_end.noise_lsb),
            random: Pcg64Mcg::seed_from_u64(seed),
        };
        generator.seek(0);
        generator
    }

    /// Sets the frequency of the mains in mHz, at the beginning of the load; a recording keeps its own.
    #[must_use]
    pub fn with_frequency(mut self, frequency_mhz: u32) -> Self {
        self.frequency_mhz = frequency_mhz;
        self.seek(0);
        self
    }

    /// Moves to a time since the start of the load; the noise from there on belongs to seed and place.
    pub fn seek(&mut self, offset_us: u64) {
        self.sample = (u128::from(offset_us) * u128::from(self.sample_rate_hz) / 1_000_000) as u64;
        self.random = Pcg64Mcg::seed_from_u64(self.seed ^ self.sample);
        self.begin_second();
    }

    /// Starts at a time since the start of the load.
    #[must_use]
    pub fn at(mut self, offset_us: u64) -> Self {
        self.seek(offset_us);
        self
    }

    /// Returns the time since the start of the load at which the next pair is sampled, in µs.
    #[must_use]
    pub fn position_us(&self) -> u64 {
        (u128::from(self.sample) * 1_000_000 / u128::from(self.sample_rate_hz)) as u64
    }

    /// Makes the next pairs.
    pub fn fill(&mut self, mut pairs: &mut [Pair]) {
        while !pairs.is_empty() {
            if self.second_left == 0 {
                self.begin_second();
            }
            let count = pairs
                .len()
                .min(usize::try_from(self.second_left).unwrap_or(usize::MAX));
            let (now, later) = pairs.split_at_mut(count);
            self.convert(now);
            self.sample += count as u64;
            self.second_left -= count as u64;
            pairs = later;
        }
    }

    fn begin_second(&mut self) {
        let rate = u64::from(self.sample_rate_hz);
        let (second, within) = (self.sample / rate, self.sample % rate);
        self.second_left = rate - within;
        // The phase in turns is frequency · sample / rate: whole turns drop out, 2^64 is a turn.
        let turns_e3 = u128::from(self.frequency_mhz) * u128::from(self.sample);
        let turn = 1_000 * u128::from(rate);
        self.phase = (((turns_e3 % turn) << 64) / turn) as u64;
        self.phase_step = ((u128::from(self.frequency_mhz) << 64) / turn) as u64;
        let half = self.front_end.half_range();
        let drift =
            self.front_end.offset_drift * (second as f64 / 3_600.0 * std::f64::consts::TAU).sin();
        let offset = |share: f64| (half * (1.0 + share + drift)) as f32;
        self.offset = [
            offset(self.front_end.voltage_offset),
            offset(self.front_end.current_offset),
        ];
        let cycle = self.source.cycle(second);
        if let Some(cycle) = cycle.filter(|_| self.cycle != cycle) {
            self.tabulate(&cycle);
        }
        self.cycle = cycle;
    }

    fn tabulate(&mut self, cycle: &Cycle) {
        let turns_skewed = self.front_end.skew_us * 1e-6 * f64::from(self.frequency_mhz) * 1e-3;
        let voltage = cycle.voltage_v * self.front_end.codes_per_volt();
        let current = cycle
            .current_a
            .advanced(turns_skewed * std::f64::consts::TAU)
            * self.front_end.codes_per_ampere();
        for (point, entry) in self.table.iter_mut().enumerate() {
            *entry = [
                voltage.at_point(point) as f32,
                current.at_point(point) as f32,
            ];
        }
    }

    fn convert(&mut self, pairs: &mut [Pair]) {
        let converter = Converter {
            front_end: self.front_end,
            offset: self.offset,
            noises: &self.noises,
        };
        if let Source::Recording(recording) = &self.source {
            let mut player = Player::new(recording, self.sample, &self.front_end);
            converter.convert(pairs, &mut self.random, || player.next());
        } else {
            let (table, step) = (&self.table, self.phase_step);
            // A copy stays in a register.
            let mut phase = self.phase;
            converter.convert(pairs, &mut self.random, || {
                let codes = interpolated(table, (phase >> 32) as u32);
                phase = phase.wrapping_add(step);
                codes
            });
            self.phase = phase;
        }
    }
}

/// What a converter makes of a signal.
struct Converter<'a> {
    front_end: FrontEnd,
    offset: [f32; 2],
    noises: &'a [f32],
}

impl Converter<'_> {
    /// Takes voltage and current in codes about the middle.
    #[inline(always)]
    fn convert(&self, pairs: &mut [Pair], random: &mut Pcg64Mcg, signal: impl FnMut() -> [f32; 2]) {
        if self.front_end.noise_lsb > 0.0 || self.front_end.bow_lsb != 0.0 {
            self.convert_faulty(pairs, random, signal);
        } else {
            self.convert_clean(pairs, signal);
        }
    }

    fn convert_clean(&self, pairs: &mut [Pair], mut signal: impl FnMut() -> [f32; 2]) {
        let code_max = self.front_end.code_max();
        let [voltage_offset, current_offset] = self.offset.map(|offset| offset + 0.5);
        for pair in pairs {
            let [voltage, current] = signal();
            // The cast saturates at both ends of 16 bits.
            pair.voltage = ((voltage + voltage_offset) as u16).min(code_max);
            pair.current = ((current + current_offset) as u16).min(code_max);
        }
    }

    fn convert_faulty(
        &self,
        pairs: &mut [Pair],
        random: &mut Pcg64Mcg,
        mut signal: impl FnMut() -> [f32; 2],
    ) {
        let code_max = self.front_end.code_max();
        let half = self.front_end.half_range() as f32;
        let bow = self.front_end.bow_lsb as f32;
        // At the share s of half the range from the middle the bow is 2·s² − 1.
        let bow_square = 2.0 * bow / (half * half);
        let offset = self.offset.map(|offset| offset - half);
        let mut drawn = random.clone();
        for pair in pairs {
            let [voltage, current] = signal();
            let bits = drawn.next_u64() as usize;
            let noise = [
                self.noises[bits % NOISES],
                self.noises[(bits >> 32) % NOISES],
            ];
            let code = |value: f32, offset: f32, noise: f32| {
                let value = value + offset;
                ((value + half + bow_square * value * value - bow + noise + 0.5) as u16)
                    .min(code_max)
            };
            pair.voltage = code(voltage, offset[0], noise[0]);
            pair.current = code(current, offset[1], noise[1]);
        }
        *random = drawn;
    }
}

/// Gives the samples of a recording in codes about the middle, and begins anew after the last.
struct Player<'a> {
    pairs: &'a [[f32; 2]],
    codes_per_unit: [f32; 2],
    voltage_at: usize,
    /// The current is taken later: so much after this sample, as a share of the way to the next.
    current_at: usize,
    current_after: f32,
}

impl<'a> Player<'a> {
    fn new(recording: &'a Recording, sample: u64, front_end: &FrontEnd) -> Self {
        let pairs = recording.pairs();
        let length = pairs.len() as u64;
        let skew = front_end.skew_us * 1e-6 * f64::from(recording.sample_rate_hz());
        let voltage_at = sample % length;
        let current_at = (voltage_at as i64 + skew.floor() as i64).rem_euclid(length as i64);
        Self {
            pairs,
            codes_per_unit: [front_end.codes_per_volt(), front_end.codes_per_ampere()]
                .map(|codes| codes as f32),
            voltage_at: voltage_at as usize,
            current_at: current_at as usize,
            current_after: (skew - skew.floor()) as f32,
        }
    }

    #[inline(always)]
    fn next(&mut self) -> [f32; 2] {
        let after = |at: usize| {
            if at + 1 == self.pairs.len() {
                0
            } else {
                at + 1
            }
        };
        let (current_at, current_next) = (self.current_at, after(self.current_at));
        let (low, high) = (self.pairs[current_at][1], self.pairs[current_next][1]);
        let pair = [
            self.pairs[self.voltage_at][0],
            low + (high - low) * self.current_after,
        ];
        (self.voltage_at, self.current_at) = (after(self.voltage_at), current_next);
        [
            pair[0] * self.codes_per_unit[0],
            pair[1] * self.codes_per_unit[1],
        ]
    }
}

#[inline(always)]
fn interpolated(table: &[[f32; 2]], phase: u32) -> [f32; 2] {
    let point = (phase >> FRACTION_BITS) as usize;
    let fraction =
        (phase & ((1 << FRACTION_BITS) - 1)) as f32 * (1.0 / (1_u32 << FRACTION_BITS) as f32);
    let (low, high) = (table[point], table[point + 1]);
    [
        low[0] + (high[0] - low[0]) * fraction,
        low[1] + (high[1] - low[1]) * fraction,
    ]
}

/// A normal distribution of values with exactly this rms and no mean.
fn noises(seed: u64, rms: f64) -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let drawn: Vec<f64> = (0..NOISES)
        .map(|_| StandardNormal.sample(&mut random))
        .collect();
    let mean = drawn.iter().sum::<f64>() / NOISES as f64;
    let square = drawn
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / NOISES as f64;
    let scale = rms / square.sqrt();
    drawn
        .iter()
        .map(|value| ((value - mean) * scale) as f32)
        .collect()
}
