//! The emulator's card in place of Wi-Fi.

use esp_hal::peripherals::WIFI;
use static_cell::StaticCell;

use crate::{emulated_network::EmulatedNetwork, radio::Credentials};

/// The card.
pub type Link = &'static mut EmulatedNetwork;

/// Nothing has to be started; whoever has the wire needs no password.
pub fn start(_: WIFI<'static>, _: Credentials) {}

/// Returns the card; without one this waits for good.
pub async fn link() -> Link {
    static CARD: StaticCell<EmulatedNetwork> = StaticCell::new();
    match EmulatedNetwork::new() {
        Some(card) => CARD.init(card),
        None => core::future::pending().await,
    }
}
