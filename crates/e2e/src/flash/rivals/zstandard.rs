//! Zstandard at a high level, on several layouts of the rows; the best counts.

use anyhow::Result;
use protocol::ChannelReading;

use super::{FIELDS, fields, split};

/// Level of compression: the highest before those called ultra, which ask for more memory.
pub const ZSTD_LEVEL: i32 = 19;

/// Bytes of the rows in the best of several layouts, and which it was.
///
/// Either every segment by itself, its four fields one after another as differences of 16 bits, bytes together or low and
/// high ones apart; or all rows at once: the same, or the numbers as they are, row by row.
///
/// # Errors
/// When the compressor fails.
pub fn zstd_bytes(rows: &[ChannelReading], segments: &[usize]) -> Result<(usize, &'static str)> {
    let sum = |planes: fn(&[ChannelReading]) -> Vec<u8>| -> Result<usize> {
        let parts = split(rows, segments);
        parts.map(|segment| compressed(&planes(segment))).sum()
    };
    let layouts = [
        (sum(differences)?, "differences, each segment"),
        (
            sum(differences_apart)?,
            "bytes of differences, each segment",
        ),
        (compressed(&differences(rows))?, "differences, all at once"),
        (
            compressed(&differences_apart(rows))?,
            "bytes of differences, all at once",
        ),
        (
            compressed(&as_they_are(rows))?,
            "rows as they are, all at once",
        ),
    ];
    Ok(layouts.into_iter().min().expect("five layouts"))
}

fn compressed(bytes: &[u8]) -> Result<usize> {
    Ok(zstd::bulk::compress(bytes, ZSTD_LEVEL)?.len())
}

/// The lowest 16 bits, which are all that the numbers of a household need.
fn low(value: i64) -> [u8; 2] {
    (value as i16).to_le_bytes()
}

fn as_they_are(rows: &[ChannelReading]) -> Vec<u8> {
    rows.iter().flat_map(fields).flat_map(low).collect()
}

fn differences(rows: &[ChannelReading]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in 0..FIELDS {
        let mut last = 0;
        for row in rows {
            let now = fields(row)[field];
            bytes.extend(low(now - last));
            last = now;
        }
    }
    bytes
}

fn differences_apart(rows: &[ChannelReading]) -> Vec<u8> {
    let bytes = differences(rows);
    let half = |which| bytes.iter().skip(which).step_by(2).copied();
    half(0).chain(half(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::profile;

    #[test]
    fn every_layout_holds_the_rows_once() {
        let rows = profile::synthetic(4, 100);
        for layout in [as_they_are, differences, differences_apart] {
            assert_eq!(layout(&rows).len(), 800);
        }
        let plane: Vec<i16> = differences(&rows)[..200]
            .chunks_exact(2)
            .map(|two| i16::from_le_bytes([two[0], two[1]]))
            .collect();
        let sum: i32 = plane.into_iter().map(i32::from).sum();
        assert_eq!(sum, rows[99].energy_quanta);
    }

    #[test]
    fn the_best_layout_is_no_larger_than_the_first() {
        let rows = profile::synthetic(4, 600);
        let (bytes, _) = zstd_bytes(&rows, &[300, 300]).expect("compressed");
        let first = compressed(&differences(&rows[..300])).expect("compressed")
            + compressed(&differences(&rows[300..])).expect("compressed");
        assert!(bytes > 100 && bytes <= first, "{bytes} of {first}");
    }
}
