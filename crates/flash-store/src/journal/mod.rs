//! The journal: the newest readings, each durable when it is appended.

mod blocks;
mod cursor;
mod reading;
mod unsealed;

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, Registers, Seq,
    event::What,
    limits::CHANNELS_MAX,
    reading::RegisterSet,
    run::{NUMBER_MAX, RUN_BYTES_MAX, Run, RunParams},
    varint,
};

use crate::{
    AppendError, MountError,
    error::Fault,
    ring::{
        Place, Ring,
        entry::Kind,
        sector::{self, Identity, SECTOR_BYTES},
    },
    segments::difference,
};
pub(crate) use cursor::{Cursor, Item};
use reading::{Previous, READING_BYTES_MAX, READING_ENTRY_BYTES_MIN, write_reading};

pub(crate) use reading::{
    RUN_READINGS_MAX, TORN_BYTES_MAX, advance, read_opening, read_reading, read_run,
};
pub(crate) use unsealed::{Piece, Unsealed};

/// Tells the ring from others.
pub(crate) const RING: u8 = 3;
/// Readings that a sector holds at the most: so many numbers are passed over for a newest sector that cannot be read.
const SECTOR_READINGS_MAX: u64 = (SECTOR_BYTES / READING_ENTRY_BYTES_MIN) as u64;
const OPENING_BYTES_MAX: usize = 10 + RUN_BYTES_MAX;
const _: () = assert!(OPENING_BYTES_MAX <= sector::OPENING_BYTES_MAX);

/// A reading is on flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) seq: Seq,
    /// What had to go, for this one or since the last one was appended, although nobody and no segment holds it.
    pub(crate) lost: Option<What>,
}

/// A reading that is to be appended, and who measured when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewReading<'a> {
    pub(crate) boot: u32,
    pub(crate) params: RunParams,
    /// Uptime at the end of its interval.
    pub(crate) uptime_ms: u64,
    pub(crate) channels: &'a [ChannelReading],
}

/// The run that takes journal.
#[derive(Clone, Copy, Debug)]
struct OpenRun {
    boot: u32,
    params: RunParams,
    /// Uptime at which the next reading must end to belong to it.
    uptime_ms: u64,
    count: u32,
    previous: Previous,
}

/// The newest readings of a meter.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) ring: Ring,
    /// Lowest number that the ring holds.
    pub(crate) oldest: u64,
    pub(crate) next: u64,
    /// Numbers right before `next` that never existed, and that no run tells of yet.
    pub(crate) skipped: u64,
    pub(crate) registers: RegisterSet,
    /// Boot of the last run.
    pub(crate) last_boot: u32,
    /// Losses of numbers below this were told.
    told_oldest: u64,
    run: Option<OpenRun>,
}

impl Journal {
    /// Describes a ring without readings whose first one gets number `next`.
    pub(crate) fn empty(ring: Ring, channels: u8, next: u64) -> Self {
        Self {
            ring,
            oldest: next,
            next,
            skipped: 0,
            registers: (0..channels).map(|_| Registers::default()).collect(),
            last_boot: 0,
            told_oldest: next,
            run: None,
        }
    }

