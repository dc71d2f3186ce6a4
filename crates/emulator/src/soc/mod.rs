//! The chip around the processor: memory, peripherals and the bus between them.
//!
//! Virtual time counts cycles of 160 MHz since power came. A peripheral is a plain struct: reads and writes of its
//! registers get the time, `next_event` says when it will act by itself, and `advance` lets it. The bus counts the
//! processor's cycles only when someone asks for the time.

mod analog;
mod bus;
mod cache;
mod code;
mod console;
mod dma;
mod efuse;
mod flash;
mod gpio;
mod hart;
mod interrupts;
mod machine;
mod outcome;
mod reset;
mod rom;
mod rtc;
mod sha;
mod system;
mod systimer;
mod timer_group;
mod triggers;
mod watchdog;
mod words;

pub use machine::{Machine, Parts};
pub use outcome::{Counters, Fault, Span, Stop};
pub use reset::Reset;
pub use rom::{Rom, RomError};
pub use words::Touch;

/// Cycles of virtual time in a second.
pub const CLOCK_HZ: u64 = 160_000_000;
/// Frequency of the RC oscillator that drives the real-time part.
const SLOW_CLOCK_HZ: u64 = 136_000;
