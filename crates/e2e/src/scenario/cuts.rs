//! The connection breaks after each byte of a collection in turn, up to the end of its block and some way into what
//! follows, and the next collection makes it good.
//!
//! What follows the block cannot be walked to its end: each visit leaves an anchor, so the event log grows meanwhile.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use collector::{
    Error, WallClock,
    client::{Client, Session},
    collect::{Collected, collect},
    secrets::Secrets,
    store::{SharedStore, Store},
};

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
    /// Cuts that a collection was none the worse for: it had what it had come for.
    pub cuts_survived: u64,
    /// The exports against the flash.
    pub difference: Difference,
}

const CUTS_BEHIND_THE_BLOCK: u64 = 20;

/// Cuts after byte 0, `step`, 2 `step` … of the answers of one collection.
///
/// The collector runs within this process, on its own store on the disk: a process for each visit would take so long that
/// the meter records faster than the cut moves on.
///
/// # Errors
/// When any part of the way fails.
pub async fn run(profile: &Path, step: u64, scratch: &Path) -> Result<Outcome> {
    let air = scratch.join("air");
    let setting = Setting {
        devices: 1,
        replay: Some(profile.to_owned()),
        days: 0,
        speed: 0.0,
    };
    let meters = Meters::start(&setting, &air, Duration::from_secs(60))?;
    let entry = meters.entries()?.remove(0);
    let flash_file = meters.flash_files()?.remove(0);
    let device = entry.id.to_string();
    let base = Collector::new(&scratch.join("base"), &air);
    base.set_up_all()?;
    let token = Secrets::open(base.data())?;
    let token = token.token(entry.id).context("set-up kept no token")?;
    let cutter = Cutter::start(entry.url.trim_start_matches("http://").to_owned()).await?;
    let client = Client::new(&cutter.url)?;
    let visitor = Visitor {
        session: client.session(entry.id, token.reveal()),
        clock: WallClock::default(),
    };
    let collector = Collector::new(&scratch.join("data"), &air);
    let mut outcome = Outcome::default();
    for after_bytes in (0..).step_by(step as usize) {
        if outcome.cuts_behind_the_block == CUTS_BEHIND_THE_BLOCK {
            break;
        }
        collector.become_copy_of(&base)?;
        let before = truth::read_flash(&flash_file)?.readings;
        let store = SharedStore::new(Store::open(collector.data())?);
        let cuts = cutter.cuts();
        cutter.cut_after(after_bytes);
        let (cut, ended) = visitor.visit(&store).await;
        cutter.cut_after(NEVER);
        ensure!(
            cutter.cuts() > cuts,
            "no cut after {after_bytes} bytes of answers"
        );
        // Behind the last authenticated frame an answer has a few bytes that say nothing more.
        ensure!(
            ended.is_err() || cut.cursor >= cut.target,
            "a collection that was cut after {after_bytes} bytes says that it is complete: {cut:?}"
        );
        if ended.is_ok() {
            outcome.cuts_survived += 1;
        }
        match cut.readings_new {
            0 => outcome.cuts_before_the_end_of_the_block += 1,
            _ => outcome.cuts_behind_the_block += 1,
        }
        let (_, ended) = visitor.visit(&store).await;
        ended?;
        drop(store);
        let export = Export::parse(&collector.text(&["export", "--format", "csv"])?)?;
        // What lay on the flash before must come; what is measured meanwhile may.
        let mut flash = truth::read_flash(&flash_file)?.readings;
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

/// A collector that comes by again and again.
struct Visitor {
    session: Session,
    clock: WallClock,
}

impl Visitor {
    async fn visit(&self, store: &SharedStore) -> (Collected, Result<(), Error>) {
        collect(store, &self.session, &self.clock, &mut |_| ()).await
    }
}
