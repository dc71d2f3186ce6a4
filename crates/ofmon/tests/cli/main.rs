//! The program as its users run it: the real binary, real files, real sockets on loopback.

mod calibrate;
mod firmware;
mod flash;
mod gate;
mod help;
mod imports;
mod interruptions;
mod program;
mod recording;
mod secrets;
mod serve;
mod settings;
mod setup;
mod store;
mod tokens;
mod way;
