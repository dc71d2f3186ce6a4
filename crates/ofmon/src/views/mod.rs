//! What the command line prints as JSON and the web server answers: the names that others rely on.
//!
//! Times are UTC milliseconds (`_ms`) or RFC 3339 (`_utc`); a reading's time is the **end** of its interval. Energies are
//! cumulative registers unless a type says otherwise. Types of the collector are turned into these here and in
//! [`queries`](crate::queries), and nowhere else.

pub(crate) mod device;
pub(crate) mod energy;
pub(crate) mod event;
pub(crate) mod firmware;
pub(crate) mod power;
pub(crate) mod reading;
pub(crate) mod row;
pub(crate) mod set_up;
