//! The connection breaks after each byte of a collection in turn, up to the end of its block and some way into what
//! follows, and the next collection makes it good.
//!
//! What follows the block cannot be walked to its end: each visit leaves an anchor, so the event log grows meanwhile.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use sim::registry;

use super::Difference;
use crate::{
    cutter::{Cutter, NEVER},
    exported::Export,
    meters::{Meters, Setting},
    program::Collector,
    truth,
};

/// What the cuts did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Connections that were cut.
    pub connection_cuts: u64,
    /// Cuts after which the store held no reading yet: before the end of the block.
    pub cuts_before_the_end_of_the_block: u64,
    /// Cuts after which it held them all: behind the block.
    pub cuts_behind_the_block: u64,
    /// The exports against the flash.
    pub difference: Difference,
}

const CUTS_BEHIND_THE_BLOCK: u64 = 20;

/// Cuts after byte 0, `step`, 2 `step` … of the answers of one collection.
///
/// # Errors
/// When any part of the way fails.
pub async fn run(profile: &Path, step: u64, scratch: &Path) -> Result<Outcome> {
    let (meter_air, cut_air) = (scratch.join("meters"), scratch.join("air"));
    let setting = Setting {
        devices: 1,
        replay: Some(profile.to_owned()),
        days: 0,
        speed: 0.0,
    };
    let meters = Meters::start(&setting, &meter_air, Duration::from_secs(60))?;
    let mut entries = meters.entries()?;
    let device = entries[0].id.to_string();
    let address = entries[0].url.trim_start_matches("http://").to_owned();
    let cutter = Cutter::start(address).await?;
    entries[0].url.clone_from(&cutter.url);
    std::fs::create_dir_all(&cut_air)?;
    registry::write(&cut_air, &entries)?;
    let base = Collector::new(&scratch.join("base"), &cut_air);
    let collector = Collector::new(&scratch.join("data"), &cut_air);
    base.set_up_all()?;
    let mut outcome = Outcome::default();
    for after_bytes in (0..).step_by(step as usize) {
        if outcome.cuts_behind_the_block == CUTS_BEHIND_THE_BLOCK {
            break;
        }
        collector.become_copy_of(&base)?;
        let cuts = cutter.cuts();
        cutter.cut_after(after_bytes);
        let mut collecting = collector.spawn(&["collect", "--all"])?;
        let ended = tokio::task::spawn_blocking(move || collecting.wait()).await??;
        cutter.cut_after(NEVER);
        ensure!(
            cutter.cuts() > cuts,
            "no cut after {after_bytes} bytes of answers"
        );
        ensure!(
            !ended.success(),
            "a collection that was cut says that it is complete"
        );
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        match export.rows.len() {
            0 => outcome.cuts_before_the_end_of_the_block += 1,
            _ => outcome.cuts_behind_the_block += 1,
        }
        // What lay on the flash before must come; what is measured meanwhile may.
        let before = truth::read_flash(&meters.flash_files()?[0])?.readings;
        collector.collect_all()?;
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        let mut flash = truth::read_flash(&meters.flash_files()?[0])?.readings;
        flash.retain(|seq, _| {
            before.contains_key(seq) || export.rows.contains_key(&(device.clone(), *seq))
        });
        outcome.difference = outcome
            .difference
            .plus(Difference::between(&flash, &export, &device)?);
    }
    outcome.connection_cuts = cutter.cuts();
    Ok(outcome)
}
