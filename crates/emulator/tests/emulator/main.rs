//! The processor against Rust's own arithmetic and against an assembler, and the guests against the PC.

mod arithmetic;
mod control;
mod guest;
mod machine;
mod memory;
mod program;
mod store;
