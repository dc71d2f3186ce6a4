//! Where everything lies on the 4 MB chip of a meter; the partition table of the firmware says the same.
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0x0 | 0x8000 | bootloader |
//! | 0x8000 | 0x1000 | partition table |
//! | 0x9000 | 0x2000 | `otadata`: which slot the bootloader starts |
//! | 0xb000 | 0x1000 | calibration of the radio |
//! | 0xc000 | 0x2000 | `starts`: log of the starts |
//! | 0x10000 | 0x100000 | firmware slot 0 |
//! | 0x110000 | 0x100000 | firmware slot 1 |
//! | 0x210000 | 0x1f0000 | the store |
//!
//! A slot holds the app image from its beginning on and, in its last sector, the header of the update that it came with.

/// Bytes of a sector: what one erase sets.
pub const SECTOR_BYTES: u32 = 4096;
/// Bytes of the chip.
pub const CHIP_BYTES: u32 = 0x40_0000;

/// Where `otadata` begins.
pub const OTADATA: u32 = 0x9000;
/// Bytes of `otadata`: two sectors with an entry each.
pub const OTADATA_BYTES: u32 = 2 * SECTOR_BYTES;
/// Where the log of the starts begins.
pub const STARTS: u32 = 0xc000;
/// Bytes of the log of the starts: two sectors that are used in turn.
pub const STARTS_BYTES: u32 = 2 * SECTOR_BYTES;
/// Where the firmware slots begin.
pub const SLOTS: [u32; 2] = [0x1_0000, 0x11_0000];
/// Bytes of a firmware slot.
pub const SLOT_BYTES: u32 = 0x10_0000;
/// Where the header of an update lies in its slot.
pub const HEADER_IN_SLOT: u32 = SLOT_BYTES - SECTOR_BYTES;
/// Where the store begins.
pub const STORE: u32 = 0x21_0000;
/// Bytes of the store.
pub const STORE_BYTES: u32 = CHIP_BYTES - STORE;

// An image ends before the header behind it, and is written and read in words.
const _: () = assert!(protocol::limits::IMAGE_BYTES_MAX <= HEADER_IN_SLOT as usize);
const _: () = assert!(SLOTS[1] == SLOTS[0] + SLOT_BYTES && STORE == SLOTS[1] + SLOT_BYTES);
