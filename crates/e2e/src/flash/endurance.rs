//! How long a store lasts, how much it holds, and how long its calls take: simulated years of readings.

use anyhow::{Result, ensure};
use protocol::{ChannelReading, reading::Tier};

use super::{
    life::{Life, Plan, READINGS_A_DAY, SECTORS, Step},
    served::Served,
    times::Times,
};
use crate::accuracy::parallel;

/// Erases that a sector is good for.
pub const ERASES_MAX: f64 = 100_000.0;
/// Readings between two visits of a collector that comes often: a minute.
const OFTEN: u64 = 6;
/// Segments between two looks at how many blocks are free, but while a store is filled: there it is each.
const LOOK_EVERY: u64 = 16;
/// Points of the course of a long life.
const POINTS: u64 = 24;

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Days of what is called a year.
    pub year_days: u64,
    /// Sectors of the flash.
    pub sectors: usize,
}

impl Scale {
    /// A year, and 1.9 MB.
    pub const WHOLE: Self = Self {
        year_days: 365,
        sectors: SECTORS,
    };
}

/// What a year of readings does to a flash.
#[derive(Clone, Debug)]
pub struct Year {
    /// Bytes programmed for each reading, everything included.
    pub programmed_bytes_per_reading: f64,
    /// Erases of the sector that was erased most, scaled to 365 days.
    pub hottest_sector_erases: f64,
    /// Programmed bytes in which a cleared bit would have had to be set: none in a correct store.
    pub violations: u64,
}

impl Year {
    /// Returns after how many years the hottest sector has been erased 100,000 times.
    #[must_use]
    pub fn years_to_100k_erases(&self) -> f64 {
        ERASES_MAX / self.hottest_sector_erases
    }
}

/// What fits before anything has to be given up.
#[derive(Clone, Debug)]
pub struct Filled {
    /// Days of readings at full resolution.
    pub days: f64,
    /// Time to mount the full store, in ms.
    pub mount_ms: f64,
    /// Fewest free blocks of the files behind any segment.
    pub free_blocks_min: u32,
    /// Cuts that hit an operation.
    pub cuts: u64,
}

/// What is held at a point of a long life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Days since the first reading.
    pub day: f64,
    /// Days held, finest tier first.
    pub days: [f64; 3],
}

