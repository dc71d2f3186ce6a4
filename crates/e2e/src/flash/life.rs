//! A store in use: readings go in, power is cut, a collector comes or does not, and each call's time is taken.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use flash_store::{FlashStore, Format};
use nor_model::{Nor, SECTOR_BYTES, Torn};
use protocol::{
    ChannelReading, DeviceId, Registers, Seq, StoreId,
    event::{ResetReason, What},
    run::RunParams,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use store_trials::shared::Shared;

use super::times::Times;

/// Readings of 10 s in a day.
pub const READINGS_A_DAY: u64 = 8_640;
/// Sectors that a meter has for all of this: 1.9 MB.
pub const SECTORS: usize = 464;
/// How a reading was measured.
pub const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1_000,
    calibration: 1,
};
/// Programmed bytes of one call of `maintain` from which on it must have written a segment.
const SEALED_BYTES: u64 = 2_048;
/// Longest time between the moment that a cut is planned for and the operation it hits, in operations.
const CUT_WITHIN: u64 = 24;

/// What a store is put through.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The readings, from the beginning on again at their end.
    pub readings: &'a [ChannelReading],
    /// Channels, 1 to 3; each has the same readings, a third of them further on.
    pub channels: usize,
    /// Power cuts a day, at random moments.
    pub cuts_a_day: u64,
    /// Readings between two visits of a collector, which stores and acknowledges all; `None` where none comes.
    pub visit_every: Option<u64>,
    /// Sectors of the flash.
    pub sectors: usize,
    /// What cuts are drawn from.
    pub seed: u64,
}

impl<'a> Plan<'a> {
    /// Returns a meter of one channel whose power stays, and that nobody visits.
    #[must_use]
    pub fn of(readings: &'a [ChannelReading]) -> Self {
        Self {
            readings,
            channels: 1,
            cuts_a_day: 0,
            visit_every: None,
            sectors: SECTORS,
            seed: 1,
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A reading was written, or power was cut.
    Quiet,
    /// A segment was written too.
    Sealed,
}

/// A store in use.
pub struct Life<'a> {
    plan: Plan<'a>,
    flash: Shared,
    store: Option<FlashStore<Shared>>,
    random: Pcg64Mcg,
    offered: u64,
    next_cut: u64,
    uptime_ms: u64,
    /// Share of the next interval in which samples are missing, in 1/1000.
    gap_permille: u16,
    /// What was known to be durable: the number behind, and the registers.
    durable: (u64, Vec<Registers>),
    /// Readings that were acknowledged by the store.
    pub stored: u64,
    /// Cuts that hit an operation.
    pub cuts: u64,
    /// Readings that were acknowledged by the store and gone after a cut.
    pub forgotten: u64,
    /// Calls of `append` that erased nothing.
    pub append: Times,
    /// Calls of `append` that erased.
    pub append_erasing: Times,
    /// Calls of `maintain`.
    pub maintain: Times,
}

impl<'a> Life<'a> {
    /// Makes a fresh store and starts the meter.
    ///
    /// # Errors
    /// What the store says.
    pub fn new(plan: Plan<'a>) -> Result<Self> {
        let flash = Shared::new(Nor::new(plan.sectors * SECTOR_BYTES));
        let format = Format {
            device: DeviceId([2, 0, 0, 0, 0, 1]),
            store: StoreId(plan.seed),
            channels: u8::try_from(plan.channels)?,
            password: None,
        };
        let store = FlashStore::format(flash.clone(), &format)
            .map_err(|error| anyhow!("the flash cannot be formatted: {error:?}"))?;
        let mut life = Self {
            plan,
            flash,
            store: Some(store),
            random: Pcg64Mcg::seed_from_u64(plan.seed),
            offered: 0,
            next_cut: u64::MAX,
            uptime_ms: 0,
            gap_permille: 0,
            durable: (0, vec![Registers::default(); plan.channels]),
            stored: 0,
            cuts: 0,
            forgotten: 0,
            append: Times::default(),
            append_erasing: Times::default(),
            maintain: Times::default(),
        };
        life.start()?;
        life.plan_cut();
        Ok(life)
    }

    /// Returns the store.
    ///
    /// # Panics
    /// Never: after each step there is one.
    pub fn store(&mut self) -> &mut FlashStore<Shared> {
        self.store.as_mut().expect("there is a store")
    }

    /// Returns the flash.
    #[must_use]
    pub fn flash(&self) -> &Shared {
        &self.flash
    }

    /// Writes a reading and does what is due, or loses power meanwhile.
    ///
    /// # Errors
    /// What the store says, except that power was cut.
    pub fn step(&mut self) -> Result<Step> {
        if self.offered >= self.next_cut {
            let torn = Torn::ALL[self.random.random_range(0..Torn::ALL.len())];
            let (within, seed) = (
                self.random.random_range(0..CUT_WITHIN),
                self.random.random(),
            );
            self.flash.with(|nor| nor.cut_at(within, torn, seed));
            self.plan_cut();
        }
        let result = self.read_and_write();
        match result {
            Err(_) if !self.flash.with(|nor| nor.is_powered()) => {
                self.restart()?;
                Ok(Step::Quiet)
            }
            result => result,
        }
    }

