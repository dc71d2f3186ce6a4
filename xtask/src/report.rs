//! `./x report`: runs what the crate `e2e` measures and shows the figures.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::project::Project;
use crate::{command, firmware, guest};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The section to measure, such as `main`; without it, all
    section: Option<String>,
    /// Writes the documents of a section, such as docs/accuracy.md, anew
    #[arg(long)]
    docs: bool,
}

/// Measures, and prints the figures also when not all could be measured.
///
/// # Errors
/// When the measuring program does not start or leaves no report.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let file = project.scratch("report.json");
    fs::create_dir_all(project.scratch(""))?;
    project.build_for_release()?;
    let mut measure = Command::new(project.program("release", "e2e"));
    measure
        .arg("report")
        .args(&arguments.section)
        .arg("--out")
        .arg(&file);
    if arguments.docs {
        measure.arg("--docs").arg(project.root.join("docs"));
    }
    // Only these sections run what is compiled for the chip.
    let asked = |name| {
        let section = arguments.section.as_deref();
        section.is_none_or(|section| section == name)
    };
    if asked("metering") {
        measure.env(guest::METERING.variable, guest::METERING.build(project)?);
    }
    if asked("firmware") {
        firmware::Images::build(project)?.tell(&mut measure);
    }
    let status = command::status(&mut measure)?;
    let text = fs::read_to_string(&file)
        .with_context(|| format!("nothing was measured: {}", file.display()))?;
    let figures: Map<String, Value> =
        serde_json::from_str(&text).context("the report is no flat JSON object")?;
    print!("\n{}", table(&figures, arguments.section.as_deref()));
    println!("written to target/report.json");
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not everything was measured, see above");
    Ok(ExitCode::FAILURE)
}

/// Returns the figures of a section, or all, one on each line.
fn table(figures: &Map<String, Value>, section: Option<&str>) -> String {
    let prefix = section.map_or_else(String::new, |section| format!("{section}."));
    let shown: Vec<_> = figures
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .collect();
    let width = shown.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    shown
        .into_iter()
        .map(|(key, value)| format!("{key:<width$}  {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_shows_the_section_that_was_asked_for() {
        let figures: Map<String, Value> =
            serde_json::from_str(r#"{"main.lost": 0, "main.samples": 345600000, "mainly.x": 1.5}"#)
                .unwrap();
        assert_eq!(
            table(&figures, Some("main")),
            "main.lost     0\nmain.samples  345600000\n"
        );
        assert_eq!(table(&figures, None).lines().count(), 3);
    }
}
