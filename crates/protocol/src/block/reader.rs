//! Checking a block and walking through its readings.

use core::ops::Range;

use super::{
    BlockError, CRC, CRC_BYTES, FIXED_BYTES, FORMAT, Header, Kind, MAGIC, REGISTER_BYTES,
    channel::read_channel,
};
use crate::{
    identity::{DeviceId, Seq, StoreId},
    limits::{BLOCK_BYTES_MAX, CHANNELS_MAX},
    reading::{ChannelReading, Packed, Reading, RegisterSet, Registers, Tier},
    run::RunParams,
    segment::{Models, RunReader},
    varint,
};

/// A block that was checked whole: every access after that succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    header: Header,
    kind: Kind,
    /// How readings are packed; `None` for differences and for blocks without readings.
    packed: Option<Tier>,
    count: u32,
    payload: &'a [u8],
}

/// Returns how long the block at the start of `bytes` says it is, `None` where it does not begin like a block.
#[must_use]
pub fn stated_length(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= 8 && bytes[..2] == MAGIC).then(|| le_u32(bytes, 4) as usize)
}

/// Returns the sequence numbers that a block covers, as its header says; `None` where there is none. Nothing is checked.
#[must_use]
pub fn covered(bytes: &[u8]) -> Option<Range<u64>> {
    stated_length(bytes)?;
    let (first, count) = (bytes.get(24..32)?, bytes.get(32..36)?);
    let first = le_u64(first, 0);
    Some(first..first.checked_add(le_u32(count, 0).into())?)
}

impl<'a> Block<'a> {
    /// Checks `bytes`, which must be exactly one block.
    ///
    /// # Errors
    /// See [`BlockError`]; any bytes whatever give a block or an error.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BlockError> {
        let length = Self::checked_length(bytes)?;
        let body = &bytes[..length - CRC_BYTES];
        if CRC.checksum(body) != le_u32(bytes, length - CRC_BYTES) {
            return Err(BlockError::Corrupt);
        }
        let kind = match body[3] {
            0 => Kind::Readings,
            1 => Kind::NeverExisted,
            2 => Kind::Lost,
            _ => return Err(BlockError::Unsupported),
        };
        let packed = match (kind, body[15]) {
            (_, 0) => None,
            (Kind::Readings, coding) => Some(Tier::of(coding - 1).ok_or(BlockError::Unsupported)?),
            _ => return Err(BlockError::OutOfRange),
        };
        let channels = usize::from(body[14]);
        let payload_at = FIXED_BYTES + channels * REGISTER_BYTES;
        if !(1..=CHANNELS_MAX).contains(&channels) || payload_at > body.len() {
            return Err(BlockError::OutOfRange);
        }
        let registers = body[FIXED_BYTES..payload_at]
            .chunks_exact(REGISTER_BYTES)
            .map(|bytes| Registers {
                import_mj: le_u64(bytes, 0),
                export_mj: le_u64(bytes, 8),
            })
            .collect();
        let header = Header {
            device: DeviceId(body[8..14].try_into().expect("six bytes")),
            store: StoreId(le_u64(body, 16)),
            first: Seq(le_u64(body, 24)),
            boot: le_u32(body, 36),
            uptime_ms: le_u64(body, 40),
            interval_ms: le_u32(body, 48),
            power_unit_mw: le_u16(body, 52),
            calibration: le_u16(body, 54),
            registers,
        };
        let block = Self {
            header,
            kind,
            packed,
            count: le_u32(body, 32),
            payload: &body[payload_at..],
        };
        block.check().ok_or(BlockError::OutOfRange)?;
        Ok(block)
    }

    fn checked_length(bytes: &[u8]) -> Result<usize, BlockError> {
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(BlockError::TooLong);
        }
        if bytes.len() < FIXED_BYTES + CRC_BYTES {
            return Err(BlockError::Truncated);
        }
        let length = stated_length(bytes).ok_or(BlockError::NotABlock)?;
        if bytes[2] != FORMAT {
            return Err(BlockError::Unsupported);
        }
        match length {
            _ if length > bytes.len() => Err(BlockError::Truncated),
            _ if length < bytes.len() => Err(BlockError::TooLong),
            _ => Ok(length),
        }
    }

    /// Holds every field to its range and walks the payload once.
    fn check(&self) -> Option<()> {
        let header = &self.header;
        (self.count >= 1 && self.params().is_in_range()).then_some(())?;
        let duration_ms = u64::from(self.count) * u64::from(header.interval_ms);
        header.first.0.checked_add(self.count.into())?;
        header.uptime_ms.checked_add(duration_ms)?;
        match self.kind {
            Kind::NeverExisted => self.payload.is_empty().then_some(()),
            Kind::Lost => self.lost_energy().map(drop),
            Kind::Readings => {
                let mut source = self.source()?;
                let mut numbers = 0;
                // Each step takes bytes, or is one of a bounded number.
                while numbers < self.count {
                    numbers = source.next(self.payload)?.span.checked_add(numbers)?;
                }
                (numbers == self.count && source.is_at_end(self.payload)).then_some(())
            }
        }
    }

    fn params(&self) -> RunParams {
        RunParams {
            interval_ms: self.header.interval_ms,
            power_unit_mw: self.header.power_unit_mw,
            calibration: self.header.calibration,
        }
    }

    /// What walks through the payload of readings.
    fn source(&self) -> Option<Source<'a>> {
        let channels = self.header.registers.len();
        Some(match self.packed {
            None => Source::Differences {
                at: 0,
                last: [ChannelReading::default(); CHANNELS_MAX],
                channels,
            },
            Some(tier) => Source::Packed(RunReader::new(
                self.payload,
                Models::new(),
                tier,
                channels,
                &self.params(),
            )?),
        })
    }

    /// Returns what is common to all readings.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what the block's numbers stand for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns how coarse the block's readings are; full resolution for a block without readings.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.packed.unwrap_or(Tier::Full)
    }

    /// Returns the sequence numbers that the block covers.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.header.first.0..self.header.first.0 + u64::from(self.count)
    }

    /// Returns the energy of a loss per channel, `None` for the other kinds.
    #[must_use]
    pub fn lost_energy(&self) -> Option<RegisterSet> {
        (self.kind == Kind::Lost).then_some(())?;
        let mut at = 0;
        let mut energy = RegisterSet::new();
        for _ in &self.header.registers {
            let import_mj = varint::read(self.payload, &mut at)?;
            let export_mj = varint::read(self.payload, &mut at)?;
            energy
                .push(Registers {
                    import_mj,
                    export_mj,
                })
                .ok()?;
        }
        (at == self.payload.len()).then_some(energy)
    }

    /// Returns the readings in order; none for a block of another kind.
    #[must_use]
    pub fn readings(&self) -> Readings<'_> {
        Readings {
            block: self,
            source: (self.kind == Kind::Readings)
                .then(|| self.source())
                .flatten(),
            numbers: 0,
            registers: self.header.registers.clone(),
        }
    }
}

