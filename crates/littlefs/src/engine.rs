//! The engine's state for one call, and every `unsafe` of the crate.
//!
//! The engine is functions over raw pointers: to its state, to a configuration with callbacks, and from there to the
//! flash and the buffers. All of these live in [`with`] for exactly one call; what outlives the call is [`Kept`], plain
//! numbers. So nothing the engine points to can move or be dropped while it may be looked at.
#![expect(
    unsafe_code,
    reason = "the engine's interface is raw pointers; they are confined to this module"
)]

mod callbacks;
mod directories;

use core::{ffi::c_void, mem::MaybeUninit, ptr};

use embedded_storage::nor_flash::NorFlash;
use littlefs_rust_core::{
    Lfs, LfsConfig, LfsCtz, LfsFile, LfsFileConfig, LfsInfo, LfsMdir, lfs_alloc_ckpoint,
    lfs_dir_commit, lfs_file_opencfg, lfs_file_read, lfs_file_seek, lfs_file_write, lfs_format,
    lfs_fs_forceconsistency, lfs_fs_size, lfs_mattr, lfs_mkdir, lfs_mktag, lfs_mount, lfs_remove,
    lfs_stat,
    lfs_type::{
        lfs_open_flags::{LFS_F_DIRTY, LFS_F_INLINE, LFS_O_RDONLY, LFS_O_WRONLY},
        lfs_type::{
            LFS_TYPE_CREATE, LFS_TYPE_CTZSTRUCT, LFS_TYPE_DELETE, LFS_TYPE_DIR,
            LFS_TYPE_INLINESTRUCT, LFS_TYPE_REG,
        },
        lfs_whence_flags::LFS_SEEK_SET,
    },
};

use crate::{
    BLOCK_BYTES, Error, INLINE_BYTES_MAX, Region, error::checked, flash::Lent, kept::Kept,
    path::Path,
};

/// Bytes of each of the three caches. A larger one would save reads of metadata, a smaller one would end inlining.
const CACHE_BYTES: usize = 512;
/// Bytes of the map of free blocks: one bit each for 512 blocks; a larger region is looked at in windows.
const LOOKAHEAD_BYTES: usize = 64;
/// Bytes that a program is padded to.
const PROGRAM_BYTES: u32 = 16;
/// Erases of a directory's blocks after which they are exchanged for others.
const BLOCK_CYCLES: i32 = 500;
/// Where the engine says that a file lies in its directory.
const BLOCK_INLINE: u32 = u32::MAX - 1;

/// Buffers of the engine. Their contents mean nothing between calls, but for the map of free blocks.
#[repr(align(4))]
pub(crate) struct Buffers {
    read: [u8; CACHE_BYTES],
    program: [u8; CACHE_BYTES],
    file: [u8; CACHE_BYTES],
    lookahead: [u8; LOOKAHEAD_BYTES],
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self {
            read: [0; CACHE_BYTES],
            program: [0; CACHE_BYTES],
            file: [0; CACHE_BYTES],
            lookahead: [0; LOOKAHEAD_BYTES],
        }
    }
}

/// The engine during one call.
pub(crate) struct Engine<'a> {
    lfs: &'a mut Lfs,
    /// The buffer of the one file that is open at a time.
    file_buffer: *mut u8,
}

