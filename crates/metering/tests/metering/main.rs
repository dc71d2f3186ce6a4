//! The metering as its callers see it: signals in, windows and readings out.

mod accuracy;
mod calibrating;
mod gaps;
mod inputs;
mod robustness;
mod signal;
