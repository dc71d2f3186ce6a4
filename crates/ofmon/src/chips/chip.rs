//! The life of one chip, in its thread.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use emulator::{
    Rom,
    adc::Feed,
    life::{self, Birth, Event, Life, Pace, Pacer},
};
use protocol::{DeviceId, access_point::ssid};

use super::unreachable;

/// Virtual time between two looks at what the chip did.
const STEP: Duration = Duration::from_millis(10);
/// Virtual time between two words on how far history is.
const HISTORY_STEP: Duration = Duration::from_secs(1);
/// Virtual time within which firmware gives an address; a new store and three starts on trial fit into it.
const ADDRESS_WITHIN: Duration = Duration::from_secs(60);
/// A chip that loses more than this share of a real chip's time is told of.
const LATE_SHARE: f64 = 0.1;
/// Virtual time over which that share is taken.
const LATE_OVER: Duration = Duration::from_secs(30);
/// Longest line that is kept of a chip's console, in bytes.
const LINE_BYTES_MAX: usize = 1_024;

/// What a chip is to be.
pub(super) struct Plan {
    /// Its address.
    pub(super) id: DeviceId,
    /// Its flash file.
    pub(super) flash: PathBuf,
    /// What it measures.
    pub(super) feed: Feed,
    /// Draws its random numbers.
    pub(super) seed: u64,
    /// What it lives through before the present.
    pub(super) history: Duration,
    /// Seconds of that in a second; 0 is as fast as it goes.
    pub(super) speed: f64,
}

/// What the fleet hears of a chip.
pub(super) enum News {
    /// So much of its history is over.
    History(Duration),
    /// It answers.
    Reachable {
        /// Where.
        address: SocketAddr,
        /// The password of its access point, where it has printed it.
        password: Option<String>,
    },
    /// It has ended.
    Failed(anyhow::Error),
}

/// Runs a chip until it is to end: its history, until it can be reached, and then at the pace of a real one.
pub(super) fn live(
    plan: Plan,
    rom: Rom,
    image: &Path,
    ends: &AtomicBool,
    tell: impl Fn(News),
) -> Result<()> {
    let flash = life::open_flash(&plan.flash, image)?;
    let mut life = Life::new(Birth {
        rom,
        flash,
        mac: plan.id.0,
        seed: plan.seed,
        feed: plan.feed,
    });
    let mut console = Console::new(plan.id);
    let mut pacer = Pacer::new();
    let history_pace = match plan.speed {
        speed if speed > 0.0 => Pace::Times(speed),
        _ => Pace::Max,
    };
    let (mut lived, mut told) = (Duration::ZERO, Duration::ZERO);
    // No port leads to it yet: nobody's time passes while it hurries.
    while !ends.load(Ordering::Relaxed) && (lived < plan.history || !life.is_reachable()) {
        let step = step(&mut life, &mut console)?;
        lived += step.passed;
        let is_history = lived < plan.history;
        if is_history && lived - told >= HISTORY_STEP {
            told = lived;
            tell(News::History(lived));
        }
        if lived >= plan.history + ADDRESS_WITHIN {
            return Err(unreachable(lived.as_secs()).into());
        }
        pacer.keep(
            step.passed,
            if is_history { history_pace } else { Pace::Max },
        );
    }
    if ends.load(Ordering::Relaxed) {
        return Ok(());
    }
    let address = life
        .serve(0)
        .context("no port of this computer can be had")?;
    let password = console.password.take();
    tell(News::Reachable { address, password });
    let mut watch = Watch::new();
    let mut pacer = Pacer::new();
    while !ends.load(Ordering::Relaxed) {
        let step = step(&mut life, &mut console)?;
        pacer.keep(step.passed, Pace::Times(1.0));
        if let Some(share) = watch.late(step.passed, pacer.late()) {
            let percent = (share * 100.0).round();
            tracing::warn!(meter = %plan.id, percent, "the chip runs slower than a real one: this computer has too many of them");
        }
    }
    Ok(())
}

