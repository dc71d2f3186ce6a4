//! One channel of one reading as differences to the one before.

use crate::{
    reading::{ChannelReading, Flags},
    varint,
};

/// Appends a channel of a reading at `*at` as a block holds it: what it differs from `previous`.
///
/// `None` where the buffer ends; [`CHANNEL_BYTES_MAX`](super::CHANNEL_BYTES_MAX) bytes always do.
pub fn write_channel(
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

/// Reads at `*at` what [`write_channel`] wrote over the same `previous`; `None` for bytes that it does not write.
pub fn read_channel(
    bytes: &[u8],
    at: &mut usize,
    previous: &ChannelReading,
) -> Option<ChannelReading> {
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
