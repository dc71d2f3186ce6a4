//! Recordings: samples of voltage and current that somebody took, to be measured like those of any other source.
//!
//! Two kinds of file hold them: text with the columns `t_s,v,i`, and WAV with two channels. Both become evenly spaced
//! pairs in volts and amperes, which a meter samples at the rate at which they were taken. What is constant over a whole
//! recording is taken for an offset of the recorder: a current transformer would not pass it.

mod csv;
#[cfg(test)]
mod measured;
mod phasor;
mod wav;

pub(super) use phasor::VOLTAGE_V_MIN;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{FrontEnd, source::Means};

/// Rates at which the metering can sample, in Hz.
const RATES_HZ: RangeInclusive<u32> = 2_000..=50_000;
/// Voltage beyond this is no mains, in V.
const VOLTAGE_V_MAX: f64 = 1_000.0;
/// Current beyond this is no household's, in A.
const CURRENT_A_MAX: f64 = 1_000.0;
/// Limits of what is still read.
const LIMITS: Limits = Limits {
    file_bytes: 1 << 30,
    pairs: 100_000_000,
};
/// Bytes of a file that tell its kind.
const HEAD_BYTES: u64 = 256;
/// Ratings of current transformers in A.
const CT_AMPERES: [f64; 11] = [
    5.0, 10.0, 20.0, 30.0, 50.0, 60.0, 100.0, 200.0, 400.0, 600.0, 1_000.0,
];
/// Nominal voltages that voltage inputs are made for, in V.
const NOMINAL_V: [f64; 4] = [120.0, 230.0, 400.0, 690.0];
/// Nominal voltage and rated current as shares of their full scales, as the front ends have them.
const NOMINAL_SHARE: [f64; 2] = [0.6, 0.9];
/// Share of the range that a peak may fill: 3 % of gain, 5 % of offset and the noise come on top.
const PEAK_SHARE_MAX: f64 = 0.9;

/// How much is read of a file at the most.
#[derive(Clone, Copy, Debug)]
struct Limits {
    file_bytes: u64,
    pairs: usize,
}

/// What a file that can be replayed holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A load profile: means of minutes.
    Profile,
    /// Text with the columns `t_s,v,i`.
    Samples,
    /// A WAV file.
    Wav,
}

/// What the full scale of a WAV file stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullScale {
    /// Voltage in V, above 0.
    pub volts: f64,
    /// Current in A, above 0.
    pub amperes: f64,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be opened, or not even its beginning can be read.
    #[error("{0} cannot be read")]
    Open(PathBuf, #[source] io::Error),
    /// Its content begins like none of the files that can be replayed.
    #[error(
        "{0} is no load profile (its first line would begin with Date;Time;Global_active_power), \
         no samples (its first line would be t_s,v,i) and no WAV file (it would begin with RIFF)"
    )]
    UnknownKind(PathBuf),
    /// A WAV file came without its scale.
    #[error("a WAV file does not say how many volts and amperes its full scale is")]
    ScaleMissing,
    /// A scale came with a file whose values have units.
    #[error("only a WAV file takes a scale: the values of this file have units of their own")]
    ScaleUnused,
    /// A full scale is not a number above 0.
    #[error("the full scale of a WAV file is a number of volts and one of amperes, both above 0")]
    ScaleRange,
    /// Reading failed in the middle.
    #[error("the recording cannot be read to its end")]
    Read(#[source] io::Error),
    /// It is larger than 1 GiB.
    #[error("the recording is larger than {} MiB", LIMITS.file_bytes >> 20)]
    TooLarge,
    /// It has more than 100 million pairs.
    #[error("the recording has more than {} million samples", LIMITS.pairs / 1_000_000)]
    TooLong,
    /// It lasts less than a second.
    #[error("the recording has {pairs} samples: less than a second")]
    TooShort {
        /// Pairs that it has.
        pairs: usize,
    },
    /// It was sampled too slowly or too fast.
    #[error("the recording was sampled at {rate_hz:.0} Hz: {} to {} Hz can be measured", RATES_HZ.start(), RATES_HZ.end())]
    Rate {
        /// Its rate in Hz.
        rate_hz: f64,
    },
    /// A line is wrong.
    #[error("line {line}: {fault}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// A sample of a WAV file is out of range.
    #[error("sample {sample}: the {quantity} is out of range")]
    Sample {
        /// The sample, counted from 1.
        sample: usize,
        /// `voltage` or `current`.
        quantity: &'static str,
    },
    /// A WAV file has other channels or another format.
    #[error(
        "the WAV file has {channels} channels of {bits}-bit {format}: two (voltage, current) of 16, 24 or 32-bit \
         integers or 32-bit floats are needed"
    )]
    WavFormat {
        /// Channels that it has.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
        /// `integers` or `floats`.
        format: &'static str,
    },
    /// The header of a WAV file cannot be read.
    #[error("the WAV file has no header that can be read")]
    WavHeader(#[source] hound::Error),
    /// A WAV file ends before its header says, or cannot be read further.
    #[error("the WAV file ends at sample {sample} of {pairs}")]
    WavEnd {
        /// The sample that is missing, counted from 1.
        sample: usize,
        /// Samples that the header promises.
        pairs: usize,
        /// What the reader says.
        source: hound::Error,
    },
}

