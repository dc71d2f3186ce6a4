//! What the flash store takes and withstands: report section `flash`.
//!
//! ```text
//! rows ── metering of noisy signals ── readings ── stores in use ── figures ── report, document
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`profile`] | rows of readings: of a household's file, of a seed, with frequency, with noise |
//! | [`codec`] | what packed runs take of a segment file, and whether they come back |
//! | [`rivals`] | what other codes take for the same rows |
//! | [`metered`] | rows as signals, measured by the firmware's metering |
//! | [`life`], [`times`] | a store in use, with power cuts and visits of a collector; its times |
//! | [`served`] | all that a store serves, added up |
//! | [`endurance`] | simulated years: wear, space, time, energy |
//! | [`ofmon`] | a record at a time on LittleFS |
//! | [`figures`], [`figure`] | key, meaning, value and bound of each figure |
//! | [`document`], [`plot`] | `flash.md` and its pictures |

pub mod codec;
pub mod document;
pub mod endurance;
pub mod figure;
pub mod figures;
pub mod life;
pub mod metered;
pub mod ofmon;
pub mod plot;
pub mod profile;
pub mod rivals;
pub mod served;
pub mod times;

use std::path::Path;

use anyhow::{Result, bail};

use crate::report::{Figures, HOUSEHOLD, household};
use endurance::Scale;

/// Times that the household's rows are metered, three for a day at 10 s: more than a store holds at full resolution.
const PASSES: usize = 210;
/// The same with a solar roof, for the two years.
const SUN_PASSES: usize = 30;
/// Peak power of the solar roof in W.
const SUN_W: f64 = 2_500.0;
/// Days of OFMon's way: longer than its records fill the flash.
const OFMON_DAYS: u64 = 12;

/// Measures all parts, writes their keys, and `flash.md` with its pictures into `docs`.
///
/// # Errors
/// When not everything could be measured; what was measured is written all the same.
pub(crate) fn measure(figures: &mut Figures<'_>, docs: &Path) -> Result<()> {
    let Some(household) = household() else {
        bail!("not measured: {HOUSEHOLD} is not there");
    };
    let compared = codec::measure(figures, &household)?;
    let (rows, _) = profile::read(&household)?;
    eprintln!(
        "flash: metering {} readings at 2,000 pairs a second",
        rows.len() * PASSES
    );
    let readings = metered::readings(&rows, PASSES, 1);
    let sun = profile::with_sun(&rows, SUN_W, 5);
    let with_sun = metered::readings(&sun, SUN_PASSES, 2);
    let ofmon = ofmon::run(OFMON_DAYS, life::SECTORS)?;
    let findings = endurance::run(&readings, &with_sun, Scale::WHOLE)?;
    let mut all = figures::of_store(&findings);
    all.extend(figures::of_ofmon(&ofmon));
    let cuts = store_trials::run(store_trials::Scale::REPORT, threads());
    for failure in &cuts.failures {
        eprintln!("flash: {failure:?}");
    }
    all.extend(figures::of_cuts(&cuts));
    for figure in &all {
        figures.set(figure.key, figure.value.clone())?;
    }
    document::write(docs, &all, &compared, &findings.two_years.course)?;
    println!("written to {}", docs.display());
    Ok(())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
