//! Directories as chains of logs.

use core::{mem::MaybeUninit, ptr};

use littlefs_rust_core::{LfsDir, LfsMdir, lfs_dir_fetch, lfs_dir_open};

use super::Engine;
use crate::{
    Error,
    error::checked,
    names::{self, Log},
    path::Path,
};

impl Engine<'_> {
    /// Shows the files of a directory until `visit` says false.
    pub(crate) fn list(
        &mut self,
        path: &Path,
        visit: &mut dyn FnMut(&[u8], u32) -> bool,
    ) -> Result<(), Error> {
        let mut dir = self.open_dir(path)?;
        loop {
            let log = log_of(&dir);
            if !names::files(&log, &mut self.reader(log.block), visit)? || !dir.split {
                return Ok(());
            }
            dir = self.fetch(dir.tail)?;
        }
    }

    pub(super) fn open_dir(&mut self, path: &Path) -> Result<LfsMdir, Error> {
        // SAFETY: numbers and pointers, for which zero is a value.
        let mut dir: LfsDir = unsafe { MaybeUninit::zeroed().assume_init() };
        let opened = lfs_dir_open(self.lfs, &mut dir, path.terminated().as_ptr());
        // The engine's list of what is open points to `dir`.
        self.lfs.mlist = ptr::null_mut();
        checked(opened)?;
        Ok(dir.m)
    }

    pub(super) fn fetch(&mut self, pair: [u32; 2]) -> Result<LfsMdir, Error> {
        // SAFETY: numbers, for which zero is a value.
        let mut dir: LfsMdir = unsafe { MaybeUninit::zeroed().assume_init() };
        checked(lfs_dir_fetch(self.lfs, &mut dir, &pair))?;
        Ok(dir)
    }

    /// Fails where a log holds what the engine must not follow.
    pub(super) fn check(&mut self, dir: &LfsMdir) -> Result<(), Error> {
        let log = log_of(dir);
        match names::is_honest(&log, &mut self.reader(log.block))? {
            true => Ok(()),
            false => Err(Error::Corrupt),
        }
    }

    fn reader(&mut self, block: u32) -> impl FnMut(u32, &mut [u8]) -> Result<(), Error> {
        move |offset, bytes| match self.raw(block, offset, bytes) {
            true => Ok(()),
            false => Err(Error::Corrupt),
        }
    }
}

fn log_of(dir: &LfsMdir) -> Log {
    Log {
        block: dir.pair[0],
        end: dir.off,
        last_tag: dir.etag,
        entries: dir.count,
    }
}
