//! Rules on the texts of files.

use super::workspace::{File, Workspace};

/// The crates that run on a meter.
pub(super) const BARE_CRATES: [&str; 5] =
    ["metering", "protocol", "littlefs", "flash-store", "device"];
/// The rules and their tests quote what they forbid.
const THESE_RULES: &str = "xtask/src/tidy/";
const LINES_MAX: usize = 450;
const TEST_LINES_MAX: usize = 600;

/// Names by which a crate of the meter would reach past its arguments.
const OUTSIDE: [&str; 9] = [
    "std::",
    "extern crate std",
    "Instant::now",
    "SystemTime",
    "getrandom",
    "OsRng",
    "thread_rng",
    "rand::rng(",
    "option_env!",
];

pub(super) fn bare_crates(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    for name in BARE_CRATES {
        let folder = format!("crates/{name}/src/");
        let Some(root) = workspace.text(&format!("{folder}lib.rs")) else {
            broken.push(format!("{folder}lib.rs is missing"));
            continue;
        };
        if !root
            .lines()
            .any(|line| matches!(line, "#![no_std]" | "#![cfg_attr(not(test), no_std)]"))
        {
            broken.push(format!("{folder}lib.rs lacks #![no_std]"));
        }
        for file in workspace
            .files
            .iter()
            .filter(|file| file.path.starts_with(&folder) && !is_test(&file.path))
        {
            for (number, line) in shipped_lines(&file.text) {
                broken.extend(
                    OUTSIDE
                        .iter()
                        .filter(|word| begins_word(line, word))
                        .map(|word| format!("{}:{number} names {word}", file.path)),
                );
            }
        }
    }
    broken
}

/// Where a line stands with regard to `#[cfg(test)]`.
enum Place {
    Shipped,
    /// After the attribute, before the item that it is on.
    Announced,
    /// In a test's item, which is indented by so many columns.
    Test(usize),
}

/// Returns the numbered lines of a file that are neither comments nor in a test's item.
fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut place = Place::Shipped;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("//") {
            return None;
        }
        let shipped = matches!(place, Place::Shipped) && !code.starts_with("#[cfg(test)]");
        place = match place {
            Place::Shipped if shipped => Place::Shipped,
            Place::Announced if code.ends_with('{') => Place::Test(indent),
            Place::Announced if code.ends_with([';', '}', ',']) => Place::Shipped,
            // rustfmt closes an item in the column where it began.
            Place::Test(start) if indent == start && code.starts_with('}') => Place::Shipped,
            Place::Test(start) => Place::Test(start),
            Place::Shipped | Place::Announced => Place::Announced,
        };
        shipped.then_some((index + 1, line))
    })
}

/// Tells whether `word` is in the line and not the end of a longer name.
fn begins_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(|before: char| {
            before.is_ascii_alphanumeric() || before == '_' || before == '-'
        })
    })
}

/// Tells whether a file is a test by its place or name.
fn is_test(path: &str) -> bool {
    let folders = path
        .split('/')
        .rev()
        .skip(1)
        .any(|folder| matches!(folder, "tests" | "e2e"));
    let name = path.rsplit('/').next().unwrap_or(path);
    folders && !path.starts_with("crates/e2e/src/")
        || name == "tests.rs"
        || name.ends_with("_tests.rs")
        || name.ends_with(".test.ts")
        || name.ends_with(".spec.ts")
}

