//! The program as its users run it: the real binary, real files, real sockets on loopback.

mod calibrate;
mod flash;
mod help;
mod program;
mod recording;
mod serve;
mod store;
mod way;
