//! What packed runs take of a segment file, and whether they come back.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use protocol::{
    ChannelReading, DeviceId, Registers, Seq, StoreId,
    reading::{Packed, RegisterSet, Tier},
    run::{Run, RunParams},
    segment::{
        Models, RunReader,
        file::{Identity, SEGMENT_BYTES_MAX, Segment, SegmentWriter},
    },
};

use super::{profile, rivals};
use crate::report::{Figures, rounded};

/// What the rows of a household's file are.
const PARAMS: RunParams = RunParams {
    interval_ms: 60_000,
    power_unit_mw: 1_000,
    calibration: 1,
};
const IDENTITY: Identity = Identity {
    device: DeviceId([2, 0, 0, 0, 0, 1]),
    store: StoreId(1),
    channels: 1,
};
/// Seeds of the frequency's and the noise's course; the mean of all counts.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
/// Lengths of segments that show what learning costs; their headers are not counted.
const SHORT: [usize; 3] = [250, 500, 1_000];

/// Rows packed into segment files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Readings in each file.
    pub readings: Vec<usize>,
    /// Bytes of all files.
    pub bytes: usize,
    /// Bytes of the packed readings in them.
    pub stream_bytes: usize,
    /// Rows that did not decode to themselves.
    pub differ: usize,
}

impl Files {
    /// Rows in all files.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.readings.iter().sum()
    }

    /// Mean bytes of a row.
    #[must_use]
    pub fn bytes_per_reading(&self) -> f64 {
        self.bytes as f64 / self.rows() as f64
    }
}

/// Packs rows into files of one block and at most so many readings each, and unpacks them.
///
/// # Errors
/// When no row fits into a file, or a file cannot be read.
pub fn pack(rows: &[ChannelReading], readings_max: usize) -> Result<Files> {
    let mut files = Files::default();
    let mut models = Models::new();
    let mut registers: RegisterSet = [Registers::default()].into_iter().collect();
    let mut left = rows;
    while !left.is_empty() {
        let mut buffer = [0; SEGMENT_BYTES_MAX];
        let base = files.rows() as u64;
        let mut writer = SegmentWriter::new(
            &mut buffer,
            &mut models,
            IDENTITY,
            Tier::Full,
            Seq(base),
            &registers,
        )
        .map_err(|_| anyhow!("a file has no room for its header"))?;
        let run = Run {
            first: base,
            skipped: 0,
            boot: 1,
            uptime_ms: (base + 1) * u64::from(PARAMS.interval_ms),
            params: PARAMS,
            registers: registers.clone(),
        };
        let begun = writer.begin_run(&run);
        let pushed = left.iter().take(readings_max);
        let count = pushed
            .take_while(|row| writer.push(&Packed::full(&[**row])).is_ok())
            .count();
        ensure!(
            begun.is_ok() && count > 0,
            "a file has no room for a reading"
        );
        registers = writer.registers().clone();
        let end = writer.end();
        let bytes = writer.finish(end, &registers);
        let segment = Segment::parse(&buffer[..bytes])?;
        let view = (segment.runs().next()).ok_or_else(|| anyhow!("a segment without a run"))?;
        let (packed, behind) = left.split_at(count);
        files.readings.push(count);
        files.bytes += bytes;
        files.stream_bytes += view.stream.len();
        files.differ += differ(view.stream, packed);
        left = behind;
    }
    Ok(files)
}

/// Counts rows that a run does not give back; behind an error none counts as given.
fn differ(run: &[u8], rows: &[ChannelReading]) -> usize {
    let reader = RunReader::new(run, Models::new(), Tier::Full, 1, &PARAMS);
    let mut reader = reader.expect("one channel");
    for (at, row) in rows.iter().enumerate() {
        match reader.next_reading() {
            Ok(reading) if reading.channels[0] == *row => {}
            _ => return rows.len() - at,
        }
    }
    0
}

/// Bytes of a row of P, Q, V and I in one code and another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// Segment files, with their headers.
    pub ours: f64,
    /// Four numbers of 16 bits.
    pub raw: f64,
    /// Differences as varints.
    pub varint: f64,
    /// Gorilla.
    pub gorilla: f64,
    /// Zstandard at its best.
    pub zstd: f64,
}

