//! Firmware slots at a start, and the trial of the running one.

use core::cell::RefCell;

use device::{
    flash_map,
    slots::{Slot, SlotError, Slots, Start},
    trial::{Step, TRIAL_MS, Trial},
};
use embassy_time::Timer;
use esp_println::println;

use crate::{board, flash::Region, hardware::Hardware, measuring::SharedMeter, uptime_us};

/// The slots; borrowed between two awaits only.
pub type SharedSlots = &'static RefCell<Slots<Region>>;

const ROUND_MS: u64 = 250;

/// Logs this start; a slot that did not prove itself is left at once.
///
/// # Errors
/// When the flash fails.
pub fn start(chip: Region) -> Result<Slots<Region>, SlotError> {
    let running = [Slot::Zero, Slot::One]
        .into_iter()
        .find(|slot| slot.offset() == board::image_address());
    let mut slots = Slots::open(chip, running)?;
    match slots.start() {
        Ok(Start::Restart) => {
            println!("this firmware did not prove itself: back to the other one");
            crate::restart()
        }
        Ok(Start::GoOn) => {}
        // Readings matter more than the log.
        Err(error) => println!("the start is not logged: {error}"),
    }
    Ok(slots)
}

/// Returns a view of the whole chip.
pub const fn whole(chip: &'static RefCell<crate::flash::Chip>) -> Region {
    Region::new(chip, 0, flash_map::CHIP_BYTES)
}

/// Watches until the firmware is confirmed; restarts where it is not in time.
#[embassy_executor::task]
pub async fn watch(slots: SharedSlots, meter: SharedMeter, hardware: &'static Hardware) {
    let mut trial = Trial::new();
    loop {
        let is_up = hardware.is_access_point_up();
        let now_ms = uptime_us() / 1_000;
        let step = trial.step(
            &mut meter.borrow_mut(),
            &mut slots.borrow_mut(),
            is_up,
            now_ms,
        );
        if step == Step::Restart {
            println!("this firmware is not confirmed in time");
            crate::restart();
        }
        Timer::after_millis(ROUND_MS).await;
    }
}

/// Tells whether a firmware that cannot even mount its store is to restart, so that it is left in the end.
pub fn is_to_be_left(slots: &mut Slots<Region>, now_ms: u64) -> bool {
    now_ms >= TRIAL_MS && !slots.is_confirmed() && slots.can_leave().unwrap_or(false)
}
