//! What readings of one boot and configuration have in common, as bytes.
//!
//! A **run** says from which number, boot and uptime on the readings behind it count, and with which registers. Its
//! readings follow one another without a gap. On flash it is these varints, in this order:
//!
//! | field | unit, range |
//! |---|---|
//! | first number | 0 to 2⁶⁰ |
//! | numbers right before it that never existed | at most as many as there are |
//! | boot | 32 bits |
//! | uptime at the end of the first number's interval | ms, 0 to 2⁶⁰ |
//! | interval | ms, 1,000 to 900,000 |
//! | power unit | mW, 100 or 1000 |
//! | calibration version | 16 bits |
//! | import and export registers before the first reading, for each channel | mJ, 64 bits |

use crate::{
    identity::{DeviceId, Seq, StoreId},
    limits::{CHANNELS_MAX, INTERVAL_MS},
    reading::{RegisterSet, Registers, quantum_mj},
    varint,
};

/// Bytes that a run takes at the most: three fields of 64 bits, two of 32, two of 16, and the registers.
pub const RUN_BYTES_MAX: usize = 3 * 10 + 2 * 5 + 2 * 3 + CHANNELS_MAX * 2 * 10;

/// Numbers, uptimes and the like stay below this, so that sums of a few cannot overflow.
pub const NUMBER_MAX: u64 = 1 << 60;

/// How the readings of a run were measured.
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
    /// Tells whether all fields are in their ranges.
    #[must_use]
    pub fn is_in_range(&self) -> bool {
        INTERVAL_MS.contains(&self.interval_ms) && matches!(self.power_unit_mw, 100 | 1000)
    }

    /// Returns the energy of one quantum in mJ.
    #[must_use]
    pub const fn quantum_mj(&self) -> u64 {
        quantum_mj(self.power_unit_mw, self.interval_ms)
    }
}

/// What readings that follow one another have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the first reading.
    pub first: u64,
    /// So many numbers right before never existed; at most `first`.
    pub skipped: u64,
    /// The boot whose uptime counts.
    pub boot: u32,
    /// Uptime at the end of the first number's interval, in ms.
    pub uptime_ms: u64,
    /// How they were measured.
    pub params: RunParams,
    /// Registers before the first reading, one entry a channel.
    pub registers: RegisterSet,
}

impl Run {
    /// Returns the lowest number that the run accounts for.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.first.saturating_sub(self.skipped)
    }

    /// Returns the uptime at the end of the interval of the number `index` places behind the first one, in ms.
    #[must_use]
    pub fn uptime_ms_at(&self, index: u64) -> u64 {
        let later_ms = index.saturating_mul(self.params.interval_ms.into());
        self.uptime_ms.saturating_add(later_ms)
    }

    /// Returns a block's header for this run.
    #[must_use]
    pub fn block_header(&self, device: DeviceId, store: StoreId) -> crate::block::Header {
        crate::block::Header {
            device,
            store,
            first: Seq(self.first),
            boot: self.boot,
            uptime_ms: self.uptime_ms,
            interval_ms: self.params.interval_ms,
            power_unit_mw: self.params.power_unit_mw,
            calibration: self.params.calibration,
            registers: self.registers.clone(),
        }
    }

    /// Tells whether all fields are in their ranges.
    #[must_use]
    pub fn is_in_range(&self) -> bool {
        self.first <= NUMBER_MAX
            && self.skipped <= self.first
            && self.uptime_ms <= NUMBER_MAX
            && self.params.is_in_range()
    }

    /// Appends the run at `*at`; `None` where the buffer ends. [`RUN_BYTES_MAX`] bytes always do.
    pub fn write(&self, buffer: &mut [u8], at: &mut usize) -> Option<()> {
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
        write_registers(buffer, at, &self.registers)
    }

    /// Reads a run of so many channels at `*at`; `None` for what [`write`](Self::write) does not make of a run in range.
    pub fn read(bytes: &[u8], at: &mut usize, channels: usize) -> Option<Self> {
        let run = Self {
            first: varint::read(bytes, at)?,
            skipped: varint::read(bytes, at)?,
            boot: varint::read(bytes, at)?.try_into().ok()?,
            uptime_ms: varint::read(bytes, at)?,
            params: RunParams {
                interval_ms: varint::read(bytes, at)?.try_into().ok()?,
                power_unit_mw: varint::read(bytes, at)?.try_into().ok()?,
                calibration: varint::read(bytes, at)?.try_into().ok()?,
            },
            registers: read_registers(bytes, at, channels)?,
        };
        run.is_in_range().then_some(run)
    }
}

/// Appends import and export of each channel as varints.
pub(crate) fn write_registers(
    buffer: &mut [u8],
    at: &mut usize,
    registers: &[Registers],
) -> Option<()> {
    for channel in registers {
        varint::write(buffer, at, channel.import_mj)?;
        varint::write(buffer, at, channel.export_mj)?;
    }
    Some(())
}

/// Reads what [`write_registers`] wrote for so many channels.
pub(crate) fn read_registers(bytes: &[u8], at: &mut usize, channels: usize) -> Option<RegisterSet> {
    let mut registers = RegisterSet::new();
    for _ in 0..channels {
        let channel = Registers {
            import_mj: varint::read(bytes, at)?,
            export_mj: varint::read(bytes, at)?,
        };
        registers.push(channel).ok()?;
    }
    Some(registers)
}
