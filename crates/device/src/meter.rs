//! Samples in, readings on flash, answers out.
//!
//! A [`Meter`] owns the store and one metering pipeline a channel. When all channels have closed the same interval it
//! appends one reading; when that returns, a power cut cannot take it any more. Everything else is asked of it by the
//! HTTP side between two pushes of samples.

use embedded_storage::nor_flash::NorFlash;
use flash_store::{CONFIG_BYTES_MAX, ConfigError, FlashStore};
use heapless::Vec;
use metering::{Channel, ChannelConfig, Output, Pair, Window};
use protocol::{
    DeviceId, Seq,
    authentication::Key,
    event::What,
    limits::CHANNELS_MAX,
    messages::{API_VERSION, Acknowledge, Anchored, Clock, Info},
};

use crate::{
    access::Gate,
    board::Facts,
    calibrating::Session,
    day::Day,
    recorder::{POWER_UNIT_MW, Recorder},
    settings::{InvalidSetting, RECORD_BYTES_MAX, Settings},
    viewing::Viewing,
};

/// Harmonics are measured once in this time.
const HARMONICS_EVERY_US: u64 = 60_000_000;

/// Why a meter cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The store failed.
    Storage,
    /// The scale or rate of a channel is out of range, or the store was made for another number of channels.
    Channel,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Storage => "its store failed",
            Self::Channel => {
                "its store was made for another number of channels, or a channel is out of range"
            }
        })
    }
}

impl core::error::Error for StartError {}

/// Why a meter does not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has its token already; only a factory reset lets it take another.
    AlreadySetUp,
    /// A value is out of range.
    Invalid(InvalidSetting),
    /// The time lies before the firmware was built.
    WrongTime,
    /// The change is for another version of the settings than the one in force.
    Conflict,
    /// It speaks of another store, or of readings that do not exist yet.
    UnknownReading,
    /// Readings would be erased that no collector has acknowledged.
    Unread,
    /// A capture for a calibration runs.
    Busy,
    /// There is no calibration before the one in force.
    NothingToUndo,
    /// Its settings cannot be read: nothing replaces them but a reset at the meter itself.
    SettingsDamaged,
    /// The memory does not suffice at the moment.
    NoMemory,
    /// The store failed.
    Storage,
}

/// All of a meter that is not hardware.
pub struct Meter<F: NorFlash> {
    pub(crate) recorder: Recorder<F>,
    pub(crate) channels: Vec<Channel, CHANNELS_MAX>,
    /// The calibration that is being made, or was made last.
    pub(crate) session: Option<Session>,
    /// Minute of the uptime in which harmonics were asked for last, by channel.
    harmonics_asked: [u64; CHANNELS_MAX],
    pub(crate) settings: Settings,
    /// Changes with token and viewing code; see [`sessions_epoch`](Self::sessions_epoch).
    pub(crate) sessions_epoch: u32,
    /// There are settings, but they are damaged or of another version; those above stand in.
    pub(crate) are_settings_damaged: bool,
    pub(crate) facts: Facts,
    pub(crate) key: Option<Key>,
    clock_set: bool,
    pub(crate) gate: Gate,
    pub(crate) viewing: Viewing,
    /// The last 24 hours, as somebody asked for them last.
    pub(crate) day: Option<Day>,
    pub(crate) requests_refused: u32,
}

