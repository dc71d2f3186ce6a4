//! Rules on the crates: names, who may depend on whom, what each must say.

use super::workspace::{Crate, Workspace};

/// Who may know whom. A crate of the project that is not listed here is new:
/// decide what it may depend on and write it down.
const DIRECTIONS: &[Direction] = &[
    Direction {
        name: "metering",
        may: &[],
        tests_may: &[],
    },
    Direction {
        name: "protocol",
        may: &[],
        tests_may: &[],
    },
    Direction {
        name: "firmware-package",
        may: &["protocol"],
        tests_may: &[],
    },
    Direction {
        name: "nor-model",
        may: &[],
        tests_may: &[],
    },
    Direction {
        name: "littlefs",
        may: &[],
        tests_may: &["nor-model"],
    },
    Direction {
        name: "thingsboard-double",
        may: &[],
        tests_may: &[],
    },
    Direction {
        name: "flash-store",
        may: &["littlefs", "protocol"],
        tests_may: &["nor-model", "store-trials"],
    },
    // Tests and the report try a store with it; nothing that is shipped does.
    Direction {
        name: "store-trials",
        may: &["flash-store", "nor-model", "protocol"],
        tests_may: &[],
    },
    Direction {
        name: "device",
        may: &["flash-store", "metering", "protocol"],
        tests_may: &["nor-model"],
    },
    Direction {
        name: "sim",
        may: &["device", "flash-store", "metering", "nor-model", "protocol"],
        tests_may: &[],
    },
    Direction {
        name: "emulator",
        may: &["metering", "nor-model", "sim"],
        tests_may: &["flash-store", "protocol", "store-trials"],
    },
    // Never device, tests included: an old collector must do with what the protocol says.
    Direction {
        name: "collector",
        may: &["firmware-package", "protocol"],
        tests_may: &["thingsboard-double"],
    },
    Direction {
        name: "ofmon",
        may: &[
            "collector",
            "emulator",
            "firmware-package",
            "flash-store",
            "protocol",
            "sim",
        ],
        tests_may: &["nor-model", "thingsboard-double"],
    },
    // What a whole-system test looks at is its own affair.
    Direction {
        name: "e2e",
        may: ALL,
        tests_may: ALL,
    },
    // Its tasks call the others as programs; only the file of an update comes from where others make and check it.
    Direction {
        name: "xtask",
        may: &["firmware-package"],
        tests_may: &[],
    },
];

const ALL: &[&str] = &[
    "collector",
    "device",
    "emulator",
    "firmware-package",
    "flash-store",
    "littlefs",
    "metering",
    "nor-model",
    "ofmon",
    "protocol",
    "sim",
    "store-trials",
    "thingsboard-double",
];

/// The one crate that may contain `unsafe`, for a library below it that takes raw pointers: its lints are its own, and
/// they are at least as strict.
const OWN_LINTS: &str = "littlefs";

/// Dependencies from outside that would bring a clock, randomness or an
/// operating system into a crate of the meter.
const NOT_ON_A_METER: [&str; 8] = [
    "chrono",
    "getrandom",
    "jiff",
    "rand",
    "std",
    "time",
    "tokio",
    "tracing",
];

struct Direction {
    name: &'static str,
    may: &'static [&'static str],
    tests_may: &'static [&'static str],
}

pub(super) fn folder_names(workspace: &Workspace) -> Vec<String> {
    let misnamed = |each: &&Crate| each.folder.rsplit('/').next() != Some(each.name.as_str());
    workspace
        .crates
        .iter()
        .filter(misnamed)
        .map(|each| format!("{} lies in {}", each.name, each.folder))
        .collect()
}

pub(super) fn vague_names(workspace: &Workspace) -> Vec<String> {
    let vague = |each: &&Crate| {
        each.name
            .split(['-', '_'])
            .any(|word| matches!(word, "common" | "util" | "utils"))
    };
    workspace
        .crates
        .iter()
        .filter(vague)
        .map(|each| each.folder.clone())
        .collect()
}