pub(super) fn chip_names(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    // The tasks call the tools that build and flash an image.
    let outside = |file: &&File| {
        (file.path.ends_with(".rs") || file.path.ends_with("Cargo.toml"))
            && !file.path.starts_with("firmware/")
            && !file.path.starts_with("xtask/")
    };
    for file in workspace.files.iter().filter(outside) {
        for (index, line) in file.text.lines().enumerate() {
            // A comment may say where a format is described.
            let is_code = !line.trim_start().starts_with("//");
            if is_code && (begins_word(line, "esp-") || begins_word(line, "esp_")) {
                broken.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    broken
}

pub(super) fn long_files(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    for file in &workspace.files {
        if ![".rs", ".ts", ".svelte"]
            .iter()
            .any(|end| file.path.ends_with(end))
        {
            continue;
        }
        let max = if is_test(&file.path) {
            TEST_LINES_MAX
        } else {
            LINES_MAX
        };
        let lines = file.text.lines().count();
        if lines > max {
            broken.push(format!("{} has {lines} lines, at most {max}", file.path));
        }
    }
    broken
}

pub(super) fn home_paths(workspace: &Workspace) -> Vec<String> {
    let homes = ["/home/", "/root/", "/Users/", "C:\\Users\\"];
    let mut broken = Vec::new();
    for file in workspace
        .files
        .iter()
        .filter(|file| !file.path.starts_with(THESE_RULES))
    {
        for (index, line) in file.text.lines().enumerate() {
            // A path begins there; `docs/home/` or a URL's path does not.
            if homes
                .iter()
                .any(|home| begins_word(line, home) && !line.contains(&format!(".{home}")))
            {
                broken.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    broken
}

pub(super) fn npm_registries(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    for file in workspace
        .files
        .iter()
        .filter(|file| file.path.ends_with("package-lock.json"))
    {
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("\"resolved\": \"http") {
                broken.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::workspace::planted::files;
    use super::*;

    /// The crates of a meter, with `text` as the root of metering.
    fn bare(text: &str) -> Vec<String> {
        let root = |name: &str| format!("crates/{name}/src/lib.rs");
        let roots = BARE_CRATES.map(root);
        let of = |path: &str| match path {
            "crates/metering/src/lib.rs" => text.to_owned(),
            _ => "#![no_std]\n".to_owned(),
        };
        let texts = roots.each_ref().map(|path| of(path));
        let all: Vec<_> = (roots.iter().zip(&texts))
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        bare_crates(&files(&all))
    }

    #[test]
    fn crate_of_the_meter_with_std_is_found() {
        assert!(bare("#![no_std]\nuse core::fmt;\n").is_empty());
        assert_eq!(
            bare("use core::fmt;\n"),
            ["crates/metering/src/lib.rs lacks #![no_std]"]
        );
        assert_eq!(
            bare("#![no_std]\nuse std::fmt;\n"),
            ["crates/metering/src/lib.rs:2 names std::"]
        );
        assert_eq!(
            bare("#![no_std]\nlet now = embassy_time::Instant::now();\n").len(),
            1
        );
    }

    #[test]
    fn std_in_comments_and_tests_is_none_of_the_meters() {
        let text = "#![no_std]\n//! Unlike std::time.\n/// See std::fmt.\npub fn a() {}\nmy_std::x();\n\n\
            #[cfg(test)]\nmod tests {\n    use std::vec::Vec;\n    fn b() {\n    }\n}\n";
        assert!(bare(text).is_empty(), "{:?}", bare(text));
        let after = format!("{text}\nfn c() {{ std::process::exit(1) }}\n");
        assert_eq!(bare(&after).len(), 1);
        assert_eq!(
            bare("#![no_std]\n#[cfg(test)]\nextern crate std;\nuse std::fmt;\n").len(),
            1
        );
    }

    #[test]
    fn missing_crate_of_the_meter_is_found() {
        assert_eq!(bare_crates(&files(&[])).len(), BARE_CRATES.len());
    }

    #[test]
    fn chip_crate_outside_firmware_is_found() {
        let workspace = files(&[
            ("firmware/src/main.rs", "use esp_hal::Config;"),
            (
                "crates/device/src/lib.rs",
                "//! resp-onse, ESP32-C3, esp_partitions.h\nuse esp_hal::gpio;\n",
            ),
            ("crates/sim/Cargo.toml", "esp-radio = \"1\"\n"),
        ]);
        assert_eq!(
            chip_names(&workspace),
            ["crates/device/src/lib.rs:2", "crates/sim/Cargo.toml:1"]
        );
    }

    #[test]
    fn file_that_is_too_long_is_found_and_a_test_may_be_longer() {
        let (longest, longer) = ("x\n".repeat(LINES_MAX), "x\n".repeat(LINES_MAX + 1));
        let workspace = files(&[
            ("crates/sim/src/a.rs", &longest),
            ("ui/src/b.svelte", &longer),
            ("crates/e2e/src/c.rs", &longer),
            ("crates/sim/tests/d.rs", &longer),
            ("ui/package-lock.json", &longer),
        ]);
        assert_eq!(
            long_files(&workspace).len(),
            2,
            "{:?}",
            long_files(&workspace)
        );
        let test = "x\n".repeat(TEST_LINES_MAX + 1);
        assert_eq!(
            long_files(&files(&[("ui/tests/e.test.ts", &test)])).len(),
            1
        );
    }

    #[test]
    fn home_folder_is_found() {
        let workspace = files(&[
            ("docs/a.md", "see /home/ann/ofmon"),
            ("x", "PATH=/root/.cargo/bin"),
            (
                "ui/src/b.ts",
                "import x from './home/page'; const y = 'app/home/z';",
            ),
        ]);
        assert_eq!(home_paths(&workspace), ["docs/a.md:1", "x:1"]);
    }

    #[test]
    fn registry_in_a_lock_file_is_found() {
        let with = |line: &str| npm_registries(&files(&[("ui/package-lock.json", line)])).len();
        assert_eq!(
            with("      \"resolved\": \"https://registry.example/a.tgz\","),
            1
        );
        assert_eq!(with("      \"integrity\": \"sha512-x\","), 0);
    }
}
