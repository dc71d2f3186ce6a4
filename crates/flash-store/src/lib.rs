//! Readings, events and settings on NOR flash that survive a power cut at any operation.
//!
//! Why it is as it is: `DESIGN.md`. Every byte: `SPEC.md`.
#![no_std]
#![forbid(unsafe_code)]

mod readings;
mod ring;
mod store;
mod varint;

pub use store::{
    AppendError, Appended, ConfigError, EventError, FlashStore, Format, FormatError, Lost,
    MountError, ReadError, RunParams,
};
