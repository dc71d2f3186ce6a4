//! The double over HTTP: each rule of the server's semantics, and each fault, seen from a client.

mod auth;
mod device_api;
mod devices;
mod faults;
mod harness;
mod program;
mod timeseries;
