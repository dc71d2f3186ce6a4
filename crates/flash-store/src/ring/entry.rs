//! Entries: what is programmed at once, with a checksum.
//!
//! An entry is a tag (kind in the upper 4 bits, payload length in the lower 12), the payload, zeros up to a multiple of 4,
//! and a CRC-32 of all that. It is programmed once and never changed.

use protocol::block::CRC;

/// Longest payload of an entry.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 128;
/// Longest entry.
pub(crate) const ENTRY_BYTES_MAX: usize = entry_bytes(PAYLOAD_BYTES_MAX);

const TAG_BYTES: usize = 2;
const CRC_BYTES: usize = 4;
const LENGTH_MASK: u16 = 0x0fff;
const KIND_SHIFT: u32 = 12;

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// From here on readings count from another number, boot or time.
    Run = 1,
    /// One reading.
    Reading = 2,
    /// One event.
    Event = 3,
    /// Settings of this generation, or newer ones, are in their file.
    Settings = 4,
    /// All readings below a number are collected.
    Acknowledged = 6,
    /// The meter started.
    Boot = 7,
    /// All readings below a number were given up as their owner asked.
    Erased = 8,
}

/// Bytes of an entry with a payload of `length` bytes.
pub(crate) const fn entry_bytes(length: usize) -> usize {
    (TAG_BYTES + length).next_multiple_of(4) + CRC_BYTES
}

/// Puts an entry together and returns its length.
///
/// # Panics
/// When the payload is longer than [`PAYLOAD_BYTES_MAX`].
pub(crate) fn seal(buffer: &mut [u8; ENTRY_BYTES_MAX], kind: Kind, payload: &[u8]) -> usize {
    let tag = (kind as u16) << KIND_SHIFT | payload.len() as u16;
    let length = entry_bytes(payload.len());
    let (body, crc) = buffer[..length].split_at_mut(length - CRC_BYTES);
    body[..TAG_BYTES].copy_from_slice(&tag.to_le_bytes());
    body[TAG_BYTES..TAG_BYTES + payload.len()].copy_from_slice(payload);
    body[TAG_BYTES + payload.len()..].fill(0);
    crc.copy_from_slice(&CRC.checksum(body).to_le_bytes());
    length
}

/// Reads a tag: kind and length of the payload; `None` for what no entry begins with.
pub(crate) fn parse_tag(bytes: [u8; 2]) -> Option<(Kind, usize)> {
    let tag = u16::from_le_bytes(bytes);
    let length = usize::from(tag & LENGTH_MASK);
    let kind = match tag >> KIND_SHIFT {
        1 => Kind::Run,
        2 => Kind::Reading,
        3 => Kind::Event,
        4 => Kind::Settings,
        6 => Kind::Acknowledged,
        7 => Kind::Boot,
        8 => Kind::Erased,
        _ => return None,
    };
    (length <= PAYLOAD_BYTES_MAX).then_some((kind, length))
}

/// Returns the payload of a whole entry; `None` where the checksum does not match.
pub(crate) fn payload(bytes: &[u8], length: usize) -> Option<&[u8]> {
    let (body, crc) = bytes.split_at_checked(entry_bytes(length) - CRC_BYTES)?;
    let intact = CRC.checksum(body).to_le_bytes() == *crc;
    intact.then(|| &body[TAG_BYTES..TAG_BYTES + length])
}