    fn read_and_write(&mut self) -> Result<Step> {
        let Plan {
            readings, channels, ..
        } = self.plan;
        let mut channel_readings = [ChannelReading::default(); 3];
        for (channel, reading) in channel_readings[..channels].iter_mut().enumerate() {
            let at = self.offered as usize + channel * readings.len() / 3;
            *reading = readings[at % readings.len()];
            reading.coverage_permille = reading.coverage_permille.saturating_sub(self.gap_permille);
        }
        self.offered += 1;
        self.uptime_ms += u64::from(PARAMS.interval_ms);
        let uptime_ms = self.uptime_ms;
        let before = self.work();
        let appended = self
            .store()
            .append(&PARAMS, uptime_ms, &channel_readings[..channels]);
        let after_append = self.work();
        let seq = appended.map_err(|error| anyhow!("a reading was not written: {error:?}"))?;
        ensure!(seq.0 >= self.durable.0, "number {} came again", seq.0);
        self.durable = (seq.0 + 1, self.store().registers().to_vec());
        self.stored += 1;
        let maintained = self.store().maintain();
        let after = self.work();
        maintained.map_err(|error| anyhow!("the store could not be maintained: {error:?}"))?;
        let append = after_append.since(&before);
        match append.erases {
            0 => self.append.take(append.busy_ns),
            _ => self.append_erasing.take(append.busy_ns),
        }
        let maintain = after.since(&after_append);
        self.maintain.take(maintain.busy_ns);
        // While the chip erases the meter cannot sample.
        let erasing_ms = (append.erases + maintain.erases) * 45;
        self.gap_permille = (erasing_ms / 10).min(1_000) as u16;
        self.visit(uptime_ms)?;
        Ok(match maintain.programmed_bytes >= SEALED_BYTES {
            true => Step::Sealed,
            false => Step::Quiet,
        })
    }

    fn visit(&mut self, uptime_ms: u64) -> Result<()> {
        let every = self.plan.visit_every.unwrap_or(u64::MAX);
        if !self.offered.is_multiple_of(every) {
            return Ok(());
        }
        let (next, boot) = (self.store().next(), self.store().boot());
        self.store()
            .acknowledge(next)
            .map_err(|error| anyhow!("nothing was acknowledged: {error:?}"))?;
        // Clocks are compared once a day.
        if self.offered % READINGS_A_DAY < every {
            let anchor = What::Anchor {
                utc_ms: 1_700_000_000_000 + i64::try_from(uptime_ms)?,
                uncertainty_ms: 50,
            };
            self.store()
                .event_append(boot, uptime_ms, anchor)
                .map_err(|error| anyhow!("an anchor was not written: {error:?}"))?;
        }
        Ok(())
    }

    /// Mounts after a cut and looks whether anything was forgotten.
    fn restart(&mut self) -> Result<()> {
        self.cuts += 1;
        self.store = None;
        self.flash.with(Nor::power_on);
        let store = FlashStore::mount(self.flash.clone()).map_err(|(error, _)| error);
        let store = store.map_err(|error| anyhow!("not mounted after a cut: {error:?}"))?;
        self.forgotten += self.durable.0.saturating_sub(store.next().0);
        for (now, before) in store.registers().iter().zip(&self.durable.1) {
            if now.import_mj < before.import_mj || now.export_mj < before.export_mj {
                bail!("a register went back from {before:?} to {now:?}");
            }
        }
        self.store = Some(store);
        (self.uptime_ms, self.gap_permille) = (0, 0);
        self.start()
    }

    fn start(&mut self) -> Result<()> {
        let store = self.store();
        let failed = |error| anyhow!("a start was not counted: {error:?}");
        let boot = store.start_boot().map_err(failed)?;
        let what = What::Started {
            reason: ResetReason::PowerOn,
            next: store.next(),
        };
        store.event_append(boot, 0, what).map_err(failed)?;
        Ok(())
    }

    fn plan_cut(&mut self) {
        if let Some(apart) = (2 * READINGS_A_DAY).checked_div(self.plan.cuts_a_day) {
            self.next_cut = self.offered + self.random.random_range(0..=apart);
        }
    }

    fn work(&self) -> Work {
        self.flash.with(|nor| {
            let counters = nor.counters();
            Work {
                busy_ns: counters.busy_ns,
                programmed_bytes: counters.programmed_bytes,
                erases: counters.operations - counters.programs,
            }
        })
    }

    /// Returns the time that mounting what now lies there takes, in ms.
    ///
    /// # Errors
    /// What the store says.
    pub fn mount_ms(&self) -> Result<f64> {
        let copy = self.flash.with(|nor| nor.snapshot());
        let mounted = FlashStore::mount(copy).map_err(|(error, _)| anyhow!("{error:?}"))?;
        Ok(mounted.flash().counters().busy_ns as f64 / 1e6)
    }

    /// Returns how many blocks of the files are free.
    ///
    /// # Errors
    /// What the file system says.
    pub fn free_blocks(&mut self) -> Result<u32> {
        let layout = self.store().layout();
        let region = littlefs::Region {
            first_sector: layout.first_file_sector(),
            sectors: layout.file_sectors,
        };
        let mut copy = self.flash.with(|nor| nor.snapshot());
        let blocks = littlefs::Littlefs::mount(&mut copy, region)
            .and_then(|mut files| files.free_blocks(&mut copy));
        blocks
            .map_err(|error| anyhow!("{error:?}"))
            .context("free blocks")
    }

    /// Returns the number of the oldest reading that is held.
    pub fn oldest(&mut self) -> Seq {
        self.store().oldest()
    }
}

/// What the flash did so far.
#[derive(Clone, Copy, Debug)]
struct Work {
    busy_ns: u64,
    programmed_bytes: u64,
    erases: u64,
}

impl Work {
    fn since(&self, before: &Self) -> Self {
        Self {
            busy_ns: self.busy_ns - before.busy_ns,
            programmed_bytes: self.programmed_bytes - before.programmed_bytes,
            erases: self.erases - before.erases,
        }
    }
}
