//! Meters on a PC: the device code on a simulated board, so that everything runs with no hardware.
//!
//! | module | holds |
//! |---|---|
//! | [`signal`] | load profiles and recipes, front-end models, sample generation |
//! | [`board`] | uptime and flash of a simulated meter |
//! | [`slots`] | the firmware slots of a simulated meter |
//! | [`meter`] | the life of one meter: history, then the present |
//! | [`fleet`] | many meters in one program, and where they are |
//! | [`registry`] | `meters.json`, the air of a simulated Wi-Fi |

pub mod board;
mod error;
pub mod fleet;
pub mod meter;
pub mod registry;
mod samples;
pub mod signal;
pub mod slots;

pub use error::Error;
