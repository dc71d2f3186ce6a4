//! The converter of the ESP32-C3, what it converts, and how its results come into memory.
//!
//! ```text
//! Feed: codes of a constant or of sim's signals ──▶ Saradc: timer, pattern table ──words──▶ Gdma: descriptors ──▶ memory
//! ```
//!
//! Written from the register names of the `esp32c3` crate and from what the public headers of ESP-IDF say of the fields
//! (`adc_ll.h`, `gdma_ll.h`, `adc_types.h`). What no source says and is assumed here, always so that firmware which
//! works here need not rely on luck:
//!
//! - The digital controller runs only with `timer_en`, an open clock gate, the APB clock selected (`clk_sel` 2), the
//!   software's start not forced and a timer target of 30 to 4095. The APB clock is 80 MHz.
//! - A conversion begins and ends with the timer's tick, the first a whole interval after the start; so the samples of a
//!   pair lie an interval apart, and the skew of the front end's model must say so.
//! - The DMA reads the next descriptor when it has finished one, and gives up for good where it does not own it.
//! - It has no FIFO: what finds no descriptor is lost at once.

mod descriptor;
mod feed;
mod gdma;
mod saradc;

pub use feed::{Begin, Feed, Load};
pub use gdma::{Gdma, PERIPHERAL_ADC};
pub use saradc::Saradc;
