//! What an image may take: `firmware/budgets/CHIP.toml`.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::chip::Chip;
use super::memory::Memory;
use crate::project::Project;

/// A line each, `key = number`; that is all that such a file may hold beside comments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Budget {
    image_bytes_max: u64,
    ram_static_bytes_max: u64,
    stack_bytes_min: u64,
}

/// Checks a shipped image against its chip's budget.
///
/// # Errors
/// When it takes more than it may, with all figures that are out, or the budget cannot be read.
pub(super) fn check(project: &Project, chip: Chip, image: u64, memory: &Memory) -> Result<()> {
    let path = format!("firmware/budgets/{}.toml", chip.name());
    let text = fs::read_to_string(project.root.join(&path))
        .with_context(|| format!("cannot read {path}"))?;
    let budget = parse(&text).with_context(|| format!("cannot use {path}"))?;
    let over = budget.over(image, memory);
    ensure!(over.is_empty(), "{}: {}", chip.name(), over.join("; "));
    Ok(())
}

impl Budget {
    fn over(&self, image: u64, memory: &Memory) -> Vec<String> {
        let mut over = Vec::new();
        if image > self.image_bytes_max {
            over.push(format!(
                "the image has {image} bytes, at most {} are allowed",
                self.image_bytes_max
            ));
        }
        if memory.static_bytes > self.ram_static_bytes_max {
            over.push(format!(
                "{} bytes of RAM are taken, at most {} may be",
                memory.static_bytes, self.ram_static_bytes_max
            ));
        }
        if memory.stack_bytes < self.stack_bytes_min {
            over.push(format!(
                "{} bytes are left for the stack, at least {} are needed",
                memory.stack_bytes, self.stack_bytes_min
            ));
        }
        over
    }
}

fn parse(text: &str) -> Result<Budget> {
    let mut budget = Budget::default();
    let mut keys = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .with_context(|| format!("{line:?} is no `key = number`"))?;
        let (key, value) = (key.trim(), value.trim().replace('_', ""));
        let value = value
            .parse()
            .with_context(|| format!("{key} is {value:?}, no number"))?;
        match key {
            "image_bytes_max" => budget.image_bytes_max = value,
            "ram_static_bytes_max" => budget.ram_static_bytes_max = value,
            "stack_bytes_min" => budget.stack_bytes_min = value,
            // Seen only while the image runs: a test in the emulator reads it.
            "stack_used_bytes_max" => {}
            other => bail!("nothing checks {other}"),
        }
        ensure!(!keys.contains(&key), "{key} stands there twice");
        keys.push(key);
    }
    for key in ["image_bytes_max", "ram_static_bytes_max", "stack_bytes_min"] {
        ensure!(keys.contains(&key), "{key} is missing");
    }
    Ok(budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a chip\nimage_bytes_max = 921_600 # 90 % of a slot\nram_static_bytes_max=1000\nstack_bytes_min = 200\n";

    #[test]
    fn image_within_its_budget_passes_and_each_excess_is_named() {
        let budget = parse(TEXT).unwrap();
        let memory = |static_bytes, stack_bytes| Memory {
            static_bytes,
            stack_bytes,
        };
        assert!(budget.over(921_600, &memory(1000, 200)).is_empty());
        for (image, memory, word) in [
            (921_601, memory(1000, 200), "image"),
            (921_600, memory(1001, 200), "RAM"),
            (921_600, memory(1000, 199), "stack"),
        ] {
            let over = budget.over(image, &memory);
            assert_eq!(over.len(), 1);
            assert!(over[0].contains(word), "{over:?}");
        }
        assert_eq!(budget.over(1 << 20, &memory(2000, 0)).len(), 3);
    }

    #[test]
    fn budget_that_checks_less_than_it_says_is_refused() {
        for wrong in [
            "",
            "image_bytes_max = 1\nram_static_bytes_max = 1\n",
            "image_bytes_max = many\n",
            "image_bytes_maximum = 1\n",
            "image_bytes_max = 1\nimage_bytes_max = 2\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
