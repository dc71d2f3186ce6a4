//! Coarse readings, runs and segments: merged truly, packed whole, the same bytes for ever, and total.

mod damage;
mod file;
mod golden;
mod merge;
mod shared;
