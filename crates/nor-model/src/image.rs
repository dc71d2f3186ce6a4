//! The bytes of a flash, and the file below them where there is one.
//!
//! The bytes lie in sectors that copies of a flash share until one of them changes, so a copy costs a pointer a sector
//! and what differs later. A new file appears under its name only when it is complete, and a lock that dies with its
//! owner keeps a second process out.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use crate::SECTOR_BYTES;

/// The value of an erased byte.
pub(crate) const ERASED: u8 = 0xff;
/// What an erase leaves.
pub(crate) const ERASED_SECTOR: Sector = [ERASED; SECTOR_BYTES];

pub(crate) type Sector = [u8; SECTOR_BYTES];

/// Bytes with an optional file that always holds the same.
pub(crate) struct Image {
    sectors: Vec<Arc<Sector>>,
    file: Option<File>,
}

impl Image {
    /// Makes erased bytes, whole sectors, in memory.
    pub(crate) fn erased(capacity_bytes: usize) -> Self {
        assert_whole_sectors(capacity_bytes);
        let erased = Arc::new(ERASED_SECTOR);
        Self {
            sectors: vec![erased; capacity_bytes / SECTOR_BYTES],
            file: None,
        }
    }

    /// Holds `bytes`, whole sectors, in memory.
    pub(crate) fn in_memory(bytes: &[u8]) -> Self {
        assert_whole_sectors(bytes.len());
        let (sectors, _) = bytes.as_chunks();
        Self {
            sectors: sectors.iter().map(|&sector| Arc::new(sector)).collect(),
            file: None,
        }
    }

    /// Opens the file of a flash; makes an erased one where there is none.
    pub(crate) fn open(path: &Path, capacity_bytes: usize) -> io::Result<Self> {
        assert_whole_sectors(capacity_bytes);
        if !path.try_exists()? {
            create(path, capacity_bytes)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        let mut bytes = Vec::with_capacity(capacity_bytes);
        // One byte more than expected tells a longer file without reading all of it.
        let limit = capacity_bytes as u64 + 1;
        (&mut file).take(limit).read_to_end(&mut bytes)?;
        if bytes.len() != capacity_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a flash file of {capacity_bytes} bytes was expected"),
            ));
        }
        Ok(Self {
            file: Some(file),
            ..Self::in_memory(&bytes)
        })
    }

    /// Makes a copy in memory, also of what lies in a file.
    pub(crate) fn copy(&self) -> Self {
        Self {
            sectors: self.sectors.clone(),
            file: None,
        }
    }

    pub(crate) fn sectors(&self) -> usize {
        self.sectors.len()
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.sectors.len() * SECTOR_BYTES);
        for sector in &self.sectors {
            bytes.extend_from_slice(&sector[..]);
        }
        bytes
    }

    /// Returns bytes that lie in one sector.
    pub(crate) fn within_sector(&self, at: usize, length: usize) -> &[u8] {
        let from = at % SECTOR_BYTES;
        &self.sectors[at / SECTOR_BYTES][from..from + length]
    }

    /// Fills `bytes` with what lies from `at` on, across sectors.
    pub(crate) fn read(&self, mut at: usize, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let length = bytes.len().min(SECTOR_BYTES - at % SECTOR_BYTES);
            let (head, rest) = bytes.split_at_mut(length);
            head.copy_from_slice(self.within_sector(at, length));
            (at, bytes) = (at + length, rest);
        }
    }

    /// Replaces bytes that lie in one sector, in the file first: where that fails nothing has changed.
    pub(crate) fn replace(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(at as u64))?;
            file.write_all(bytes)?;
        }
        let from = at % SECTOR_BYTES;
        let sector = Arc::make_mut(&mut self.sectors[at / SECTOR_BYTES]);
        sector[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes are millions; nobody reads them in a failed test.
        formatter
            .debug_struct("Image")
            .field("sectors", &self.sectors.len())
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

fn assert_whole_sectors(length: usize) {
    assert!(
        length.is_multiple_of(SECTOR_BYTES),
        "a flash is whole sectors"
    );
}

fn create(path: &Path, capacity_bytes: usize) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut unfinished = name.to_os_string();
    unfinished.push(".new");
    let unfinished = path.with_file_name(unfinished);
    fs::write(&unfinished, vec![ERASED; capacity_bytes])?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_every_sector_that_neither_side_changed() {
        let mut image = Image::in_memory(&[0x55; 4 * SECTOR_BYTES]);
        let mut copy = image.copy();
        image.replace(SECTOR_BYTES, &[1]).unwrap();
        copy.replace(3 * SECTOR_BYTES, &[2]).unwrap();
        let shared = |sector: usize| Arc::ptr_eq(&image.sectors[sector], &copy.sectors[sector]);
        assert_eq!([0, 1, 2, 3].map(shared), [true, false, true, false]);
        assert_eq!(image.within_sector(SECTOR_BYTES, 2), [1, 0x55]);
        assert_eq!(copy.within_sector(SECTOR_BYTES, 2), [0x55, 0x55]);
        assert_eq!(copy.within_sector(3 * SECTOR_BYTES, 2), [2, 0x55]);
        assert_eq!(image.within_sector(3 * SECTOR_BYTES, 2), [0x55, 0x55]);
    }
}
