//! The bytes of a flash, and the file below them where there is one.
//!
//! A new file appears under its name only when it is complete, and a lock that dies with its owner keeps a second
//! process out.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// The value of an erased byte.
pub(crate) const ERASED: u8 = 0xff;

/// Bytes with an optional file that always holds the same.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    file: Option<File>,
}

impl Image {
    pub(crate) fn in_memory(bytes: Vec<u8>) -> Self {
        Self { bytes, file: None }
    }

    /// Opens the file of a flash; makes an erased one where there is none.
    pub(crate) fn open(path: &Path, capacity_bytes: usize) -> io::Result<Self> {
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
        let file = Some(file);
        Ok(Self { bytes, file })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Replaces bytes, in the file first: where that fails nothing has changed.
    pub(crate) fn replace(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(at as u64))?;
            file.write_all(bytes)?;
        }
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
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
