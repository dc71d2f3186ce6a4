//! How much of the main stack was ever used, and its guard.

use core::sync::atomic::{AtomicU32, Ordering};

use esp_rtos::embassy::Callbacks;

/// Nothing writes this by chance.
const PAINT: u32 = 0x0f3a_c5e1;
/// Left alone at the lower end: the guard lies there.
const GUARD_BYTES: usize = 128;
/// Left alone below the stack pointer: the frame of the painter.
const MARGIN_BYTES: usize = 256;

/// Paints the part of the stack that is not in use yet.
#[inline(never)]
pub fn paint() {
    let here = 0_u32;
    let top = core::ptr::from_ref(&here).addr() - MARGIN_BYTES;
    for word in words().take_while(|word| core::ptr::from_ref(*word).addr() < top) {
        word.store(PAINT, Ordering::Relaxed);
    }
}

/// Keeps the main stack guarded while its tasks run.
///
/// A trigger of the processor watches the stack's end. What enables triggers is saved when a trap begins and restored when
/// it ends; esp-hal (1.2.2) sets the current value alone, and when a switch of threads does that within an interrupt, the
/// end of the interrupt disables all triggers.
pub struct Guarded;

impl Callbacks for Guarded {
    fn before_poll(&mut self) {
        #[cfg(target_arch = "riscv32")]
        {
            /// Enabled now, and before a trap.
            const ENABLED: u32 = 1 << 3 | 1 << 7;
            // SAFETY: it changes nothing but `tcontrol`; the trigger that acts from now on is that of this stack.
            unsafe {
                core::arch::asm!("csrs 0x7a5, {}", in(reg) ENABLED, options(nomem, nostack));
            }
        }
    }

    fn on_idle(&mut self) {}
}

/// Returns how many bytes of the stack were never used.
pub fn free_bytes() -> u32 {
    let untouched = words().take_while(|word| word.load(Ordering::Relaxed) == PAINT);
    untouched.count() as u32 * 4
}

/// The words of the stack from its lower end on.
fn words() -> impl Iterator<Item = &'static AtomicU32> {
    unsafe extern "C" {
        static _stack_start_cpu0: AtomicU32;
        static _stack_end_cpu0: AtomicU32;
    }
    let (end, start) = (&raw const _stack_start_cpu0, &raw const _stack_end_cpu0);
    let count = (end.addr() - start.addr() - GUARD_BYTES) / 4;
    (0..count).map(move |index| {
        // SAFETY: the linker puts the stack between both symbols, aligned. What lies below the stack pointer belongs to
        // nobody for long: an interrupt that uses it is over before this goes on.
        unsafe { &*start.byte_add(GUARD_BYTES).add(index) }
    })
}
