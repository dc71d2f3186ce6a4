//! Samples as a WAV file: the left channel is the voltage, the right one the current.

use std::io::Read;

use hound::{SampleFormat, WavReader, WavSpec};

use super::{CURRENT_A_MAX, FullScale, Limits, RATES_HZ, Recording, RecordingError, VOLTAGE_V_MAX};

/// Pairs for which room is made at once: a header may promise more than there are.
const ROOM_PAIRS: usize = 1 << 20;

/// Reads a whole file.
pub(super) fn read(
    reader: impl Read,
    full_scale: FullScale,
    limits: Limits,
) -> Result<Recording, RecordingError> {
    let units = [full_scale.volts, full_scale.amperes];
    if !units.iter().all(|unit| unit.is_finite() && *unit > 0.0) {
        return Err(RecordingError::ScaleRange);
    }
    let mut reader = WavReader::new(reader).map_err(RecordingError::WavHeader)?;
    let spec = reader.spec();
    check(spec)?;
    let count = reader.duration() as usize;
    if count > limits.pairs {
        return Err(RecordingError::TooLong);
    }
    let pairs = match spec.sample_format {
        SampleFormat::Float => pairs(reader.samples::<f32>().map(wide), count, units),
        SampleFormat::Int => {
            let ones = f64::from(1_u32 << (spec.bits_per_sample - 1));
            let units = units.map(|unit| unit / ones);
            pairs(reader.samples::<i32>().map(wide), count, units)
        }
    }?;
    Recording::new(pairs, f64::from(spec.sample_rate))
}

fn check(spec: WavSpec) -> Result<(), RecordingError> {
    let (bits, format) = match spec.sample_format {
        SampleFormat::Int => (&[16, 24, 32][..], "integers"),
        SampleFormat::Float => (&[32][..], "floats"),
    };
    if spec.channels != 2 || !bits.contains(&spec.bits_per_sample) {
        return Err(RecordingError::WavFormat {
            channels: spec.channels,
            bits: spec.bits_per_sample,
            format,
        });
    }
    // Said before a long file is read for nothing.
    if !RATES_HZ.contains(&spec.sample_rate) {
        let rate_hz = f64::from(spec.sample_rate);
        return Err(RecordingError::Rate { rate_hz });
    }
    Ok(())
}

fn wide<T: Into<f64>>(value: hound::Result<T>) -> hound::Result<f64> {
    value.map(Into::into)
}

