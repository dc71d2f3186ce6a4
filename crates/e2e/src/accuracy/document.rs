//! `accuracy.md` and its pictures, written from what was measured.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, anyhow};

use super::{
    bench::RowResult,
    compare::{self, FLOOR_PERCENT, Steady, Varying},
    limits::{Class, PowerFactor, plain_limit},
    plot,
    rows::{Current, Kind},
    unit::Model,
};

/// All that a document tells of.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What the rows came to.
    pub rows: Vec<RowResult>,
    /// Steady loads, ours beside the others.
    pub steady: Vec<Steady>,
    /// Loads that vary.
    pub varying: Vec<Varying>,
    /// Energy registered in a day without a load, in Wh.
    pub creep_wh: f64,
    /// Error over a day with gaps, in percent.
    pub gap_error_percent: f64,
}

const MODELS: [(Model, &str, &str); 2] = [
    (Model::Reference, "reference", "reference front end"),
    (Model::Esp32c3, "esp32c3", "ESP32-C3 front end"),
];

/// Where the highest current is drawn, as a multiple of nominal.
const HIGHEST_SHOWN: f64 = 5.0;

const INTRODUCTION: &str = "\
# Accuracy

<!-- Written by `./x report metering`; changes made by hand are lost. -->

Every number here comes from `./x report metering`: signals whose energy is known exactly go through a model of a front
end into the code that runs on the meter. Nothing was measured on hardware. The limits are those of IEC 62053-21 (class 1)
and IEC 62053-22 (0.2S) from secondary sources. **The limits of these classes are internal targets; no meter built from
this project has or claims a class.**

- *Reference* front end: 16 bit and no faults; it tests the arithmetic, against the limits of class 0.2S.
- *ESP32-C3* front end: 12 bit, 3 LSB rms of white noise, ±2 LSB of bow, offset ±5 % and drifting, gain ±3 %, current taken
  30 µs after the voltage, clock ±1 % off; calibrated once at nominal current and 50 Hz, against the limits of class 1.
- Current transformers of 30 A (nominal 5 A) and 100 A (nominal 20 A), 50 and 60 Hz. Nominal voltage is 230 V.
- A row's error is that of the energy over 60 s, or over 10 min up to 0.05 of nominal current. For an influence it is the
  change against a sine at nominal values. A starting current must register at least half of its energy.
- Sample clock and mains are never locked to each other here. If they were, every cycle would be sampled at the same 40
  points: a phase-fired load would be wrong by several percent (nothing is filtered before the converter, and an edge falls
  on or beside a sample), and rounding would not average out at 0.01 of nominal current. Real mains drift past a sample
  within seconds.
";

/// Writes `accuracy.md` and `images/accuracy-*.svg` into a directory.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path, findings: &Findings) -> Result<()> {
    let images = directory.join("images");
    fs::create_dir_all(&images).with_context(|| format!("{} cannot be made", images.display()))?;
    let file = directory.join("accuracy.md");
    fs::write(&file, text(findings))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    for (model, name, title) in MODELS {
        for power_factor in compare::POWER_FACTORS {
            let file = images.join(picture(name, power_factor));
            draw(&file, findings, model, title, power_factor)?;
        }
    }
    Ok(())
}

fn picture(model: &str, power_factor: PowerFactor) -> String {
    let power_factor = power_factor.name().replace('.', "").to_lowercase();
    format!("accuracy-{model}-{power_factor}.svg")
}

/// Returns the text of the document.
#[must_use]
pub fn text(findings: &Findings) -> String {
    let mut text = String::from(INTRODUCTION);
    for (model, name, title) in MODELS {
        let class = if model == Model::Reference {
            "0.2S"
        } else {
            "1"
        };
        let of_model = || {
            findings
                .rows
                .iter()
                .filter(move |each| each.row.model == model)
        };
        let out = of_model().filter(|each| each.is_out()).count();
        let _ = write!(
            text,
            "\n## Rows, {title}\n\n{} rows, {out} outside of the limits of class {class}. Worst of both transformers and \
             frequencies, in percent:\n\n",
            of_model().count(),
        );
        text.push_str(&table(of_model()));
        let _ = write!(text, "\n## Ours beside others, {title}\n\n{PICTURES}\n");
        for power_factor in compare::POWER_FACTORS {
            let factor = power_factor.name();
            let file = picture(name, power_factor);
            let _ = writeln!(
                text,
                "\n![Error against current, power factor {factor}](images/{file})"
            );
        }
    }
    text.push_str(&varying(findings));
    let _ = write!(
        text,
        "\n## A day\n\n- No load, ESP32-C3 front end with noise, 230 V and 264.5 V, both transformers, 24 h: {} Wh registered.\n\
         - A household with 45 ms of samples missing every 10 s, 24 h: {:+.4} % of its energy.\n",
        findings.creep_wh, findings.gap_error_percent,
    );
    text
}

