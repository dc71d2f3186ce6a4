//! `docs/security.md` names tests for what it says: each of them is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Folders with tests, from the root of the repository.
const FOLDERS: [&str; 4] = ["crates", "firmware", "fuzz", "ui/e2e"];
/// A name that has so many words is one of a test, not of a message or a file.
const WORDS_MIN: usize = 4;

/// Returns what looks like the name of a test among the pieces in backticks of a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_name = |name: &&str| {
        name.split('_').count() >= WORDS_MIN
            && (name.bytes()).all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Counts the names of a source that stand behind `#[test]` or another attribute of a test.
fn count_tests(text: &str, tests: &mut BTreeMap<String, usize>) {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, declared)) = line.split_once("fn ") {
            let name = declared.split('(').next().unwrap_or_default();
            *tests.entry(name.to_owned()).or_default() += 1;
            is_test = false;
        }
    }
}

/// Finds all tests, each with the number of those that have its name.
fn tests() -> BTreeMap<String, usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = BTreeMap::new();
    let mut folders = FOLDERS.map(|folder| root.join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() {
                if name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                count_tests(&fs::read_to_string(path).unwrap(), &mut tests);
            }
        }
    }
    tests
}

#[test]
fn each_test_that_the_security_text_names_is_there_once() {
    let text = crate::read("docs/security.md");
    let tests = tests();
    let named = names(&text);
    assert!(named.len() > 15, "too few to be all: {named:?}");
    let wrong: Vec<_> = (named.into_iter())
        .map(|name| (name, tests.get(name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count != 1)
        .collect();
    assert_eq!(wrong, [], "how often each is there");
}

#[test]
fn each_threat_of_the_security_text_names_a_test() {
    let text = crate::read("docs/security.md");
    let section = text
        .split("\n## ")
        .find(|part| part.starts_with("Threats\n"));
    let rows: Vec<_> = (section.expect("a section of threats").lines())
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .skip(1)
        .collect();
    assert!(rows.len() > 10, "too few to be all: {rows:?}");
    for row in rows {
        let shown = row.rsplit(" | ").next().unwrap_or_default();
        assert!(!names(shown).is_empty(), "no test shows: {row}");
    }
}
