//! What the engine calls to reach the flash.

use core::slice;

use embedded_storage::nor_flash::NorFlash;
use littlefs_rust_core::LfsConfig;

use crate::flash::Lent;

/// Returns the flash that was lent for the call.
///
/// # Safety
/// `config` is the one that [`with`](super::with) made for a flash of this type, and its call has not ended.
unsafe fn lent<'a, F>(config: *const LfsConfig) -> &'a mut Lent<'a, F> {
    // SAFETY: the context points to a `Lent<F>` in the frame of `with`; the engine calls one callback at a time, so
    // this is the only reference.
    unsafe { &mut *(*config).context.cast() }
}

pub(super) unsafe extern "C" fn read<F: NorFlash>(
    config: *const LfsConfig,
    block: u32,
    offset: u32,
    bytes: *mut u8,
    length: u32,
) -> i32 {
    // SAFETY: the engine hands back the configuration it was given, and a buffer of its own of that length.
    let (lent, bytes) = unsafe {
        let bytes = slice::from_raw_parts_mut(bytes, length as usize);
        (lent::<F>(config), bytes)
    };
    lent.read(block, offset, bytes).err().unwrap_or(0)
}

pub(super) unsafe extern "C" fn program<F: NorFlash>(
    config: *const LfsConfig,
    block: u32,
    offset: u32,
    bytes: *const u8,
    length: u32,
) -> i32 {
    // SAFETY: as in `read`; the buffer is only looked at.
    let (lent, bytes) = unsafe {
        let bytes = slice::from_raw_parts(bytes, length as usize);
        (lent::<F>(config), bytes)
    };
    lent.program(block, offset, bytes).err().unwrap_or(0)
}

pub(super) unsafe extern "C" fn erase<F: NorFlash>(config: *const LfsConfig, block: u32) -> i32 {
    // SAFETY: the engine hands back the configuration it was given.
    let lent = unsafe { lent::<F>(config) };
    lent.erase(block).err().unwrap_or(0)
}

/// Every program and erase is done when it returns, so there is nothing to wait for.
pub(super) unsafe extern "C" fn sync(_: *const LfsConfig) -> i32 {
    0
}
