//! The processor against Rust's own arithmetic and against an assembler, and the guest against the PC.

mod arithmetic;
mod control;
mod guest;
mod machine;
mod memory;
mod program;
