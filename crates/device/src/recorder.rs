//! Closed intervals of all channels become one reading on flash.

use embedded_storage::nor_flash::NorFlash;
use flash_store::{FlashStore, RunParams};
use heapless::{Deque, Vec};
use metering::{Interval, Output, Spectrum, Window};
use protocol::{ChannelReading, Flags, event::What, limits::CHANNELS_MAX, reading::Channels};

/// Unit of power in mW; with the interval it makes the quantum of energy.
pub(crate) const POWER_UNIT_MW: u16 = 1000;
/// Intervals that a channel may be ahead of the others.
const AHEAD_MAX: usize = 8;

/// Owns the store and what waits for it.
pub(crate) struct Recorder<F: NorFlash> {
    pub(crate) store: FlashStore<F>,
    pub(crate) boot: u32,
    pub(crate) interval_ms: u32,
    /// Version of the calibration in force.
    pub(crate) calibration: u16,
    pub(crate) storage_errors: u32,
    /// The last write to the store failed.
    pub(crate) is_failing: bool,
    /// Coverage of the last reading, 0 to 1000.
    pub(crate) coverage_permille: u16,
    lanes: Vec<Lane, CHANNELS_MAX>,
}

/// One channel's newest window and harmonics, and the intervals that wait for the other channels.
struct Lane {
    window: Option<Window>,
    spectrum: Option<Spectrum>,
    closed: Deque<Interval, AHEAD_MAX>,
}

impl<F: NorFlash> Recorder<F> {
    pub(crate) fn new(store: FlashStore<F>, boot: u32, interval_ms: u32, calibration: u16) -> Self {
        let lane = |_| Lane {
            window: None,
            spectrum: None,
            closed: Deque::new(),
        };
        let lanes = store.registers().iter().map(lane).collect();
        Self {
            store,
            boot,
            interval_ms,
            calibration,
            storage_errors: 0,
            is_failing: false,
            coverage_permille: 0,
            lanes,
        }
    }

    /// Returns the newest window of each channel, as far as there is one.
    pub(crate) fn windows(&self) -> impl Iterator<Item = Option<&Window>> {
        self.lanes.iter().map(|lane| lane.window.as_ref())
    }

    /// Returns the newest harmonics of each channel, as far as there are any.
    pub(crate) fn spectra(&self) -> impl Iterator<Item = Option<&Spectrum>> {
        self.lanes.iter().map(|lane| lane.spectrum.as_ref())
    }

    /// Takes what the metering of a channel gives.
    pub(crate) fn take(&mut self, channel: usize, output: Output) {
        match output {
            Output::Window(window) => self.lanes[channel].window = Some(window),
            Output::Spectrum(spectrum) => self.lanes[channel].spectrum = Some(spectrum),
            Output::Interval(interval) => {
                let closed = &mut self.lanes[channel].closed;
                if closed.is_full() {
                    // The other channels stopped: what they do not have cannot become a reading.
                    closed.pop_front();
                    self.storage_errors = self.storage_errors.saturating_add(1);
                }
                closed.push_back(interval).expect("room was made");
                self.append_complete();
            }
        }
    }

    fn append_complete(&mut self) {
        while let Some(end_us) = self.common_end_us() {
            let channels: Channels = self
                .lanes
                .iter_mut()
                .filter_map(|lane| lane.closed.pop_front())
                .map(|interval| channel_reading(&interval))
                .collect();
            self.append(end_us / 1000, &channels);
        }
    }

    /// Returns the end that all channels' first waiting intervals share; drops those that end before.
    fn common_end_us(&mut self) -> Option<u64> {
        loop {
            let fronts = self
                .lanes
                .iter()
                .map(|lane| lane.closed.front().map(|interval| interval.end_us));
            let latest = fronts
                .clone()
                .try_fold(0, |latest, end| Some(latest.max(end?)))?;
            if fronts.flatten().all(|end| end == latest) {
                return Some(latest);
            }
            for lane in &mut self.lanes {
                if lane
                    .closed
                    .front()
                    .is_some_and(|interval| interval.end_us < latest)
                {
                    lane.closed.pop_front();
                }
            }
        }
    }

    fn append(&mut self, end_ms: u64, channels: &[ChannelReading]) {
        let run = RunParams {
            interval_ms: self.interval_ms,
            power_unit_mw: POWER_UNIT_MW,
            calibration: self.calibration,
        };
        self.coverage_permille = channels
            .iter()
            .map(|channel| channel.coverage_permille)
            .min()
            .unwrap_or(0);
        let appended = self.store.append(&run, end_ms, channels).is_ok();
        // What can wait does not touch what was just written; the next reading tries again.
        let maintained = self.store.maintain().is_ok();
        self.is_failing = !appended || !maintained;
        if self.is_failing {
            self.storage_errors = self.storage_errors.saturating_add(1);
        }
        if !appended {
            self.log(end_ms, What::StorageFault);
        }
    }

    /// Logs an event; where even that fails, the failure is counted.
    pub(crate) fn log(&mut self, uptime_ms: u64, what: What) -> Option<u64> {
        let number = self.store.event_append(self.boot, uptime_ms, what).ok();
        if number.is_none() {
            self.storage_errors = self.storage_errors.saturating_add(1);
        }
        number
    }
}

/// Converts metering's units into those of a reading; they are the same but for the types.
fn channel_reading(interval: &Interval) -> ChannelReading {
    ChannelReading {
        energy_quanta: interval.energy_quanta,
        reactive_power_var: interval.reactive_power_var,
        voltage_dv: interval.voltage_dv,
        current_ca: interval.current_ca,
        frequency_chz: interval.frequency_chz,
        coverage_permille: interval.coverage_permille,
        flags: flags(interval.flags),
    }
}

fn flags(flags: metering::Flags) -> Flags {
    [
        (metering::Flags::NO_VOLTAGE, Flags::NO_VOLTAGE),
        (metering::Flags::CLIPPED, Flags::CLIPPED),
        (metering::Flags::ESTIMATED, Flags::ESTIMATED),
        (metering::Flags::NO_LOAD, Flags::NO_LOAD),
    ]
    .into_iter()
    .filter(|(from, _)| flags.contains(*from))
    .fold(Flags::default(), |all, (_, to)| all | to)
}
