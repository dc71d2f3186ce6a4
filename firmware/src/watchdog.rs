//! The watchdog of the RTC: it restarts a meter that hangs, wherever it hangs.
//!
//! It runs from its own oscillator. After the start only the measuring task feeds it.

use core::cell::RefCell;

use critical_section::Mutex;
use esp_hal::{
    rtc_cntl::{Rtc, RwdtStage},
    time::Duration,
};

/// Time for everything before the measuring task: mounting takes about a second.
const START_S: u64 = 20;
/// Time between two rounds of the measuring task; the longest erase takes 0.4 s.
const MEASURING_S: u64 = 8;

struct Watchdog {
    rtc: Rtc<'static>,
    /// So many erases may yet feed it.
    erases: u32,
}

static WATCHDOG: Mutex<RefCell<Option<Watchdog>>> = Mutex::new(RefCell::new(None));

/// Starts it.
pub fn start(timer: esp_hal::peripherals::RTC_TIMER<'static>) {
    let mut rtc = Rtc::new(timer);
    rtc.rwdt.enable();
    rtc.rwdt
        .set_timeout(RwdtStage::Stage0, Duration::from_secs(START_S));
    rtc.rwdt.feed();
    critical_section::with(|section| {
        WATCHDOG
            .borrow_ref_mut(section)
            .replace(Watchdog { rtc, erases: 0 });
    });
}

/// Lets so many erases feed it, for formatting takes minutes at the worst. What hangs does not erase.
pub fn allow_erases(erases: u32) {
    with(|watchdog| watchdog.erases = erases);
}

/// Says that a sector was erased.
pub fn erased() {
    with(|watchdog| {
        if watchdog.erases > 0 {
            watchdog.erases -= 1;
            watchdog.rtc.rwdt.feed();
        }
    });
}

/// From here on the measuring task alone feeds it.
pub fn watch_measuring() {
    with(|watchdog| {
        watchdog.erases = 0;
        let rwdt = &mut watchdog.rtc.rwdt;
        rwdt.set_timeout(RwdtStage::Stage0, Duration::from_secs(MEASURING_S));
        rwdt.feed();
    });
}

/// Says that samples flow and readings are kept.
pub fn feed() {
    with(|watchdog| watchdog.rtc.rwdt.feed());
}

fn with(change: impl FnOnce(&mut Watchdog)) {
    critical_section::with(|section| {
        if let Some(watchdog) = WATCHDOG.borrow_ref_mut(section).as_mut() {
            change(watchdog);
        }
    });
}
