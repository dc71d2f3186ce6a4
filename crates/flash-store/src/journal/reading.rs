//! Readings of the journal, as bytes.
//!
//! A sector begins with a run, and so does every 32nd reading at the latest, so that damage costs few readings. Readings are
//! differences to the one before, as in a block; the first of a run differs from [`ChannelReading::default`].

use protocol::{
    ChannelReading, Registers,
    block::{CHANNEL_BYTES_MAX, read_channel, write_channel},
    limits::CHANNELS_MAX,
    run::{RUN_BYTES_MAX, Run, RunParams},
    varint,
};

use crate::ring::{entry::entry_bytes, sector::Opened};

/// Readings in a run at the most.
pub(crate) const RUN_READINGS_MAX: u32 = 32;
/// Longest payload of a reading entry.
pub(crate) const READING_BYTES_MAX: usize = CHANNELS_MAX * CHANNEL_BYTES_MAX;
/// Shortest reading entry: one channel, one byte a field.
pub(crate) const READING_ENTRY_BYTES_MIN: u32 = entry_bytes(6) as u32;
/// Longest entry in the journal: what one torn write can leave.
pub(crate) const TORN_BYTES_MAX: u32 = entry_bytes(RUN_BYTES_MAX) as u32;

const _: () = assert!(READING_BYTES_MAX <= RUN_BYTES_MAX);

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

/// Reads a run from `*at` to the end of `bytes`; `None` where they are not exactly that.
pub(crate) fn read_run(bytes: &[u8], at: &mut usize, channels: usize) -> Option<Run> {
    let run = Run::read(bytes, at, channels)?;
    (*at == bytes.len()).then_some(run)
}

/// Reads a sector's opening: the oldest number that was held then and whose loss, if any, was told, and the run; `None` where
/// that is no run.
pub(crate) fn read_opening(opened: &Opened) -> Option<(u64, Run)> {
    let (mut at, opening) = (0, opened.opening());
    let told_oldest = varint::read(opening, &mut at)?;
    let run = read_run(opening, &mut at, opened.identity.channels.into())?;
    (run.base() == opened.base).then_some((told_oldest, run))
}

/// Advances registers by the energy of a reading.
pub(crate) fn advance(
    registers: &mut [Registers],
    channels: &[ChannelReading],
    params: &RunParams,
) {
    let quantum_mj = params.quantum_mj();
    for (registers, channel) in registers.iter_mut().zip(channels) {
        *registers = registers.advanced(channel.energy_quanta, quantum_mj);
    }
}
