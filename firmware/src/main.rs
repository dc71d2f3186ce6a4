//! The firmware of a meter: board, pins, sampling, flash, network. All behaviour is the `device` crate.
//!
//! | module | holds |
//! |---|---|
//! | [`board`] | which chip it is and what is wired to its pins |
//! | [`sampling`] | pairs of voltage and current without a gap |
//! | [`measuring`] | samples into the meter, the watchdog fed |
//! | [`flash`], [`store`] | the flash chip in parts; the store on it |
//! | [`hardware`] | what `device` asks of a chip |
//! | [`radio`], [`access_point`] | what carries the network |
//! | [`network`], [`dhcp`], [`dns`], [`web`] | addresses, names and HTTP |
//! | [`slots`] | starts of the firmware slots, the trial of the running one |
//! | [`panel`], [`without_store`] | light and button; what is left to do without a store |
//! | [`crash`], [`watchdog`], [`stack`] | what ends a fault, and what it leaves |
//! | [`continuation`] | how long a restart took |
//! | [`fault`] | what images for tests do wrong |
//!
//! A start goes in the order of [`main`]: first what guards against a start that fails, then sampling, then everything that
//! can wait, the radio last.
#![no_std]
#![no_main]

extern crate alloc;

#[cfg(feature = "wifi")]
mod access_point;
mod board;
mod continuation;
mod crash;
mod dhcp;
mod dns;
#[cfg(feature = "emulated-network")]
mod emulated_link;
#[cfg(feature = "emulated-network")]
mod emulated_network;
mod fault;
mod flash;
mod hardware;
mod measuring;
mod network;
mod panel;
mod radio;
mod random;
mod sampling;
mod slots;
mod stack;
mod store;
mod watchdog;
mod web;
mod without_store;

use core::{cell::RefCell, sync::atomic::Ordering};

use device::{
    Facts, Meter,
    access_point::{Password, ssid},
    continuation::Continued,
    flash_map,
    indicator::Condition,
    slots::Slots,
};
use embassy_executor::{SpawnError, SpawnToken, Spawner};
use esp_hal::{Config, clock::CpuClock, peripherals::WIFI, time::Instant, timer::timg::TimerGroup};
use esp_println::println;
use esp_rtos::embassy::Executor;
use flash_store::FlashStore;
use portable_atomic::AtomicU64;
use protocol::{event::ResetReason, firmware::PublicKey};
use static_cell::StaticCell;

use board::{Board, channel_config};
use crash::Crash;
use flash::{Chip, Region};
use hardware::Hardware;
use measuring::SharedMeter;
use panel::Panel;
use radio::Credentials;
use random::Random;
use sampling::{CHANNELS, Sampler};
use slots::SharedSlots;

esp_bootloader_esp_idf::esp_app_desc!();

/// RAM that the bootloader does not need any more, and RAM of our own: the store takes 57 KB, the radio what is left.
const HEAP_RECLAIMED_BYTES: usize = 64 * 1024;
const HEAP_BYTES: usize = 64 * 1024;
/// The main thread is above the one that starts the radio.
const MAIN_PRIORITY: usize = 1;
/// The keys that sign updates for it; see `build.rs`.
const UPDATE_KEYS: &[PublicKey] = include!(concat!(env!("OUT_DIR"), "/update_keys.in"));
/// When this was built, in ms since 1970.
const BUILT_UTC_MS: i64 = {
    let (digits, mut seconds, mut at) = (env!("OFMON_BUILT_UTC_S").as_bytes(), 0, 0);
    while at < digits.len() {
        seconds = seconds * 10 + (digits[at] - b'0') as i64;
        at += 1;
    }
    seconds * 1_000
};

/// Restarts, when the serial port has sent what it holds.
fn restart() -> ! {
    const SERIAL_US: u32 = 15_000;
    esp_hal::rom::ets_delay_us(SERIAL_US);
    esp_hal::system::software_reset()
}

/// What the chip's timer said at the start: not every reset sets it back.
static BEGUN_US: AtomicU64 = AtomicU64::new(0);

/// Returns the time since the start in µs.
fn uptime_us() -> u64 {
    let now_us = Instant::now().duration_since_epoch().as_micros();
    now_us.saturating_sub(BEGUN_US.load(Ordering::Relaxed))
}

#[esp_hal::main]
fn main() -> ! {
    let peripherals = esp_hal::init(Config::default().with_cpu_clock(CpuClock::max()));
    watchdog::start(peripherals.RTC_TIMER);
    BEGUN_US.store(uptime_us(), Ordering::Relaxed);
    stack::paint();
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: HEAP_RECLAIMED_BYTES);
    esp_alloc::heap_allocator!(size: HEAP_BYTES);
    let crash = Crash::take();
    if let Some(crash) = &crash {
        println!("panic at {} ms: {}", crash.uptime_ms(), crash.text());
    }
    let reason = crash.map_or_else(reset_reason, |crash| crash.reason());
    let continued = continuation::take(reason);

    static CHIP: StaticCell<RefCell<Chip>> = StaticCell::new();
    let chip = CHIP.init(RefCell::new(Chip::new(peripherals.FLASH)));
    let slots = slots::start(slots::whole(chip))
        .inspect_err(|error| println!("the firmware slots cannot be read: {error}"));
    fault::at_once();

    static RANDOM: StaticCell<Random> = StaticCell::new();
    let mut adc = peripherals.ADC1;
    let random = RANDOM.init(Random::draw(peripherals.RNG, adc.reborrow()));
    let Board {
        analog,
        led,
        button,
    } = Board::new(wired!(peripherals, adc));
    let panel = Panel::new(led, button);
    static SAMPLER: StaticCell<Sampler> = StaticCell::new();
    let sampler = SAMPLER.init_with(|| Sampler::new(analog));
    println!("sampling since {} us", sampler.begun_us());

    let timers = TimerGroup::new(peripherals.TIMG0);
    esp_rtos::start(timers.timer0, peripherals.FROM_CPU_INTR0);
    esp_rtos::CurrentThreadHandle::get().set_priority(MAIN_PRIORITY);
    let region = Region::new(chip, flash_map::STORE, flash_map::STORE_BYTES);
    let meter = started(region, (reason, continued), sampler, random);

    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor = EXECUTOR.init_with(Executor::new);
    match (meter, slots) {
        (Ok((meter, password)), Ok(slots)) => {
            let parts = Parts {
                meter,
                slots,
                hardware: Hardware::new(chip),
                sampler,
                panel,
                random,
                password,
                wifi: peripherals.WIFI,
            };
            #[cfg(feature = "fault-later")]
            let contacts = fault::Contacts::new(peripherals.GPIO6, peripherals.GPIO7);
            executor.run_with_callbacks(
                |spawner| {
                    #[cfg(feature = "fault-later")]
                    launch(spawner, fault::fail_later(contacts));
                    parts.run(spawner);
                },
                stack::Guarded,
            )
        }
        (_, slots) => executor.run_with_callbacks(
            |spawner| without_store::start(spawner, region, slots.ok(), panel, random),
            stack::Guarded,
        ),
    }
}