/// Lends the engine the flash and the buffers for one call.
///
/// # Errors
/// What `body` says, or what the flash said meanwhile.
#[inline(never)]
pub(crate) fn with<F: NorFlash>(
    buffers: &mut Buffers,
    kept: &mut Kept,
    flash: &mut F,
    region: Region,
    body: &mut dyn FnMut(&mut Engine<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut lent = Lent::new(flash, region)?;
    let config = LfsConfig {
        context: ptr::from_mut(&mut lent).cast(),
        read: Some(callbacks::read::<F>),
        prog: Some(callbacks::program::<F>),
        erase: Some(callbacks::erase::<F>),
        sync: Some(callbacks::sync),
        read_size: CACHE_BYTES as u32,
        prog_size: PROGRAM_BYTES,
        block_size: BLOCK_BYTES,
        block_count: region.sectors,
        block_cycles: BLOCK_CYCLES,
        cache_size: CACHE_BYTES as u32,
        lookahead_size: LOOKAHEAD_BYTES as u32,
        compact_thresh: 0,
        read_buffer: buffers.read.as_mut_ptr().cast(),
        prog_buffer: buffers.program.as_mut_ptr().cast(),
        lookahead_buffer: buffers.lookahead.as_mut_ptr().cast(),
        name_max: 0,
        file_max: 0,
        attr_max: 0,
        metadata_max: 0,
        inline_max: INLINE_BYTES_MAX as u32,
    };
    // SAFETY: all of it is numbers and pointers, for which zero is a value: no pointer, no block.
    let mut lfs: Lfs = unsafe { MaybeUninit::zeroed().assume_init() };
    kept.restore(&mut lfs);
    lfs.cfg = &raw const config;
    lfs.rcache.buffer = buffers.read.as_mut_ptr();
    lfs.rcache.block = u32::MAX;
    lfs.pcache.buffer = buffers.program.as_mut_ptr();
    lfs.pcache.block = u32::MAX;
    buffers.program.fill(0xFF);
    lfs.lookahead.buffer = buffers.lookahead.as_mut_ptr();
    let mut engine = Engine {
        lfs: &mut lfs,
        file_buffer: buffers.file.as_mut_ptr(),
    };
    let result = body(&mut engine);
    *kept = Kept::of(&lfs);
    match (result, lent.failure()) {
        (Err(_), Some(failure)) => Err(failure),
        (result, _) => result,
    }
}

impl Engine<'_> {
    pub(crate) fn format(&mut self) -> Result<(), Error> {
        let config = self.lfs.cfg;
        checked(lfs_format(self.lfs, config)).map(drop)
    }

    pub(crate) fn mount(&mut self) -> Result<(), Error> {
        let config = self.lfs.cfg;
        checked(lfs_mount(self.lfs, config))?;
        // All that the engine may write anew by itself is in the list that begins with the first two blocks.
        let mut pair = [0, 1];
        while pair != [u32::MAX; 2] {
            let dir = self.fetch(pair)?;
            self.check(&dir)?;
            pair = dir.tail;
        }
        Ok(())
    }

    /// Reads raw bytes of a block; returns whether it could.
    pub(crate) fn raw(&mut self, block: u32, offset: u32, bytes: &mut [u8]) -> bool {
        // SAFETY: the configuration outlives the engine, and the callback writes as many bytes as there are.
        unsafe {
            let config = self.lfs.cfg;
            (*config).read.is_some_and(|read| {
                read(
                    config,
                    block,
                    offset,
                    bytes.as_mut_ptr(),
                    bytes.len() as u32,
                ) == 0
            })
        }
    }

    /// Returns the kind and size of what is at a path.
    pub(crate) fn stat(&mut self, path: &Path) -> Result<Entry, Error> {
        let mut info = info();
        checked(lfs_stat(self.lfs, path.terminated().as_ptr(), &mut info))?;
        Ok(Entry::of(&info))
    }

    pub(crate) fn blocks_used(&mut self) -> Result<u32, Error> {
        checked(lfs_fs_size(self.lfs))
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&mut self, path: &Path) -> Result<(), Error> {
        checked(lfs_remove(self.lfs, path.terminated().as_ptr())).map(drop)
    }

    /// Removes a file in one metadata commit.
    pub(crate) fn remove(&mut self, path: &Path) -> Result<(), Error> {
        checked(lfs_fs_forceconsistency(self.lfs))?;
        let config = self.file_config();
        let mut file = self.file();
        self.open(&mut file, path, &config)?;
        self.lfs.mlist = ptr::null_mut();
        let delete = [lfs_mattr {
            tag: lfs_mktag(LFS_TYPE_DELETE, u32::from(file.id), 0),
            buffer: ptr::null(),
        }];
        self.commit(&mut file.m, &delete)
    }

    pub(crate) fn make_dir(&mut self, path: &Path, parent: &Path) -> Result<(), Error> {
        let mut dir = self.open_dir(parent)?;
        self.check(&dir)?;
        while dir.split {
            dir = self.fetch(dir.tail)?;
            self.check(&dir)?;
        }
        checked(lfs_mkdir(self.lfs, path.terminated().as_ptr())).map(drop)
    }

    /// Reads from a file into `bytes`; returns how many there were.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<usize, Error> {
        let config = self.file_config();
        let mut file = self.file();
        let result = self.open(&mut file, path, &config).and_then(|()| {
            if offset >= file.ctz.size {
                return Ok(0);
            }
            let at = i32::try_from(offset).map_err(|_| Error::Corrupt)?;
            checked(lfs_file_seek(self.lfs, &mut file, at, LFS_SEEK_SET))?;
            let length = bytes.len().min((file.ctz.size - offset) as usize);
            let into = bytes.as_mut_ptr().cast();
            checked(lfs_file_read(self.lfs, &mut file, into, length as u32))
        });
        self.lfs.mlist = ptr::null_mut();
        result.map(|length| length as usize)
    }

    /// Creates or replaces a file in one metadata commit.
    pub(crate) fn write(&mut self, path: &Path, name: &[u8], bytes: &[u8]) -> Result<(), Error> {
        checked(lfs_fs_forceconsistency(self.lfs))?;
        let config = self.file_config();
        let mut file = self.file();
        // Also where there is no such file, opening finds out where in which directory it belongs.
        let found = match self.open(&mut file, path, &config) {
            Ok(()) => true,
            Err(Error::Absent) => false,
            Err(error) => return Err(error),
        };
        let (dir, id) = (file.m, file.id);
        let mut file = self.file();
        (file.m, file.id, file.type_) = (dir, id, LFS_TYPE_REG as u8);
        file.flags = (LFS_O_WRONLY | LFS_F_INLINE | LFS_F_DIRTY) as u32;
        file.cfg = &raw const config;
        file.ctz.head = BLOCK_INLINE;
        file.cache.block = BLOCK_INLINE;
        file.cache.size = CACHE_BYTES as u32;
        file.cache.buffer = self.file_buffer;
        let result = self.write_found(&mut file, found, name, bytes);
        self.lfs.mlist = ptr::null_mut();
        result
    }

    fn write_found(
        &mut self,
        file: &mut LfsFile,
        found: bool,
        name: &[u8],
        bytes: &[u8],
    ) -> Result<(), Error> {
        if name.len() > self.lfs.name_max as usize {
            return Err(Error::TooLong);
        }
        let file = ptr::from_mut(file);
        // While the file is on the engine's list, its blocks count as taken.
        self.lfs.mlist = file.cast();
        // SAFETY: the engine's state is valid; this only notes that all blocks in use are known to it.
        unsafe { lfs_alloc_ckpoint(self.lfs) };
        // SAFETY: `file` was made from a reference that nobody has used since.
        let id = u32::from(unsafe { (*file).id });
        let place;
        let (kind, content) = if bytes.len() <= INLINE_BYTES_MAX {
            (LFS_TYPE_INLINESTRUCT, bytes)
        } else {
            let length = u32::try_from(bytes.len()).map_err(|_| Error::NoSpace)?;
            let from = bytes.as_ptr().cast();
            checked(lfs_file_write(self.lfs, file, from, length))?;
            // To seek is what writes out everything, and commits nothing.
            checked(lfs_file_seek(self.lfs, file, 0, LFS_SEEK_SET))?;
            // SAFETY: `file` was made from a reference that nobody has used since.
            let LfsCtz { head, size } = unsafe { (*file).ctz };
            place = [head.to_le_bytes(), size.to_le_bytes()];
            (LFS_TYPE_CTZSTRUCT, place.as_flattened())
        };
        let tag = |kind, bytes: &[u8]| lfs_mattr {
            tag: lfs_mktag(kind, id, bytes.len() as u32),
            buffer: bytes.as_ptr().cast(),
        };
        let all = [
            tag(LFS_TYPE_CREATE, &[]),
            tag(LFS_TYPE_REG, name),
            tag(kind, content),
        ];
        let tags = if found { &all[2..] } else { &all[..] };
        // SAFETY: as above; this takes an address and reads nothing.
        let dir = unsafe { &raw mut (*file).m };
        self.commit(dir, tags)
    }

    /// Appends to a directory's log, or writes it anew where there is no room.
    ///
    /// The engine takes what is behind a log for used unless a checksum in the log says that it was erased, and it
    /// writes no such checksum: left alone it would write the log anew, with an erase, for each commit. So what is
    /// behind the log is looked at, all of it, which is also the stricter test.
    fn commit(&mut self, dir: *mut LfsMdir, tags: &[lfs_mattr]) -> Result<(), Error> {
        // SAFETY: the callers hold the only reference, or the address of a live value that the engine may know too but
        // does not touch meanwhile.
        let found = unsafe { *dir };
        self.check(&found)?;
        let (block, end) = (found.pair[0], found.off);
        let erased = end.is_multiple_of(PROGRAM_BYTES) && self.is_erased(block, end);
        // SAFETY: as above.
        unsafe { (*dir).erased = erased };
        let from = tags.as_ptr().cast::<c_void>();
        checked(lfs_dir_commit(self.lfs, dir, from, tags.len() as i32)).map(drop)
    }

    fn is_erased(&mut self, block: u32, from: u32) -> bool {
        let mut bytes = [0; CACHE_BYTES];
        (from..BLOCK_BYTES).step_by(CACHE_BYTES).all(|offset| {
            let length = bytes.len().min((BLOCK_BYTES - offset) as usize);
            let bytes = &mut bytes[..length];
            self.raw(block, offset, bytes) && bytes.iter().all(|&byte| byte == 0xFF)
        })
    }

    fn open(
        &mut self,
        file: &mut LfsFile,
        path: &Path,
        config: &LfsFileConfig,
    ) -> Result<(), Error> {
        let path = path.terminated().as_ptr();
        let opened = lfs_file_opencfg(self.lfs, file, path, LFS_O_RDONLY, config);
        if opened != 0 {
            self.lfs.mlist = ptr::null_mut();
        }
        checked(opened).map(drop)
    }

    fn file_config(&self) -> LfsFileConfig {
        LfsFileConfig {
            buffer: self.file_buffer.cast(),
            attrs: ptr::null_mut(),
            attr_count: 0,
        }
    }

    fn file(&self) -> LfsFile {
        // SAFETY: numbers and pointers, for which zero is a value.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// What a path leads to.
pub(crate) struct Entry {
    pub(crate) is_dir: bool,
    /// Zero for a directory.
    pub(crate) size_bytes: u32,
}

impl Entry {
    fn of(info: &LfsInfo) -> Self {
        Self {
            is_dir: u32::from(info.type_) == LFS_TYPE_DIR,
            size_bytes: info.size,
        }
    }
}

fn info() -> LfsInfo {
    LfsInfo {
        type_: 0,
        size: 0,
        name: [0; 256],
    }
}
