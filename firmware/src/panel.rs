//! Light and button.

use device::{
    Board as _,
    button::{Button, Request},
    indicator::{Condition, is_lit},
};
use embassy_time::{Duration, Ticker};
use esp_hal::gpio::{Input, Level, Output};
use esp_println::println;
use protocol::StoreId;

use crate::{hardware::Hardware, measuring::SharedMeter, random::Random, uptime_us};

/// Fast enough for a light that blinks 10 times a second.
const ROUND_MS: u64 = 10;

/// The light, the button and what was pressed so far.
pub struct Panel {
    led: Output<'static>,
    contact: Input<'static>,
    button: Button,
}

impl Panel {
    /// Begins with a start.
    pub fn new(led: Output<'static>, contact: Input<'static>) -> Self {
        Self {
            led,
            contact,
            button: Button::new(),
        }
    }

    /// Shows how the meter is; returns what the button asks for.
    pub fn step(&mut self, condition: Condition) -> Option<Request> {
        let now_ms = uptime_us() / 1_000;
        let request = self.button.step(self.contact.is_low(), now_ms);
        let is_lit = is_lit(condition, self.button.held(now_ms), now_ms);
        self.led.set_level(Level::from(is_lit));
        request
    }
}

/// Attends to both for good.
#[embassy_executor::task]
pub async fn attend(
    mut panel: Panel,
    meter: SharedMeter,
    random: &'static Random,
    hardware: &'static Hardware,
) -> ! {
    let mut rounds = Ticker::every(Duration::from_millis(ROUND_MS));
    loop {
        let condition = meter.borrow().condition();
        if let Some(request) = panel.step(condition) {
            let fresh = StoreId(u64::from_le_bytes(random.bytes()));
            let obeyed = meter.borrow_mut().obey(request, fresh, uptime_us() / 1_000);
            println!("button: {request:?} {obeyed:?}");
            hardware.restart();
        }
        rounds.next().await;
    }
}
