//! A board on a PC: a flash file, and an uptime that first runs fast, then with the wall clock.

use std::{
    cell::Cell,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use device::Board;
use nor_model::Nor;
use tokio::sync::Notify;

use crate::slots::SlotFlash;

/// Time that an answer has to go out before a restart.
const GOING_OUT: Duration = Duration::from_millis(100);

/// The hardware of one simulated meter.
#[derive(Debug)]
pub struct SimBoard {
    address: SocketAddrV4,
    uptime: Cell<Uptime>,
    restart: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Uptime {
    /// Simulated: as far as the samples have come.
    At(u64),
    /// Real: so many µs at that instant.
    Since(u64, Instant),
}

impl SimBoard {
    /// Starts at uptime 0, simulated; the meter answers at `address`.
    #[must_use]
    pub fn new(address: SocketAddrV4) -> Self {
        Self {
            address,
            uptime: Cell::new(Uptime::At(0)),
            restart: Notify::new(),
        }
    }

    /// Waits until a restart was asked for and what was being sent has gone out.
    pub async fn restarting(&self) {
        self.restart.notified().await;
        tokio::time::sleep(GOING_OUT).await;
    }

    /// Returns the uptime in µs where it runs with the wall clock.
    #[must_use]
    pub fn live_uptime_us(&self) -> Option<u64> {
        match self.uptime.get() {
            Uptime::At(_) => None,
            Uptime::Since(..) => Some(self.uptime_us()),
        }
    }

    /// Moves the simulated uptime to where the samples are.
    pub fn advance_to(&self, uptime_us: u64) {
        self.uptime.set(Uptime::At(uptime_us));
    }

    /// Lets the uptime run with the wall clock from here on.
    pub fn run_live(&self) {
        self.uptime
            .set(Uptime::Since(self.uptime_us(), Instant::now()));
    }
}

impl Board for SimBoard {
    type Flash = Nor;
    type Slots = SlotFlash;

    fn uptime_us(&self) -> u64 {
        match self.uptime.get() {
            Uptime::At(uptime_us) => uptime_us,
            Uptime::Since(base_us, instant) => base_us + instant.elapsed().as_micros() as u64,
        }
    }

    fn delay(&self, milliseconds: u64) -> impl Future<Output = ()> {
        tokio::time::sleep(Duration::from_millis(milliseconds))
    }

    fn address(&self) -> SocketAddrV4 {
        self.address
    }

    fn restart(&self) {
        self.restart.notify_one();
    }
}