impl<F: NorFlash> Meter<F> {
    /// Starts on a mounted store: counts the boot, logs it, reads the settings, and logs their
    /// calibration where the log does not tell it.
    ///
    /// Settings that cannot be read do not stop it from measuring, with the scale of its parts. It then takes no token:
    /// damage must not open a meter to whoever comes by.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(mut store: FlashStore<F>, facts: Facts) -> Result<Self, StartError> {
        let boot = store.start_boot().map_err(|_| StartError::Storage)?;
        let what = What::Started {
            reason: facts.reset_reason,
            next: store.next(),
        };
        store
            .event_append(boot, 0, what)
            .map_err(|_| StartError::Storage)?;
        if let Some(continued) = facts.continued
            && continued.boot.checked_add(1) == Some(boot)
        {
            let what = What::Continued {
                uptime_ms: continued.uptime_ms,
                uncertainty_ms: continued.uncertainty_ms,
            };
            store
                .event_append(boot, 0, what)
                .map_err(|_| StartError::Storage)?;
        }
        let readable = read_settings(&mut store)?;
        let are_settings_damaged = readable.is_none();
        let settings = readable.unwrap_or_default();
        let mut channels = Vec::new();
        let calibrated = &settings.calibration.channels;
        if !calibrated.is_empty() && calibrated.len() != facts.channels.len() {
            return Err(StartError::Channel);
        }
        for (index, config) in facts.channels.iter().enumerate() {
            let config = ChannelConfig {
                calibration: *calibrated.get(index).unwrap_or(&config.calibration),
                interval_ms: settings.interval_ms,
                power_unit_mw: POWER_UNIT_MW.into(),
                ..config.clone()
            };
            let channel = Channel::new(config).map_err(|_| StartError::Channel)?;
            channels.push(channel).map_err(|_| StartError::Channel)?;
        }
        if channels.is_empty() || channels.len() != store.registers().len() {
            return Err(StartError::Channel);
        }
        let mut meter = Self {
            gate: Gate::new(facts.nonce_secret),
            viewing: Viewing::new(facts.nonce_secret),
            day: None,
            recorder: Recorder::new(
                store,
                boot,
                settings.interval_ms,
                settings.calibration.version,
            ),
            channels,
            session: None,
            harmonics_asked: [u64::MAX; CHANNELS_MAX],
            settings,
            sessions_epoch: 0,
            are_settings_damaged,
            facts,
            key: None,
            clock_set: false,
            requests_refused: 0,
        };
        meter.derive_key();
        meter.log_calibration_where_missing();
        if meter.are_settings_damaged {
            meter.recorder.log(0, What::StorageFault);
        }
        Ok(meter)
    }

    /// Feeds samples of one channel, counted from 0; the last pair was taken at uptime `end_us`.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn push_samples(&mut self, channel: usize, pairs: &[Pair], end_us: u64) {
        let minute = end_us / HARMONICS_EVERY_US;
        if core::mem::replace(&mut self.harmonics_asked[channel], minute) != minute {
            self.channels[channel].request_spectrum();
        }
        let (recorder, session) = (&mut self.recorder, &mut self.session);
        self.channels[channel].push(pairs, end_us, &mut |output| {
            if let (Some(session), Output::Window(window)) = (session.as_mut(), &output)
                && session.channel == channel
            {
                session.take(window);
            }
            recorder.take(channel, output);
        });
        self.conclude_calibration(end_us / 1000);
    }

    /// Feeds the means of one channel from `start_us` to the end of `window`: history above the sampling level.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn push_window(&mut self, channel: usize, start_us: u64, window: Window) {
        let recorder = &mut self.recorder;
        self.channels[channel].push_window(start_us, window, &mut |output| {
            recorder.take(channel, output)
        });
    }

    /// Returns who the meter is.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.recorder.store.device()
    }

    /// Returns the number of this boot.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.recorder.boot
    }

    /// Returns the number that the next reading will get.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.recorder.store.next()
    }

    /// Returns the interval of a reading in ms.
    #[must_use]
    pub fn interval_ms(&self) -> u32 {
        self.recorder.interval_ms
    }

    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    pub(crate) fn store(&mut self) -> &mut FlashStore<F> {
        &mut self.recorder.store
    }

    /// Answers `info`.
    pub(crate) fn info(&mut self, now_ms: u64) -> Info {
        let nonce = self.gate.nonce(now_ms);
        let store = &self.recorder.store;
        Info {
            device: store.device(),
            product: "ofmon".try_into().expect("it fits"),
            firmware: self.facts.firmware.clone(),
            chip: self.facts.chip.clone(),
            api: API_VERSION,
            store: store.store_id(),
            set_up: self.key.is_some(),
            name: self.settings.name.clone(),
            boot: self.recorder.boot,
            uptime_ms: now_ms,
            oldest: store.oldest(),
            next: store.next(),
            next_event: store.next_event(),
            clock_set: self.clock_set,
            interval_ms: self.recorder.interval_ms,
            channels: self.channels.len() as u8,
            viewable: self.is_viewable(),
            nonce,
        }
    }

    /// Takes the time from a collector and logs it as an anchor of this moment.
    pub(crate) fn set_clock(&mut self, clock: &Clock, now_ms: u64) -> Result<Anchored, Refused> {
        if clock.utc_ms < self.facts.built_utc_ms {
            return Err(Refused::WrongTime);
        }
        let what = What::Anchor {
            utc_ms: clock.utc_ms,
            uncertainty_ms: clock.uncertainty_ms,
        };
        let event = self.recorder.log(now_ms, what).ok_or(Refused::Storage)?;
        self.clock_set = true;
        Ok(Anchored {
            event,
            boot: self.recorder.boot,
            uptime_ms: now_ms,
        })
    }

    /// Remembers what a collector has stored: a hint for what may be overwritten first.
    pub(crate) fn acknowledge(&mut self, acknowledge: &Acknowledge) -> Result<(), Refused> {
        let store = &mut self.recorder.store;
        if acknowledge.store != store.store_id() || acknowledge.next > store.next() {
            return Err(Refused::UnknownReading);
        }
        store
            .acknowledge(acknowledge.next)
            .map_err(|_| Refused::Storage)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes settings to flash and, when they are there, puts them in force.
    pub(crate) fn keep(&mut self, settings: Settings) -> Result<(), Refused> {
        if self.are_settings_damaged {
            return Err(Refused::SettingsDamaged);
        }
        self.write_settings(settings)
    }

    /// Replaces whatever settings lie on flash, damaged ones too.
    pub(crate) fn write_settings(&mut self, settings: Settings) -> Result<(), Refused> {
        let mut record = [0; RECORD_BYTES_MAX];
        let length = settings.write(&mut record);
        let written = self.recorder.store.config_write(&record[..length]);
        written.map_err(|_| Refused::Storage)?;
        self.settings = settings;
        Ok(())
    }

    pub(crate) fn derive_key(&mut self) {
        let device = self.device();
        self.key = self
            .settings
            .token
            .as_deref()
            .map(|token| Key::derive(token, device));
    }
}

/// Reads the settings; `None` where there are some that cannot be read.
fn read_settings<F: NorFlash>(store: &mut FlashStore<F>) -> Result<Option<Settings>, StartError> {
    let mut record = [0; CONFIG_BYTES_MAX];
    match store.config_read(&mut record) {
        Ok(None) => Ok(Some(Settings::default())),
        Ok(Some(length)) => Ok(Settings::parse(&record[..length])),
        Err(ConfigError::Damaged) => Ok(None),
        Err(_) => Err(StartError::Storage),
    }
}

#[cfg(test)]
mod tests;
