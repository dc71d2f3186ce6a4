//! What other codes take for the same rows: P, Q, V and I, nothing else.
//!
//! Each is counted in its favour: without a header and CRC, and wherever there is a choice, the better one.

mod entropy;
mod gorilla;
mod zstandard;

use protocol::{ChannelReading, varint};

pub use entropy::{entropy_bytes, residuals};
pub use gorilla::gorilla_bytes;
pub use zstandard::{ZSTD_LEVEL, zstd_bytes};

/// Fields of a row that rivals code.
pub const FIELDS: usize = 4;

/// P, Q, V and I of a row as they are.
#[must_use]
pub fn fields(row: &ChannelReading) -> [i64; FIELDS] {
    [
        row.energy_quanta.into(),
        row.reactive_power_var.into(),
        row.voltage_dv.into(),
        row.current_ca.into(),
    ]
}

/// Cuts the rows into segments of so many each.
fn split<'a>(
    rows: &'a [ChannelReading],
    segments: &'a [usize],
) -> impl Iterator<Item = &'a [ChannelReading]> {
    segments.iter().scan(0, |at, &count| {
        let from = *at;
        *at += count;
        Some(&rows[from..*at])
    })
}

/// Bytes of the rows as four numbers of 16 bits each.
#[must_use]
pub fn raw_bytes(rows: &[ChannelReading]) -> usize {
    rows.len() * FIELDS * size_of::<u16>()
}

/// Bytes of the rows as differences to the row before, in zigzag varints.
#[must_use]
pub fn varint_bytes(rows: &[ChannelReading]) -> usize {
    let mut last = [0; FIELDS];
    let mut bytes = 0;
    for row in rows {
        let now = fields(row);
        for (now, last) in now.into_iter().zip(last) {
            let mut buffer = [0; 10];
            let mut at = 0;
            varint::write_signed(&mut buffer, &mut at, now - last)
                .expect("a varint has at most 10 bytes");
            bytes += at;
        }
        last = now;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_take_one_byte_for_small_steps_and_two_for_larger_ones() {
        let row = |energy_quanta| ChannelReading {
            energy_quanta,
            ..ChannelReading::default()
        };
        assert_eq!(varint_bytes(&[row(63), row(63 - 64)]), 8);
        assert_eq!(varint_bytes(&[row(64), row(-1)]), 10);
        assert_eq!(raw_bytes(&[row(0); 5]), 40);
    }
}
