//! What the images of the chips take and do: report section `firmware`.

mod life;

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use crate::report::Figures;

/// Names the file with the sizes of the images that `./x` built: a flat JSON object, each key as in the report.
const SIZES: &str = "OFMON_FIRMWARE_SIZES";

/// Measures all parts and writes their keys.
///
/// # Errors
/// When not everything could be measured; what was measured is written all the same.
pub(crate) fn measure(figures: &mut Figures<'_>) -> Result<()> {
    let file = env::var_os(SIZES)
        .with_context(|| format!("no image was measured: {SIZES} names no file"))?;
    let sizes: Map<String, Value> =
        serde_json::from_slice(&fs::read(file)?).context("the sizes are no flat JSON object")?;
    ensure!(!sizes.is_empty(), "no image was measured: no size is given");
    for (key, bytes) in sizes {
        figures.set(&key, bytes)?;
    }
    life::measure(figures)
}
