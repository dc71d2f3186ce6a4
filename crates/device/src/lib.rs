//! All that a meter does, generic over a [`Board`].
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | what the hardware, or a simulation of it, provides |
//! | [`meter`] | samples in, readings on flash, answers out |
//! | [`settings`] | token, name, interval and calibrations, as they lie on flash |
//! | [`access`] | nonces, replay protection, checking of requests |
//! | [`http`] | the device API over picoserve, the same on a chip and on a PC |
//!
//! No clock is read here: the time comes as an argument, or from the board at the HTTP edge.
#![no_std]
#![forbid(unsafe_code)]

pub mod access;
pub mod board;
mod calibrating;
pub mod http;
mod live;
mod log;
pub mod meter;
mod recorder;
pub mod settings;

pub use board::{Board, Facts};
pub use meter::{Meter, StartError};
