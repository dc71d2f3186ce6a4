//! `flash.md` and its pictures, written from what was measured.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, anyhow};

use super::{
    codec::Compared,
    endurance::Point,
    figure::{Bound, Figure},
    plot,
};

const COURSE: &str = "flash-two-years.svg";
const BYTES: &str = "flash-bytes.svg";

const INTRODUCTION: &str = "\
# Flash

<!-- Written by `./x report flash --docs`; changes made by hand are lost. -->

Every number here comes from `./x report flash`: the store that runs on the meter, on a model of NOR flash that counts
bytes, erases and the time a chip would take. Nothing was measured on hardware. `crates/flash-store/DESIGN.md` says how the
store works.

- **Readings** are metered, all of them: each row of two days of a household is 10 s of a signal, a sine of its voltage and
  a current of its power, sampled at 2,000 pairs a second through the model of an ESP32-C3's converter (100 A transformer,
  3 LSB of noise) into the code of the meter. The rows come again and again, each time with noise, drift and frequency of
  their own. The household changed this much in a minute; here it does in 10 s, which is harder to pack.
- **Frequency** steps by 10 mHz (Gaussian) from reading to reading, within ±50 mHz.
- A reading is taken every 10 s. While a sector is erased samples are missing; the next reading's coverage says so.
- **Two years** have a solar roof, so that there is import and export, and nobody acknowledges anything.
- **Power cuts** hit a random operation and leave it undone, half done or done; all of them meet the flash at work, which
  real ones seldom do.
- **Time** is that of the model: 45 ms an erase, 0.03 to 0.7 ms a page, typical of a W25Q32JV.
- **Full** is a store that would have to merge its first readings into minutes next.
- **OFMon's way** is a record of 30 bytes appended to a file of LittleFS, which is opened and closed each time, in files of
  one block, on the same model; only how often it writes is its own or ours. No append is called: each record is measured as
  a read of the whole file and a replacement of it. LittleFS appends to a file of one block by copying, which is the same
  work: a fresh block is erased, what was there and what is new is programmed, and the directory is committed.
";

/// Writes `flash.md` and `images/flash-*.svg` into a directory.
///
/// # Errors
/// When a file cannot be written.
pub fn write(
    directory: &Path,
    figures: &[Figure],
    compared: &Compared,
    course: &[Point],
) -> Result<()> {
    let images = directory.join("images");
    fs::create_dir_all(&images).with_context(|| format!("{} cannot be made", images.display()))?;
    let file = directory.join("flash.md");
    fs::write(&file, text(figures, compared))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    plot::draw_course(&images.join(COURSE), course)
        .map_err(|error| anyhow!("{COURSE} cannot be drawn: {error}"))?;
    plot::draw_bytes(&images.join(BYTES), &bars(compared))
        .map_err(|error| anyhow!("{BYTES} cannot be drawn: {error}"))
}

fn bars(compared: &Compared) -> [(&'static str, f64); 5] {
    [
        ("this store, headers and checksums included", compared.ours),
        ("Zstandard, best level and layout", compared.zstd),
        ("differences as varints", compared.varint),
        ("Gorilla", compared.gorilla),
        ("as they are, 16 bits each", compared.raw),
    ]
}

/// Returns the text of the document.
#[must_use]
pub fn text(figures: &[Figure], compared: &Compared) -> String {
    let mut text = String::from(INTRODUCTION);
    let out = figures.iter().filter(|figure| !figure.holds()).count();
    let bounded = figures
        .iter()
        .filter(|figure| figure.bound != Bound::None)
        .count();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## Figures\n\n{bounded} have a bound, {out} are outside of it.\n\n\
         | key | figure | bound | measured |\n|---|---|---|---|\n"
    );
    for figure in figures {
        let bound = match figure.bound {
            Bound::None => "–".to_owned(),
            Bound::AtMost(most) => format!("≤ {most}"),
            Bound::AtLeast(least) => format!("≥ {least}"),
        };
        let value = match figure.holds() {
            true => figure.value.to_string(),
            false => format!("**{}**", figure.value),
        };
        let Figure {
            key, text: says, ..
        } = figure;
        let _ = writeln!(text, "| `{key}` | {says} | {bound} | {value} |");
    }
    let _ = write!(
        text,
        "\n## Two years without a collector\n\n![days held by tier](images/{COURSE})\n\n\
         ## Bytes of a reading\n\nP, Q, V and I of the household's rows by the minute, in segments of one block.\n\n\
         ![bytes by code](images/{BYTES})\n\n| code | bytes |\n|---|---|\n"
    );
    for (name, bytes) in bars(compared) {
        let _ = writeln!(text, "| {name} | {bytes:.3} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figure_out_of_its_bound_stands_out() {
        let compared = Compared {
            ours: 2.5,
            raw: 8.0,
            varint: 4.4,
            gorilla: 7.3,
            zstd: 3.3,
        };
        let figure = |value, bound| Figure {
            key: "days",
            text: "days held",
            value: json!(value),
            bound,
        };
        let figures = [
            figure(44.0, Bound::AtLeast(45.0)),
            figure(46.0, Bound::AtLeast(45.0)),
            figure(3.0, Bound::None),
        ];
        let text = text(&figures, &compared);
        assert!(text.contains("2 have a bound, 1 are outside"), "{text}");
        assert!(text.contains("| ≥ 45 | **44.0** |") && text.contains("| ≥ 45 | 46.0 |"));
    }
}