/// Runs a chip a little further, and tells the log of what happened.
fn step(life: &mut Life, console: &mut Console) -> Result<life::Step> {
    let resets = life.machine.counters().resets.len();
    let step = life.step(STEP);
    console.take(&life.machine.take_sent());
    // The other port has the same lines of the bootloader, and nothing of the firmware's.
    let _ = life.machine.take_sent_by_usb();
    let meter = console.id;
    let step = match step {
        Ok(step) => step,
        Err(ended) => {
            return Err(ended).with_context(|| match console.last.as_str() {
                "" => "it has printed nothing".to_owned(),
                last => format!("it has last printed \"{last}\""),
            });
        }
    };
    match step.event {
        Some(Event::PowerCut) => {
            tracing::warn!(%meter, uptime = ?step.uptime, "power was cut and is back");
        }
        Some(Event::Address) => {
            tracing::info!(%meter, uptime = ?step.uptime, "the chip has given an address");
        }
        None => {
            for reset in life.machine.counters().resets.iter().skip(resets) {
                tracing::warn!(%meter, uptime = ?step.uptime, ?reset, "the chip has started anew");
            }
        }
    }
    Ok(step)
}

/// What a chip prints, line by line.
struct Console {
    id: DeviceId,
    /// What announces the password: the line is `Wi-Fi SSID password PASSWORD`.
    announced: String,
    line: Vec<u8>,
    /// The last whole line.
    last: String,
    /// The password of the access point, which is printed until somebody has set the meter up.
    password: Option<String>,
}

impl Console {
    fn new(id: DeviceId) -> Self {
        Self {
            id,
            announced: format!("Wi-Fi {} password ", ssid(id)),
            line: Vec::new(),
            last: String::new(),
            password: None,
        }
    }

    fn take(&mut self, sent: &[u8]) {
        for byte in sent {
            match byte {
                b'\n' => self.end_line(),
                b'\r' => {}
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if line.is_empty() {
            return;
        }
        if let Some(password) = line.strip_prefix(&self.announced) {
            // A password belongs into no log.
            self.password = Some(password.to_owned());
            return;
        }
        tracing::debug!(meter = %self.id, "{line}");
        self.last = line;
    }
}

/// Looks whether a chip keeps up with real time.
struct Watch {
    passed: Duration,
    late_before: Duration,
    has_told: bool,
}

impl Watch {
    fn new() -> Self {
        Self {
            passed: Duration::ZERO,
            late_before: Duration::ZERO,
            has_told: false,
        }
    }

    /// Returns the share of time that a chip has lost, once, where it is too much.
    fn late(&mut self, passed: Duration, late: Duration) -> Option<f64> {
        self.passed += passed;
        if self.passed < LATE_OVER || self.has_told {
            return None;
        }
        let lost = late.saturating_sub(self.late_before);
        let share = lost.as_secs_f64() / (self.passed + lost).as_secs_f64();
        self.passed = Duration::ZERO;
        self.late_before = late;
        self.has_told = share > LATE_SHARE;
        self.has_told.then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: DeviceId = DeviceId([2, 0x0f, b'm', 0, 0xc3, 1]);

    #[test]
    fn password_is_taken_from_its_own_line() {
        let mut console = Console::new(ID);
        console.take(b"I (23) boot: 2nd stage\r\nWi-Fi OFMON-020F6D00C302 password AAAA\r\n");
        assert_eq!(console.password, None);
        console.take(b"Wi-Fi OFMON-020F6D00C301 pass");
        console.take(b"word 0123456789ABCDEF\r\nsampling\r\n");
        assert_eq!(console.password.as_deref(), Some("0123456789ABCDEF"));
        assert_eq!(console.last, "sampling");
        console.take(&vec![b'x'; 5_000]);
        assert_eq!(console.line.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn chip_that_is_late_is_told_of_once() {
        let mut watch = Watch::new();
        let second = Duration::from_secs(1);
        for _ in 0..90 {
            assert_eq!(watch.late(second, second), None);
        }
        let told: Vec<_> = (1..=90)
            .filter_map(|s| watch.late(second, second * (1 + s)))
            .collect();
        assert_eq!(told, [0.5]);
    }
}
