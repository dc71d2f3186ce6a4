//! What goes when it is full.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    Registers, Seq,
    event::What,
    limits::CHANNELS_MAX,
    reading::{RegisterSet, Tier},
};

use super::{Held, coarsen::Fill};
use crate::{
    FlashStore, WriteError,
    files::{LOST, path, read_record, segments, write_record},
};
use littlefs::Littlefs;

/// Blocks that stay free, so that LittleFS can always copy what it changes.
pub(crate) const FREE_BLOCKS_MIN: u32 = 16;
/// Blocks beyond these that there must be before a segment is written: it takes one, and so may its directory or a file of
/// events until the next.
const SPARE_BLOCKS: u32 = 2;
/// Segments that were erased and are removed in one call: each may take an erase.
const ERASED_PER_CALL: usize = 4;
/// Longest note of a loss: first number, end, and the energy of each channel.
const NOTE_BYTES_MAX: usize = 16 + CHANNELS_MAX * 16;

/// Readings that are being given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Empty where it is not known.
    pub(crate) energy: RegisterSet,
}

impl<F: NorFlash> FlashStore<F> {
    /// Tells whether a segment can be written.
    pub(crate) fn has_room(&mut self) -> Result<bool, WriteError> {
        self.remove_left_over()?;
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        Ok(files.free_blocks(&mut self.flash)? > FREE_BLOCKS_MIN + SPARE_BLOCKS)
    }

    /// Removes finer segments that a coarser one covers.
    pub(crate) fn remove_left_over(&mut self) -> Result<(), WriteError> {
        while let Some(held) = self.index.left_over() {
            self.remove(&held)?;
            self.index.forget_left_over();
        }
        Ok(())
    }

    fn remove(&mut self, held: &Held) -> Result<(), WriteError> {
        let path = path(segments(held.tier), held.base, held.count);
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        Ok(files.remove(&mut self.flash, &path)?)
    }

    /// Removes a few of the segments that were erased; the newest one stays, since it tells registers and boot where the journal
    /// is damaged.
    pub(crate) fn remove_erased(&mut self) -> Result<(), WriteError> {
        for _ in 0..ERASED_PER_CALL {
            match self.index.all() {
                [oldest, _, ..] if oldest.end() <= self.counters.erased && self.files.is_some() => {
                    let oldest = *oldest;
                    self.remove(&oldest)?;
                    self.index.remove_oldest();
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Frees at least one block; false where there is nothing to free.
    pub(crate) fn make_room(&mut self) -> Result<bool, WriteError> {
        let Some(oldest) = self.index.all().first().copied() else {
            return Ok(false);
        };
        if self.index.all().len() < 2 {
            // Behind the newest segment the next one begins.
            return Ok(false);
        }
        if oldest.end() <= self.counters.acknowledged.max(self.counters.erased) {
            self.remove(&oldest)?;
            self.index.remove_oldest();
            return Ok(true);
        }
        let blocks = self.layout.file_sectors as usize;
        let share = |store: &Self, tier, parts| store.index.count(tier) * parts > blocks;
        // A block that is half full stays so for years: blocks are filled as long as there is enough to fill them with.
        // Where the interval is a minute or more, only quarters of an hour save anything.
        let freed = share(self, Tier::Full, 2)
            && self.coarsen(Tier::Full, Tier::Minute, Fill::Whole)?
            || self.coarsen(Tier::Minute, Tier::Quarter, Fill::Whole)?
            || self.coarsen(Tier::Full, Tier::Minute, Fill::Whole)?
            || self.coarsen(Tier::Full, Tier::Quarter, Fill::Whole)?
            || self.compact()?
            || self.coarsen(Tier::Minute, Tier::Quarter, Fill::Any)?
            || self.coarsen(Tier::Full, Tier::Minute, Fill::Any)?
            || self.coarsen(Tier::Full, Tier::Quarter, Fill::Any)?;
        if !freed {
            self.give_up(&oldest)?;
        }
        Ok(true)
    }

    /// Removes the oldest segment although nobody has its readings.
    ///
    /// What is lost is noted first, so that a cut at any moment leaves the readings or the note.
    fn give_up(&mut self, oldest: &Held) -> Result<(), WriteError> {
        let around = self.bounds_of(oldest)?;
        let energy = around.map(|around| difference(&around.after, &around.before));
        let loss = Loss {
            first: oldest.base,
            end: oldest.end(),
            energy: energy.unwrap_or_default(),
        };
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        let mut note = [0; NOTE_BYTES_MAX];
        let length = loss.write(&mut note);
        write_record(files, &mut self.flash, LOST, &note[..length])?;
        self.remove(oldest)?;
        self.index.remove_oldest();
        self.pending_loss = Some(loss);
        self.tell_loss()
    }

    /// Logs the loss that is noted and takes the note away.
    pub(crate) fn tell_loss(&mut self) -> Result<(), WriteError> {
        let Some(loss) = self.pending_loss.clone() else {
            return Ok(());
        };
        // A cut may have come before the readings went; then they are still there.
        if loss.end <= self.oldest().0 {
            let what = What::Lost {
                first: Seq(loss.first),
                count: loss.end - loss.first,
                energy: loss.energy,
            };
            self.event_append(self.counters.boot, self.uptime_ms, what)?;
        }
        if let Some(files) = &mut self.files {
            files.remove(&mut self.flash, LOST)?;
        }
        self.pending_loss = None;
        Ok(())
    }
}

impl Loss {
    fn write(&self, note: &mut [u8; NOTE_BYTES_MAX]) -> usize {
        let values = [self.first, self.end]
            .into_iter()
            .chain((self.energy.iter()).flat_map(|channel| [channel.import_mj, channel.export_mj]));
        let mut length = 0;
        for (bytes, value) in note.chunks_exact_mut(8).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
            length += bytes.len();
        }
        length
    }

    fn parse(note: &[u8]) -> Option<Self> {
        let mut values = note
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
        let (first, end) = (values.next()?, values.next()?);
        let mut energy = RegisterSet::new();
        while let (Some(import_mj), Some(export_mj)) = (values.next(), values.next()) {
            let channel = Registers {
                import_mj,
                export_mj,
            };
            energy.push(channel).ok()?;
        }
        (first < end).then_some(Self { first, end, energy })
    }
}

/// Returns the loss that was noted when power went.
pub(crate) fn note_of_loss<F: NorFlash>(files: &mut Littlefs, flash: &mut F) -> Option<Loss> {
    let mut note = [0; NOTE_BYTES_MAX];
    let length = read_record(files, flash, LOST, &mut note).ok()??;
    Loss::parse(&note[..length])
}

/// Returns how far registers went.
pub(crate) fn difference(after: &[Registers], before: &[Registers]) -> RegisterSet {
    let channels = after.iter().zip(before);
    channels
        .map(|(after, before)| Registers {
            import_mj: after.import_mj.saturating_sub(before.import_mj),
            export_mj: after.export_mj.saturating_sub(before.export_mj),
        })
        .collect()
}
