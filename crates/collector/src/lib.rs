//! Store, device client, time line and sync: all that a collector does, without a screen.
//!
//! | module | holds |
//! |---|---|
//! | [`meters`] | where meters are |
//! | [`client`] | the device API from the collector's side: authenticated, bounded, distrustful |
//! | [`label`] | what the QR code of a meter says |
//! | [`setup`] | a fresh meter gets its token and settings |
//! | [`tokens`] | which token a meter has, and how it gets another |
//! | [`collect`] | one visit at a meter: blocks, events, clock, acknowledgement |
//! | [`import`] | a visit that someone else made: a file that a meter saved |
//! | [`intake`] | what comes is held to what should come, before the store takes it |
//! | [`calibrate`] | one step of a calibration: begun, waited for, told of |
//! | [`firmware`] | updates: handed over, and what became of them |
//! | [`store`] | blocks as they came, in SQLite; readings, energies and series derived from them |
//! | [`time_line`] | from boots and anchors to UTC with bounds: a pure function |
//! | [`thingsboard`] | the client of a ThingsBoard server |
//! | [`sync`] | readings go to a server, each once, and are counted there |
//! | [`secrets`] | tokens and passwords, apart from the store |
//! | [`clock`] | the collector's own idea of the time |
//! | [`error`] | one error over all parts and its [`Kind`] |
//!
//! Nothing here prints; what happens is told by return values, progress callbacks and `tracing`. SQLite is used
//! synchronously, the network asynchronously, and no lock on the store is held while the network is waited for.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod client;
pub mod clock;
pub mod collect;
pub mod error;
pub mod firmware;
pub mod import;
pub mod intake;
pub mod label;
pub mod meters;
pub mod secrets;
pub mod setup;
pub mod store;
pub mod sync;
pub mod thingsboard;
pub mod time_line;
pub mod tokens;

pub use clock::WallClock;
pub use error::{Error, Kind};