pub(super) fn directions(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    let is_ours = |name: &str| workspace.crates.iter().any(|each| each.name == name);
    for each in &workspace.crates {
        let Some(direction) = DIRECTIONS
            .iter()
            .find(|direction| direction.name == each.name)
        else {
            broken.push(format!("{} is in no table of who may know whom", each.name));
            continue;
        };
        let on_meter = super::source::BARE_CRATES.contains(&each.name.as_str());
        for dependency in &each.dependencies {
            let name = dependency.name.as_str();
            let allowed = direction.may.contains(&name)
                || dependency.tests_only && direction.tests_may.contains(&name);
            if is_ours(name) && !allowed {
                let how = if dependency.tests_only {
                    "tests depend"
                } else {
                    "depends"
                };
                broken.push(format!("{} {how} on {name}", each.name));
            } else if on_meter && !dependency.tests_only && NOT_ON_A_METER.contains(&name) {
                broken.push(format!(
                    "{} depends on {name}, which no meter has",
                    each.name
                ));
            }
        }
    }
    broken
}

pub(super) fn lints(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    for each in &workspace.crates {
        let manifest = format!("{}/Cargo.toml", each.folder);
        let inherits = |text: &str| {
            section(text, "[lints]").any(|line| line.replace(' ', "") == "workspace=true")
        };
        if each.name == OWN_LINTS {
            let text = workspace.text(&manifest).unwrap_or_default();
            let denies = |line: &str| line.replace(' ', "") == "unsafe_code=\"deny\"";
            if !section(text, "[lints.rust]").any(denies) {
                broken.push(format!("{manifest} lacks `unsafe_code = \"deny\"`"));
            }
        } else if !workspace.text(&manifest).is_some_and(inherits) {
            broken.push(format!("{manifest} lacks `[lints] workspace = true`"));
        }
    }
    let root = workspace.text("Cargo.toml").unwrap_or_default();
    let forbids = |line: &str| line.replace(' ', "").starts_with("unsafe_code=\"forbid\"");
    if !section(root, "[workspace.lints.rust]").any(forbids) {
        broken.push("Cargo.toml lacks `unsafe_code = \"forbid\"` in [workspace.lints.rust]".into());
    }
    broken
}

/// Returns the lines of a section of a manifest.
fn section<'a>(text: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text
        .lines()
        .map(str::trim)
        .skip_while(move |line| *line != header)
        .skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

pub(super) fn architecture(workspace: &Workspace) -> Vec<String> {
    let Some(text) = workspace.text("docs/ARCHITECTURE.md") else {
        return vec!["docs/ARCHITECTURE.md is missing".into()];
    };
    let unnamed = |each: &&Crate| {
        !text.contains(&format!("`{}`", each.name))
            && !text.contains(&each.folder)
            && !mapped(text, &each.name)
    };
    workspace
        .crates
        .iter()
        .filter(unnamed)
        .map(|each| format!("{} is not in it", each.name))
        .collect()
}

/// Tells whether a line of a code map begins with the name.
fn mapped(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        line.split_whitespace()
            .next()
            .is_some_and(|word| word.trim_end_matches('/') == name)
    })
}

#[cfg(test)]
mod tests {
    use super::super::workspace::planted::{files, krate};
    use super::*;

    fn crates(crates: Vec<Crate>) -> Workspace {
        Workspace {
            crates,
            files: Vec::new(),
        }
    }

    #[test]
    fn crate_in_a_folder_of_another_name_is_found() {
        let workspace = crates(vec![
            krate("sim", "crates/sim", &[]),
            krate("ofmon-sim", "crates/sim2", &[]),
        ]);
        assert_eq!(folder_names(&workspace), ["ofmon-sim lies in crates/sim2"]);
    }