    /// Finds oldest, next and registers.
    ///
    /// `first` is the number of the store's first reading, `floor` the least that `next` can be: what counters and segments
    /// show.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
        (first, floor): (u64, u64),
    ) -> Result<Self, MountError> {
        let ring = Ring::mount(flash, place, identity)?;
        let mut journal = Self::empty(ring, identity.channels, floor);
        let Some(newest) = journal.ring.newest(flash)? else {
            // Where readings are known from elsewhere, an erased ring was not always so.
            let unreadable = match floor > first {
                true => place.sectors.into(),
                false => (journal.ring).sectors_with_entries(flash, OPENING_BYTES_MAX)?,
            };
            let next = floor + unreadable * SECTOR_READINGS_MAX;
            return Ok(Self::empty(journal.ring, identity.channels, next));
        };
        let mut cursor = Cursor::new(&journal.ring, &newest).ok_or(MountError::Damaged)?;
        let opened_next = cursor.next;
        let end = loop {
            match cursor.next_item(flash)? {
                Item::Reading => {}
                Item::Run(run) => cursor.begin(run),
                Item::End(offset) => break offset,
            }
        };
        let (astray, is_torn_write) = cursor.astray();
        let missing = journal.ring.missing();
        if let Some(offset) = end {
            journal.ring.resume(offset);
        }
        // Of a torn write nothing was promised; its number is left out for good. What damage hides was promised.
        journal.skipped = if is_torn_write && missing == 0 {
            astray
        } else {
            0
        };
        let next = cursor.next + astray + missing * SECTOR_READINGS_MAX;
        if next < floor {
            journal.skipped = 0;
        }
        journal.next = next.max(floor);
        let has_readings = cursor.next > opened_next;
        for walk in journal.ring.walks_of_missing() {
            // The runs in it tell registers and boot, though its readings cannot be served.
            cursor.go_astray_into(walk);
            loop {
                match cursor.next_item(flash)? {
                    Item::Reading => {}
                    Item::Run(run) => cursor.begin(run),
                    Item::End(_) => break,
                }
            }
            journal.next = journal.next.max(cursor.next + cursor.astray().0);
        }
        journal.oldest = journal.oldest_held(flash)?;
        journal.last_boot = cursor.run.boot;
        journal.told_oldest = if has_readings {
            journal.oldest
        } else {
            cursor.told_oldest
        };
        journal.registers = cursor.registers;
        Ok(journal)
    }

    /// Returns the sequence of the newest sector; it changes when one is opened.
    pub(crate) fn newest_sector(&self) -> Option<u64> {
        self.ring.newest_sequence()
    }

    /// Returns how many sectors hold readings from number `from` on.
    pub(crate) fn sectors_from<F: NorFlash>(&self, flash: &mut F, from: u64) -> Result<u64, Fault> {
        let Some(newest) = self.ring.newest_sequence() else {
            return Ok(0);
        };
        let first = match self.ring.locate(flash, from)? {
            Some(opened) => Some(opened),
            None => self.ring.next_from(flash, 0)?,
        };
        Ok(first.map_or(0, |first| newest - first.sequence + 1))
    }

    /// Returns the registers before number `oldest`, the first that the ring holds.
    pub(crate) fn oldest_registers<F: NorFlash>(
        &self,
        flash: &mut F,
    ) -> Result<RegisterSet, Fault> {
        let opened = self.ring.next_from(flash, 0)?;
        let cursor = opened.and_then(|opened| Cursor::new(&self.ring, &opened));
        Ok(cursor.map_or_else(|| self.registers.clone(), |cursor| cursor.registers))
    }

    /// Raises registers that damage put back to what a segment shows.
    pub(crate) fn raise_registers(&mut self, shown: &[Registers]) {
        for (registers, shown) in self.registers.iter_mut().zip(shown) {
            registers.import_mj = registers.import_mj.max(shown.import_mj);
            registers.export_mj = registers.export_mj.max(shown.export_mj);
        }
    }

    /// Returns how many bytes of the ring are in use.
    pub(crate) fn used_bytes(&self) -> u32 {
        self.ring.used_bytes()
    }

    fn oldest_held<F: NorFlash>(&self, flash: &mut F) -> Result<u64, Fault> {
        let tail = self.ring.next_from(flash, 0)?;
        Ok(tail.map_or(self.next, |opened| opened.base.min(self.next)))
    }

    /// Writes a reading; it is durable when this returns. Numbers below `safe` are held elsewhere.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: NewReading<'_>,
        safe: u64,
    ) -> Result<Appended, AppendError> {
        let in_range = reading.channels.len() == self.registers.len()
            && reading.params.is_in_range()
            && reading.uptime_ms < NUMBER_MAX
            && self.next < NUMBER_MAX
            && (reading.channels.iter()).all(|channel| channel.coverage_permille <= 1000);
        if !in_range {
            return Err(AppendError::OutOfRange);
        }
        let seq = Seq(self.next);
        let first = self.told_oldest.max(safe);
        let written = self.write(flash, &reading, first);
        // Where the flash failed the energy still counts: the next run tells it, and the number is served as lost.
        advance(&mut self.registers, reading.channels, &reading.params);
        self.next += 1;
        self.skipped = 0;
        let before = match written {
            Ok((count, before)) => {
                self.run = Some(follow(&reading, count));
                before
            }
            Err(fault) => {
                self.run = None;
                return Err(fault.into());
            }
        };
        self.told_oldest = self.told_oldest.max(self.oldest);
        let energy = before.and_then(|before| {
            let after = self.oldest_registers(flash).ok()?;
            Some(difference(&after, &before))
        });
        let lost = (first < self.oldest).then(|| What::Lost {
            first: Seq(first),
            count: self.oldest - first,
            energy: energy.unwrap_or_default(),
        });
        Ok(Appended { seq, lost })
    }

    /// Returns the registers before number `first` where it lies in the sector that opening the next one erases.
    fn doomed_registers<F: NorFlash>(&self, flash: &mut F, first: u64) -> Option<RegisterSet> {
        // Mostly it lies far behind that sector, and nothing needs to be read.
        if first >= self.oldest + SECTOR_READINGS_MAX {
            return None;
        }
        let doomed = self.ring.doomed(flash).ok()??;
        let mut cursor = Cursor::new(&self.ring, &doomed)?;
        while cursor.next < first {
            match cursor.next_item(flash).ok()? {
                Item::Reading => {}
                Item::Run(run) => cursor.begin(run),
                Item::End(_) => return None,
            }
        }
        (cursor.run.base() <= first).then_some(cursor.registers)
    }

    /// Writes a reading, behind a new run where it does not continue the open one; returns its place in its run and, where
    /// number `first` had to go for it, the registers before that.
    fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: &NewReading<'_>,
        first: u64,
    ) -> Result<(u32, Option<RegisterSet>), Fault> {
        let mut payload = [0; READING_BYTES_MAX];
        if let Some(open) = self.run.filter(|open| open.takes(reading)) {
            let length = write_reading(&mut payload, reading.channels, &open.previous);
            if self.ring.fits(&[length]) {
                self.ring.append(flash, Kind::Reading, &payload[..length])?;
                return Ok((open.count + 1, None));
            }
        }
        let nothing_before = [ChannelReading::default(); CHANNELS_MAX];
        let length = write_reading(&mut payload, reading.channels, &nothing_before);
        let before = self.begin_run(flash, reading, length, first)?;
        self.ring.append(flash, Kind::Reading, &payload[..length])?;
        Ok((1, before))
    }

    /// Writes a run, in the head where it and the first reading fit, else as the opening of a new sector.
    fn begin_run<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: &NewReading<'_>,
        reading_bytes: usize,
        first: u64,
    ) -> Result<Option<RegisterSet>, Fault> {
        let run = Run {
            first: self.next,
            skipped: self.skipped,
            boot: reading.boot,
            uptime_ms: reading.uptime_ms,
            params: reading.params,
            registers: self.registers.clone(),
        };
        let mut opening = [0; OPENING_BYTES_MAX];
        let mut run_at = 0;
        let told = varint::write(&mut opening, &mut run_at, self.told_oldest);
        let mut end = run_at;
        told.and_then(|()| run.write(&mut opening, &mut end))
            .expect("the buffer holds any opening");
        self.last_boot = run.boot;
        if self.ring.fits(&[end - run_at, reading_bytes]) {
            return self
                .ring
                .append(flash, Kind::Run, &opening[run_at..end])
                .map(|_| None);
        }
        let before = self.doomed_registers(flash, first);
        let opened = self.ring.open(flash, run.base(), &opening[..end]);
        // Also where it failed: the sector that was to be overwritten may be gone.
        self.oldest = self.oldest_held(flash)?;
        opened.map(|()| before)
    }
}

impl OpenRun {
    fn takes(&self, reading: &NewReading<'_>) -> bool {
        (self.boot, self.params, self.uptime_ms)
            == (reading.boot, reading.params, reading.uptime_ms)
            && self.count < RUN_READINGS_MAX
    }
}

fn follow(reading: &NewReading<'_>, count: u32) -> OpenRun {
    let mut previous = [ChannelReading::default(); CHANNELS_MAX];
    previous[..reading.channels.len()].copy_from_slice(reading.channels);
    OpenRun {
        boot: reading.boot,
        params: reading.params,
        uptime_ms: reading.uptime_ms + u64::from(reading.params.interval_ms),
        count,
        previous,
    }
}
