//! Readings packed with a CRC: the unit of transfer and of storage.
//!
//! A block describes itself and decodes alone. It covers sequence numbers `[first, first + count)` of one store and is
//! of one [`Kind`]: readings, numbers that never existed (a torn write), or a loss. All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | magic `OB` |
//! | 2 | 1 | format: 0 |
//! | 3 | 1 | kind: 0 readings, 1 never existed, 2 lost |
//! | 4 | 4 | length of the whole block |
//! | 8 | 6 | device id |
//! | 14 | 1 | channels, 1 to 3 |
//! | 15 | 1 | zero |
//! | 16 | 8 | store id |
//! | 24 | 8 | first sequence number |
//! | 32 | 4 | count, at least 1 |
//! | 36 | 4 | boot |
//! | 40 | 8 | uptime at the end of the first reading, ms |
//! | 48 | 4 | interval, ms |
//! | 52 | 2 | power unit, mW |
//! | 54 | 2 | calibration version |
//! | 56 | 16 × channels | import and export registers before the first reading, mJ |
//! | … | … | payload |
//! | end − 4 | 4 | CRC-32 (ISO-HDLC) of all before |
//!
//! Payload of readings (format 0), per reading and channel: the differences to the reading before it (the first one: to
//! [`ChannelReading::default`]) of energy, reactive power, voltage, current and frequency as zigzag varints, then a
//! status byte: 0 where coverage and flags are as before, else 1 and both as varints. Payload of a loss: import and
//! export in mJ per channel as varints. *Never existed* has none.
//!
//! Format 0 is unreleased and may change.

use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc};

use crate::{
    identity::{DeviceId, Seq, StoreId},
    limits::{BLOCK_BYTES_MAX, CHANNELS_MAX, INTERVAL_MS},
    reading::{ChannelReading, Channels, Flags, Reading, RegisterSet, Registers, quantum_mj},
    varint,
};

/// The checksum of blocks and of everything else that lies on flash.
pub const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

const MAGIC: [u8; 2] = *b"OB";
const FORMAT: u8 = 0;
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
    /// Uptime at the end of the first reading, in ms; the n-th ends n intervals later.
    pub uptime_ms: u64,
    /// Length of each interval in ms.
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
    /// A format or kind that this version does not know.
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

/// The buffer is full; the block holds what was pushed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Packs readings into a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    count: u32,
    channels: usize,
    previous: [ChannelReading; CHANNELS_MAX],
}

impl<'a> Writer<'a> {
    /// Begins a block of readings.
    ///
    /// # Errors
    /// [`Full`] where the buffer cannot hold even the header.
    pub fn new(buffer: &'a mut [u8], header: &Header) -> Result<Self, Full> {
        Self::begin(buffer, header, Kind::Readings)
    }

    fn begin(buffer: &'a mut [u8], header: &Header, kind: Kind) -> Result<Self, Full> {
        let channels = header.registers.len();
        let at = FIXED_BYTES + channels * REGISTER_BYTES;
        if buffer.len() < at + CRC_BYTES {
            return Err(Full);
        }
        buffer[..at].fill(0);
        buffer[0..2].copy_from_slice(&MAGIC);
        buffer[2] = FORMAT;
        buffer[3] = kind as u8;
        buffer[8..14].copy_from_slice(&header.device.0);
        buffer[14] = channels as u8;
        buffer[16..24].copy_from_slice(&header.store.0.to_le_bytes());
        buffer[24..32].copy_from_slice(&header.first.0.to_le_bytes());
        buffer[36..40].copy_from_slice(&header.boot.to_le_bytes());
        buffer[40..48].copy_from_slice(&header.uptime_ms.to_le_bytes());
        buffer[48..52].copy_from_slice(&header.interval_ms.to_le_bytes());
        buffer[52..54].copy_from_slice(&header.power_unit_mw.to_le_bytes());
        buffer[54..56].copy_from_slice(&header.calibration.to_le_bytes());
        for (bytes, registers) in buffer[FIXED_BYTES..at]
            .chunks_exact_mut(REGISTER_BYTES)
            .zip(&header.registers)
        {
            bytes[..8].copy_from_slice(&registers.import_mj.to_le_bytes());
            bytes[8..].copy_from_slice(&registers.export_mj.to_le_bytes());
        }
        Ok(Self {
            buffer,
            at,
            count: 0,
            channels,
            previous: [ChannelReading::default(); CHANNELS_MAX],
        })
    }

