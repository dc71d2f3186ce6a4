//! The ring of readings: appending, and finding where it ends.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, Registers, Seq,
    limits::CHANNELS_MAX,
    reading::{RegisterSet, quantum_mj},
    varint,
};

use crate::{
    AppendError, MountError, RunParams,
    cursor::{Cursor, Item},
    entry::Kind,
    error::Fault,
    ring::{Place, Ring},
    run::{
        NUMBER_MAX, Previous, READING_BYTES_MAX, READING_ENTRY_BYTES_MIN, RUN_BYTES_MAX,
        RUN_READINGS_MAX, Run, write_reading,
    },
    sector::{Identity, SECTOR_BYTES},
};

/// Readings that a sector holds at the most: so many numbers are passed over for a newest sector that cannot be read.
const SECTOR_READINGS_MAX: u64 = (SECTOR_BYTES / READING_ENTRY_BYTES_MIN) as u64;
const OPENING_BYTES_MAX: usize = 10 + RUN_BYTES_MAX;
const _: () = assert!(OPENING_BYTES_MAX <= crate::sector::OPENING_BYTES_MAX);

/// A reading is on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub seq: Seq,
    /// What had to go, for this one or since the last one was appended, although no collector had acknowledged it.
    pub lost: Option<Lost>,
}

/// Readings that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first number.
    pub first: Seq,
    /// How many, at least 1.
    pub count: u64,
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

/// The run that takes readings.
#[derive(Clone, Copy, Debug)]
struct OpenRun {
    boot: u32,
    params: RunParams,
    /// Uptime at which the next reading must end to belong to it.
    uptime_ms: u64,
    count: u32,
    previous: Previous,
}

/// The readings of a meter.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    pub(crate) ring: Ring,
    /// Lowest number that is held.
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

impl Readings {
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
    /// `acknowledged` is the least that `next` can be.
    pub(crate) fn mount<F: NorFlash>(
        flash: &mut F,
        place: Place,
        identity: Identity,
        acknowledged: u64,
    ) -> Result<Self, MountError> {
        let ring = Ring::mount(flash, place, identity)?;
        let mut readings = Self::empty(ring, identity.channels, acknowledged);
        let Some(newest) = readings.ring.newest(flash)? else {
            let unreadable = readings
                .ring
                .sectors_with_entries(flash, OPENING_BYTES_MAX)?;
            let next = acknowledged.max(unreadable * SECTOR_READINGS_MAX);
            return Ok(Self::empty(readings.ring, identity.channels, next));
        };
        let mut cursor = Cursor::new(&readings.ring, &newest).ok_or(MountError::Damaged)?;
        let opened_next = cursor.next;
        let end = loop {
            match cursor.next_item(flash)? {
                Item::Reading => {}
                Item::Run(run) => cursor.begin(run),
                Item::End(offset) => break offset,
            }
        };
        let (astray, is_torn_write) = cursor.astray();
        let missing = readings.ring.missing();
        if let Some(offset) = end {
            readings.ring.resume(offset);
        }
        // Of a torn write nothing was promised; its number is left out for good. What damage hides was promised.
        readings.skipped = if is_torn_write && missing == 0 {
            astray
        } else {
            0
        };
        let next = cursor.next + astray + missing * SECTOR_READINGS_MAX;
        if next < acknowledged {
            readings.skipped = 0;
        }
        readings.next = next.max(acknowledged);
        readings.oldest = readings.oldest_held(flash)?;
        readings.last_boot = cursor.run.boot;
        let has_readings = cursor.next > opened_next;
        readings.told_oldest = if has_readings {
            readings.oldest
        } else {
            cursor.told_oldest
        };
        readings.registers = cursor.registers;
        Ok(readings)
    }

    fn oldest_held<F: NorFlash>(&self, flash: &mut F) -> Result<u64, Fault> {
        let tail = self.ring.next_from(flash, 0)?;
        Ok(tail.map_or(self.next, |opened| opened.base.min(self.next)))
    }

    /// Writes a reading; it is durable when this returns.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: NewReading<'_>,
        acknowledged: u64,
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
        let written = self.write(flash, &reading);
        // Where the flash failed the energy still counts: the next run tells it, and the number is served as lost.
        let quantum_mj = quantum_mj(reading.params.power_unit_mw, reading.params.interval_ms);
        for (registers, channel) in self.registers.iter_mut().zip(reading.channels) {
            *registers = registers.advanced(channel.energy_quanta, quantum_mj);
        }
        self.next += 1;
        self.skipped = 0;
        match written {
            Ok(count) => self.run = Some(follow(&reading, count)),
            Err(fault) => {
                self.run = None;
                return Err(fault.into());
            }
        }
        let first = self.told_oldest.max(acknowledged);
        self.told_oldest = self.told_oldest.max(self.oldest);
        let lost = (first < self.oldest).then(|| Lost {
            first: Seq(first),
            count: self.oldest - first,
        });
        Ok(Appended { seq, lost })
    }

    /// Writes a reading, behind a new run where it does not continue the open one; returns its place in its run.
    fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: &NewReading<'_>,
    ) -> Result<u32, Fault> {
        let mut payload = [0; READING_BYTES_MAX];
        if let Some(open) = self.run.filter(|open| open.takes(reading)) {
            let length = write_reading(&mut payload, reading.channels, &open.previous);
            if self.ring.fits(&[length]) {
                self.ring.append(flash, Kind::Reading, &payload[..length])?;
                return Ok(open.count + 1);
            }
        }
        let nothing_before = [ChannelReading::default(); CHANNELS_MAX];
        let length = write_reading(&mut payload, reading.channels, &nothing_before);
        self.begin_run(flash, reading, length)?;
        self.ring.append(flash, Kind::Reading, &payload[..length])?;
        Ok(1)
    }

    /// Writes a run, in the head where it and the first reading fit, else as the opening of a new sector.
    fn begin_run<F: NorFlash>(
        &mut self,
        flash: &mut F,
        reading: &NewReading<'_>,
        reading_bytes: usize,
    ) -> Result<(), Fault> {
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
                .map(drop);
        }
        let opened = self.ring.open(flash, run.base(), &opening[..end]);
        // Also where it failed: the sector that was to be overwritten may be gone.
        self.oldest = self.oldest_held(flash)?;
        opened
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
