//! The accuracy bench: what the metering makes of signals whose energy is known exactly.
//!
//! ```text
//! rows (the table) ─┐
//! shapes, cases ────┴─ Signal ── Sampler (front-end model) ─┬─ metering::Channel ─┐
//!                        │                                  └─ rivals ────────────┤
//!                        └─ true energy ──────────────────────────────────────────┴─ errors ── report, document
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`rows`], [`limits`] | the committed table: what is applied, and how far off it may be |
//! | [`signal`], [`shapes`] | waveforms and their exact energy |
//! | [`sampler`] | front-end models |
//! | [`mod@unit`] | a meter: front end, transformer, calibration |
//! | [`run`](mod@run) | a signal through a meter and its rivals |
//! | [`mod@bench`] | rows on meters |
//! | [`rivals`], [`compare`] | the methods of others, on the same pairs |
//! | [`parallel`] | all cores |
//! | [`long`] | a day without a load, a day with gaps |
//! | [`document`], [`plot`] | `accuracy.md` and its pictures |

pub mod bench;
pub mod compare;
pub mod document;
pub mod limits;
pub mod long;
pub mod parallel;
pub mod plot;
pub mod rivals;
pub mod rows;
pub mod run;
pub mod sampler;
pub mod shapes;
pub mod signal;
pub mod unit;
