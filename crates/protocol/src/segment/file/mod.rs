//! Runs in a file of at most one sector: what lies on flash for months.
//!
//! A segment describes itself and decodes alone. It accounts for the sequence numbers `[base, base + count)` of one store,
//! all readings of it of one [tier](crate::reading::Tier). All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `OFSG` |
//! | 4 | 1 | format: 1 |
//! | 5 | 1 | tier: 0, 1 or 2 |
//! | 6 | 1 | channels, 1 to 3 |
//! | 7 | 1 | zero |
//! | 8 | 2 | length of the file, at most 4096 |
//! | 10 | 2 | number of runs, at least 1 |
//! | 12 | 4 | count of the numbers that it accounts for, at least 1 |
//! | 16 | 8 | store id |
//! | 24 | 6 | device id |
//! | 30 | 2 | zero |
//! | 32 | 8 | base: first number that it accounts for; base + count is at most 2⁶⁰ |
//! | 40 | 16 × channels | import and export registers at the end, mJ |
//! | … | … | runs |
//! | … | … | lost energy, where numbers behind the last run are lost |
//! | end − 4 | 4 | CRC-32 (ISO-HDLC) of all before |
//!
//! and each run
//!
//! | bytes | field |
//! |---|---|
//! | 4 | count of the numbers that its readings stand for, at least 1 |
//! | 2 | length of the stream |
//! | … | the [run](crate::run) |
//! | … | lost energy, where numbers right before it are lost |
//! | … | stream: its readings as in [`segment`](crate::segment) |
//!
//! Between what came before a run, the base or the end of the run before, and its first reading lie first the numbers that
//! are **lost**, then the `skipped` ones that **never existed**. Behind the last run all numbers up to base + count are
//! lost. Lost energy is import and export of each channel in mJ as varints: what the registers advanced by meanwhile.
//!
//! Format 1 is the first that was released, and does not change.

mod reader;
mod writer;

use crate::identity::{DeviceId, StoreId};

pub use reader::{NoBlock, RunView, Runs, Segment};
pub use writer::SegmentWriter;

/// Longest segment in bytes: one sector.
pub const SEGMENT_BYTES_MAX: usize = 4_096;

/// What a segment begins with.
pub const MAGIC: [u8; 4] = *b"OFSG";
const FORMAT: u8 = 1;
const FIXED_BYTES: usize = 40;
const REGISTER_BYTES: usize = 16;
const RECORD_BYTES: usize = 6;
const CRC_BYTES: usize = 4;
/// Import and export of one channel as varints.
const LOST_BYTES_MAX: usize = 20;

/// Whose readings a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The meter.
    pub device: DeviceId,
    /// Its history.
    pub store: StoreId,
    /// How many channels it has, 1 to 3.
    pub channels: u8,
}

/// Why bytes are no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// Fewer bytes than the segment says it has.
    Truncated,
    /// More bytes than the segment says it has, or than any segment may have.
    TooLong,
    /// The magic is another.
    NotASegment,
    /// A format or tier that this version does not know.
    Unsupported,
    /// The CRC does not match.
    Corrupt,
    /// The CRC matches, but a field is out of its range.
    OutOfRange,
}

impl core::fmt::Display for SegmentError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the segment ends too early",
            Self::TooLong => "the segment is longer than allowed",
            Self::NotASegment => "these bytes are no segment",
            Self::Unsupported => "the segment has a format that this version does not know",
            Self::Corrupt => "the segment's checksum does not match",
            Self::OutOfRange => "a field of the segment is out of range",
        })
    }
}

impl core::error::Error for SegmentError {}
