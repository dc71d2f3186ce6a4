//! The calls.

use core::str;

use embedded_storage::nor_flash::NorFlash;

use crate::{
    Error,
    engine::{self, Buffers, Engine},
    kept::Kept,
    path::Path,
};

/// Where on a flash a file system lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The sector it begins with.
    pub first_sector: u32,
    /// How many sectors it is: 4 to 100,000.
    pub sectors: u32,
}

const SECTORS: core::ops::RangeInclusive<u32> = 4..=100_000;

/// A mounted LittleFS, without its flash.
///
/// Every call has to be given the same flash, which nothing else has changed in the region.
pub struct Littlefs {
    region: Region,
    kept: Kept,
    buffers: Buffers,
    /// A change failed, so what is kept may differ from what is on the flash.
    stale: bool,
}

/// The RAM of a mount, in bytes; a call takes about 1.5 KiB of stack beside it.
const _: () = assert!(size_of::<Littlefs>() <= 1700);

impl Littlefs {
    /// Makes an empty file system; whatever the region held is gone.
    ///
    /// # Errors
    /// [`Error::Geometry`] for a region of an impossible size, and what the flash says. A cut leaves a region that may
    /// not mount.
    pub fn format<F: NorFlash>(flash: &mut F, region: Region) -> Result<Self, Error> {
        let mut made = Self::unmounted(region)?;
        made.lend(flash, |engine| engine.format())?;
        made.lend(flash, |engine| engine.mount())?;
        made.stale = false;
        Ok(made)
    }

    /// Mounts what the region holds; writes nothing.
    ///
    /// # Errors
    /// [`Error::NotLittlefs`], [`Error::Geometry`], [`Error::Corrupt`], and what the flash says.
    pub fn mount<F: NorFlash>(flash: &mut F, region: Region) -> Result<Self, Error> {
        let mut mounted = Self::unmounted(region)?;
        mounted.lend(flash, |engine| match engine.mount() {
            Err(Error::Corrupt) if !has_magic(engine) => Err(Error::NotLittlefs),
            result => result,
        })?;
        mounted.stale = false;
        Ok(mounted)
    }

