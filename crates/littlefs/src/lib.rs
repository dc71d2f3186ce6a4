//! Files on LittleFS in a range of sectors of a NOR flash.
//!
//! The flash is lent for each call and never owned: [`Littlefs`] is what a mount keeps in RAM, plain numbers and buffers
//! without a pointer among them. A file is written in one call, whole: its bytes go to fresh blocks (or into the
//! directory itself, up to [`INLINE_BYTES_MAX`]), and then **one** metadata commit makes the file appear or takes the
//! place of the old one. A cut before the end of that commit leaves what was before, a cut after it the new file;
//! nothing else exists between.
//!
//! The engine is a translation of the C implementation (DESIGN.md says why that one) with an interface of raw pointers.
//! Its use is confined to one module.
//!
//! | module | holds |
//! |---|---|
//! | `littlefs` | the calls |
//! | `engine` | the engine's state for one call; every `unsafe` of the crate |
//! | `names` | names and sizes of a directory's files |
//! | `kept` | what a mount knows between calls |
//! | `flash` | the lent flash as the engine sees it; bounds on work |
//! | `path` | paths as the engine takes them |
//! | `error` | what can go wrong |
#![no_std]

mod engine;
mod error;
mod flash;
mod kept;
mod littlefs;
mod names;
mod path;

pub use error::Error;
pub use littlefs::{Littlefs, Region};
pub use path::PATH_BYTES_MAX;

/// Bytes of a block: one sector.
pub const BLOCK_BYTES: u32 = 4096;
/// Bytes up to which a file lies in its directory and takes no block.
pub const INLINE_BYTES_MAX: usize = 512;