/// Mean bytes of a row over the seeds, and all files together.
fn mean(files: &[Files]) -> f64 {
    files.iter().map(Files::bytes_per_reading).sum::<f64>() / files.len() as f64
}

/// Measures the codec on a household's rows and writes its keys.
pub(super) fn measure(figures: &mut Figures<'_>, household: &Path) -> Result<Compared> {
    let (rows, missing) = profile::read(household)?;
    let plain = pack(&rows, usize::MAX)?;
    figures.set("codec_rows", plain.rows())?;
    figures.set("codec_rows_without_value", missing)?;
    figures.set("codec_files", plain.readings.len())?;
    figures.set(
        "codec_bytes_per_reading",
        rounded(plain.bytes_per_reading(), 3),
    )?;
    let mut all = vec![plain.clone()];

    let frequency = SEEDS.map(|seed| pack(&profile::with_frequency(&rows, seed), usize::MAX));
    let frequency = frequency.into_iter().collect::<Result<Vec<_>>>()?;
    let more = mean(&frequency) - plain.bytes_per_reading();
    figures.set("codec_frequency_bytes", rounded(more, 3))?;
    figures.set("codec_frequency_rows", count(&frequency))?;
    all.extend(frequency);

    for readings_max in SHORT {
        let short = pack(&rows, readings_max)?;
        figures.set(
            &format!("codec_bytes_per_reading_of_{readings_max}"),
            rounded(short.stream_bytes as f64 / short.rows() as f64, 3),
        )?;
        all.push(short);
    }
    let noisy = SEEDS.map(|seed| pack(&profile::with_noise(&rows, seed), usize::MAX));
    let noisy = noisy.into_iter().collect::<Result<Vec<_>>>()?;
    figures.set("codec_noisy_bytes_per_reading", rounded(mean(&noisy), 3))?;
    figures.set("codec_noisy_rows", count(&noisy))?;
    all.extend(noisy);

    figures.set("codec_rows_decoded", count(&all))?;
    let differ: usize = all.iter().map(|files| files.differ).sum();
    figures.set("codec_rows_differ", differ)?;
    beside(figures, &rows, &plain)
}

fn count(files: &[Files]) -> usize {
    files.iter().map(Files::rows).sum()
}

/// What other codes take, in segments of the same lengths.
fn beside(figures: &mut Figures<'_>, rows: &[ChannelReading], files: &Files) -> Result<Compared> {
    let segments = &files.readings;
    let of = |bytes: f64| bytes / rows.len() as f64;
    let (zstd_bytes, layout) = rivals::zstd_bytes(rows, segments)?;
    let compared = Compared {
        ours: files.bytes_per_reading(),
        raw: of(rivals::raw_bytes(rows) as f64),
        varint: of(rivals::varint_bytes(rows) as f64),
        gorilla: of(rivals::gorilla_bytes(rows, segments) as f64),
        zstd: of(zstd_bytes as f64),
    };
    let entropy = of(rivals::entropy_bytes(rows, PARAMS.power_unit_mw));
    for (key, bytes) in [
        ("raw", compared.raw),
        ("varint", compared.varint),
        ("gorilla", compared.gorilla),
        ("zstd", compared.zstd),
        ("entropy", entropy),
    ] {
        figures.set(&format!("codec_{key}_bytes"), rounded(bytes, 3))?;
    }
    figures.set("codec_zstd_level", rivals::ZSTD_LEVEL)?;
    println!("zstd's best layout: {layout}");
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use protocol::segment::RunWriter;

    use super::*;

    #[test]
    fn altered_run_differs_from_where_it_was_altered() {
        let rows = profile::synthetic(1, 200);
        let mut buffer = [0; 2_000];
        let mut models = Models::new();
        let mut writer =
            RunWriter::new(&mut buffer, &mut models, Tier::Full, 1, &PARAMS).expect("one channel");
        for row in &rows {
            writer.push(&Packed::full(&[*row])).expect("room");
        }
        let length = writer.finish();
        assert_eq!(differ(&buffer[..length], &rows), 0);
        buffer[length / 4] ^= 0x10;
        let found = differ(&buffer[..length], &rows);
        assert!((120..180).contains(&found), "{found}");
    }
}
