//! NOR flash as a store meets it, in memory or in a file.
//!
//! Programming only clears bits, erasing sets a whole sector. Work is counted in **operations**: the program of one page
//! (at most 256 bytes; a longer write is several) or the erase of one sector. Power can be cut at any of them
//! ([`Nor::cut_at`]); what the cut operation leaves behind is [`Torn`]. From then on everything fails until
//! [`Nor::power_on`].
//!
//! Sectors can fail for good ([`Nor::break_sector`]) and single bits can flip ([`Nor::flip`]). [`Counters`] tell what was
//! done and how long a chip would have been busy with it; no operation waits.
//!
//! A flash in a file writes each operation through before it returns, so a killed process leaves exactly what the chip
//! would hold. [`Nor::snapshot`] keeps a state to which a test can go back.
//!
//! | module | holds |
//! |---|---|
//! | [`nor`](Nor) | the flash, its power and its faulty sectors |
//! | [`torn`](Torn) | what a cut operation leaves |
//! | [`fault`](Fault) | how a sector fails |
//! | [`latency`](Latency) | how long operations take |
//! | [`counters`](Counters) | what was done |
//! | `image` | the bytes, and the file below them |
#![forbid(unsafe_code)]

mod counters;
mod fault;
mod image;
mod latency;
mod nor;
mod torn;

pub use counters::Counters;
pub use fault::Fault;
pub use latency::Latency;
pub use nor::{Nor, NorError};
pub use torn::Torn;

/// Bytes of a sector: what one erase sets.
pub const SECTOR_BYTES: usize = 4096;
/// Bytes of a page: what one operation programs at the most.
pub const PAGE_BYTES: usize = 256;
