//! Meters lose their power and collectors are killed, at random moments, while history goes through at speed.
//!
//! After each SIGKILL of the meters their flash is read: what was on it must be on it, unchanged, ever after, and in the
//! collector's store exactly once in the end.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use protocol::Reading;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::Difference;
use crate::{
    exported::Export,
    meters::{Meters, Setting},
    program::Collector,
    truth,
};

/// What restarts did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// How often the meters were killed and started again.
    pub meter_restarts: u64,
    /// How often a running collector was killed.
    pub collector_kills: u64,
    /// Readings compared.
    pub readings: u64,
    /// The export against the flash.
    pub difference: Difference,
    /// Readings that a restart took from the flash or changed there.
    pub forgotten: u64,
    /// Error of the energy against the profile's, in percent.
    pub energy_error_percent: f64,
}

/// How it is done.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The load profile.
    pub profile: &'a Path,
    /// Restarts of the meters.
    pub restarts: u64,
    /// Seconds of history in a second: so fast that the restarts happen within the history.
    pub speed: f64,
    /// Seed of the moments.
    pub seed: u64,
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Does it.
///
/// # Errors
/// When any part of the way fails.
pub fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let air = scratch.path().join("air");
    let mut setting = Setting {
        devices: 1,
        replay: Some(plan.profile.to_owned()),
        days: 0,
        speed: plan.speed,
    };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let collector = Collector::new(&scratch.path().join("data"), &air);
    let mut outcome = Outcome::default();
    let mut seen = BTreeMap::new();
    for restart in 0..plan.restarts {
        let meters = Meters::start(&setting, &air, PATIENCE)?;
        if restart == 0 {
            collector.set_up_all()?;
        }
        let mut collecting = collector.spawn(&["collect", "--all"])?;
        if random.random() {
            thread::sleep(Duration::from_millis(random.random_range(0..40)));
            outcome.collector_kills += u64::from(collecting.try_wait()?.is_none());
            collecting.kill()?;
        }
        thread::sleep(Duration::from_millis(random.random_range(0..300)));
        let flash = meters.flash_files()?.remove(0);
        meters.kill()?;
        collecting.wait()?;
        outcome.meter_restarts += 1;
        outcome.forgotten += remember(&mut seen, truth::read_flash(&flash)?.readings);
    }
    setting.speed = 0.0;
    let meters = Meters::start(&setting, &air, PATIENCE)?;
    let profile = sim::signal::LoadProfile::read(plan.profile)?;
    thread::sleep(Duration::from_millis(500));
    let flash = meters.flash_files()?.remove(0);
    let device = meters.entries()?[0].id.to_string();
    // What lay on the flash before must come; what is measured meanwhile may.
    let before = truth::read_flash(&flash)?.readings;
    collector.collect_all()?;
    let content = truth::read_flash(&flash)?;
    meters.kill()?;
    outcome.forgotten += remember(&mut seen, content.readings);
    let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
    seen.retain(|seq, _| {
        before.contains_key(seq) || export.rows.contains_key(&(device.clone(), *seq))
    });
    outcome.readings = seen.len() as u64;
    outcome.difference = Difference::between(&seen, &export, &device)?;
    let history = profile.len_us() / 10_000_000;
    let last = export.rows.range(..(device, history)).next_back();
    ensure!(last.is_some(), "nothing was exported");
    if let Some((_, row)) = last {
        outcome.energy_error_percent = (row.energy_import_wh / profile.energy_wh() - 1.0) * 100.0;
    }
    Ok(outcome)
}

/// Adds what the flash holds now; returns how many readings that were there before are gone or changed.
fn remember(seen: &mut BTreeMap<u64, Reading>, now: BTreeMap<u64, Reading>) -> u64 {
    let forgotten = seen
        .iter()
        .filter(|(seq, reading)| now.get(seq) != Some(reading))
        .count();
    seen.extend(now);
    forgotten as u64
}
