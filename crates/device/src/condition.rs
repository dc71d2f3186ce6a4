//! How the meter is: for the light, for the trial of its firmware and for `health`; and what its button asks for.

use embedded_storage::nor_flash::NorFlash;
use metering::Flags;
use protocol::{
    StoreId,
    event::{Version, What},
    messages::Health,
};

use crate::{
    button::Request,
    indicator::Condition,
    meter::{Meter, Refused},
    settings::Settings,
};

impl<F: NorFlash> Meter<F> {
    /// Tells whether each channel has had a window of samples in this boot.
    #[must_use]
    pub fn is_measuring(&self) -> bool {
        self.recorder.windows().all(|window| window.is_some())
    }

    /// Returns what the light is to tell.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let mut windows = self.recorder.windows().flatten();
        if self.recorder.is_failing || !self.recorder.store.has_files() {
            Condition::StorageFault
        } else if self.key.is_none() {
            Condition::NotSetUp
        } else if !self.is_measuring() {
            Condition::Starting
        } else if windows.any(|window| window.flags.contains(Flags::NO_VOLTAGE)) {
            Condition::NoVoltage
        } else {
            Condition::Measuring
        }
    }

    /// Does what the button asks for; the board is to restart then, whether it could be done or not.
    ///
    /// To forget the settings leaves readings and calibration. To erase leaves an unformatted flash with device and password;
    /// the next store on it is of the history `fresh`, a random number.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub fn obey(&mut self, request: Request, fresh: StoreId, now_ms: u64) -> Result<(), Refused> {
        match request {
            Request::Forget => self.forget_settings(now_ms),
            Request::Erase => {
                let abandoned = self.store().abandon(fresh);
                abandoned.map_err(|_| Refused::Storage)
            }
        }
    }

    fn forget_settings(&mut self, now_ms: u64) -> Result<(), Refused> {
        // The calibration is that of the transformers that are there, so their ratios stay with it.
        let mut channels = self.settings.channels.clone();
        channels.iter_mut().for_each(|channel| channel.name.clear());
        let settings = Settings {
            channels,
            version: self.settings.version.wrapping_add(1),
            calibration: self.settings.calibration.clone(),
            calibration_before: self.settings.calibration_before.clone(),
            ..Settings::default()
        };
        self.write_settings(settings)?;
        self.are_settings_damaged = false;
        self.key = None;
        self.end_sessions();
        self.recorder.log(now_ms, What::SettingsForgotten);
        Ok(())
    }

    /// Returns the version of the firmware.
    #[must_use]
    pub fn firmware(&self) -> &Version {
        &self.facts.firmware
    }

    /// Logs an event; where that fails, the failure is counted.
    pub(crate) fn log(&mut self, now_ms: u64, what: What) {
        self.recorder.log(now_ms, what);
    }

    /// Answers `health`, as far as the meter itself knows.
    pub(crate) fn health(&self) -> Health {
        let writes = self.recorder.store.writes();
        Health {
            sectors_erased: writes.sectors_erased,
            bytes_programmed: writes.bytes_programmed,
            readings_appended: writes.readings_appended,
            requests_refused: self.requests_refused,
            storage_errors: self.recorder.storage_errors,
            flash_used_bytes: self.recorder.store.used_bytes(),
            flash_total_bytes: self.recorder.store.total_bytes(),
            coverage_permille: self.recorder.coverage_permille,
            ..Health::default()
        }
    }
}
