//! The configuration record, in a file.
//!
//! LittleFS takes what is damaged at the end of a directory's log for torn, and goes on with what was before. That is right
//! for readings, which are found again, but no older token may come back. So each record has a **generation**, and the
//! counters say which one was written: an older record, or none, is damage.

use embedded_storage::nor_flash::NorFlash;

use crate::{
    ConfigError, FlashStore,
    files::{SETTINGS, read_record, write_record},
};

/// Longest configuration record in bytes.
pub const CONFIG_BYTES_MAX: usize = 512;
const GENERATION_BYTES: usize = 4;
const WHOLE_BYTES_MAX: usize = GENERATION_BYTES + CONFIG_BYTES_MAX;

impl<F: NorFlash> FlashStore<F> {
    /// Copies the configuration record and returns its length; `None` where none was ever written.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ConfigError> {
        let mut whole = [0; WHOLE_BYTES_MAX];
        let Some((_, record)) = self.settings(&mut whole)? else {
            return Ok(None);
        };
        let target = buffer
            .get_mut(..record.len())
            .ok_or(ConfigError::BufferTooSmall)?;
        target.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    /// Replaces the configuration record, of at most 512 bytes; after a cut either the old or the new one is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn config_write(&mut self, record: &[u8]) -> Result<(), ConfigError> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong);
        }
        let mut whole = [0; WHOLE_BYTES_MAX];
        // A cut may have come between file and counter.
        let written = match self.settings(&mut whole) {
            Ok(Some((generation, _))) => generation,
            Ok(None) | Err(ConfigError::Damaged) => 0,
            Err(error) => return Err(error),
        };
        let generation = written.max(self.counters.settings).saturating_add(1);
        whole[..GENERATION_BYTES].copy_from_slice(&generation.to_le_bytes());
        whole[GENERATION_BYTES..][..record.len()].copy_from_slice(record);
        let whole = &whole[..GENERATION_BYTES + record.len()];
        let files = self.files.as_mut().ok_or(ConfigError::Damaged)?;
        write_record(files, &mut self.flash, SETTINGS, whole).map_err(error)?;
        self.counters
            .settings_written(&mut self.flash, generation)?;
        Ok(())
    }

    /// Returns generation and record; `None` where none was ever written.
    fn settings<'a>(
        &mut self,
        whole: &'a mut [u8; WHOLE_BYTES_MAX],
    ) -> Result<Option<(u32, &'a [u8])>, ConfigError> {
        let expected = self.counters.settings;
        let files = self.files.as_mut().ok_or(ConfigError::Damaged)?;
        match read_record(files, &mut self.flash, SETTINGS, whole).map_err(error)? {
            None if expected == 0 => Ok(None),
            None => Err(ConfigError::Damaged),
            Some(length) => {
                let (generation, record) = whole[..length]
                    .split_first_chunk()
                    .ok_or(ConfigError::Damaged)?;
                let generation = u32::from_le_bytes(*generation);
                (generation >= expected)
                    .then_some(Some((generation, record)))
                    .ok_or(ConfigError::Damaged)
            }
        }
    }
}

fn error(error: littlefs::Error) -> ConfigError {
    match error {
        littlefs::Error::Flash(kind) => ConfigError::Flash(kind),
        _ => ConfigError::Damaged,
    }
}
