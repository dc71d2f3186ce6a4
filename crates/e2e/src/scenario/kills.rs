//! A collector is killed at random moments in the middle of a collection, again and again, and loses nothing.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::Difference;
use crate::{
    exported::Export,
    meters::{Meters, Setting},
    program::Collector,
    truth,
};

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

/// Kills `kills` collectors, each at a random moment, over as many collections as that takes.
///
/// # Errors
/// When any part of the way fails.
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
    let base = Collector::new(&scratch.join("base"), &air);
    base.set_up_all()?;
    let collector = Collector::new(&scratch.join("data"), &air);
    let mut random = StdRng::seed_from_u64(seed);
    let mut outcome = Outcome::default();
    while outcome.collector_kills < kills {
        collector.become_copy_of(&base)?;
        loop {
            let mut collecting = collector.spawn(&["collect", "--all"])?;
            thread::sleep(Duration::from_millis(random.random_range(5..250)));
            if collecting.try_wait()?.is_some() {
                break;
            }
            collecting.kill()?;
            collecting.wait()?;
            outcome.collector_kills += 1;
            if outcome.collector_kills == kills {
                break;
            }
        }
        let before = Export::parse(&collector.text(&["export", "--format", "csv"])?)?
            .rows
            .len();
        collector.collect_all()?;
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        outcome.kills_in_the_middle += u64::from(before > 0 && before < export.rows.len());
        let mut flash = truth::read_flash(&meters.flash_files()?[0])?.readings;
        flash.retain(|seq, _| {
            export.rows.contains_key(&(device.clone(), *seq)) || *seq < u64::from(days) * 8640
        });
        outcome.difference = outcome
            .difference
            .plus(Difference::between(&flash, &export, &device)?);
    }
    Ok(outcome)
}