/// Mounts the store and starts the meter on it; returns it and the password of its access point.
///
/// What this takes of the stack must not stay taken, so it is never a part of [`main`].
#[inline(never)]
fn started(
    region: Region,
    start: (ResetReason, Option<Continued>),
    sampler: &Sampler,
    random: &Random,
) -> Result<(SharedMeter, Option<Password>), &'static str> {
    let store = store::mounted(region, random)?;
    let password = store.password().copied();
    Ok((begun(store, facts(start, sampler, random))?, password))
}

#[inline(never)]
fn begun(store: FlashStore<Region>, facts: Facts) -> Result<SharedMeter, &'static str> {
    static METER: StaticCell<RefCell<Meter<Region>>> = StaticCell::new();
    match Meter::start(store, facts) {
        Ok(meter) => Ok(METER.init(RefCell::new(meter))),
        Err(error) => {
            println!("the meter cannot start: {error}");
            Err("the meter cannot start")
        }
    }
}

/// A meter that started.
struct Parts {
    meter: SharedMeter,
    slots: Slots<Region>,
    hardware: Hardware,
    sampler: &'static mut Sampler,
    panel: Panel,
    random: &'static Random,
    password: Option<Password>,
    wifi: WIFI<'static>,
}

impl Parts {
    /// Starts all tasks, the radio last.
    #[inline(never)]
    fn run(self, spawner: Spawner) {
        static SLOTS: StaticCell<RefCell<Slots<Region>>> = StaticCell::new();
        static HARDWARE: StaticCell<Hardware> = StaticCell::new();
        let (meter, random) = (self.meter, self.random);
        let slots: SharedSlots = SLOTS.init(RefCell::new(self.slots));
        let hardware: &Hardware = HARDWARE.init(self.hardware);
        let seed = u64::from_le_bytes(random.bytes());
        launch(spawner, measuring::measure(meter, self.sampler, hardware));
        launch(spawner, slots::watch(slots, meter, hardware));
        launch(spawner, panel::attend(self.panel, meter, random, hardware));
        launch(spawner, hardware::restarts(hardware));
        launch(
            spawner,
            network::start(spawner, seed, meter, slots, hardware),
        );
        radio::start(
            self.wifi,
            credentials(&meter.borrow(), self.password, random),
        );
    }
}

/// Starts a task. Each is started once, so each finds its place free.
fn launch<S>(spawner: Spawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(task) => spawner.spawn(task),
        Err(error) => println!("a task does not start: {error:?}"),
    }
}

/// Returns name and password of the access point; prints them as long as nobody has set the meter up.
fn credentials(meter: &Meter<Region>, password: Option<Password>, random: &Random) -> Credentials {
    let is_new = meter.condition() == Condition::NotSetUp;
    // A store that was made elsewhere may have none: then one for this run has to do, which the serial port tells.
    let is_known = password.is_some();
    let password = password.unwrap_or_else(|| store::new_password(random));
    let ssid = ssid(meter.device());
    if is_new || !is_known {
        println!("Wi-Fi {ssid} password {}", password.as_str());
    }
    Credentials { ssid, password }
}
fn facts(
    (reset_reason, continued): (ResetReason, Option<Continued>),
    sampler: &Sampler,
    random: &Random,
) -> Facts {
    Facts {
        reset_reason,
        continued,
        firmware: env!("CARGO_PKG_VERSION").try_into().unwrap_or_default(),
        chip: board::CHIP.try_into().unwrap_or_default(),
        update_keys: UPDATE_KEYS.iter().copied().collect(),
        nonce_secret: random.bytes(),
        channels: (0..CHANNELS)
            .map(|channel| channel_config(sampler, channel))
            .collect(),
        ct_ratio: board::CT_RATIO,
        built_utc_ms: BUILT_UTC_MS,
    }
}

/// Asks the chip why it started.
fn reset_reason() -> ResetReason {
    // The numbers are the same on all chips, their names are not.
    match esp_hal::system::reset_reason().map(|reason| reason as u32) {
        Some(0x01) => ResetReason::PowerOn,
        Some(0x03 | 0x0c) => ResetReason::Software,
        Some(0x07..=0x09 | 0x0b | 0x0d | 0x10..=0x12) => ResetReason::Watchdog,
        Some(0x0f) => ResetReason::Brownout,
        _ => ResetReason::Unknown,
    }
}
