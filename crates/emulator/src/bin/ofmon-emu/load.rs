//! What the meter measures.

use std::path::Path;

use anyhow::{Context as _, ensure};
use emulator::{adc::Feed, life};
use sim::signal::{Kind, Recipe, Source};

use super::options::Run;

/// Connects the converter to what the command line names.
pub fn feed(run: &Run) -> anyhow::Result<Feed> {
    ensure!(
        run.transformer > 0.0 && run.transformer.is_finite(),
        "a current transformer's rated current is above 0"
    );
    let (name, number) = run
        .adc
        .split_once(':')
        .map_or((run.adc.as_str(), None), |(name, number)| {
            (name, Some(number))
        });
    if name == "constant" {
        let code = number.and_then(|code| code.parse().ok());
        let code = code
            .filter(|code| *code <= 4095)
            .context("a constant is a code from 0 to 4095, as in constant:2048")?;
        return Ok(Feed::constant(code));
    }
    let source = match kind(name) {
        Some(kind) => {
            let number = number.map_or(Ok(run.seed), str::parse).with_context(|| {
                format!("the number of a {name} is a whole one, as in {name}:7")
            })?;
            ensure!(
                run.full_scale.is_none(),
                "only a WAV file takes a full scale"
            );
            Source::Recipe(Recipe::new(kind, number))
        }
        None => {
            let full_scale = run.full_scale.map(|scale| sim::signal::FullScale {
                volts: scale.volts,
                amperes: scale.amperes,
            });
            Source::read(Path::new(&run.adc), full_scale).with_context(|| {
                format!(
                    "{} is no household (house, flat, workshop, solar-house), no constant:CODE and no file of a load",
                    run.adc
                )
            })?
        }
    };
    Ok(life::wired(source, run.transformer, run.seed))
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "house" => Some(Kind::House),
        "flat" => Some(Kind::Flat),
        "workshop" => Some(Kind::Workshop),
        "solar-house" => Some(Kind::SolarHouse),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::options::{Command, Options};

    fn feed_of(arguments: &str) -> Result<Feed, String> {
        let all = ["ofmon-emu", "run", "a.bin", "--rom", "r.elf"];
        let all = all.into_iter().chain(arguments.split(' '));
        let Command::Run(run) = Options::try_parse_from(all).unwrap().command;
        feed(&run).map_err(|error| error.to_string())
    }

    #[test]
    fn households_constants_and_files_are_known() {
        for name in [
            "house",
            "flat:3",
            "workshop",
            "solar-house:9",
            "constant:4095",
        ] {
            assert!(feed_of(&format!("--adc {name}")).is_ok(), "{name}");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("load.csv");
        std::fs::write(&file, sim::signal::LoadProfile::synthetic(1, 5).to_text()).unwrap();
        assert!(feed_of(&format!("--adc {}", file.display())).is_ok());
    }

    #[test]
    fn what_is_nothing_of_them_is_refused_with_what_there_is() {
        let error = feed_of("--adc hause").unwrap_err();
        assert!(
            error.contains("solar-house") && error.starts_with("hause"),
            "{error}"
        );
        assert!(feed_of("--adc constant:4096").unwrap_err().contains("4095"));
        assert!(feed_of("--adc house:x").unwrap_err().contains("house:7"));
        assert!(feed_of("--adc house --full-scale 1,1").is_err());
        assert!(feed_of("--adc house --transformer 0").is_err());
    }
}