    /// Creates a file or replaces what it holds: whole, or on an error or a cut not at all. Durable on return. Makes no
    /// directories.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Absent`] where the directory is absent, [`Error::IsDirectory`],
    /// [`Error::NotDirectory`], errors of the path, [`Error::Corrupt`], and what the flash says.
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        path: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let path = Path::new(path)?;
        let (parent, name) = path.split()?;
        self.change(flash, |engine| {
            if !engine.stat(&parent)?.is_dir {
                return Err(Error::NotDirectory);
            }
            engine.write(&path, name, bytes)
        })
    }

    /// Reads from a file, from `offset` in bytes on, into `buffer`; returns how many bytes there were, 0 at its end.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::IsDirectory`], errors of the path, [`Error::Corrupt`], and what the flash says.
    pub fn read<F: NorFlash>(
        &mut self,
        flash: &mut F,
        path: &str,
        offset: u32,
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        let path = Path::new(path)?;
        self.look(flash, |engine| engine.read(&path, offset, buffer))
    }

    /// Returns how many bytes a file holds, `None` where there is none.
    ///
    /// # Errors
    /// [`Error::IsDirectory`], errors of the path, [`Error::Corrupt`], and what the flash says.
    pub fn size<F: NorFlash>(&mut self, flash: &mut F, path: &str) -> Result<Option<u32>, Error> {
        let path = Path::new(path)?;
        self.look(flash, |engine| match engine.stat(&path) {
            Ok(entry) if entry.is_dir => Err(Error::IsDirectory),
            Ok(entry) => Ok(Some(entry.size_bytes)),
            Err(Error::Absent) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Removes a file or an empty directory; one that is absent is fine.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], errors of the path, [`Error::Corrupt`], and what the flash says.
    pub fn remove<F: NorFlash>(&mut self, flash: &mut F, path: &str) -> Result<(), Error> {
        let path = Path::new(path)?;
        path.split()?;
        self.change(flash, |engine| match engine.remove(&path) {
            Err(Error::Absent) => Ok(()),
            Err(Error::IsDirectory) => engine.remove_dir(&path),
            result => result,
        })
    }

    /// Makes a directory; one that is present is fine.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::NotDirectory`] where a file has the name, errors of the path, [`Error::Corrupt`],
    /// and what the flash says.
    pub fn make_dir<F: NorFlash>(&mut self, flash: &mut F, path: &str) -> Result<(), Error> {
        let path = Path::new(path)?;
        let (parent, _) = path.split()?;
        self.change(flash, |engine| match engine.stat(&path) {
            Ok(entry) if entry.is_dir => Ok(()),
            Ok(_) => Err(Error::NotDirectory),
            Err(Error::Absent) => engine.make_dir(&path, &parent),
            Err(error) => Err(error),
        })
    }

    /// Shows name and bytes of each file of a directory, by name in rising order, until `visit` says false. Directories
    /// in it are left out, and names that are no UTF-8.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::NotDirectory`], errors of the path, [`Error::Corrupt`], and what the flash says.
    pub fn list<F: NorFlash>(
        &mut self,
        flash: &mut F,
        dir: &str,
        visit: &mut dyn FnMut(&str, u32) -> bool,
    ) -> Result<(), Error> {
        let path = Path::new(dir)?;
        self.look(flash, |engine| {
            engine.list(&path, &mut |name, size| match str::from_utf8(name) {
                Ok(name) => visit(name, size),
                Err(_) => true,
            })
        })
    }

    /// Returns how many blocks are free.
    ///
    /// # Errors
    /// [`Error::Corrupt`], and what the flash says.
    pub fn free_blocks<F: NorFlash>(&mut self, flash: &mut F) -> Result<u32, Error> {
        let all = self.region.sectors;
        self.look(
            flash,
            |engine| Ok(all.saturating_sub(engine.blocks_used()?)),
        )
    }

    fn unmounted(region: Region) -> Result<Self, Error> {
        if !SECTORS.contains(&region.sectors) {
            return Err(Error::Geometry);
        }
        Ok(Self {
            region,
            kept: Kept::default(),
            buffers: Buffers::new(),
            stale: true,
        })
    }

    fn lend<F: NorFlash, R>(
        &mut self,
        flash: &mut F,
        body: impl FnOnce(&mut Engine<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        // One function for all calls, so that a chip carries one copy of what surrounds them.
        let (mut body, mut returned) = (Some(body), None);
        let mut run = |engine: &mut Engine<'_>| {
            if let Some(body) = body.take() {
                returned = Some(body(engine)?);
            }
            Ok(())
        };
        engine::with(
            &mut self.buffers,
            &mut self.kept,
            flash,
            self.region,
            &mut run,
        )?;
        returned.ok_or(Error::Corrupt)
    }

    /// Does what changes nothing.
    fn look<F: NorFlash, R>(
        &mut self,
        flash: &mut F,
        body: impl FnOnce(&mut Engine<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if self.stale {
            self.lend(flash, |engine| engine.mount())?;
            self.stale = false;
        }
        self.lend(flash, body)
    }

    /// Does what changes something. After a failure the next call begins with a mount.
    fn change<F: NorFlash, R>(
        &mut self,
        flash: &mut F,
        body: impl FnOnce(&mut Engine<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let result = self.look(flash, body);
        self.stale |= result.is_err();
        result
    }
}

/// Tells whether one of the first two blocks names LittleFS where its first commit does.
fn has_magic(engine: &mut Engine<'_>) -> bool {
    (0..2).any(|block| {
        let mut bytes = [0; 8];
        engine.raw(block, 8, &mut bytes) && bytes == *b"littlefs"
    })
}
