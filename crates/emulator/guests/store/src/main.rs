//! Keeps readings on the chip, on a flash that the emulator holds.
//!
//! It mounts the store that lies there, or makes one on an erased flash, and goes on with its `life`. The PC does the same on
//! the same flash, with the same power cuts, and both must leave the same bytes.
#![no_std]
#![no_main]

mod calls;
mod flash;
mod life;
mod memory;

use core::panic::PanicInfo;

extern "C" fn main() -> ! {
    match life::live(flash::Flash) {
        Ok(readings) => calls::finished(readings),
        Err(_) => calls::stopped(),
    }
}

#[panic_handler]
fn panicked(_: &PanicInfo) -> ! {
    calls::failed()
}
