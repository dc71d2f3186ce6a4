//! What a meter does whose store cannot be mounted: it says so by its light, and waits for the button.
//!
//! Formatting by itself would lose what can still be salvaged.

use device::{button::Request, indicator::Condition, slots::Slots};
use embassy_executor::Spawner;
use embassy_time::{Duration, Ticker};
use esp_println::println;

use crate::{
    flash::Region, launch, panel::Panel, random::Random, slots::is_to_be_left, store, uptime_us,
    watchdog,
};

const ROUND_MS: u64 = 10;
/// A flash that failed for a moment gets another chance.
const RESTART_MS: u64 = 600_000;

/// Starts to wait.
pub fn start(
    spawner: Spawner,
    region: Region,
    slots: Option<Slots<Region>>,
    panel: Panel,
    random: &'static Random,
) {
    launch(spawner, wait(region, slots, panel, random));
}

#[embassy_executor::task]
async fn wait(
    mut region: Region,
    mut slots: Option<Slots<Region>>,
    mut panel: Panel,
    random: &'static Random,
) {
    watchdog::watch_measuring();
    let mut rounds = Ticker::every(Duration::from_millis(ROUND_MS));
    loop {
        watchdog::feed();
        let request = panel.step(Condition::StorageFault);
        if request == Some(Request::Erase) {
            let kept = flash_store::kept(&mut region).ok().flatten();
            let made = store::formatted(region, random, kept, None);
            println!("button: {:?}", made.map(|_| "the store is made anew"));
            break;
        }
        let now_ms = uptime_us() / 1_000;
        let is_left = (slots.as_mut()).is_some_and(|slots| is_to_be_left(slots, now_ms));
        if is_left || now_ms >= RESTART_MS {
            break;
        }
        rounds.next().await;
    }
    crate::restart();
}
