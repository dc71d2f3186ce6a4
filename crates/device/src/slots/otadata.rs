//! Which slot the bootloader starts: `otadata` in the format of the ESP-IDF bootloader.
//!
//! Each of two sectors begins with an entry of 32 bytes: a sequence number *n*, a label of 20 bytes that nobody uses, a
//! state, and the CRC-32 of the sequence number, all little-endian. The bootloader starts slot (*n* − 1) modulo 2 of the
//! entry with the higher number, or slot 0 where no entry is whole. An entry is always written in the sector that is not in
//! force, so what a cut leaves names the one slot or the other.
//!
//! Format: ESP-IDF Programming Guide, "Over The Air Updates (OTA)".

use crc::{CRC_32_ISO_HDLC, Crc};
use embedded_storage::nor_flash::NorFlash;

use super::{Slot, SlotError, erase, read, write};
use crate::flash_map::{OTADATA, SECTOR_BYTES};

/// The ROM's `crc32_le` begun with all ones inverts before and after, and so begins with zeros.
const CRC: Crc<u32> = Crc::<u32>::new(&crc::Algorithm {
    init: 0,
    ..CRC_32_ISO_HDLC
});
const ENTRY_BYTES: usize = 32;
const ERASED: u32 = u32::MAX;
/// States that make the bootloader pass an entry over.
const STATES_REFUSED: [u32; 2] = [3, 4];

/// Returns the slot that the bootloader starts.
pub(super) fn selected<F: NorFlash>(flash: &mut F) -> Result<Slot, SlotError> {
    Ok(newest(flash)?.map_or(Slot::Zero, |(sequence, _)| slot_of(sequence)))
}

/// Makes the bootloader start `slot` from now on; until it returns, the other one may still be started.
pub(super) fn select<F: NorFlash>(flash: &mut F, slot: Slot) -> Result<(), SlotError> {
    let (last, sector) = newest(flash)?.unwrap_or((0, 1));
    let step = if slot_of(last.wrapping_add(1)) == slot {
        1
    } else {
        2
    };
    // No flash lives for four billion updates.
    let sequence = last.checked_add(step).filter(|next| *next != ERASED);
    let sequence = sequence.ok_or(SlotError::Flash)?;
    let at = OTADATA + (1 - sector) * SECTOR_BYTES;
    erase(flash, at)?;
    write(flash, at, &entry(sequence))?;
    match newest(flash)? {
        Some((found, _)) if found == sequence => Ok(()),
        _ => Err(SlotError::Flash),
    }
}

/// Returns the entry in force and the sector that it lies in.
fn newest<F: NorFlash>(flash: &mut F) -> Result<Option<(u32, u32)>, SlotError> {
    let mut newest = None;
    for sector in 0..2 {
        let mut bytes = [0; ENTRY_BYTES];
        read(flash, OTADATA + sector * SECTOR_BYTES, &mut bytes)?;
        newest = newest.max(sequence(&bytes).map(|sequence| (sequence, sector)));
    }
    Ok(newest)
}

fn slot_of(sequence: u32) -> Slot {
    if sequence % 2 == 1 {
        Slot::Zero
    } else {
        Slot::One
    }
}

fn entry(sequence: u32) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0xff; ENTRY_BYTES];
    bytes[..4].copy_from_slice(&sequence.to_le_bytes());
    bytes[28..].copy_from_slice(&crc(sequence).to_le_bytes());
    bytes
}

/// Reads an entry as the bootloader does; `None` where it passes it over.
fn sequence(bytes: &[u8; ENTRY_BYTES]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
    let sequence = word(0)?;
    let is_whole =
        sequence != ERASED && word(28)? == crc(sequence) && !STATES_REFUSED.contains(&word(24)?);
    is_whole.then_some(sequence)
}

fn crc(sequence: u32) -> u32 {
    CRC.checksum(&sequence.to_le_bytes())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use nor_model::Nor;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn entries_have_golden_bytes() {
        // The CRCs are those of ESP-IDF's otatool for sequences 1 and 2.
        let mut golden = [0xff; ENTRY_BYTES];
        golden[..4].copy_from_slice(&[1, 0, 0, 0]);
        golden[28..].copy_from_slice(&[0x9a, 0x98, 0x43, 0x47]);
        assert_eq!(entry(1), golden);
        golden[..4].copy_from_slice(&[2, 0, 0, 0]);
        golden[28..].copy_from_slice(&[0x74, 0x37, 0xf6, 0x55]);
        assert_eq!(entry(2), golden);
        assert_eq!(sequence(&golden), Some(2));
    }

    #[test]
    fn the_entry_in_force_is_never_touched() {
        let mut nor = Nor::new(crate::flash_map::CHIP_BYTES as usize);
        assert_eq!(selected(&mut nor), Ok(Slot::Zero));
        let sector = |nor: &Nor, sector: u32| {
            let at = (OTADATA + sector * SECTOR_BYTES) as usize;
            Vec::from(&nor.bytes()[at..][..ENTRY_BYTES])
        };
        let turns = [Slot::One, Slot::Zero, Slot::Zero, Slot::One, Slot::One];
        let sequences = [2, 3, 5, 6, 8];
        for (turn, (slot, number)) in (0_u32..).zip(turns.into_iter().zip(sequences)) {
            let before = sector(&nor, (turn + 1) % 2);
            select(&mut nor, slot).unwrap();
            assert_eq!(selected(&mut nor), Ok(slot));
            assert_eq!(sector(&nor, turn % 2), entry(number));
            assert_eq!(sector(&nor, (turn + 1) % 2), before);
        }
    }

    #[test]
    fn entries_that_the_bootloader_passes_over_are_passed_over() {
        assert_eq!(sequence(&[0xff; ENTRY_BYTES]), None);
        for state in [0_u32, 1, 2, 3, 4, u32::MAX] {
            let mut bytes = entry(7);
            bytes[24..28].copy_from_slice(&state.to_le_bytes());
            let expected = (!STATES_REFUSED.contains(&state)).then_some(7);
            assert_eq!(sequence(&bytes), expected, "{state}");
        }
        for at in (0..4).chain(28..32) {
            let mut bytes = entry(7);
            bytes[at] ^= 0x10;
            assert_eq!(sequence(&bytes), None, "{at}");
        }
    }
}
