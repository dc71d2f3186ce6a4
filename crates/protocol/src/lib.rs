//! All that crosses a wire or lies on flash, shared by meter and collector.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | device id, store id, sequence numbers |
//! | [`reading`] | what a meter records every interval |
//! | [`merge`] | making readings coarser |
//! | [`run`] | what readings of one boot and configuration have in common |
//! | [`block`] | readings packed with a CRC: the unit of transfer and of storage |
//! | [`segment`] | readings packed as tightly as they go: what is to lie on flash for months |
//! | [`frame`] | blocks in an authenticated stream |
//! | [`event`] | starts, anchors, losses, changes: the numbered event log |
//! | [`authentication`] | keys, request and answer MACs |
//! | [`firmware`] | the header of an update, versions |
//! | [`access_point`] | name and password of a meter's own Wi-Fi |
//! | [`saved`] | what a meter holds as one file, for those who come with a phone |
//! | [`messages`] | the JSON of the device API |
//! | [`limits`] | every bound that both sides hold |
//! | [`varint`] | variable-length integers, as in blocks, events and on flash |
//!
//! Nothing here reads a clock, allocates or panics on input: decoders are total.
#![no_std]
#![forbid(unsafe_code)]

pub mod access_point;
pub mod authentication;
pub mod block;
pub mod event;
pub mod firmware;
pub mod frame;
pub mod identity;
pub mod limits;
pub mod merge;
pub mod messages;
pub mod reading;
pub mod run;
pub mod saved;
pub mod segment;
pub mod varint;

pub use identity::{DeviceId, Seq, StoreId};
pub use reading::{ChannelReading, Extremes, Flags, Packed, Reading, Registers, Tier};
pub use run::{Run, RunParams};