    #[test]
    fn crate_for_everything_is_found() {
        let workspace = crates(vec![
            krate("common", "crates/common", &[]),
            krate("test-utils", "crates/test-utils", &[]),
        ]);
        assert_eq!(vague_names(&workspace).len(), 2);
        assert!(
            vague_names(&crates(vec![krate(
                "commonplace",
                "crates/commonplace",
                &[]
            )]))
            .is_empty()
        );
    }

    #[test]
    fn collector_that_knows_the_device_is_found_even_in_tests() {
        let device = || krate("device", "crates/device", &[]);
        let known = crates(vec![
            device(),
            krate("collector", "crates/collector", &["protocol", "device"]),
        ]);
        assert_eq!(directions(&known), ["collector depends on device"]);
        let tested = crates(vec![
            device(),
            krate("collector", "crates/collector", &["test:device"]),
        ]);
        assert_eq!(directions(&tested), ["collector tests depend on device"]);
    }

    #[test]
    fn double_and_model_are_for_tests_only() {
        let tools = || {
            vec![
                krate("nor-model", "crates/nor-model", &[]),
                krate("thingsboard-double", "x", &[]),
            ]
        };
        let mut workspace = crates(tools());
        workspace.crates.push(krate(
            "flash-store",
            "crates/flash-store",
            &["test:nor-model"],
        ));
        workspace.crates.push(krate(
            "collector",
            "crates/collector",
            &["test:thingsboard-double"],
        ));
        assert!(directions(&workspace).is_empty());
        let mut workspace = crates(tools());
        workspace
            .crates
            .push(krate("flash-store", "crates/flash-store", &["nor-model"]));
        workspace
            .crates
            .push(krate("ofmon", "crates/ofmon", &["thingsboard-double"]));
        assert_eq!(directions(&workspace).len(), 2);
    }

    #[test]
    fn meter_with_a_random_generator_and_unlisted_crate_are_found() {
        let workspace = crates(vec![krate(
            "metering",
            "crates/metering",
            &["rand", "test:proptest"],
        )]);
        assert_eq!(
            directions(&workspace),
            ["metering depends on rand, which no meter has"]
        );
        assert_eq!(
            directions(&crates(vec![krate("novelty", "crates/novelty", &[])])).len(),
            1
        );
    }

    #[test]
    fn crate_without_lints_and_workspace_without_forbid_are_found() {
        let with = |manifest: &str, root: &str| {
            let mut workspace = files(&[("crates/sim/Cargo.toml", manifest), ("Cargo.toml", root)]);
            workspace.crates.push(krate("sim", "crates/sim", &[]));
            lints(&workspace).len()
        };
        let forbids = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
        assert_eq!(with("[lints]\nworkspace = true\n", forbids), 0);
        assert_eq!(
            with(
                "[package]\nworkspace = true\n[lints]\n\n[dependencies]\nworkspace = true\n",
                forbids
            ),
            1
        );
        assert_eq!(
            with(
                "[lints]\nworkspace = true\n",
                "[workspace.lints.rust]\nunsafe_code = \"deny\"\n"
            ),
            1
        );
        assert_eq!(
            with(
                "[lints]\nworkspace = true\n",
                "[workspace.lints.clippy]\nunsafe_code = \"forbid\"\n"
            ),
            1
        );
    }

    #[test]
    fn crate_that_the_code_map_lacks_is_found() {
        let with = |text: &str| {
            let mut workspace = files(&[("docs/ARCHITECTURE.md", text)]);
            workspace.crates.push(krate("sim", "crates/sim", &[]));
            architecture(&workspace).len()
        };
        assert_eq!(with("| `sim` | meters on a PC |"), 0);
        assert_eq!(with("  sim/   meters on a PC"), 0);
        assert_eq!(with("a simulator of meters; similar to sims"), 1);
        assert_eq!(architecture(&files(&[])).len(), 1);
    }
}
