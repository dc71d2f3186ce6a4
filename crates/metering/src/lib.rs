//! Turns samples of mains voltage and current into readings: gapless, in integers, without a clock of its own.
//!
//! Three stages, each in its module:
//!
//! ```text
//! pairs of ADC codes ──cycle──▶ windows of whole cycles (200 ms) ──interval──▶ readings (10 s)
//!        └── clock: what the timer says about the true sample rate, and where samples are missing
//! ```
//!
//! A **window** is 10 cycles at 50 Hz, 12 at 60 Hz. Its ends are the fractional instants at which the voltage rises
//! through its own mean; the sample at an edge is split between both windows. Every sample between counts once.
//! An **interval** integrates the windows' power over the time that the timer gives them. Nothing is rounded away:
//! what does not fill a whole quantum of energy is carried into the next interval.
//!
//! # Ranges
//! | quantity | bound | why |
//! |---|---|---|
//! | sample less its reference `x`, `y` | 2^16 | both are `u16` codes |
//! | samples in a window `n` | 2^14 | 260 ms at 50 kHz are 13,000 |
//! | Σx | 2^30, `i32` | 2^16 · 2^14 |
//! | Σx², Σxy | 2^46, `i64` | 2^32 · 2^14 |
//! | Σx·cos, cos in 1/2^14 | 2^44, `i64` | 2^16 · 2^14 · 2^14 |
//! | the same in 1/2^15 samples | 2^61 | times 2^15 for split edge samples |
//! | covariance in 1/2^15 code² | 2^47 | |xy| is at most 2^32 |
//! | power in µW | 2^50 | 2^30 code² at 1 V and 1 A a code, the largest scale |
//! | energy of an interval in pJ | 2^80, `i128` | 2^50 µW · 2^30 µs |
//!
//! # Example
//! ```
//! use metering::{Calibration, Channel, ChannelConfig, Output, Pair, VoltageInput};
//!
//! let mut channel = Channel::new(ChannelConfig {
//!     calibration: Calibration::ideal(16_540_000, 4_790_000),
//!     voltage: VoltageInput::Own,
//!     full_scale_code: 65_535,
//!     sample_rate_hz: 2_000,
//!     interval_ms: 1_000,
//!     power_unit_mw: 1_000,
//! })
//! .expect("in range");
//! let mut readings = 0;
//! for portion in 1..=20 {
//!     let pairs = [Pair { voltage: 32_768, current: 32_768 }; 200];
//!     channel.push(&pairs, portion * 100_000, &mut |output| {
//!         readings += usize::from(matches!(output, Output::Interval(_)));
//!     });
//! }
//! assert_eq!(readings, 2);
//! ```
#![no_std]

pub mod calibration;
mod channel;
mod clock;
mod config;
mod cycle;
mod evaluate;
mod input;
mod interval;
mod no_load;
mod output;
mod scale;
mod sine;
mod skew;
mod spectrum;
mod window;

pub use channel::Channel;
pub use config::{Calibration, ChannelConfig, ConfigError, Pair, PhaseShift, VoltageInput};
pub use output::{Flags, Harmonics, Interval, Output, Spectrum, Window};
