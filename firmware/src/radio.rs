//! What carries the network: the Wi-Fi access point, or in the emulator a card.

#[cfg(feature = "wifi")]
use crate::access_point as carrier;
#[cfg(feature = "emulated-network")]
use crate::emulated_link as carrier;

use esp_hal::peripherals::WIFI;
use protocol::access_point::{Password, SSID_BYTES};

/// What the network runs on.
pub type Link = carrier::Link;

/// Name and password of the access point.
#[cfg_attr(
    feature = "emulated-network",
    expect(dead_code, reason = "whoever has the wire needs neither")
)]
pub struct Credentials {
    /// The name.
    pub ssid: heapless::String<SSID_BYTES>,
    /// The password.
    pub password: Password,
}

/// Begins to bring it up.
pub fn start(wifi: WIFI<'static>, credentials: Credentials) {
    carrier::start(wifi, credentials);
}

/// Returns it once it is up.
pub async fn link() -> Link {
    // An image for tests of the fallback.
    #[cfg(feature = "fault-no-access-point")]
    core::future::pending::<()>().await;
    carrier::link().await
}
