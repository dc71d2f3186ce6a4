//! The Wi-Fi access point.
//!
//! It is started by a thread below the one that measures. Should it hang in there, samples still flow and readings are
//! kept; only the trial of a new image fails, as it must.

use alloc::boxed::Box;
use core::{convert::Infallible, ffi::c_void};

use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal};
use esp_hal::{
    peripherals::WIFI,
    time::{Duration, Instant},
};
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, Interface, WifiController,
    ap::AccessPointConfig,
};
use esp_radio_rtos_driver as threads;

use crate::radio::Credentials;

/// Wi-Fi.
pub type Link = Interface;

/// Below the main thread; the radio's own threads are above it.
const PRIORITY: u32 = 0;
const STACK_BYTES: usize = 8 * 1024;
/// Stations at once: the collector and three phones.
const STATIONS: u16 = 4;
/// Buffers of the radio, of 1.6 KB each, less than it would take by itself: one access point with a few stations.
const STATIC_RECEIVED: u8 = 6;
const DYNAMIC_RECEIVED: u16 = 12;
const DYNAMIC_SENT: u16 = 12;
/// Until the next attempt after a failure.
const PAUSE_S: u64 = 10;

static UP: Signal<CriticalSectionRawMutex, ()> = Signal::new();

struct Start {
    wifi: WIFI<'static>,
    credentials: Credentials,
}

/// Starts the thread that starts Wi-Fi.
pub fn start(wifi: WIFI<'static>, credentials: Credentials) {
    let start = Box::into_raw(Box::new(Start { wifi, credentials }));
    // SAFETY: the thread takes the box over, all in it may go to another thread, and nothing else knows where it is.
    unsafe {
        threads::task_create(
            "access point",
            run,
            start.cast(),
            PRIORITY,
            None,
            STACK_BYTES,
        );
    }
}

/// Returns the interface once the access point is up.
pub async fn link() -> Link {
    UP.wait().await;
    Interface::access_point()
}

extern "C" fn run(start: *mut c_void) {
    // SAFETY: it is the box that `start` gave away.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    loop {
        let Err(error) = hold(&start);
        esp_println::println!("the access point does not come up: {error:?}");
        let until = Instant::now() + Duration::from_secs(PAUSE_S);
        threads::usleep_until(until.duration_since_epoch().as_micros());
    }
}

/// Brings the access point up and keeps it; returns only where that fails.
fn hold(start: &Start) -> Result<Infallible, esp_radio::wifi::WifiError> {
    let Credentials { ssid, password } = &start.credentials;
    let access_point = AccessPointConfig::default()
        .with_ssid(ssid.as_str().try_into()?)
        .with_authentication(AuthenticationMethodConfig::Wpa2Personal(
            password.as_str().try_into()?,
        ))
        .with_max_connections(STATIONS);
    let config = ControllerConfig::default()
        .with_static_rx_buf_num(STATIC_RECEIVED)
        .with_dynamic_rx_buf_num(DYNAMIC_RECEIVED)
        .with_dynamic_tx_buf_num(DYNAMIC_SENT)
        .with_initial_config(Config::AccessPoint(access_point));
    // SAFETY: there is one controller at a time: that of an attempt before is gone.
    let wifi = unsafe { start.wifi.clone_unchecked() };
    let _controller = WifiController::new(wifi, config)?;
    UP.signal(());
    loop {
        threads::usleep(u32::MAX);
    }
}
