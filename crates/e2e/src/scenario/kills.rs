//! A collector is killed at random moments in the middle of a collection, again and again, and loses nothing.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use collector::store::Store;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::Difference;
use crate::{
    exported::Export,
    meters::{Meters, Setting},
    program::Collector,
    truth,
};

const READINGS_A_DAY: u64 = 8_640;

/// What the kills did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Kills of a collector that was running.
    pub collector_kills: u64,
    /// Of these, kills that left a store with some but not all readings.
    pub kills_in_the_middle: u64,
    /// The exports against the flash.
    pub difference: Difference,
}

/// Collections that may be begun for each kill: one that ends by itself does not count.
const TRIES_PER_KILL: u64 = 10;

/// Kills `kills` collectors, each at a random moment, over as many collections as that takes.
///
/// # Errors
/// When any part of the way fails, or no kill ever struck in the middle.
pub fn run(days: u32, kills: u64, seed: u64, scratch: &Path) -> Result<Outcome> {
    let air = scratch.join("air");
    let setting = Setting {
        devices: 1,
        replay: None,
        days,
        speed: 0.0,
    };
    let meters = Meters::start(&setting, &air, Duration::from_secs(120))?;
    let device = meters.entries()?[0].id.to_string();
    let history = u64::from(days) * READINGS_A_DAY;
    let base = Collector::new(&scratch.join("base"), &air);
    base.set_up_all()?;
    let collector = Collector::new(&scratch.join("data"), &air);
    collector.become_copy_of(&base)?;
    let begun = Instant::now();
    collector.collect_all()?;
    let whole_ms = u64::try_from(begun.elapsed().as_millis())?.max(10);
    let mut random = StdRng::seed_from_u64(seed);
    let mut outcome = Outcome::default();
    let mut tries = 0;
    while outcome.collector_kills < kills || outcome.kills_in_the_middle == 0 {
        collector.become_copy_of(&base)?;
        loop {
            tries += 1;
            ensure!(
                tries <= kills * TRIES_PER_KILL,
                "{outcome:?} after {tries} collections of {whole_ms} ms"
            );
            let mut collecting = collector.spawn(&["collect", "--all"])?;
            thread::sleep(Duration::from_millis(random.random_range(0..whole_ms)));
            if collecting.try_wait()?.is_some() {
                break;
            }
            collecting.kill()?;
            collecting.wait()?;
            outcome.collector_kills += 1;
            let held = Store::open_read_only(collector.data())?.bytes()?.readings;
            outcome.kills_in_the_middle += u64::from(0 < held && held < history);
            if outcome.collector_kills >= kills {
                break;
            }
        }
        collector.collect_all()?;
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        let mut flash = truth::read_flash(&meters.flash_files()?[0])?.readings;
        // What was measured since the history ended may have come after the last collection.
        flash.retain(|seq, _| export.rows.contains_key(&(device.clone(), *seq)) || *seq < history);
        outcome.difference = outcome
            .difference
            .plus(Difference::between(&flash, &export, &device)?);
    }
    Ok(outcome)
}
