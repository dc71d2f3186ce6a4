//! The first instruction of the program, and its calls to whoever runs it.
//!
//! A call is an `ecall` with its number in `a7` and its arguments in `a0` and `a1`.
#![expect(
    unsafe_code,
    reason = "an entry point and `ecall` cannot be written in Rust; this file has nothing else"
)]

use core::arch::global_asm;

use crate::{main, signal::call};

global_asm!(
    ".pushsection .text.entry, \"ax\", @progbits",
    ".globl _start",
    "_start:",
    "la sp, stack_top",
    "call {main}",
    ".globl count_from",
    "count_from:",
    "li a7, {count_from}",
    "ecall",
    "ret",
    ".globl count_until",
    "count_until:",
    "li a7, {count_until}",
    "ecall",
    "ret",
    ".globl finished",
    "finished:",
    "li a7, {finished}",
    "ecall",
    // Nobody should come back; who does all the same, stays.
    "0: j 0b",
    ".globl failed",
    "failed:",
    "li a7, {failed}",
    "ecall",
    "1: j 1b",
    ".popsection",
    main = sym main,
    count_from = const call::COUNT_FROM,
    count_until = const call::COUNT_UNTIL,
    finished = const call::FINISHED,
    failed = const call::FAILED,
);

unsafe extern "C" {
    /// Begins to count instructions.
    pub(crate) safe fn count_from();
    /// Ends counting.
    pub(crate) safe fn count_until();
    /// Ends the program with its result.
    pub(crate) safe fn finished(pairs: u32, checksum: u32) -> !;
    /// Ends the program without one.
    pub(crate) safe fn failed() -> !;
}
