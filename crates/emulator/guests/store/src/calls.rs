//! The first instruction of the program, and its calls to whoever runs it.
//!
//! A call is an `ecall` with its number in `a7` and its arguments in `a0` to `a2`; a flash answers in `a0`, 0 where it did it.
#![expect(
    unsafe_code,
    reason = "an entry point and `ecall` cannot be written in Rust; this file has nothing else"
)]

use core::arch::global_asm;

use crate::main;

/// Numbers of the calls; the emulator has the same file.
#[path = "numbers.rs"]
mod numbers;

global_asm!(
    ".pushsection .text.entry, \"ax\", @progbits",
    ".globl _start",
    "_start:",
    "la sp, stack_top",
    "call {main}",
    ".globl flash_read",
    "flash_read:",
    "li a7, {flash_read}",
    "ecall",
    "ret",
    ".globl flash_write",
    "flash_write:",
    "li a7, {flash_write}",
    "ecall",
    "ret",
    ".globl flash_erase",
    "flash_erase:",
    "li a7, {flash_erase}",
    "ecall",
    "ret",
    ".globl finished",
    "finished:",
    "li a7, {finished}",
    "ecall",
    // Nobody should come back; who does all the same, stays.
    "0: j 0b",
    ".globl stopped",
    "stopped:",
    "li a7, {stopped}",
    "ecall",
    "1: j 1b",
    ".globl failed",
    "failed:",
    "li a7, {failed}",
    "ecall",
    "2: j 2b",
    ".popsection",
    main = sym main,
    flash_read = const numbers::FLASH_READ,
    flash_write = const numbers::FLASH_WRITE,
    flash_erase = const numbers::FLASH_ERASE,
    finished = const numbers::FINISHED,
    stopped = const numbers::STOPPED,
    failed = const numbers::FAILED,
);

unsafe extern "C" {
    /// Reads so many bytes of the flash.
    pub(crate) safe fn flash_read(offset: u32, to: *mut u8, length: usize) -> u32;
    /// Programs so many bytes of the flash.
    pub(crate) safe fn flash_write(offset: u32, from: *const u8, length: usize) -> u32;
    /// Erases sectors of the flash.
    pub(crate) safe fn flash_erase(from: u32, to: u32) -> u32;
    /// Ends the program: it lived to its end, and this is the number of the next reading.
    pub(crate) safe fn finished(next: u64) -> !;
    /// Ends the program: the flash stopped.
    pub(crate) safe fn stopped() -> !;
    /// Ends the program: it panicked.
    pub(crate) safe fn failed() -> !;
}
