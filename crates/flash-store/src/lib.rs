//! Readings, events and settings on NOR flash that survive a power cut at any operation.
//!
//! Three rings of sectors share one structure; from the bytes up:
//!
//! | module | holds |
//! |---|---|
//! | `entry` | what is programmed at once, with a checksum |
//! | `sector` | header, opening and closing mark of a sector |
//! | `walk` | the entries of a sector, past what is broken |
//! | `ring` | opening, appending, finding the ends and the middle |
//! | `run`, `cursor` | runs and readings as bytes, and one after another |
//! | `readings`, `blocks` | the ring of readings: written, and read as blocks |
//! | `events`, `settings` | the other two rings |
//! | `identify`, `store` | whose flash it is, and the whole |
//!
//! Why it is as it is: `DESIGN.md`. Every byte: `SPEC.md`.
#![no_std]
#![forbid(unsafe_code)]

mod blocks;
mod cursor;
mod entry;
mod error;
mod events;
mod identify;
mod layout;
mod readings;
mod ring;
mod run;
mod sector;
mod settings;
mod store;
mod walk;

pub use error::{AppendError, ConfigError, FormatError, MountError, ReadError, WriteError};
pub use layout::Layout;
pub use readings::{Appended, Lost};
pub use run::RunParams;
pub use settings::CONFIG_BYTES_MAX;
pub use store::{FlashStore, Format};