    /// Appends the next reading.
    ///
    /// # Errors
    /// [`Full`] where it does not fit; the block stays as it was.
    ///
    /// # Panics
    /// When `channels` is not of the header's length.
    pub fn push(&mut self, channels: &[ChannelReading]) -> Result<(), Full> {
        assert_eq!(
            channels.len(),
            self.channels,
            "a block has one number of channels"
        );
        let end = self.buffer.len().min(BLOCK_BYTES_MAX) - CRC_BYTES;
        let mut at = self.at;
        for (channel, previous) in channels.iter().zip(&self.previous) {
            write_channel(&mut self.buffer[..end], &mut at, channel, previous).ok_or(Full)?;
        }
        self.at = at;
        self.count += 1;
        self.previous[..self.channels].copy_from_slice(channels);
        Ok(())
    }

    /// Returns how many readings the block holds so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Closes the block and returns its length in bytes.
    #[must_use]
    pub fn finish(self) -> usize {
        let length = self.at + CRC_BYTES;
        self.buffer[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        self.buffer[32..36].copy_from_slice(&self.count.to_le_bytes());
        let crc = CRC.checksum(&self.buffer[..self.at]);
        self.buffer[self.at..length].copy_from_slice(&crc.to_le_bytes());
        length
    }
}

/// Writes a block that says `count` numbers from `header.first` on never existed; returns its length.
///
/// # Errors
/// [`Full`] where the buffer is too small.
pub fn write_never_existed(buffer: &mut [u8], header: &Header, count: u32) -> Result<usize, Full> {
    let mut writer = Writer::begin(buffer, header, Kind::NeverExisted)?;
    writer.count = count;
    Ok(writer.finish())
}

/// Writes a block that says `count` readings from `header.first` on are lost, with their energy; returns its length.
///
/// # Errors
/// [`Full`] where the buffer is too small.
pub fn write_lost(
    buffer: &mut [u8],
    header: &Header,
    count: u32,
    energy: &[Registers],
) -> Result<usize, Full> {
    let mut writer = Writer::begin(buffer, header, Kind::Lost)?;
    writer.count = count;
    let end = writer.buffer.len() - CRC_BYTES;
    for channel in energy.iter().take(writer.channels) {
        for energy_mj in [channel.import_mj, channel.export_mj] {
            varint::write(&mut writer.buffer[..end], &mut writer.at, energy_mj).ok_or(Full)?;
        }
    }
    Ok(writer.finish())
}

fn write_channel(
    buffer: &mut [u8],
    at: &mut usize,
    channel: &ChannelReading,
    previous: &ChannelReading,
) -> Option<()> {
    for (value, before) in numbers(channel).into_iter().zip(numbers(previous)) {
        varint::write_signed(buffer, at, value - before)?;
    }
    if (channel.coverage_permille, channel.flags) == (previous.coverage_permille, previous.flags) {
        varint::write(buffer, at, 0)
    } else {
        varint::write(buffer, at, 1)?;
        varint::write(buffer, at, channel.coverage_permille.into())?;
        varint::write(buffer, at, channel.flags.0.into())
    }
}

fn numbers(channel: &ChannelReading) -> [i64; 5] {
    [
        channel.energy_quanta.into(),
        channel.reactive_power_var.into(),
        channel.voltage_dv.into(),
        channel.current_ca.into(),
        channel.frequency_chz.into(),
    ]
}

fn read_channel(bytes: &[u8], at: &mut usize, previous: &ChannelReading) -> Option<ChannelReading> {
    let mut values = numbers(previous);
    for value in &mut values {
        *value = value.checked_add(varint::read_signed(bytes, at)?)?;
    }
    let (coverage_permille, flags) = match varint::read(bytes, at)? {
        0 => (previous.coverage_permille, previous.flags),
        1 => (
            varint::read(bytes, at)?.try_into().ok()?,
            Flags(varint::read(bytes, at)?.try_into().ok()?),
        ),
        _ => return None,
    };
    (coverage_permille <= 1000).then_some(())?;
    Some(ChannelReading {
        energy_quanta: values[0].try_into().ok()?,
        reactive_power_var: values[1].try_into().ok()?,
        voltage_dv: values[2].try_into().ok()?,
        current_ca: values[3].try_into().ok()?,
        frequency_chz: values[4].try_into().ok()?,
        coverage_permille,
        flags,
    })
}

/// A block that was checked whole: every access after that succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    header: Header,
    kind: Kind,
    count: u32,
    payload: &'a [u8],
}

