//! Packing readings into a block.

use super::{
    CRC, CRC_BYTES, FIXED_BYTES, FORMAT, Header, Kind, MAGIC, REGISTER_BYTES,
    channel::write_channel,
};
use crate::{
    limits::{BLOCK_BYTES_MAX, CHANNELS_MAX},
    reading::{ChannelReading, Registers, Tier},
    varint,
};

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

/// Writes a block of `count` numbers whose readings are packed in `stream`, as a
/// [`RunWriter`](crate::segment::RunWriter) made it; returns its length.
///
/// # Errors
/// [`Full`] where the buffer is too small, or no block is that long.
pub fn write_packed(
    buffer: &mut [u8],
    header: &Header,
    tier: Tier,
    count: u32,
    stream: &[u8],
) -> Result<usize, Full> {
    let mut writer = Writer::begin(buffer, header, Kind::Readings)?;
    let end = writer.at + stream.len();
    if end + CRC_BYTES > writer.buffer.len().min(BLOCK_BYTES_MAX) {
        return Err(Full);
    }
    writer.buffer[15] = 1 + tier as u8;
    writer.buffer[writer.at..end].copy_from_slice(stream);
    (writer.at, writer.count) = (end, count);
    Ok(writer.finish())
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
