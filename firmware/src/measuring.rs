//! Samples into the meter, each 50 ms, and the watchdog fed while readings come of it.

use core::cell::RefCell;

use device::Meter;
use embassy_time::{Duration, Ticker};

use crate::{
    continuation::Keeper, flash::Region, hardware::Hardware, sampling::Sampler, uptime_us, watchdog,
};

/// The meter; borrowed between two awaits only.
pub type SharedMeter = &'static RefCell<Meter<Region>>;

const ROUND_MS: u64 = 50;
/// Without samples for so long the watchdog is not fed any more.
const SILENCE_US: u64 = 5_000_000;
/// Readings come once an interval; without one for three intervals and this the watchdog is not fed any more.
const GRACE_US: u64 = 60_000_000;

/// When samples and readings came last.
struct Life {
    samples_us: u64,
    reading_us: u64,
    next: protocol::Seq,
}

impl Life {
    /// Tells whether samples flow and readings are kept.
    fn is_well(&mut self, meter: &Meter<Region>) -> bool {
        let now_us = uptime_us();
        if meter.next() != self.next {
            self.next = meter.next();
            self.reading_us = now_us;
        }
        let reading_max_us = 3_000 * u64::from(meter.interval_ms()) + GRACE_US;
        now_us.saturating_sub(self.samples_us) < SILENCE_US
            && now_us.saturating_sub(self.reading_us) < reading_max_us
    }
}

/// Measures for good.
#[embassy_executor::task]
pub async fn measure(
    meter: SharedMeter,
    sampler: &'static mut Sampler,
    hardware: &'static Hardware,
) -> ! {
    let now_us = uptime_us();
    let mut life = Life {
        samples_us: now_us,
        reading_us: now_us,
        next: meter.borrow().next(),
    };
    let mut keeper = Keeper::new(meter.borrow().boot());
    watchdog::watch_measuring();
    let mut rounds = Ticker::every(Duration::from_millis(ROUND_MS));
    loop {
        sampler.take(|channel, pairs, end_us| {
            meter.borrow_mut().push_samples(channel, pairs, end_us);
            life.samples_us = end_us;
        });
        if life.is_well(&meter.borrow()) {
            watchdog::feed();
        }
        hardware.sampled(sampler.lost());
        keeper.keep();
        rounds.next().await;
    }
}