/// What is left of two years that nobody collected.
#[derive(Clone, Debug)]
pub struct Uncollected {
    /// Difference between what is served and the registers, in quanta: the worst of import and export.
    pub energy_error_quanta: f64,
    /// Days held, finest tier first.
    pub days: [f64; 3],
    /// Readings that were written and are not served in any form.
    pub lost_readings: u64,
    /// Numbers that were passed over because of torn writes.
    pub never_existed: u64,
    /// Energy of import and export in kWh.
    pub energy_kwh: [f64; 2],
    /// Cuts that hit an operation.
    pub cuts: u64,
    /// Readings that were acknowledged by the store and gone after a cut.
    pub forgotten: u64,
    /// Time to mount with all three tiers, in ms.
    pub mount_ms: f64,
    /// Fewest free blocks of the files.
    pub free_blocks_min: u32,
    /// Time of `append` without an erase.
    pub append: Times,
    /// Time of `append` with an erase.
    pub append_erasing: Times,
    /// Time of `maintain`.
    pub maintain: Times,
    /// What was held over time.
    pub course: Vec<Point>,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Findings {
    /// One channel, nobody visits.
    pub year: Year,
    /// One channel, a collector acknowledges every minute.
    pub year_collected: Year,
    /// Three channels, nobody visits.
    pub year_3ch: Year,
    /// One channel.
    pub filled: Filled,
    /// One channel, 20 cuts a day.
    pub filled_20_cuts: Filled,
    /// Three channels.
    pub filled_3ch: Filled,
    /// One channel with import and export.
    pub two_years: Uncollected,
    /// The same with 20 cuts a day.
    pub two_years_20_cuts: Uncollected,
}

enum Job<'a> {
    Year(Plan<'a>),
    Fill(Plan<'a>),
    TwoYears(Plan<'a>),
}

enum Done {
    Year(Year),
    Fill(Filled),
    TwoYears(Box<Uncollected>),
}

/// Simulates all of it, on all cores. `with_sun` are readings with import and export.
///
/// # Errors
/// What a store says, and where the flash was not programmed as it should be.
pub fn run(
    readings: &[ChannelReading],
    with_sun: &[ChannelReading],
    scale: Scale,
) -> Result<Findings> {
    let one = Plan {
        sectors: scale.sectors,
        ..Plan::of(readings)
    };
    let three = Plan { channels: 3, ..one };
    let collected = Plan {
        visit_every: Some(OFTEN),
        ..one
    };
    let cut = |plan| Plan {
        cuts_a_day: 20,
        ..plan
    };
    let sun = Plan {
        readings: with_sun,
        ..one
    };
    // The longest come first, so that no core waits for the other at the end.
    let jobs = [
        Job::TwoYears(cut(sun)),
        Job::TwoYears(sun),
        Job::Year(three),
        Job::Year(one),
        Job::Year(collected),
        Job::Fill(cut(one)),
        Job::Fill(one),
        Job::Fill(three),
    ];
    let done = parallel::map(&jobs, |job| {
        Ok(match job {
            Job::Year(plan) => Done::Year(year(*plan, scale.year_days)?),
            Job::Fill(plan) => Done::Fill(fill(*plan)?),
            Job::TwoYears(plan) => {
                Done::TwoYears(Box::new(uncollected(*plan, 2 * scale.year_days)?))
            }
        })
    });
    let done: Vec<Done> = done.into_iter().collect::<Result<_>>()?;
    let Ok(
        [
            Done::TwoYears(two_years_20_cuts),
            Done::TwoYears(two_years),
            Done::Year(year_3ch),
            Done::Year(year),
            Done::Year(year_collected),
            Done::Fill(filled_20_cuts),
            Done::Fill(filled),
            Done::Fill(filled_3ch),
        ],
    ) = <[Done; 8]>::try_from(done)
    else {
        anyhow::bail!("a job came back as another");
    };
    Ok(Findings {
        year,
        year_collected,
        year_3ch,
        filled,
        filled_20_cuts,
        filled_3ch,
        two_years: *two_years,
        two_years_20_cuts: *two_years_20_cuts,
    })
}

/// Simulates a year.
///
/// # Errors
/// What the store says.
pub fn year(plan: Plan<'_>, days: u64) -> Result<Year> {
    let mut life = Life::new(plan)?;
    for _ in 0..days * READINGS_A_DAY {
        life.step()?;
    }
    eprintln!("flash: {days} days of {} channels", plan.channels);
    let readings = life.stored as f64;
    Ok(life.flash().with(|nor| {
        let counters = nor.counters();
        Year {
            programmed_bytes_per_reading: counters.programmed_bytes as f64 / readings,
            hottest_sector_erases: f64::from(counters.erases_max()) * 365.0 / days as f64,
            violations: counters.violations,
        }
    }))
}

/// Fills a store until the first reading would have to become coarser.
///
/// # Errors
/// What the store says.
pub fn fill(plan: Plan<'_>) -> Result<Filled> {
    let mut life = Life::new(plan)?;
    let (mut stored, mut free_blocks_min) = (0, u32::MAX);
    loop {
        let before = life.stored;
        if life.step()? == Step::Quiet {
            continue;
        }
        free_blocks_min = free_blocks_min.min(life.free_blocks()?);
        if oldest_tier(&mut life)? != Tier::Full {
            // The reading that made it so is not counted.
            stored = stored.max(before);
            break;
        }
        ensure!(
            life.oldest().0 == 0,
            "readings went without becoming coarser"
        );
    }
    let filled = Filled {
        days: stored as f64 / READINGS_A_DAY as f64,
        mount_ms: life.mount_ms()?,
        free_blocks_min,
        cuts: life.cuts,
    };
    eprintln!("flash: filled, {:.1} days", filled.days);
    Ok(filled)
}

fn oldest_tier(life: &mut Life<'_>) -> Result<Tier> {
    let from = life.oldest();
    let mut buffer = [0; protocol::limits::BLOCK_BYTES_MAX];
    let length = life.store().read_block(from, &mut buffer);
    let length = length.map_err(|error| anyhow::anyhow!("{from:?} cannot be read: {error:?}"))?;
    let block = protocol::block::Block::parse(&buffer[..length.unwrap_or(0)])?;
    Ok(block.tier())
}

/// Simulates days that nobody collects, and adds up what is left.
///
/// # Errors
/// What the store says.
pub fn uncollected(plan: Plan<'_>, days: u64) -> Result<Uncollected> {
    let mut life = Life::new(plan)?;
    let mut course = Vec::new();
    let (mut free_blocks_min, mut seals) = (u32::MAX, 0_u64);
    for point in 1..=POINTS {
        let end = days * READINGS_A_DAY * point / POINTS;
        let begin = days * READINGS_A_DAY * (point - 1) / POINTS;
        for _ in begin..end {
            if life.step()? == Step::Sealed {
                seals += 1;
                if seals.is_multiple_of(LOOK_EVERY) {
                    free_blocks_min = free_blocks_min.min(life.free_blocks()?);
                }
            }
        }
        let served = Served::by(life.store())?;
        course.push(Point {
            day: end as f64 / READINGS_A_DAY as f64,
            days: Tier::ALL.map(|tier| served.days(tier)),
        });
    }
    eprintln!(
        "flash: {days} days that nobody collected, {} cuts",
        life.cuts
    );
    let served = Served::by(life.store())?;
    let registers = life.store().registers();
    let held: u64 = served.numbers.iter().sum();
    Ok(Uncollected {
        energy_error_quanta: served.error_quanta(&registers),
        days: Tier::ALL.map(|tier| served.days(tier)),
        // A reading that a cut completed unheard is served, and was not counted as written.
        lost_readings: served.lost + life.stored.saturating_sub(held),
        never_existed: served.never_existed,
        energy_kwh: [registers[0].import_mj, registers[0].export_mj].map(|mj| mj as f64 / 3.6e9),
        cuts: life.cuts,
        forgotten: life.forgotten,
        mount_ms: life.mount_ms()?,
        free_blocks_min,
        append: life.append.clone(),
        append_erasing: life.append_erasing.clone(),
        maintain: life.maintain.clone(),
        course,
    })
}
