//! Visits at a made-up meter over a real connection: honest, cut off, lying, set up, given tokens; and writers that are killed.

mod calibrate;
mod imports;
mod kill;
mod lies;
mod meter;
mod setup;
mod tokens;
mod visits;
