//! What people tell a meter: first-time setup, settings, token, viewing code, and what may be erased.
//!
//! Each request becomes one record on flash, written whole or not at all; only then is it in force. A current transformer
//! of another ratio is a new version of the calibration: the gain of its channel goes with the ratio, and so do the noise
//! and the no-load limit, since both come from the converter.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use metering::{Calibration, ChannelConfig};
use protocol::{
    authentication::Nonce,
    event::What,
    limits::CHANNELS_MAX,
    messages::{ChannelName, ChannelSettings, Config, Erase, Erased, Setup, TokenChange},
};

use crate::{
    code::CodeHash,
    meter::{Meter, Refused},
    settings::{self, InvalidSetting, Settings},
};

impl<F: NorFlash> Meter<F> {
    /// Takes token, name and what else a person says of a fresh meter, once and in one write; the interval takes effect
    /// with the next start, since the one that is open is measured already.
    pub(crate) fn set_up(&mut self, setup: &Setup, now_ms: u64) -> Result<(), Refused> {
        if self.key.is_some() {
            return Err(Refused::AlreadySetUp);
        }
        settings::check_token(&setup.token).map_err(Refused::Invalid)?;
        settings::check_name(&setup.name).map_err(Refused::Invalid)?;
        let mut settings = self.settings.clone();
        settings.version = settings.version.wrapping_add(1);
        settings.token = Some(setup.token.clone());
        settings.name = setup.name.clone();
        if let Some(interval_ms) = setup.interval_ms {
            settings::check_interval(interval_ms).map_err(Refused::Invalid)?;
            settings.interval_ms = interval_ms;
        }
        self.take_code(&mut settings, setup.code.as_deref())?;
        let is_rescaled = self.take_channels(&mut settings, &setup.channels)?;
        self.keep(settings)?;
        self.derive_key();
        self.end_sessions();
        self.recorder.log(now_ms, What::SetUp);
        if is_rescaled {
            self.enforce_calibration(now_ms);
        }
        Ok(())
    }

    /// Answers `config`; the viewing code is not in it.
    pub(crate) fn config(&self) -> Config {
        Config {
            name: self.settings.name.clone(),
            interval_ms: self.settings.interval_ms,
            version: self.settings.version,
            channels: self.channel_settings(),
            code: None,
        }
    }

    /// Changes the settings; the interval takes effect with the next start.
    pub(crate) fn change_config(
        &mut self,
        config: &Config,
        now_ms: u64,
    ) -> Result<Config, Refused> {
        if config.version != self.settings.version {
            return Err(Refused::Conflict);
        }
        settings::check_name(&config.name).map_err(Refused::Invalid)?;
        settings::check_interval(config.interval_ms).map_err(Refused::Invalid)?;
        let version = self.settings.version.wrapping_add(1);
        let mut settings = Settings {
            version,
            name: config.name.clone(),
            interval_ms: config.interval_ms,
            ..self.settings.clone()
        };
        self.take_code(&mut settings, config.code.as_deref())?;
        let is_rescaled = self.take_channels(&mut settings, &config.channels)?;
        self.keep(settings)?;
        if config.code.is_some() {
            self.end_sessions();
        }
        self.recorder.log(now_ms, What::ConfigChanged { version });
        if is_rescaled {
            self.enforce_calibration(now_ms);
        }
        Ok(self.config())
    }

    /// Takes another token, sealed with the one in force and the nonce of the request that brings it.
    ///
    /// The answer to that request is still under the old one. Nonces stay valid, since they are of the boot and not of
    /// the token; viewing sessions end.
    pub(crate) fn change_token(
        &mut self,
        change: &TokenChange,
        nonce: &Nonce,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let bad_token = Refused::Invalid(InvalidSetting::Token);
        let opened = (self.key.as_ref()).and_then(|key| key.open_token(nonce, &change.sealed));
        let token = opened.ok_or(bad_token)?;
        settings::check_token(&token).map_err(Refused::Invalid)?;
        self.keep(Settings {
            version: self.settings.version.wrapping_add(1),
            token: Some(token),
            ..self.settings.clone()
        })?;
        self.derive_key();
        self.end_sessions();
        self.recorder.log(now_ms, What::TokenChanged);
        Ok(())
    }

    /// Gives up the oldest readings for good; those that no collector has acknowledged only where that is forced.
    pub(crate) fn erase(&mut self, erase: &Erase, now_ms: u64) -> Result<Erased, Refused> {
        let store = &mut self.recorder.store;
        if erase.store != store.store_id() || erase.through >= store.next() {
            return Err(Refused::UnknownReading);
        }
        let (before, after) = (store.oldest(), store.oldest_after_erase(erase.through));
        if after > before {
            if after > store.acknowledged() && !erase.force {
                return Err(Refused::Unread);
            }
            store.erase(erase.through).map_err(|_| Refused::Storage)?;
            let through = erase.through;
            self.recorder.log(now_ms, What::Erased { through });
        }
        Ok(Erased { oldest: after })
    }

