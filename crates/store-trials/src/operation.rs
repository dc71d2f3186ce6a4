//! What is done to a store, and the values it is given.

use flash_store::{FlashStore, Format, RunParams};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, DeviceId, Flags, StoreId,
    event::{ChannelScale, ResetReason, What},
    identity::Seq,
};

/// The meter of all trials.
pub const DEVICE: DeviceId = DeviceId([0x3c, 0x71, 0xbf, 0, 1, 2]);
/// The history of all trials.
pub const STORE: StoreId = StoreId(0x1234_5678_9abc_def0);
/// Sectors of the smallest flash that a store takes.
pub const SECTORS_MIN: usize = 60;
/// Size of that flash in bytes.
pub const CAPACITY_BYTES: usize = SECTORS_MIN * SECTOR_BYTES;
/// How most readings are measured: 10 s, 1 W.
pub const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1000,
    calibration: 3,
};

/// Something done to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A start.
    Boot,
    /// A reading that ends so many ms after the last one, and the upkeep behind it; other than the interval it is a gap.
    Append(RunParams, u64),
    /// Everything below this share (in percent) of `next` is collected.
    Acknowledge(u64),
    /// Everything below this share (in percent) of `next` is given up as the owner asked.
    Erase(u64),
    /// A configuration record of this length.
    Config(usize),
    /// An anchor in the event log.
    Event,
    /// A start in the event log.
    Started,
    /// A calibration of all channels in the event log.
    Calibrated,
}

/// The reading that follows the last one.
pub const NEXT: Op = Op::Append(PARAMS, 10_000);

/// Which values readings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The whole range of every field: long readings, so that everything is full soon.
    Wild,
    /// A household: levels that stay for minutes, some noise, now and then feeding in.
    Household,
}

impl Values {
    /// Makes the values of one channel; equal arguments give equal values.
    #[must_use]
    pub fn channel(self, turn: u64, channel: u8) -> ChannelReading {
        match self {
            Self::Wild => wild_channel(turn, channel),
            Self::Household => household_channel(turn, channel),
        }
    }
}

/// Mixes bits; equal inputs give equal values on every run.
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Makes values that use the whole range of every field.
#[must_use]
pub fn wild_channel(turn: u64, channel: u8) -> ChannelReading {
    let draw = |field: u64| mix(turn * 31 + u64::from(channel) * 7 + field * 1_000_003 + 1);
    ChannelReading {
        energy_quanta: (draw(1) >> 40) as i32 - (1 << 23),
        reactive_power_var: draw(2) as i32,
        voltage_dv: draw(3) as u16,
        current_ca: draw(4) as u16,
        frequency_chz: draw(5) as u16,
        coverage_permille: (draw(6) % 1001) as u16,
        flags: Flags(draw(7) as u16),
    }
}

/// Makes values as a household has them at 10 s.
#[must_use]
pub fn household_channel(turn: u64, channel: u8) -> ChannelReading {
    let draw = |field: u64| mix(turn * 31 + u64::from(channel) * 7 + field * 1_000_003 + 1);
    let level = 100 + (mix(turn / 40 + u64::from(channel)) % 2_000) as i32;
    let power = if turn / 360 % 24 == 12 { -level } else { level } + (draw(1) % 9) as i32 - 4;
    ChannelReading {
        energy_quanta: power,
        reactive_power_var: power / 10 + (draw(2) % 5) as i32,
        voltage_dv: 2_300 + (draw(3) % 9) as u16,
        current_ca: (power.unsigned_abs() * 100 / 230) as u16,
        frequency_chz: 4_998 + (draw(4) % 5) as u16,
        coverage_permille: 1000,
        flags: Flags(if turn.is_multiple_of(50) { 2 } else { 0 }),
    }
}

/// Makes the anchor of a turn.
#[must_use]
pub fn anchor(turn: u64) -> What {
    What::Anchor {
        utc_ms: mix(turn) as i64 >> 8,
        uncertainty_ms: turn as u32,
    }
}

/// Makes the start of a turn.
#[must_use]
pub fn started(turn: u64, next: Seq) -> What {
    let reason = match turn % 3 {
        0 => ResetReason::PowerOn,
        1 => ResetReason::Watchdog,
        _ => ResetReason::Brownout,
    };
    What::Started { reason, next }
}

/// Makes the calibration of a turn.
#[must_use]
pub fn calibrated(turn: u64, channels: u8) -> What {
    let scale = |channel: u8| {
        let draw = |field: u64| mix(turn * 17 + u64::from(channel) * 3 + field * 999_983) as u32;
        ChannelScale {
            voltage_nv_per_code: draw(1),
            current_na_per_code: draw(2),
            current_skew_ns: draw(3) as i32,
            current_noise_na: draw(4),
            no_load_mw: draw(5) as u16,
        }
    };
    What::Calibrated {
        version: turn as u16,
        utc_ms: mix(turn) as i64 >> 8,
        channels: (0..channels).map(scale).collect(),
    }
}

/// Makes an empty store of [`DEVICE`] and [`STORE`].
///
/// # Panics
/// When the flash cannot be formatted.
#[must_use]
pub fn format_store(nor: Nor, channels: u8) -> FlashStore<Nor> {
    let format = Format {
        device: DEVICE,
        store: STORE,
        channels,
        password: None,
    };
    FlashStore::format(nor, &format).expect("a sound flash can be formatted")
}

/// Mounts a store.
///
/// # Panics
/// When it does not mount.
#[must_use]
pub fn mount(nor: Nor) -> FlashStore<Nor> {
    FlashStore::mount(nor)
        .map_err(|(error, _)| error)
        .expect("a store mounts whatever cut it")
}