const PICTURES: &str = "\
The same pairs, 53 in a cycle at 50 Hz, through references of our own for the published methods of others: emonLib called
every 10 s as sketches usually do and without a pause, and OFMon's earlier firmware, which counts half of the time. They
have the same calibration. Worst of both transformers and frequencies.";

/// Worst error of each kind of row, a line each.
fn table<'a>(results: impl Iterator<Item = &'a RowResult>) -> String {
    let mut lines: Vec<(String, &RowResult)> = Vec::new();
    for result in results {
        let row = &result.row;
        let current = match row.current {
            Current::Nominal(multiple) => format!("{multiple} In"),
            Current::Maximum(1.0) => "Imax".into(),
            Current::Maximum(share) => format!("{share:.2} Imax"),
        };
        let key = format!(
            "| {} | {} | {current}",
            row.kind.name(),
            row.power_factor_name()
        );
        match lines.iter_mut().find(|(known, _)| *known == key) {
            Some((_, worst)) if result.error_percent.abs() > worst.error_percent.abs() => {
                *worst = result;
            }
            Some(_) => {}
            None => lines.push((key, result)),
        }
    }
    let mut text =
        String::from("| applied | PF | current | limit | worst |\n|---|---|---|---|---|\n");
    for (key, result) in lines {
        let (limit, worst) = match result.row.kind {
            Kind::Starting => ("registers".into(), verdict(result, "does", "does not")),
            Kind::NoLoad => ("no count".into(), verdict(result, "none", "counts")),
            _ => (
                format!("±{}", result.row.limit_percent()),
                format!("{:+.3}", result.error_percent),
            ),
        };
        let _ = writeln!(text, "{key} | {limit} | {worst} |");
    }
    text
}

fn verdict(result: &RowResult, held: &str, out: &str) -> String {
    if result.is_out() { out } else { held }.into()
}

fn varying(findings: &Findings) -> String {
    let mut text = format!(
        "\n## Loads that vary\n\nReference front end, half an hour, rms of the error over eight timings, in percent. In a \
         ratio ours counts as at least {FLOOR_PERCENT} %.\n\n\
         | load | ours | emonLib every 10 s | emonLib without pause | OFMon | ours/emonLib | ours/OFMon |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for case in &findings.varying {
        let _ = writeln!(
            text,
            "| {} | {:.4} | {:.2} | {:.2} | {:.1} | {:.4} | {:.4} |",
            case.name,
            case.ours_percent,
            case.emonlib_percent,
            case.emonlib_continuous_percent,
            case.ofmon_percent,
            case.ratio_emonlib(),
            case.ratio_ofmon(),
        );
    }
    text
}

fn draw(
    file: &Path,
    findings: &Findings,
    model: Model,
    title: &str,
    power_factor: PowerFactor,
) -> Result<()> {
    let class = if model == Model::Reference {
        Class::FifthS
    } else {
        Class::One
    };
    let worst = |error: fn(&Steady) -> f64| -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let cases = findings.steady.iter();
        for case in cases.filter(|case| (case.model, case.power_factor) == (model, power_factor)) {
            let percent = error(case).abs();
            // The highest current is 6 times the nominal of one transformer, 5 times that of the other.
            let shown = case.multiple.min(HIGHEST_SHOWN);
            match points.iter_mut().find(|(multiple, _)| *multiple == shown) {
                Some((_, worst)) => *worst = worst.max(percent),
                None => points.push((shown, percent)),
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series: Vec<plot::Series<'_>> = vec![
        ("ours", worst(|case| case.ours_percent)),
        ("emonLib without pause", worst(|case| case.emonlib_percent)),
        (
            "emonLib every 10 s",
            worst(|case| case.emonlib_usual_percent),
        ),
        ("OFMon", worst(|case| case.ofmon_percent)),
    ];
    let limit = series[0].1.iter().filter_map(|&(multiple, _)| {
        let percent = plain_limit(power_factor, multiple, class)?;
        Some((multiple, percent))
    });
    let limit = ("limit, internal target", limit.collect());
    let title = format!("{title}, power factor {}", power_factor.name());
    plot::draw(file, &title, &series, &limit)
        .map_err(|error| anyhow!("{} cannot be drawn: {error}", file.display()))
}
