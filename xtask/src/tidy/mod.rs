//! `./x tidy`: the rules of the architecture that a compiler does not check.
//!
//! Each rule is a function from the files of the project to the places that
//! break it, and carries its reason, because a rule without one is in the way.
//! What only a reader can judge (bytes of released formats, traits before their
//! second implementation) is left to review.

mod flash_map;
mod layout;
mod source;
mod workspace;

use anyhow::{Result, bail};

use crate::project::Project;
use workspace::Workspace;

/// One rule: what it is called, why it exists, and where it is broken.
struct Rule {
    name: &'static str,
    why: &'static str,
    broken: fn(&Workspace) -> Vec<String>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "a crate is named as its folder",
        why: "who reads a dependency finds its source without a search",
        broken: layout::folder_names,
    },
    Rule {
        name: "no crate is called common or utils",
        why: "such a crate takes in what has no place, and then everything depends on it",
        broken: layout::vague_names,
    },
    Rule {
        name: "dependencies point one way",
        why: "old collectors meet new meters, and a meter's code runs on chips: the table in xtask/src/tidy/layout.rs says who may know whom",
        broken: layout::directions,
    },
    Rule {
        name: "every crate inherits the workspace's lints",
        why: "a crate without them would be exempt from `unsafe_code = \"forbid\"` and all the rest",
        broken: layout::lints,
    },
    Rule {
        name: "docs/ARCHITECTURE.md names every crate",
        why: "the code map is what a newcomer reads first",
        broken: layout::architecture,
    },
    Rule {
        name: "crates of the meter are no_std and read no clock, random generator or environment",
        why: "the same code runs on a chip, in a simulation at any speed and in a test: `now` and randomness are arguments",
        broken: source::bare_crates,
    },
    Rule {
        name: "only firmware names the chip maker's crates",
        why: "a board is behind one trait; a second chip family must not touch the meter's code",
        broken: source::chip_names,
    },
    Rule {
        name: "the partition table is the meter's flash map",
        why: "the bootloader reads the one, the meter's code has the other: where they differ, one erases what the other keeps",
        broken: flash_map::agrees,
    },
    Rule {
        name: "a file has at most 450 lines, a test 600",
        why: "a file is about one thing; when it grows past that, it is about two",
        broken: source::long_files,
    },
    Rule {
        name: "no file names anyone's home folder",
        why: "it works on one machine only",
        broken: source::home_paths,
    },
    Rule {
        name: "npm's lock file names no registry",
        why: "packages come from the registry that the machine is set up for; the hashes say that they are the right ones",
        broken: source::npm_registries,
    },
];

/// Checks all rules and prints each place that breaks one.
///
/// # Errors
/// When a rule is broken or the project cannot be read.
pub(crate) fn run(project: &Project) -> Result<()> {
    let workspace = Workspace::read(project)?;
    let mut count = 0;
    for rule in RULES {
        let places = (rule.broken)(&workspace);
        if !places.is_empty() {
            println!("tidy: {}, because {}:", rule.name, rule.why);
        }
        for place in &places {
            println!("  {place}");
        }
        count += places.len();
    }
    if count > 0 {
        bail!(
            "tidy found {count} {}",
            if count == 1 { "place" } else { "places" }
        );
    }
    println!(
        "tidy: {} rules hold in {} files of {} crates",
        RULES.len(),
        workspace.files.len(),
        workspace.crates.len()
    );
    Ok(())
}