/// What is wrong with a line of samples.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LineFault {
    /// It is not the header.
    #[error("the first line is not t_s,v,i")]
    Header,
    /// It is longer than 256 bytes.
    #[error("longer than {} bytes", csv::LINE_BYTES_MAX)]
    TooLong,
    /// It does not have three columns.
    #[error("three columns are needed: time in s, voltage in V, current in A")]
    Columns,
    /// The time is no number.
    #[error("the time is no number")]
    Time,
    /// The voltage is no number or out of range.
    #[error("the voltage is no number from -{0} to {0}", VOLTAGE_V_MAX)]
    Voltage,
    /// The current is no number or out of range.
    #[error("the current is no number from -{0} to {0}", CURRENT_A_MAX)]
    Current,
    /// It is not one even step after the line before.
    #[error("the time is {step_us:.3} µs after the line before, not {even_us:.3} µs as before")]
    Uneven {
        /// Its distance from the line before in µs.
        step_us: f64,
        /// The distance that the lines have otherwise, in µs.
        even_us: f64,
    },
}

/// Evenly spaced samples of voltage and current; copies share them.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Volts and amperes.
    pairs: Arc<Vec<[f32; 2]>>,
    sample_rate_hz: u32,
    /// What is constant over all of it, in V and A.
    offset: [f64; 2],
    /// Highest absolute values in V and A.
    peak: [f64; 2],
    /// Of the voltage; `None` where it has none between 40 and 70 Hz.
    frequency_hz: Option<f64>,
}

/// Opens a file and tells from its beginning what it holds; nothing of it is consumed.
///
/// # Errors
/// [`RecordingError::Open`], [`RecordingError::TooLarge`] and [`RecordingError::UnknownKind`].
pub(super) fn open(path: &Path) -> Result<(FileKind, impl BufRead), RecordingError> {
    let error = |source| RecordingError::Open(path.to_owned(), source);
    let mut file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.len() > LIMITS.file_bytes {
        return Err(RecordingError::TooLarge);
    }
    let mut head = Vec::new();
    Read::by_ref(&mut file)
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(error)?;
    let kind = kind(&head).ok_or_else(|| RecordingError::UnknownKind(path.to_owned()))?;
    // A pipe has no size: it is cut off where it gets too large, one byte later so that this shows.
    let rest = BufReader::new(file.take(LIMITS.file_bytes + 1));
    Ok((kind, Cursor::new(head).chain(rest)))
}

fn kind(head: &[u8]) -> Option<FileKind> {
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        Some(FileKind::Wav)
    } else if head.starts_with(b"Date;Time;") {
        Some(FileKind::Profile)
    } else {
        let first = head.split(|byte| *byte == b'\n').next()?;
        csv::is_header(first).then_some(FileKind::Samples)
    }
}

impl Recording {
    /// Reads text with the columns `t_s,v,i`: seconds, volts and amperes.
    ///
    /// The rate follows from the times, which must be evenly spaced within 1 % of a step and the last digit written.
    ///
    /// # Errors
    /// [`RecordingError`], with the line.
    pub fn read_samples(reader: impl BufRead) -> Result<Self, RecordingError> {
        csv::read(reader, LIMITS)
    }

