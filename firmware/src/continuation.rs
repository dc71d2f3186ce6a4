//! The trace of this boot in memory that outlives a restart, but not a power cut.

use core::sync::atomic::Ordering;

use device::continuation::{Clocks, Continued, TRACE_WORDS, Trace, Tracer};
use portable_atomic::AtomicU32;
use protocol::event::ResetReason;

use crate::{board::slow_ticks, uptime_us};

const EVERY_US: u64 = 1_000_000;

#[esp_hal::ram(unstable(rtc_fast, persistent))]
static TRACE: [AtomicU32; TRACE_WORDS] = [const { AtomicU32::new(0) }; TRACE_WORDS];

/// Takes what the run before left: how this one continues it, unless power was gone.
pub fn take(reason: ResetReason) -> Option<Continued> {
    let words = core::array::from_fn(|index| TRACE[index].swap(0, Ordering::Relaxed));
    let lost_power = [
        ResetReason::PowerOn,
        ResetReason::Brownout,
        ResetReason::Unknown,
    ];
    if lost_power.contains(&reason) {
        return None;
    }
    Trace::from_words(&words)?.continued(now())
}

fn now() -> Clocks {
    Clocks {
        ticks: slow_ticks(),
        uptime_us: uptime_us(),
    }
}

/// Leaves a trace each second.
pub struct Keeper {
    tracer: Tracer,
    next_us: u64,
}

impl Keeper {
    /// Begins to trace a boot.
    pub fn new(boot: u32) -> Self {
        Self {
            tracer: Tracer::new(boot, now()),
            next_us: 0,
        }
    }

    /// Leaves a trace when it is time.
    pub fn keep(&mut self) {
        if uptime_us() < self.next_us {
            return;
        }
        let now = now();
        self.next_us = now.uptime_us + EVERY_US;
        // A reset in between leaves words whose CRC is wrong.
        for (word, value) in TRACE.iter().zip(self.tracer.trace(now).to_words()) {
            word.store(value, Ordering::Relaxed);
        }
    }
}