/// Yields the readings of a checked block. It owns the odds of packed readings, about 20 kB: made for a PC.
#[derive(Debug)]
pub struct Readings<'a> {
    block: &'a Block<'a>,
    /// `None` where there are no readings.
    source: Option<Source<'a>>,
    /// Sequence numbers that the readings so far stand for.
    numbers: u32,
    registers: RegisterSet,
}

/// Where readings come from.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nothing here allocates, and few iterators are alive at a time"
)]
enum Source<'a> {
    Differences {
        at: usize,
        last: [ChannelReading; CHANNELS_MAX],
        channels: usize,
    },
    Packed(RunReader<'a, Models>),
}

impl Source<'_> {
    fn next(&mut self, payload: &[u8]) -> Option<Packed> {
        match self {
            Self::Differences { at, last, channels } => {
                let reading = &mut last[..*channels];
                for channel in &mut *reading {
                    *channel = read_channel(payload, at, channel)?;
                }
                Some(Packed::full(reading))
            }
            Self::Packed(reader) => reader.next_reading().ok(),
        }
    }

    /// Tells whether nothing follows; packed readings have no end of their own.
    fn is_at_end(&self, payload: &[u8]) -> bool {
        match self {
            Self::Differences { at, .. } => *at == payload.len(),
            Self::Packed(_) => true,
        }
    }
}

impl Iterator for Readings<'_> {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        let Block {
            header,
            count,
            payload,
            ..
        } = self.block;
        if self.numbers == *count {
            return None;
        }
        let reading = self.source.as_mut()?.next(payload)?;
        reading.advance(&mut self.registers, self.block.params().quantum_mj());
        let seq = header.first.advanced(self.numbers.into());
        self.numbers += reading.span;
        let last = u64::from(self.numbers - 1);
        Some(Reading {
            seq,
            span: reading.span,
            boot: header.boot,
            uptime_ms: header.uptime_ms + last * u64::from(header.interval_ms),
            // At most the span of the tier.
            interval_ms: header.interval_ms * reading.span,
            power_unit_mw: header.power_unit_mw,
            channels: reading.channels,
            extremes: reading.extremes,
            registers: self.registers.clone(),
        })
    }
}

fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