fn pairs(
    mut values: impl Iterator<Item = hound::Result<f64>>,
    count: usize,
    units: [f64; 2],
) -> Result<Vec<[f32; 2]>, RecordingError> {
    let mut pairs = Vec::with_capacity(count.min(ROOM_PAIRS));
    for sample in 1..=count {
        let mut value = |unit: f64, max: f64, quantity| match values.next() {
            Some(Ok(value)) if (-max..=max).contains(&(value * unit)) => Ok((value * unit) as f32),
            Some(Ok(_)) | None => Err(RecordingError::Sample { sample, quantity }),
            Some(Err(source)) => Err(RecordingError::WavEnd {
                sample,
                pairs: count,
                source,
            }),
        };
        pairs.push([
            value(units[0], VOLTAGE_V_MAX, "voltage")?,
            value(units[1], CURRENT_A_MAX, "current")?,
        ]);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hound::{Sample, WavWriter};
    use proptest::prelude::*;

    use super::*;
    use crate::signal::recording::LIMITS;

    const SCALE: FullScale = FullScale {
        volts: 400.0,
        amperes: 20.0,
    };

    fn spec(bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec {
            channels: 2,
            sample_rate: 4_000,
            bits_per_sample,
            sample_format,
        }
    }

    /// A second with half of the negative and a quarter of the positive full scale.
    fn file<T: Sample + Copy>(spec: WavSpec, values: [T; 2]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        for index in 0..spec.sample_rate as usize * usize::from(spec.channels) {
            writer.write_sample(values[index % 2]).unwrap();
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn error(file: &[u8]) -> String {
        let error = read(file, SCALE, LIMITS).expect_err("no recording");
        error.to_string()
    }

    #[test]
    fn all_formats_give_volts_and_amperes() {
        let int = |bits: u16| {
            let one = 1_i64 << (bits - 1);
            let values = [(-one / 2) as i32, (one / 4) as i32];
            file(spec(bits, SampleFormat::Int), values)
        };
        let float = file(spec(32, SampleFormat::Float), [-0.5_f32, 0.25]);
        for file in [int(16), int(24), int(32), float] {
            let recording = read(&file[..], SCALE, LIMITS).unwrap();
            assert_eq!(recording.sample_rate_hz(), 4_000);
            assert_eq!(recording.pairs().len(), 4_000);
            assert!(recording.pairs().iter().all(|pair| *pair == [-200.0, 5.0]));
        }
    }

    #[test]
    fn other_channels_and_formats_are_refused() {
        let mono = WavSpec {
            channels: 1,
            ..spec(16, SampleFormat::Int)
        };
        assert!(
            error(&file(mono, [0_i16; 2])).starts_with("the WAV file has 1 channels of 16-bit")
        );
        let bytes = file(spec(8, SampleFormat::Int), [0_i8; 2]);
        assert!(error(&bytes).starts_with("the WAV file has 2 channels of 8-bit integers: two"));
        for sample_rate in [1_999, 96_000] {
            let spec = WavSpec {
                sample_rate,
                ..spec(16, SampleFormat::Int)
            };
            assert!(error(&file(spec, [0_i16; 2])).contains("2000 to 50000 Hz"));
        }
        assert_eq!(
            error(b"RIFF\x04\0\0\0WAVE"),
            "the WAV file has no header that can be read"
        );
    }

    #[test]
    fn values_out_of_range_are_refused_with_their_sample() {
        for value in [f32::NAN, f32::INFINITY, 2.6] {
            let mut file = file(spec(32, SampleFormat::Float), [0.0_f32; 2]);
            let start = file.len() - 4_000 * 8;
            file[start + 8 * 9 + 4..][..4].copy_from_slice(&(value * 20.0).to_le_bytes());
            assert_eq!(error(&file), "sample 10: the current is out of range");
            file[start + 8 * 2..][..4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(error(&file), "sample 3: the voltage is out of range");
        }
        let small = file(spec(16, SampleFormat::Int), [0_i16; 2]);
        for volts in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let scale = FullScale { volts, ..SCALE };
            let refused = read(&small[..], scale, LIMITS);
            assert!(matches!(refused, Err(RecordingError::ScaleRange)));
        }
    }

    #[test]
    fn length_has_limits_and_a_header_that_promises_too_much_is_found_out() {
        let whole = file(spec(16, SampleFormat::Int), [0_i16; 2]);
        let cut = &whole[..whole.len() - 4 * 7 - 1];
        assert_eq!(error(cut), "the WAV file ends at sample 3993 of 4000");
        let promise = |bytes: u32| {
            let mut file = whole.clone();
            let length = file.len() - 4_000 * 4 - 4;
            file[length..length + 4].copy_from_slice(&bytes.to_le_bytes());
            file
        };
        assert_eq!(
            error(&promise(400_000_004)),
            "the recording has more than 100 million samples"
        );
        assert_eq!(
            error(&promise(400_000_000)),
            "the WAV file ends at sample 4001 of 100000000"
        );
        assert_eq!(
            error(&promise(4 * 3_999)),
            "the recording has 3999 samples: less than a second"
        );
    }

    proptest! {
        #[test]
        fn any_change_of_a_file_is_read_or_refused(
            changes in prop::collection::vec((0..64_usize, any::<u8>()), 1..8),
            length in 0..20_000_usize,
        ) {
            let mut file = file(spec(16, SampleFormat::Int), [100_i16, -100]);
            for (place, byte) in changes {
                file[place] = byte;
            }
            file.truncate(length);
            if let Ok(recording) = read(&file[..], SCALE, LIMITS) {
                prop_assert!(recording.len_us() >= 1_000_000);
            }
        }
    }
}
