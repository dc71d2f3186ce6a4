//! Readings, events and settings on NOR flash that survive a power cut at any operation.
//!
//! A reading goes into the journal, a ring of raw sectors, and is durable there; some hours of them are packed into a
//! segment, a file on LittleFS. From the bytes up:
//!
//! | module | holds |
//! |---|---|
//! | `ring` | sectors that are opened in turn and take entries with checksums |
//! | `identity` | whose store it is |
//! | `formatting` | making an empty store |
//! | `counters`, `events`, `journal` | the three rings |
//! | `files` | names of the files and small records in them |
//! | `segments` | packing, finding, serving, merging and giving up segments |
//! | `archive` | older events in files |
//! | `settings` | the configuration record in its file |
//! | `counted` | the flash, with a count of what is written |
//! | `stretches` | the newest readings, backwards |
//! | `layout`, `mount`, `store` | where everything lies, and the whole |
//! | [`salvage`] | everything that a damaged flash still holds |
//!
//! Why it is as it is: `DESIGN.md`. Every byte: `SPEC.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod counted;
mod counters;
mod error;
mod events;
mod files;
mod formatting;
mod identity;
mod journal;
mod layout;
mod mount;

mod ring;
pub mod salvage;
mod segments;
mod settings;
mod store;
mod stretches;

pub use counted::Writes;
pub use error::{AppendError, ConfigError, FormatError, MountError, ReadError, WriteError};
pub use formatting::Format;
pub use identity::{Kept, kept};
pub use layout::Layout;

pub use protocol::run::RunParams;
pub use settings::CONFIG_BYTES_MAX;
pub use store::FlashStore;
pub use stretches::{Stretch, StretchReading};
