//! A signal made of integers, and the measurement of it: the same on the chip and on the PC.
//!
//! 26 s of an ordinary load are counted: two whole readings. After them comes what is rare (clipping, gaps, export, no
//! voltage), which is not counted but must give the same bits too.

use core::hint::black_box;

use metering::{
    Calibration, Channel, ChannelConfig, Flags, Harmonics, Interval, Output, Pair, Spectrum,
    VoltageInput, Window,
};

/// Numbers of the calls from the program on the chip to whoever runs it.
pub(crate) mod call {
    /// Instructions are counted from here.
    pub(crate) const COUNT_FROM: u32 = 0;
    /// Instructions are counted until here.
    pub(crate) const COUNT_UNTIL: u32 = 1;
    /// The program is done: `a0` is the number of pairs counted, `a1` the checksum.
    pub(crate) const FINISHED: u32 = 2;
    /// The program cannot go on.
    pub(crate) const FAILED: u32 = 3;
}

/// Where counting begins and ends.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    CountFrom,
    CountUntil,
}

/// What came out.
pub(crate) struct Measured {
    /// Pairs that were fed while instructions were counted.
    pub(crate) pairs: u32,
    /// Of everything that the channel gave, also uncounted.
    pub(crate) checksum: u32,
}

const PORTION_PAIRS: usize = 200;
const COUNTED_PORTIONS: u64 = 260;
const PORTIONS: u64 = 500;
/// Harmonics are asked for every 25 s: more often than a meter does, so that the counted part has them once.
const SPECTRUM_PORTIONS: u64 = 250;
/// Most that one portion gives: after the longest gap, an interval and its windows.
const OUTPUTS_MAX: usize = 8;
/// Pairs come every 501.5 µs, 0.3 % slower than the channel is told: it must find out.
const PORTION_US: u64 = 100_300;
/// Phase between pairs in 1/2^32 of a turn: 49.98 Hz, so that crossings lie between samples.
const PHASE_STEP: u32 = (((4_998 * 5_015) << 32) / 1_000_000_000_u64) as u32;
const MIDDLE_CODE: i32 = 2_048;
const FULL_SCALE_CODE: u16 = 4_095;

/// Returns the configuration of the channel: 12 bits, 230 V at 60 % of full scale, a current transformer of 30 A.
fn config() -> ChannelConfig {
    ChannelConfig {
        calibration: Calibration {
            voltage_nv_per_code: 264_700_000,
            current_na_per_code: 23_000_000,
            current_skew_ns: 30_000,
            current_noise_na: 53_000_000,
            no_load_mw: 900,
        },
        voltage: VoltageInput::Own,
        full_scale_code: FULL_SCALE_CODE,
        sample_rate_hz: 2_000,
        interval_ms: 10_000,
        power_unit_mw: 1_000,
    }
}

/// Feeds the whole signal to a channel, says when counting begins and ends, and shows what comes out.
pub(crate) fn measure(mut mark: impl FnMut(Mark), mut show: impl FnMut(&Output)) -> Measured {
    let mut channel = Channel::new(config()).expect("the configuration is in range");
    let mut source = Source::default();
    let mut checksum = Checksum::default();
    let mut pairs = [Pair::default(); PORTION_PAIRS];
    let mut late_us = 0;
    for portion in 0..PORTIONS {
        let load = load(portion);
        late_us += load.gap_us;
        source.skip(load.gap_us);
        pairs.fill_with(|| source.next(&load));
        let end_us = (portion + 1) * PORTION_US + late_us;

        if portion % SPECTRUM_PORTIONS == 1 {
            channel.request_spectrum();
        }
        let mut outputs = [None; OUTPUTS_MAX];
        let mut given = outputs.iter_mut();
        // What the compiler cannot see through stays on its side of a mark.
        let pairs = black_box(pairs.as_slice());
        let is_counted = portion < COUNTED_PORTIONS;
        if is_counted {
            mark(Mark::CountFrom);
        }
        channel.push(pairs, end_us, &mut |output| {
            *given.next().expect("a portion gives few outputs") = Some(output);
        });
        if is_counted {
            mark(Mark::CountUntil);
        }
        for output in black_box(outputs).iter().flatten() {
            checksum.fold(output);
            show(output);
        }
    }
    Measured {
        pairs: COUNTED_PORTIONS as u32 * PORTION_PAIRS as u32,
        checksum: checksum.0,
    }
}

/// What is connected during a portion.
struct Load {
    /// Amplitudes in codes.
    voltage: i32,
    current: i32,
    /// How far the current is behind the voltage, in 1/2^32 of a turn.
    lag: u32,
    /// Time without samples before the portion.
    gap_us: u64,
}

fn load(portion: u64) -> Load {
    const DEGREE: u32 = u32::MAX / 360;
    let (voltage, current, lag) = match portion {
        0..130 => (1_229, 600, 30 * DEGREE),
        130..COUNTED_PORTIONS => (1_210, 1_500, 340 * DEGREE),
        // The current leaves the converter's range.
        COUNTED_PORTIONS..300 => (1_229, 2_500, 10 * DEGREE),
        // Export, and after a while no voltage.
        300..360 => (1_229, 900, 185 * DEGREE),
        360..420 => (0, 900, 0),
        _ => (1_229, 25, 60 * DEGREE),
    };
    let gap_us = match portion {
        310 => 310_000,
        340 => 3_400_000,
        400 => 45_000,
        _ => 0,
    };
    Load {
        voltage,
        current,
        lag,
        gap_us,
    }
}

