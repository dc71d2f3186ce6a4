//! Names of the files, and records in them that end with a checksum.

use core::fmt::Write;

use embedded_storage::nor_flash::NorFlash;
use heapless::String;
use littlefs::{Error, Littlefs};
use protocol::{Tier, block::CRC};

pub(crate) const EVENTS: &str = "/events";
pub(crate) const SETTINGS: &str = "/settings";
pub(crate) const LOST: &str = "/lost";

/// Longest file: one block.
pub(crate) const FILE_BYTES_MAX: usize = littlefs::BLOCK_BYTES as usize;
/// Longest record with its checksum: settings and their generation.
const RECORD_BYTES_MAX: usize = 520;
/// Directory, slash, 15 digits, hyphen, up to 8 digits.
const PATH_BYTES_MAX: usize = 40;
const BASE_DIGITS: usize = 15;
const CRC_BYTES: usize = 4;

/// A path.
pub(crate) type Path = String<PATH_BYTES_MAX>;

/// Returns the directory of the segments of a tier.
///
/// Each tier has one of its own, where files are added at the end and removed at the beginning: LittleFS gives the blocks of
/// names back only when none of their names is left.
pub(crate) const fn segments(tier: Tier) -> &'static str {
    match tier {
        Tier::Full => "/full",
        Tier::Minute => "/minutes",
        Tier::Quarter => "/quarters",
    }
}

/// Returns the path of a file of `directory` that covers `count` numbers from `base` on.
pub(crate) fn path(directory: &str, base: u64, count: u32) -> Path {
    let mut path = Path::new();
    write!(path, "{directory}/{base:015x}-{count:x}").expect("a path fits its buffer");
    path
}

/// Reads the name of a file: base and count; `None` for a name that [`path`] does not make.
pub(crate) fn parse_name(name: &str) -> Option<(u64, u32)> {
    let (base, count) = name.split_once('-')?;
    let (base, count) = (
        u64::from_str_radix(base, 16).ok()?,
        u32::from_str_radix(count, 16).ok()?,
    );
    // Only the one way of writing it counts: two names must not mean the same file.
    let canonical = path("", base, count);
    (canonical.get(1..) == Some(name) && count > 0 && base < 1 << (4 * BASE_DIGITS))
        .then_some((base, count))
}

/// Writes a record with its checksum behind it.
pub(crate) fn write_record<F: NorFlash>(
    files: &mut Littlefs,
    flash: &mut F,
    path: &str,
    record: &[u8],
) -> Result<(), Error> {
    let mut bytes = [0; RECORD_BYTES_MAX];
    let end = record.len() + CRC_BYTES;
    let bytes = bytes.get_mut(..end).ok_or(Error::NoSpace)?;
    bytes[..record.len()].copy_from_slice(record);
    bytes[record.len()..].copy_from_slice(&CRC.checksum(record).to_le_bytes());
    files.write(flash, path, bytes)
}

/// Reads a record into `buffer` and returns its length; `None` where there is no such file.
///
/// [`Error::Corrupt`] where the checksum does not match, [`Error::TooLong`] where the buffer ends before.
pub(crate) fn read_record<F: NorFlash>(
    files: &mut Littlefs,
    flash: &mut F,
    path: &str,
    buffer: &mut [u8],
) -> Result<Option<usize>, Error> {
    let mut bytes = [0; RECORD_BYTES_MAX];
    let end = match files.read(flash, path, 0, &mut bytes) {
        Ok(end) => end,
        Err(Error::Absent) => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = end.checked_sub(CRC_BYTES).ok_or(Error::Corrupt)?;
    let (record, crc) = bytes[..end].split_at(length);
    if CRC.checksum(record).to_le_bytes() != *crc {
        return Err(Error::Corrupt);
    }
    let buffer = buffer.get_mut(..length).ok_or(Error::TooLong)?;
    buffer.copy_from_slice(record);
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_says_what_it_was_made_of_and_nothing_else_does() {
        for (base, count) in [(0, 1), ((1 << 60) - 1, u32::MAX), (7, 9)] {
            let path = path("/full", base, count);
            let name = path.strip_prefix("/full/").unwrap();
            assert_eq!(parse_name(name), Some((base, count)));
        }
        for name in [
            "",
            "-",
            "000000000000000-0",
            "00000000000000-1",
            "0000000000000001-1",
            "000000000000001-01",
            "000000000000001-A",
            "000000000000001-1-0",
            "+00000000000001-1",
            "000000000000001--1",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
