//! What `device` asks of a chip.

use core::{
    cell::{Cell, RefCell},
    net::SocketAddrV4,
};

use device::{Board, Marks};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, signal::Signal};
use embassy_time::Timer;

use crate::{
    flash::{Chip, Region},
    network::ADDRESS,
    stack, uptime_us, web,
};

/// Time that an answer has to go out before a restart.
const ANSWER_MS: u64 = 1_000;

/// The running chip.
pub struct Hardware {
    chip: &'static RefCell<Chip>,
    is_access_point_up: Cell<bool>,
    samples_lost: Cell<u32>,
    restart: Signal<NoopRawMutex, ()>,
}

impl Hardware {
    /// Makes it.
    pub const fn new(chip: &'static RefCell<Chip>) -> Self {
        Self {
            chip,
            is_access_point_up: Cell::new(false),
            samples_lost: Cell::new(0),
            restart: Signal::new(),
        }
    }

    /// Says how many pairs of each channel were lost so far.
    pub fn sampled(&self, lost: u32) {
        self.samples_lost.set(lost);
    }

    /// Says that stations can join and are served.
    pub fn access_point_is_up(&self) {
        self.is_access_point_up.set(true);
    }

    /// Tells whether stations can join and are served.
    pub fn is_access_point_up(&self) -> bool {
        self.is_access_point_up.get()
    }
}

impl Board for Hardware {
    type Flash = Region;
    type Slots = Region;

    fn uptime_us(&self) -> u64 {
        uptime_us()
    }

    fn delay(&self, milliseconds: u64) -> impl Future<Output = ()> {
        Timer::after_millis(milliseconds)
    }

    fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(ADDRESS, web::PORT)
    }

    fn restart(&self) {
        self.restart.signal(());
    }

    fn marks(&self) -> Marks {
        let heap = esp_alloc::HEAP.stats();
        let heap_free = heap.size.saturating_sub(heap.max_usage);
        Marks {
            samples_lost: self.samples_lost.get(),
            flash_stop_us: self.chip.borrow().longest_us(),
            stack_free_bytes: Some(stack::free_bytes()),
            heap_free_bytes: Some(u32::try_from(heap_free).unwrap_or(u32::MAX)),
        }
    }
}

/// Restarts when that is asked for.
#[embassy_executor::task]
pub async fn restarts(hardware: &'static Hardware) {
    hardware.restart.wait().await;
    Timer::after_millis(ANSWER_MS).await;
    crate::restart()
}
