//! Which chip it is and what is wired to its pins: the only place that asks for chips.
//!
//! | | V | I1 | I2 | I3 | LED (active high) | button (active low) |
//! |---|---|---|---|---|---|---|
//! | ESP32-C3 | GPIO0 | GPIO1 | GPIO3 | GPIO4 | GPIO10 | GPIO9 |
//! | ESP32-C6 | GPIO0 | GPIO1 | GPIO2 | GPIO3 | GPIO10 | GPIO9 |
//! | ESP32 | GPIO36 | GPIO39 | GPIO34 | GPIO35 | GPIO2 | GPIO0 |
//! | ESP32-S3 | GPIO1 | GPIO2 | GPIO4 | GPIO5 | GPIO21 | GPIO0 |

#[cfg(feature = "esp32")]
mod esp32;
#[cfg(feature = "esp32c3")]
mod esp32c3;
#[cfg(feature = "esp32c6")]
mod esp32c6;
#[cfg(feature = "esp32s3")]
mod esp32s3;
mod scale;

#[cfg(feature = "esp32")]
pub use esp32::*;
#[cfg(feature = "esp32c3")]
pub use esp32c3::*;
#[cfg(feature = "esp32c6")]
pub use esp32c6::*;
#[cfg(feature = "esp32s3")]
pub use esp32s3::*;
pub use scale::{CT_RATIO, channel_config};

/// What a meter's pins are used for, once each is taken.
pub struct Board {
    /// Converter and pins.
    pub analog: Analog,
    /// The light.
    pub led: esp_hal::gpio::Output<'static>,
    /// The button; low while it is held.
    pub button: esp_hal::gpio::Input<'static>,
}