/// Returns how long the block at the start of `bytes` says it is, `None` where it does not begin like a block.
#[must_use]
pub fn stated_length(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= 8 && bytes[..2] == MAGIC).then(|| le_u32(bytes, 4) as usize)
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
            count: le_u32(body, 32),
            payload: &body[payload_at..],
        };
        block.check(body[15]).ok_or(BlockError::OutOfRange)?;
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
    fn check(&self, reserved: u8) -> Option<()> {
        let header = &self.header;
        let known_unit = matches!(header.power_unit_mw, 100 | 1000);
        let fields = reserved == 0
            && self.count >= 1
            && INTERVAL_MS.contains(&header.interval_ms)
            && known_unit;
        fields.then_some(())?;
        let duration_ms = u64::from(self.count) * u64::from(header.interval_ms);
        header.first.0.checked_add(self.count.into())?;
        header.uptime_ms.checked_add(duration_ms)?;
        match self.kind {
            Kind::NeverExisted => self.payload.is_empty().then_some(()),
            Kind::Lost => self.lost_energy().map(drop),
            Kind::Readings => {
                let mut at = 0;
                let mut previous = [ChannelReading::default(); CHANNELS_MAX];
                for _ in 0..self.count {
                    for channel in &mut previous[..header.registers.len()] {
                        *channel = read_channel(self.payload, &mut at, channel)?;
                    }
                }
                (at == self.payload.len()).then_some(())
            }
        }
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
            at: 0,
            index: 0,
            channels: self
                .header
                .registers
                .iter()
                .map(|_| ChannelReading::default())
                .collect(),
            registers: self.header.registers.clone(),
        }
    }
}

/// Yields the readings of a checked block.
#[derive(Clone, Debug)]
pub struct Readings<'a> {
    block: &'a Block<'a>,
    at: usize,
    index: u32,
    channels: Channels,
    registers: RegisterSet,
}

impl Iterator for Readings<'_> {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        let Block {
            header,
            kind,
            count,
            payload,
        } = self.block;
        if *kind != Kind::Readings || self.index == *count {
            return None;
        }
        let quantum_mj = quantum_mj(header.power_unit_mw, header.interval_ms);
        for (channel, registers) in self.channels.iter_mut().zip(&mut self.registers) {
            *channel = read_channel(payload, &mut self.at, channel)?;
            *registers = registers.advanced(channel.energy_quanta, quantum_mj);
        }
        let index = u64::from(self.index);
        self.index += 1;
        Some(Reading {
            seq: header.first.advanced(index),
            boot: header.boot,
            uptime_ms: header.uptime_ms + index * u64::from(header.interval_ms),
            interval_ms: header.interval_ms,
            power_unit_mw: header.power_unit_mw,
            channels: self.channels.clone(),
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
