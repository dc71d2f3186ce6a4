//! The partition table: from `firmware/partitions.csv` to the bytes that the bootloader reads.
//!
//! An entry has 32 bytes: magic `aa 50`, type, subtype, offset and size (little-endian), a name of 16 bytes, flags. Behind
//! the last one stands an entry `eb eb` with the MD5 of all before it, then `ff` up to 3 KiB. Format: ESP-IDF's programming
//! guide, *Partition Tables*.

use anyhow::{Context, Result, bail, ensure};
use md5::{Digest, Md5};

/// Where the table lies in flash.
pub(super) const OFFSET: u32 = 0x8000;
/// What a table fills.
const BYTES: usize = 0xc00;
/// The first byte that a partition may have: the table's sector ends there.
const FIRST: u32 = 0x9000;
const FLASH_BYTES: u32 = 4 << 20;
const SECTOR: u32 = 0x1000;
/// Programs are mapped into the address space in pages of 64 KiB.
const PAGE: u32 = 0x1_0000;
const APP: u8 = 0;
const DATA: u8 = 1;

/// One range of flash and what it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) name: String,
    kind: u8,
    subtype: u8,
    pub(super) offset: u32,
    pub(super) bytes: u32,
}

impl Partition {
    /// Tells whether an application lies in it.
    pub(super) fn is_slot(&self) -> bool {
        self.kind == APP
    }
}

/// Reads the lines `name, type, subtype, offset, size`; `#` begins a comment.
///
/// # Errors
/// When a line is something else, or partitions overlap, leave the flash or begin where they may not.
pub(super) fn parse(csv: &str) -> Result<Vec<Partition>> {
    let mut partitions: Vec<Partition> = Vec::new();
    for (index, line) in csv.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let partition = parse_line(line).with_context(|| format!("line {}", index + 1))?;
        let free_from = partitions
            .last()
            .map_or(FIRST, |before| before.offset + before.bytes);
        ensure!(
            partition.offset >= free_from,
            "{} begins at {:#x}, what is before it ends at {free_from:#x}",
            partition.name,
            partition.offset
        );
        partitions.push(partition);
    }
    ensure!(!partitions.is_empty(), "there is no partition");
    Ok(partitions)
}

fn parse_line(line: &str) -> Result<Partition> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let [name, kind, subtype, offset, bytes] = fields.strip_suffix(&[""]).unwrap_or(&fields) else {
        bail!("{line:?} has {} fields, not 5", fields.len());
    };
    ensure!(
        (1..16).contains(&name.len()),
        "the name {name:?} has not 1 to 15 bytes"
    );
    let kind = match *kind {
        "app" => APP,
        "data" => DATA,
        other => u8::try_from(number(other)?)?,
    };
    let subtype = match (kind, *subtype) {
        (APP, "ota_0") => 0x10,
        (APP, "ota_1") => 0x11,
        (DATA, "ota") => 0,
        (DATA, "phy") => 1,
        (_, other) => u8::try_from(number(other)?)?,
    };
    let (offset, bytes) = (number(offset)?, number(bytes)?);
    let step = if kind == APP { PAGE } else { SECTOR };
    ensure!(
        offset.is_multiple_of(step) && bytes.is_multiple_of(SECTOR) && bytes > 0,
        "{name} lies at {offset:#x} with {bytes:#x} bytes; steps of {step:#x} and {SECTOR:#x} are needed"
    );
    ensure!(
        offset
            .checked_add(bytes)
            .is_some_and(|end| end <= FLASH_BYTES),
        "{name} ends behind the flash"
    );
    Ok(Partition {
        name: (*name).to_owned(),
        kind,
        subtype,
        offset,
        bytes,
    })
}

fn number(text: &str) -> Result<u32> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("{text:?} is no number"))
}

/// Returns the table's bytes.
///
/// # Errors
/// When there are more partitions than a table holds.
pub(super) fn encode(partitions: &[Partition]) -> Result<Vec<u8>> {
    let mut table = Vec::with_capacity(BYTES);
    for partition in partitions {
        table.extend([0xaa, 0x50, partition.kind, partition.subtype]);
        table.extend(partition.offset.to_le_bytes());
        table.extend(partition.bytes.to_le_bytes());
        let mut name = [0; 16];
        name[..partition.name.len()].copy_from_slice(partition.name.as_bytes());
        table.extend(name);
        table.extend([0; 4]);
    }
    let sum = Md5::digest(&table);
    table.extend([0xeb, 0xeb]);
    table.extend([0xff; 14]);
    table.extend(sum);
    ensure!(
        table.len() <= BYTES,
        "{} partitions are too many",
        partitions.len()
    );
    table.resize(BYTES, 0xff);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "# name, type, subtype, offset, size\n\
        otadata, data, ota, 0x9000, 0x2000\n\
        phy_init, data, phy, 0xc000, 8192, # a comment\n\
        \n\
        ota_1, app, ota_1, 0x110000, 0x100000\n";

    #[test]
    fn table_has_the_bootloaders_bytes() {
        let table = encode(&parse(CSV).unwrap()).unwrap();
        assert_eq!(table.len(), 0xc00);
        assert_eq!(
            table[..32],
            *b"\xaa\x50\x01\x00\x00\x90\x00\x00\x00\x20\x00\x00otadata\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        assert_eq!(
            table[32..44],
            *b"\xaa\x50\x01\x01\x00\xc0\x00\x00\x00\x20\x00\x00"
        );
        assert_eq!(
            table[64..76],
            *b"\xaa\x50\x00\x11\x00\x00\x11\x00\x00\x00\x10\x00"
        );
        assert_eq!(
            table[96..112],
            *b"\xeb\xeb\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        );
        assert_eq!(table[112..128], *GOLDEN_MD5);
        assert!(table[128..].iter().all(|byte| *byte == 0xff));
    }

    /// What the crate `esp-idf-part` 0.6.0 writes for the same partitions.
    const GOLDEN_MD5: &[u8; 16] =
        b"\x8c\xde\xa7\x6a\x60\xb2\x81\x03\xbd\x59\x1d\x18\x4b\xdf\x81\x81";

    #[test]
    fn kinds_of_our_own_are_numbers() {
        let partitions = parse("starts, data, 0x40, 0xc000, 0x2000").unwrap();
        assert_eq!(encode(&partitions).unwrap()[2..4], [DATA, 0x40]);
        assert!(!partitions[0].is_slot());
    }

    #[test]
    fn table_that_would_damage_something_is_refused() {
        for wrong in [
            "",
            "a, data, ota, 0x9000",
            "a, data, nonsense, 0x9000, 0x1000",
            "a_name_that_is_too_long, data, ota, 0x9000, 0x1000",
            "a, data, ota, 0x8000, 0x1000",
            "a, data, ota, 0x9800, 0x1000",
            "a, data, ota, 0x9000, 0",
            "a, app, ota_0, 0x11000, 0x1000",
            "a, data, 0x41, 0x3ff000, 0x2000",
            "a, data, ota, 0x9000, 0x2000\nb, data, phy, 0xa000, 0x1000",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
