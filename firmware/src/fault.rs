//! What images for tests do wrong; without a feature `fault-…` nothing.

/// Fails at the start, before sampling.
pub fn at_once() {
    #[cfg(feature = "fault-hang")]
    loop {
        // Only the watchdog ends this.
        esp_hal::interrupt::wait_for_interrupt();
    }
    #[cfg(feature = "fault-panic")]
    panic!("this image is made to panic");
}

#[cfg(feature = "fault-later")]
pub use later::{Contacts, fail_later};

/// A running meter that fails as two pins tell it.
#[cfg(feature = "fault-later")]
mod later {
    use core::hint::black_box;

    use embassy_time::Timer;
    use esp_hal::{
        gpio::{Input, InputConfig, Pull},
        peripherals::{GPIO6, GPIO7},
    };

    use crate::uptime_us;

    /// Uptime at which it happens; then the meter is reachable and has kept readings.
    const AT_US: u64 = 25_000_000;

    /// What a test pulls low.
    pub struct Contacts {
        overflow: Input<'static>,
        panic: Input<'static>,
    }

    impl Contacts {
        /// Sets both pins up.
        pub fn new(overflow: GPIO6<'static>, panic: GPIO7<'static>) -> Self {
            let pulled_up = InputConfig::default().with_pull(Pull::Up);
            Self {
                overflow: Input::new(overflow, pulled_up),
                panic: Input::new(panic, pulled_up),
            }
        }
    }

    /// Fails, or does not, at that uptime.
    #[embassy_executor::task]
    pub async fn fail_later(contacts: Contacts) {
        // The clock of tasks goes on through a restart.
        Timer::after_micros(AT_US.saturating_sub(uptime_us())).await;
        assert!(contacts.panic.is_high(), "this image is made to panic");
        if contacts.overflow.is_low() {
            black_box(deeper(0));
        }
    }

    /// Calls itself until no stack is left. It needs each frame after the call, so none can be given up before.
    #[inline(never)]
    fn deeper(depth: u32) -> u32 {
        let frame = black_box([depth; 8]);
        if black_box(depth) == u32::MAX {
            return depth;
        }
        let below = deeper(depth + 1);
        black_box(&frame)
            .iter()
            .fold(below, |sum, word| sum.wrapping_add(*word))
    }
}
