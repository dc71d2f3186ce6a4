//! Visits at a made-up meter over a real connection: honest, cut off, lying; and writers that are killed.

mod calibrate;
mod kill;
mod lies;
mod meter;
mod visits;
