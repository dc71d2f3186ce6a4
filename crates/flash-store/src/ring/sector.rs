//! Sectors: a header with an opening, then entries, then the closing mark.
//!
//! The header says whose sector it is and its place in the ring; the **opening** holds what the ring wants to be there
//! from the start. One checksum covers both, so a sector is opened whole or not at all. The last word, the **closing
//! mark**, is cleared once the ring's next sector is open: a newest sector that cannot be read is noticed by it.

use embedded_storage::nor_flash::NorFlash;
use protocol::{DeviceId, StoreId, block::CRC, limits::CHANNELS_MAX};

use crate::error::Fault;

/// Size of a sector, the unit of erasing, in bytes.
pub(crate) const SECTOR_BYTES: u32 = 4096;
/// Where the closing mark lies; entries end before it.
pub(crate) const MARK_AT: u32 = SECTOR_BYTES - MARK_BYTES as u32;
/// Longest opening: a run and a number before it.
pub(crate) const OPENING_BYTES_MAX: usize = 128;

pub(crate) const MAGIC: [u8; 4] = *b"OFMS";
pub(crate) const FORMAT: u8 = 1;
const MARK_BYTES: usize = 4;
pub(crate) const HEADER_BYTES: usize = 40;
const CRC_BYTES: usize = 4;
const WHOLE_BYTES_MAX: usize = HEADER_BYTES + OPENING_BYTES_MAX + CRC_BYTES;
/// Bytes that are compared at once with what was to be programmed.
const VERIFY_BYTES: usize = 64;

/// Whose sectors these are: the same in every sector of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: DeviceId,
    pub(crate) store: StoreId,
    pub(crate) channels: u8,
    /// Sectors of the whole store: another number would put the rings elsewhere.
    pub(crate) sectors: u16,
}

/// What the header of a sector and its opening say.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    /// Counts the sectors of a ring as they are opened.
    pub(crate) sequence: u64,
    /// Lowest number that this sector accounts for; what it counts is the ring's matter.
    pub(crate) base: u64,
    opening_bytes: usize,
    bytes: [u8; WHOLE_BYTES_MAX],
}

impl Opened {
    pub(crate) fn opening(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..HEADER_BYTES + self.opening_bytes]
    }

    /// Where the first entry of the sector lies.
    pub(crate) fn entries_at(&self) -> u32 {
        whole_bytes(self.opening_bytes) as u32
    }
}

/// Bytes of a header with an opening of so many bytes.
pub(crate) const fn whole_bytes(opening_bytes: usize) -> usize {
    HEADER_BYTES + opening_bytes.next_multiple_of(4) + CRC_BYTES
}

/// Reads the header and opening of the sector at `at`; `None` where there is no whole one of ring `ring`.
pub(crate) fn load<F: NorFlash>(flash: &mut F, at: u32, ring: u8) -> Result<Option<Opened>, Fault> {
    let mut bytes = [0; WHOLE_BYTES_MAX];
    read(flash, at, &mut bytes[..HEADER_BYTES])?;
    let opening_bytes = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    if bytes[..4] != MAGIC
        || bytes[4] != FORMAT
        || bytes[5] != ring
        || opening_bytes > OPENING_BYTES_MAX
    {
        return Ok(None);
    }
    let end = whole_bytes(opening_bytes);
    read(
        flash,
        at + HEADER_BYTES as u32,
        &mut bytes[HEADER_BYTES..end],
    )?;
    let (body, crc) = bytes[..end].split_at(end - CRC_BYTES);
    if CRC.checksum(body).to_le_bytes() != *crc {
        return Ok(None);
    }
    let channels = bytes[6];
    if !(1..=CHANNELS_MAX).contains(&channels.into()) {
        return Ok(None);
    }
    let identity = Identity {
        device: DeviceId(bytes[24..30].try_into().expect("six bytes")),
        store: StoreId(le_u64(&bytes, 16)),
        channels,
        sectors: u16::from_le_bytes([bytes[8], bytes[9]]),
    };
    Ok(Some(Opened {
        identity,
        sequence: u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")).into(),
        base: le_u64(&bytes, 32),
        opening_bytes,
        bytes,
    }))
}

