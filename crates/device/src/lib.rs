//! All that a meter does, generic over a [`Board`].
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | what the hardware, or a simulation of it, provides |
//! | [`continuation`] | how a boot continues the one before, through a reset |
//! | [`flash_map`] | where everything lies on the chip |
//! | [`slots`] | the two firmware slots, the log of starts, leaving firmware that does not work |
//! | [`trial`] | when firmware is confirmed |
//! | [`update`] | an update on its way into a slot, over one connection or several |
//! | [`meter`] | samples in, readings on flash, answers out |
//! | [`settings`] | token, name, interval, calibrations, viewing code and channels, as they lie on flash |
//! | [`access`] | nonces, replay protection, checking of requests |
//! | `day` | mean power of the last 24 hours |
//! | `viewing` | sessions of the meter's own page |
//! | [`http`] | the device API over picoserve, the same on a chip and on a PC |
//! | [`access_point`] | name and password of the meter's own Wi-Fi |
//! | [`indicator`], [`button`] | what the light says and what the button asks for |
//!
//! No clock is read here: the time comes as an argument, or from the board at the HTTP edge.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod access_point;
pub mod board;
pub mod button;
mod calibrating;
mod code;
mod condition;
mod configuring;
pub mod continuation;
mod day;
pub mod flash_map;
pub mod http;
pub mod indicator;
mod live;
mod log;
pub mod meter;
mod recorder;
pub mod settings;
mod signature;
pub mod slots;
pub mod trial;
pub mod update;
mod viewing;

pub use board::{Board, Facts, Marks};
pub use meter::{Meter, StartError};
