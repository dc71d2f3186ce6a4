//! Pairs of voltage and current, 2,000 a second of each channel, without a gap.
//!
//! The digital ADC controller converts voltage and currents in turn, each time its own timer says so, and the DMA carries
//! the codes into a [ring] of 1.5 s. No interrupt and no code is needed for that: it goes on while flash is erased and
//! everything else stands still. The measuring task empties the ring each 50 ms. Where it comes too late, the DMA stops;
//! it is started anew, and the time that is missing shows in the next portion's end.
//!
//! Uptime and conversions are counted from the same crystal, so the time of a sample is its number times the period.

pub mod curve;
pub mod ring;

#[cfg(any(feature = "esp32c3", feature = "esp32c6"))]
mod controller;
#[cfg(any(feature = "esp32", feature = "esp32s3"))]
mod timed;

#[cfg(any(feature = "esp32c3", feature = "esp32c6"))]
pub use controller::Sampler;
#[cfg(any(feature = "esp32", feature = "esp32s3"))]
pub use timed::Sampler;

/// Channels of this meter, 1 to 3. All take the voltage of one input.
pub const CHANNELS: usize = 1;
/// Inputs that are converted in turn: the voltage, then each channel's current.
pub const INPUTS: usize = 1 + CHANNELS;

/// Pairs of a channel in one buffer.
pub const PAIRS: usize = 100;
/// Conversions in one buffer.
const WORDS: usize = PAIRS * INPUTS;
/// Buffers in the ring: 1.5 s.
const BUFFERS: usize = 30;

const _: () = assert!(CHANNELS >= 1 && CHANNELS <= protocol::limits::CHANNELS_MAX);
