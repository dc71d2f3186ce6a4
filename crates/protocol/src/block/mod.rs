//! Readings packed with a CRC: the unit of transfer and of storage.
//!
//! A block describes itself and decodes alone. It covers sequence numbers `[first, first + count)` of one store and is
//! of one [`Kind`]: readings, numbers that never existed (a torn write), or a loss. All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | magic `OB` |
//! | 2 | 1 | format: 1 |
//! | 3 | 1 | kind: 0 readings, 1 never existed, 2 lost |
//! | 4 | 4 | length of the whole block |
//! | 8 | 6 | device id |
//! | 14 | 1 | channels, 1 to 3 |
//! | 15 | 1 | coding: 0 differences; 1, 2, 3 packed at [tier](crate::reading::Tier) 0, 1, 2; zero for the other kinds |
//! | 16 | 8 | store id |
//! | 24 | 8 | first sequence number |
//! | 32 | 4 | count of the sequence numbers covered, at least 1 |
//! | 36 | 4 | boot |
//! | 40 | 8 | uptime at the end of the first number's interval, ms |
//! | 48 | 4 | interval of one number, 1,000 to 900,000 ms |
//! | 52 | 2 | power unit, 100 or 1000 mW |
//! | 54 | 2 | calibration version |
//! | 56 | 16 × channels | import and export registers before the first reading, mJ |
//! | … | … | payload |
//! | end − 4 | 4 | CRC-32 (ISO-HDLC) of all before |
//!
//! Payload of differences, per reading and channel: the differences to the reading before it (the first one: to
//! [`ChannelReading::default`](crate::reading::ChannelReading)) of energy, reactive power, voltage, current and frequency as zigzag varints, then a
//! status byte: 0 where coverage and flags are as before, else 1 and both as varints. Packed payload: the stream of a run
//! as in [`segment`](crate::segment), whose spans add up to the count. Payload of a loss: import and export in mJ per
//! channel as varints. *Never existed* has none.
//!
//! A coarse reading that stands for the numbers from `a` to `a + span − 1` ends at the uptime of the header +
//! (`a + span − 1 − first`) × interval.
//!
//! Format 1 is the first that was released, and does not change.

mod channel;
mod reader;
mod writer;

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::{
    identity::{DeviceId, Seq, StoreId},
    reading::RegisterSet,
};

pub use channel::{read_channel, write_channel};
pub use reader::{Block, Readings, covered, stated_length};
pub use writer::{Full, Writer, write_lost, write_never_existed, write_packed};

/// The checksum of blocks and of everything else that lies on flash.
pub const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

const MAGIC: [u8; 2] = *b"OB";
const FORMAT: u8 = 1;
const FIXED_BYTES: usize = 56;
const REGISTER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;

/// Bytes that one channel of one reading takes at the most.
pub const CHANNEL_BYTES_MAX: usize = 5 + 5 + 3 + 3 + 3 + 1 + 2 + 3;

/// What the sequence numbers of a block stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Readings follow.
    Readings,
    /// A power cut tore the write; no reading was ever acknowledged under these numbers.
    NeverExisted,
    /// Readings that were there are gone.
    Lost,
}

/// What is common to all readings of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The meter.
    pub device: DeviceId,
    /// Its history.
    pub store: StoreId,
    /// Number of the first reading.
    pub first: Seq,
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime at the end of the first number's interval, in ms; the n-th after it ends n intervals later.
    pub uptime_ms: u64,
    /// Length of the interval of one number in ms.
    pub interval_ms: u32,
    /// Unit of power in mW.
    pub power_unit_mw: u16,
    /// Version of the calibration that was in force.
    pub calibration: u16,
    /// Registers before the first reading, one entry a channel.
    pub registers: RegisterSet,
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// Fewer bytes than the block says it has.
    Truncated,
    /// More bytes than the block says it has, or than any block may have.
    TooLong,
    /// The magic is another.
    NotABlock,
    /// A format, kind or coding that this version does not know.
    Unsupported,
    /// The CRC does not match.
    Corrupt,
    /// The CRC matches, but a field is out of its range.
    OutOfRange,
}

impl core::fmt::Display for BlockError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the block ends too early",
            Self::TooLong => "the block is longer than allowed",
            Self::NotABlock => "these bytes are no block",
            Self::Unsupported => "the block has a format that this version does not know",
            Self::Corrupt => "the block's checksum does not match",
            Self::OutOfRange => "a field of the block is out of range",
        })
    }
}

impl core::error::Error for BlockError {}