/// Makes the pairs one after the other.
#[derive(Default)]
struct Source {
    phase: u32,
    noise: u32,
}

impl Source {
    /// Lets the mains go on while nothing is sampled.
    fn skip(&mut self, time_us: u64) {
        let steps = time_us * 10 / 5_015 * u64::from(PHASE_STEP);
        self.phase = self.phase.wrapping_add(steps as u32);
    }

    fn next(&mut self, load: &Load) -> Pair {
        self.phase = self.phase.wrapping_add(PHASE_STEP);
        let lagged = self.phase.wrapping_sub(load.lag);
        let third = sine(lagged.wrapping_mul(3)) / 5;
        let voltage = (load.voltage * sine(self.phase)) >> 14;
        let current = (load.current * (sine(lagged) + third)) >> 14;
        Pair {
            voltage: self.sampled(voltage),
            current: self.sampled(current),
        }
    }

    /// Adds noise of -3 to 4 codes and the converter's range.
    fn sampled(&mut self, signal: i32) -> u16 {
        // Constants of Numerical Recipes; only the upper bits are random enough.
        self.noise = self
            .noise
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let code = MIDDLE_CODE + signal + (self.noise >> 29) as i32 - 3;
        code.clamp(0, FULL_SCALE_CODE.into()) as u16
    }
}

/// Returns the sine of a phase in 1/2^32 of a turn, in 1/2^14.
fn sine(phase: u32) -> i32 {
    const QUARTER: u32 = 256;
    let step = phase >> 22;
    let within = step % QUARTER;
    let index = if step & QUARTER == 0 {
        within
    } else {
        QUARTER - within
    };
    let value = i32::from(QUARTER_SINE[index as usize]);
    if step < 2 * QUARTER { value } else { -value }
}

/// A quarter of a sine in 1/2^14, by the first terms of its series: odd powers of x in quarter turns.
static QUARTER_SINE: [i16; 257] = {
    // (π/2)^k / k! in 1/2^24.
    let terms: [i64; 4] = [26_353_589, -10_837_478, 1_337_030, -78_547];
    let mut table = [0; 257];
    let mut index = 0;
    while index < table.len() {
        let x = index as i64;
        let square = x * x;
        let mut power = x << 8;
        let mut sum = 0;
        let mut term = 0;
        while term < terms.len() {
            sum += (terms[term] * power) >> 16;
            power = (power * square) >> 16;
            term += 1;
        }
        table[index] = (sum >> 10) as i16;
        index += 1;
    }
    table
};

/// FNV-1a over the bytes of all fields.
struct Checksum(u32);

impl Default for Checksum {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Checksum {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// Adds an output. Every field is named, so that a new one cannot be forgotten here.
    fn fold(&mut self, output: &Output) {
        match *output {
            Output::Window(Window {
                end_us,
                active_power_mw,
                reactive_power_mvar,
                voltage_mv,
                current_ua,
                frequency_mhz,
                flags: Flags(flags),
            }) => {
                self.bytes(&[0]);
                self.bytes(&end_us.to_le_bytes());
                self.bytes(&active_power_mw.to_le_bytes());
                self.bytes(&reactive_power_mvar.to_le_bytes());
                self.bytes(&voltage_mv.to_le_bytes());
                self.bytes(&current_ua.to_le_bytes());
                self.bytes(&frequency_mhz.to_le_bytes());
                self.bytes(&flags.to_le_bytes());
            }
            Output::Spectrum(Spectrum {
                end_us,
                voltage,
                current,
            }) => {
                self.bytes(&[2]);
                self.bytes(&end_us.to_le_bytes());
                for Harmonics { shares, distortion } in [voltage, current] {
                    for share in shares {
                        self.bytes(&share.to_le_bytes());
                    }
                    self.bytes(&distortion.to_le_bytes());
                }
            }
            Output::Interval(Interval {
                end_us,
                energy_quanta,
                reactive_power_var,
                voltage_dv,
                current_ca,
                frequency_chz,
                coverage_permille,
                minimum_power_w,
                maximum_power_w,
                flags: Flags(flags),
            }) => {
                self.bytes(&[1]);
                self.bytes(&end_us.to_le_bytes());
                self.bytes(&energy_quanta.to_le_bytes());
                self.bytes(&reactive_power_var.to_le_bytes());
                self.bytes(&voltage_dv.to_le_bytes());
                self.bytes(&current_ca.to_le_bytes());
                self.bytes(&frequency_chz.to_le_bytes());
                self.bytes(&coverage_permille.to_le_bytes());
                self.bytes(&minimum_power_w.to_le_bytes());
                self.bytes(&maximum_power_w.to_le_bytes());
                self.bytes(&flags.to_le_bytes());
            }
        }
    }
}
