//! What a mounted store can say of itself beyond what a meter tells.

use alloc::{boxed::Box, vec::Vec};

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use protocol::{reading::Tier, segment::Models};

use crate::{
    CONFIG_BYTES_MAX, ConfigError, FlashStore,
    ring::sector::SECTOR_BYTES,
    segments::{Held, stated_length},
};

/// A segment that the store lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentState {
    /// The first number that it accounts for.
    pub base: u64,
    /// How many numbers it accounts for.
    pub count: u32,
    /// How coarse its readings are.
    pub tier: Tier,
    /// What is in it; `None` where it cannot be read.
    pub content: Option<SegmentContent>,
}

/// What is in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentContent {
    /// Its length in bytes, at most 4,096.
    pub bytes: u32,
    /// Its readings.
    pub readings: u32,
    /// Numbers that they stand for.
    pub numbers: u32,
    /// Its runs.
    pub runs: u32,
}

/// How full the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// The lowest number that it holds.
    pub oldest: u64,
    /// Numbers in it that no segment holds.
    pub waiting: u64,
    /// Bytes in use, those that a segment holds too included.
    pub used_bytes: u32,
    /// Its size in bytes.
    pub total_bytes: u32,
}

/// Whether the settings can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsState {
    /// None were ever written.
    Absent,
    /// They are there and whole.
    There,
    /// They cannot be read, or not the files that hold them.
    Damaged,
}

/// What lies where in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The segments by their numbers, oldest first.
    pub segments: Vec<SegmentState>,
    /// The journal.
    pub journal: JournalState,
    /// Blocks of LittleFS that are free; `None` where it cannot be read.
    pub free_blocks: Option<u32>,
    /// The settings, which are not given out.
    pub settings: SettingsState,
}

impl<F: NorFlash> FlashStore<F> {
    /// Looks at everything that the store lists; changes nothing.
    ///
    /// # Errors
    /// The kind of error that the flash gave.
    pub fn inspect(&mut self) -> Result<Inspection, NorFlashErrorKind> {
        let listed: Vec<Held> = self.index.all().to_vec();
        let mut models = Box::new(Models::new());
        let mut segments = Vec::with_capacity(listed.len());
        for held in listed {
            segments.push(SegmentState {
                base: held.base,
                count: held.count,
                tier: held.tier,
                content: self.segment_content(&held, &mut models)?,
            });
        }
        let free_blocks = match &mut self.files {
            Some(files) => match files.free_blocks(&mut self.flash) {
                Err(littlefs::Error::Flash(kind)) => return Err(kind),
                result => result.ok(),
            },
            None => None,
        };
        let mut record = [0; CONFIG_BYTES_MAX];
        let settings = match self.config_read(&mut record) {
            Ok(None) => SettingsState::Absent,
            Ok(Some(_)) => SettingsState::There,
            Err(ConfigError::Flash(kind)) => return Err(kind),
            Err(_) => SettingsState::Damaged,
        };
        let behind_segments = self.index.end().max(self.journal.oldest);
        Ok(Inspection {
            segments,
            journal: JournalState {
                oldest: self.journal.oldest,
                waiting: self.journal.next.saturating_sub(behind_segments),
                used_bytes: self.journal.used_bytes(),
                total_bytes: self.layout.journal_sectors * SECTOR_BYTES,
            },
            free_blocks,
            settings,
        })
    }

    /// Decodes a segment; `None` where it cannot be read.
    fn segment_content(
        &mut self,
        held: &Held,
        models: &mut Models,
    ) -> Result<Option<SegmentContent>, NorFlashErrorKind> {
        let Some(segment) = self.load_segment(held)? else {
            return Ok(None);
        };
        let mut content = SegmentContent::default();
        for view in segment.runs() {
            let mut readings = view.readings(&mut *models);
            let mut numbers = 0;
            while numbers < view.count {
                let Ok(reading) = readings.next_reading() else {
                    return Ok(None);
                };
                numbers += reading.span;
                content.readings += 1;
            }
            content.numbers += numbers;
            content.runs += 1;
        }
        // What a segment was parsed from states its length.
        content.bytes = stated_length(&self.workspace.file).unwrap_or(0) as u32;
        Ok(Some(content))
    }
}
