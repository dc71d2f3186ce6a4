//! The lock that lets one process write.
//!
//! The operating system holds it for the open file, so it ends with its owner however that ends. The file also tells who
//! that is, for the message to the second one.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use super::StoreError;

/// Name of the lock file in the data directory.
const LOCK_FILE: &str = "ofmon.lock";

/// Held as long as this process may write.
#[derive(Debug)]
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock or says who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK_FILE);
        let failed = |source| StoreError::Lock {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    directory: directory.to_owned(),
                    process: holder(&file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The lock holds without the number, and a full disk must not keep readers of messages from the store.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, "the lock file does not name its holder");
        }
        Ok(Self { _file: file })
    }
}

/// Reads who holds the lock; some systems do not let a locked file be read.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