/// Programs the header and opening of an erased sector.
pub(crate) fn open<F: NorFlash>(
    flash: &mut F,
    at: u32,
    ring: u8,
    identity: &Identity,
    (sequence, base): (u32, u64),
    opening: &[u8],
) -> Result<u32, Fault> {
    let mut bytes = [0; WHOLE_BYTES_MAX];
    let end = whole_bytes(opening.len());
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = FORMAT;
    bytes[5] = ring;
    bytes[6] = identity.channels;
    bytes[8..10].copy_from_slice(&identity.sectors.to_le_bytes());
    bytes[10..12].copy_from_slice(&(opening.len() as u16).to_le_bytes());
    bytes[12..16].copy_from_slice(&sequence.to_le_bytes());
    bytes[16..24].copy_from_slice(&identity.store.0.to_le_bytes());
    bytes[24..30].copy_from_slice(&identity.device.0);
    bytes[32..40].copy_from_slice(&base.to_le_bytes());
    bytes[HEADER_BYTES..HEADER_BYTES + opening.len()].copy_from_slice(opening);
    let crc = CRC.checksum(&bytes[..end - CRC_BYTES]);
    bytes[end - CRC_BYTES..end].copy_from_slice(&crc.to_le_bytes());
    program(flash, at, &bytes[..end])?;
    Ok(end as u32)
}

/// Tells whether the sector at `at` bears the closing mark; any cleared bit counts, so a torn mark is one.
pub(crate) fn is_closed<F: NorFlash>(flash: &mut F, at: u32) -> Result<bool, Fault> {
    let mut mark = [0; MARK_BYTES];
    read(flash, at + MARK_AT, &mut mark)?;
    Ok(!is_erased(&mark))
}

/// Sets the closing mark of the sector at `at` where it is not set.
pub(crate) fn close<F: NorFlash>(flash: &mut F, at: u32) -> Result<(), Fault> {
    if is_closed(flash, at)? {
        return Ok(());
    }
    flash
        .write(at + MARK_AT, &[0; MARK_BYTES])
        .map_err(|error| kind(&error))
}

/// Reads bytes.
pub(crate) fn read<F: NorFlash>(flash: &mut F, at: u32, bytes: &mut [u8]) -> Result<(), Fault> {
    flash.read(at, bytes).map_err(|error| kind(&error))
}

/// Erases the sector at `at`.
pub(crate) fn erase<F: NorFlash>(flash: &mut F, at: u32) -> Result<(), Fault> {
    flash
        .erase(at, at + SECTOR_BYTES)
        .map_err(|error| kind(&error))
}

/// Programs bytes and reads them back: a worn cell that does not take them is noticed at once.
pub(crate) fn program<F: NorFlash>(flash: &mut F, at: u32, bytes: &[u8]) -> Result<(), Fault> {
    flash.write(at, bytes).map_err(|error| kind(&error))?;
    let mut held = [0; VERIFY_BYTES];
    for (index, chunk) in bytes.chunks(VERIFY_BYTES).enumerate() {
        let held = &mut held[..chunk.len()];
        read(flash, at + (index * VERIFY_BYTES) as u32, held)?;
        if held != chunk {
            return Err(Fault::Other);
        }
    }
    Ok(())
}

/// Tells whether the sector at `at` is erased from `offset` on.
pub(crate) fn is_blank<F: NorFlash>(flash: &mut F, at: u32, offset: u32) -> Result<bool, Fault> {
    let mut chunk = [0; VERIFY_BYTES];
    let mut from = offset;
    while from < SECTOR_BYTES {
        let chunk = &mut chunk[..VERIFY_BYTES.min((SECTOR_BYTES - from) as usize)];
        read(flash, at + from, chunk)?;
        if !is_erased(chunk) {
            return Ok(false);
        }
        from += chunk.len() as u32;
    }
    Ok(true)
}

/// Tells whether all bytes are as erasing leaves them.
pub(crate) fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0xff)
}

fn kind(error: &impl embedded_storage::nor_flash::NorFlashError) -> Fault {
    error.kind()
}

fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
