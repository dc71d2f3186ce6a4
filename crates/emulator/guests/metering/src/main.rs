//! Measures a signal on the chip and tells the emulator what came out.
//!
//! The emulator counts the instructions between the calls that `calls` makes. The PC runs the same `signal` and must
//! come to the same checksum.
#![no_std]
#![no_main]

mod calls;
mod signal;

use core::panic::PanicInfo;

extern "C" fn main() -> ! {
    let mark = |mark| match mark {
        signal::Mark::CountFrom => calls::count_from(),
        signal::Mark::CountUntil => calls::count_until(),
    };
    let measured = signal::measure(mark, |_| {});
    calls::finished(measured.pairs, measured.checksum)
}

#[panic_handler]
fn panicked(_: &PanicInfo) -> ! {
    calls::failed()
}
