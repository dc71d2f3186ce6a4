//! Runs and the readings in them, as bytes.
//!
//! A **run** says from which number, boot and uptime on the readings behind it count, and with which registers. A sector
//! begins with one, and so does every 32nd reading at the latest, so that damage costs few readings. Readings are
//! differences to the one before, as in a block; the first of a run differs from [`ChannelReading::default`].

use protocol::{
    ChannelReading, Registers,
    block::{CHANNEL_BYTES_MAX, read_channel, write_channel},
    limits::{CHANNELS_MAX, INTERVAL_MS},
    reading::RegisterSet,
    varint,
};

use crate::entry::entry_bytes;

/// Readings in a run at the most.
pub(crate) const RUN_READINGS_MAX: u32 = 32;
/// Longest payload of a run entry: three fields of 64 bits, two of 32, two of 16, and the registers.
pub(crate) const RUN_BYTES_MAX: usize = 3 * 10 + 2 * 5 + 2 * 3 + CHANNELS_MAX * 2 * 10;
/// Longest payload of a reading entry.
pub(crate) const READING_BYTES_MAX: usize = CHANNELS_MAX * CHANNEL_BYTES_MAX;
/// Shortest reading entry: one channel, one byte a field.
pub(crate) const READING_ENTRY_BYTES_MIN: u32 = entry_bytes(6) as u32;
/// Longest entry in the ring of readings: what one torn write can leave.
pub(crate) const TORN_BYTES_MAX: u32 = entry_bytes(RUN_BYTES_MAX) as u32;
/// Numbers, uptimes and the like stay below this, so that sums of a few cannot overflow.
pub(crate) const NUMBER_MAX: u64 = 1 << 60;

const _: () = assert!(READING_BYTES_MAX <= RUN_BYTES_MAX);

/// What is common to the readings of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunParams {
    /// Length of each interval in ms, 1,000 to 900,000.
    pub interval_ms: u32,
    /// Unit of power in mW: 1000 or 100.
    pub power_unit_mw: u16,
    /// Version of the calibration that is in force.
    pub calibration: u16,
}

impl RunParams {
    pub(crate) fn is_in_range(&self) -> bool {
        INTERVAL_MS.contains(&self.interval_ms) && matches!(self.power_unit_mw, 100 | 1000)
    }
}

/// What a run entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of the first reading.
    pub(crate) first: u64,
    /// So many numbers right before never existed.
    pub(crate) skipped: u64,
    pub(crate) boot: u32,
    /// Uptime at the end of the first reading.
    pub(crate) uptime_ms: u64,
    pub(crate) params: RunParams,
    /// Registers before the first reading.
    pub(crate) registers: RegisterSet,
}

impl Run {
    /// Lowest number that the run accounts for.
    pub(crate) fn base(&self) -> u64 {
        self.first - self.skipped
    }

    /// Appends the run at `*at`; `None` where the buffer ends.
    pub(crate) fn write(&self, buffer: &mut [u8], at: &mut usize) -> Option<()> {
        for value in [
            self.first,
            self.skipped,
            self.boot.into(),
            self.uptime_ms,
            self.params.interval_ms.into(),
            self.params.power_unit_mw.into(),
            self.params.calibration.into(),
        ] {
            varint::write(buffer, at, value)?;
        }
        for registers in &self.registers {
            varint::write(buffer, at, registers.import_mj)?;
            varint::write(buffer, at, registers.export_mj)?;
        }
        Some(())
    }

    /// Reads a run at `*at`, to the end of `bytes`; `None` for what [`write`](Self::write) does not make.
    pub(crate) fn read(bytes: &[u8], at: &mut usize, channels: usize) -> Option<Self> {
        let mut run = Self {
            first: varint::read(bytes, at)?,
            skipped: varint::read(bytes, at)?,
            boot: varint::read(bytes, at)?.try_into().ok()?,
            uptime_ms: varint::read(bytes, at)?,
            params: RunParams {
                interval_ms: varint::read(bytes, at)?.try_into().ok()?,
                power_unit_mw: varint::read(bytes, at)?.try_into().ok()?,
                calibration: varint::read(bytes, at)?.try_into().ok()?,
            },
            registers: RegisterSet::new(),
        };
        for _ in 0..channels {
            let registers = Registers {
                import_mj: varint::read(bytes, at)?,
                export_mj: varint::read(bytes, at)?,
            };
            run.registers.push(registers).ok()?;
        }
        let in_range = *at == bytes.len()
            && run.first <= NUMBER_MAX
            && run.skipped <= run.first
            && run.uptime_ms <= NUMBER_MAX
            && run.params.is_in_range();
        in_range.then_some(run)
    }
}

/// The channels of the reading before, or what the first one of a run differs from.
pub(crate) type Previous = [ChannelReading; CHANNELS_MAX];

/// Packs a reading and returns its length.
pub(crate) fn write_reading(
    buffer: &mut [u8; READING_BYTES_MAX],
    channels: &[ChannelReading],
    previous: &Previous,
) -> usize {
    let mut at = 0;
    for (channel, previous) in channels.iter().zip(previous) {
        write_channel(buffer, &mut at, channel, previous).expect("the buffer holds any reading");
    }
    at
}

/// Reads a reading from exactly `bytes` over the one before; `None` for bytes that are none.
pub(crate) fn read_reading(bytes: &[u8], channels: usize, previous: &Previous) -> Option<Previous> {
    let (mut at, mut reading) = (0, *previous);
    for channel in &mut reading[..channels] {
        *channel = read_channel(bytes, &mut at, channel)?;
    }
    (at == bytes.len()).then_some(reading)
}
