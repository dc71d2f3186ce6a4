//! A file as a flash that takes no writes.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_read,
};

use crate::exit::{Kind, Problem};

/// Size of a sector in bytes.
pub(crate) const SECTOR_BYTES: usize = 4096;
/// The largest flash that a store can lie on.
const DUMP_BYTES_MAX: u64 = 65_535 * SECTOR_BYTES as u64;
const HOW_TO_READ: &str = "a chip's flash is read by `esptool read-flash 0 0x400000 dump.bin` or `espflash read-flash 0 0x400000 dump.bin`";

/// Which part of which file.
#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    /// The dump: a chip's whole flash, or the part of it that holds the readings
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Looks only from this byte on, a multiple of 4096 such as 0x200000
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    offset: Option<u64>,
    /// Looks at so many bytes only
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    length: Option<u64>,
}

impl DumpArguments {
    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        &self.image
    }

    /// Reads the part that was named.
    pub(crate) fn read(&self) -> Result<Dump> {
        let offset = self.offset.unwrap_or(0);
        if !offset.is_multiple_of(SECTOR_BYTES as u64) {
            let hint = "stores begin at multiples of 4096, which is 0x1000";
            return Err(Problem::usage("--offset is no multiple of 4096", hint).into());
        }
        let bytes = self.read_bytes(offset).map_err(|error| {
            let (kind, hint) = match error.kind() {
                io::ErrorKind::NotFound => (Kind::NotFound, HOW_TO_READ),
                _ => (Kind::Storage, "is it a file, and may it be read?"),
            };
            let message = format!("{} cannot be read", self.image.display());
            anyhow::Error::new(error).context(Problem::new(kind, message, hint))
        })?;
        if bytes.len() as u64 > DUMP_BYTES_MAX {
            return Err(self.no_dump("is larger than any flash"));
        }
        if bytes.len() < SECTOR_BYTES {
            return Err(self.no_dump("is too small: not one sector of 4096 bytes is there"));
        }
        Ok(Dump::new(bytes, offset))
    }

    fn read_bytes(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.image)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        // One byte more tells that it is too large.
        let limit = self.length.unwrap_or(u64::MAX).min(DUMP_BYTES_MAX + 1);
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Says that the file is not what was expected.
    pub(crate) fn no_dump(&self, what: &str) -> anyhow::Error {
        let message = format!("{} {what}", self.image.display());
        Problem::new(Kind::Corrupt, message, HOW_TO_READ).into()
    }
}

/// Reads a number of bytes, decimal or as 0x and hexadecimal digits.
fn bytes(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a number of bytes is like 2097152 or 0x200000".to_owned())
}

/// A flash in memory that takes no writes.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    bytes: Vec<u8>,
    /// Where in the file it begins.
    offset: u64,
}

impl Dump {
    /// Takes bytes; a sector that is cut off is filled up as if erased, checksums tell what is missing.
    fn new(mut bytes: Vec<u8>, offset: u64) -> Self {
        bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES), 0xff);
        Self { bytes, offset }
    }

    /// Returns where in the file a sector begins.
    pub(crate) fn offset_of(&self, sector: u32) -> u64 {
        self.offset + u64::from(sector) * SECTOR_BYTES as u64
    }

    /// Returns how many sectors there are.
    pub(crate) fn sectors(&self) -> usize {
        self.bytes.len() / SECTOR_BYTES
    }

    /// Returns a part of it; `None` where it ends before.
    pub(crate) fn part(&self, first_sector: u32, sectors: u32) -> Option<Self> {
        let begin = first_sector as usize * SECTOR_BYTES;
        let end = begin + sectors as usize * SECTOR_BYTES;
        let bytes = self.bytes.get(begin..end)?.to_vec();
        Some(Self::new(bytes, self.offset_of(first_sector)))
    }
}

impl ErrorType for Dump {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Dump {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let offset = offset as usize;
        bytes.copy_from_slice(&self.bytes[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Dump {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, _from: u32, _to: u32) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }

    fn write(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        Err(NorFlashErrorKind::Other)
    }
}

/// Turns what a dump in memory cannot say into an error all the same.
pub(crate) fn readable<T>(result: Result<T, NorFlashErrorKind>) -> Result<T> {
    result
        .map_err(|kind| anyhow::anyhow!("{kind:?}"))
        .context("the dump cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes_are_decimal_or_hexadecimal() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("0x200000"), Ok(2 << 20));
        for text in ["", "0x", "4k", "-1", "0xg"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sector_that_is_cut_off_counts_as_erased_behind_the_cut() {
        let mut dump = Dump::new(vec![7; SECTOR_BYTES + 1], 0);
        let mut end = [0; 2];
        dump.read(SECTOR_BYTES as u32, &mut end).unwrap();
        assert_eq!((dump.sectors(), end), (2, [7, 0xff]));
        assert!(dump.part(1, 2).is_none());
        assert_eq!(dump.write(0, &[0]), Err(NorFlashErrorKind::Other));
    }
}