    /// Tells whether there is a viewing code.
    pub(crate) fn is_viewable(&self) -> bool {
        self.settings.code.is_some()
    }

    /// Tells in constant time whether this is the viewing code; false where there is none.
    #[must_use]
    pub fn code_matches(&self, code: &str) -> bool {
        let device = self.device();
        (self.settings.code).is_some_and(|known| known.matches(code, device))
    }

    /// Counts what ends all viewing sessions in this boot: another token, another code, settings that were forgotten.
    ///
    /// A session holds for as long as this is what it was when the session began.
    #[must_use]
    pub fn sessions_epoch(&self) -> u32 {
        self.sessions_epoch
    }

    pub(crate) fn end_sessions(&mut self) {
        self.sessions_epoch = self.sessions_epoch.wrapping_add(1);
    }

    /// Returns the calibrations that the meter's parts have by their values, with the transformers that are there.
    pub(crate) fn nominal_calibrations(&self) -> Vec<Calibration, CHANNELS_MAX> {
        let channels = self.facts.channels.iter().zip(self.channel_settings());
        channels
            .map(|(config, channel)| {
                let nominal = &config.calibration;
                // That it is in range was found when the ratio was taken.
                rescaled(nominal, self.facts.ct_ratio, channel.ct_ratio).unwrap_or(*nominal)
            })
            .collect()
    }

    /// Returns what holds of each channel.
    fn channel_settings(&self) -> Vec<ChannelSettings, CHANNELS_MAX> {
        if !self.settings.channels.is_empty() {
            return self.settings.channels.clone();
        }
        let own = |_: &_| ChannelSettings {
            name: ChannelName::new(),
            ct_ratio: self.facts.ct_ratio,
        };
        self.channels.iter().map(own).collect()
    }

    /// Puts a viewing code into settings; absent leaves it, empty is none.
    fn take_code(&self, settings: &mut Settings, code: Option<&str>) -> Result<(), Refused> {
        settings.code = match code {
            None => return Ok(()),
            Some("") => None,
            Some(code) => {
                settings::check_code(code).map_err(Refused::Invalid)?;
                let secret = &self.facts.nonce_secret;
                let device = self.device();
                // The version of settings counts up, so no salt is drawn twice in a boot.
                Some(CodeHash::new(code, device, secret, settings.version))
            }
        };
        Ok(())
    }

    /// Puts what is said of the channels into settings, with a new calibration where a ratio changes; tells whether one does.
    fn take_channels(
        &self,
        settings: &mut Settings,
        channels: &[ChannelSettings],
    ) -> Result<bool, Refused> {
        let invalid = Refused::Invalid(InvalidSetting::Channels);
        if channels.is_empty() {
            return Ok(false);
        }
        settings::check_channels(channels, self.channels.len()).map_err(Refused::Invalid)?;
        let before = self.channel_settings();
        settings.channels = channels.iter().cloned().collect();
        let mut ratios = before.iter().zip(channels);
        if ratios.all(|(before, after)| before.ct_ratio == after.ct_ratio) {
            return Ok(false);
        }
        if (self.session.as_ref()).is_some_and(|session| session.is_running()) {
            return Err(Refused::Busy);
        }
        let configs = || self.channels.iter().map(|channel| channel.config());
        let rescale = |calibrations: &mut dyn Iterator<Item = &Calibration>| {
            let each = calibrations.zip(configs()).zip(before.iter().zip(channels));
            each.map(|((calibration, config), (before, after))| {
                let calibration = rescaled(calibration, before.ct_ratio, after.ct_ratio)?;
                let config = ChannelConfig {
                    calibration,
                    ..config.clone()
                };
                config.check().ok().map(|()| calibration)
            })
            .collect::<Option<Vec<_, CHANNELS_MAX>>>()
            .ok_or(invalid)
        };
        let in_force = &mut configs().map(|config| &config.calibration);
        let calibration = &mut settings.calibration;
        calibration.channels = rescale(in_force)?;
        calibration.version = calibration.version.saturating_add(1);
        let earlier = &mut settings.calibration_before;
        earlier.channels = rescale(&mut earlier.channels.iter())?;
        Ok(true)
    }
}

/// Returns the calibration of the same channel behind a transformer of another ratio; `None` where its gain does not fit.
fn rescaled(calibration: &Calibration, from: u32, to: u32) -> Option<Calibration> {
    let scaled = |value: u32| {
        let product = u64::from(value) * u64::from(to) + u64::from(from / 2);
        u32::try_from(product.checked_div(from.into())?).ok()
    };
    Some(Calibration {
        current_na_per_code: scaled(calibration.current_na_per_code)?,
        current_noise_na: scaled(calibration.current_noise_na)?,
        // A transformer that makes so much of the noise hides small loads; it does not measure wrong.
        no_load_mw: scaled(calibration.no_load_mw.into())?.min(u16::MAX.into()) as u16,
        ..*calibration
    })
}