    /// Reads a WAV file with two channels: voltage and current.
    ///
    /// # Errors
    /// [`RecordingError`], with the sample.
    pub fn read_wav(reader: impl Read, full_scale: FullScale) -> Result<Self, RecordingError> {
        wav::read(reader, full_scale, LIMITS)
    }

    /// Takes pairs in V and A that are in range.
    fn new(pairs: Vec<[f32; 2]>, rate_hz: f64) -> Result<Self, RecordingError> {
        let sample_rate_hz = rate_hz.round() as u32;
        if !RATES_HZ.contains(&sample_rate_hz) {
            return Err(RecordingError::Rate { rate_hz });
        }
        if pairs.len() < sample_rate_hz as usize {
            return Err(RecordingError::TooShort { pairs: pairs.len() });
        }
        let (mut offset, mut peak) = ([0.0_f64; 2], [0.0_f64; 2]);
        for pair in &pairs {
            for (channel, value) in pair.map(f64::from).into_iter().enumerate() {
                offset[channel] += value;
                peak[channel] = peak[channel].max(value.abs());
            }
        }
        let offset = offset.map(|sum| sum / pairs.len() as f64);
        Ok(Self {
            frequency_hz: phasor::frequency_hz(&pairs, offset[0], sample_rate_hz),
            pairs: Arc::new(pairs),
            sample_rate_hz,
            offset,
            peak,
        })
    }

    /// Returns the pairs in V and A.
    #[must_use]
    pub fn pairs(&self) -> &[[f32; 2]] {
        &self.pairs
    }

    /// Returns the rate at which it was taken, rounded to whole Hz, 2,000 to 50,000.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Returns the length in µs.
    #[must_use]
    pub fn len_us(&self) -> u64 {
        self.pairs.len() as u64 * 1_000_000 / u64::from(self.sample_rate_hz)
    }

    /// Returns the frequency of the voltage in mHz over all of it; 0 without one between 40 and 70 Hz.
    #[must_use]
    pub fn frequency_mhz(&self) -> u32 {
        (self.frequency_hz.unwrap_or_default() * 1e3).round() as u32
    }

    /// Returns the front end of an ESP32-C3 with the smallest inputs that its peaks do not overdrive.
    ///
    /// Current transformers have 5 to 1,000 A, voltage inputs are made for 120 to 690 V; `seed` draws the tolerances.
    #[must_use]
    pub fn front_end(&self, seed: u64) -> FrontEnd {
        let smallest = |ratings: &[f64], channel: usize| {
            let fits = |rating: &&f64| {
                let range = **rating / NOMINAL_SHARE[channel] * std::f64::consts::SQRT_2;
                self.peak[channel] <= PEAK_SHARE_MAX * range
            };
            *ratings
                .iter()
                .find(fits)
                .unwrap_or(&ratings[ratings.len() - 1])
        };
        FrontEnd {
            full_scale_v: smallest(&NOMINAL_V, 0) / NOMINAL_SHARE[0],
            ..FrontEnd::esp32c3(smallest(&CT_AMPERES, 1), seed)
        }
    }

    /// Means over a time since the start, exact to a sample; all 0 where it holds none.
    pub(super) fn means(&self, from_us: u64, to_us: u64) -> Means {
        let sample_at =
            |at_us| (u128::from(at_us) * u128::from(self.sample_rate_hz) / 1_000_000) as u64;
        let (mut at, end) = (sample_at(from_us), sample_at(to_us));
        let length = self.pairs.len() as u64;
        let mut sums = phasor::Sums::default();
        let samples = end.saturating_sub(at);
        while at < end {
            let from = (at % length) as usize;
            let to = (from as u64 + end - at).min(length) as usize;
            let cycles_per_sample = self
                .frequency_hz
                .map(|frequency_hz| frequency_hz / f64::from(self.sample_rate_hz));
            sums.add(&self.pairs[from..to], self.offset, cycles_per_sample);
            at += (to - from) as u64;
        }
        sums.means(samples)
    }
}
