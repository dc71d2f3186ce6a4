//! The examples of `docs/device-api.md`, run in their order against a simulated meter.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use e2e::simulated;
use protocol::firmware::{Header, PRODUCT, SIGNATURE_BYTES};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn guide() -> String {
    crate::read("docs/device-api.md")
}

/// Returns the cells of each row of the tables below a heading, up to the next heading of its level.
pub(crate) fn rows(heading: &str) -> Vec<Vec<String>> {
    let guide = guide();
    let lines = guide.lines().skip_while(|line| *line != heading);
    let lines = lines.skip(1).take_while(|line| !line.starts_with("## "));
    let cells = |line: &str| -> Option<Vec<String>> {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        Some(cells.map(|cell| cell.trim().to_owned()).collect())
    };
    lines.filter_map(cells).collect()
}

/// A fenced block of shell, and the JSON that it gives if the next block shows one.
struct Example {
    line: usize,
    commands: String,
    answer: Option<Value>,
}

fn examples() -> Vec<Example> {
    let guide = guide();
    let mut examples = Vec::<Example>::new();
    let mut fence: Option<(&str, usize, String)> = None;
    // Whether the last block was of shell.
    let mut is_open = false;
    for (number, line) in (1..).zip(guide.lines()) {
        match (&mut fence, line.strip_prefix("```")) {
            (None, Some(kind)) => fence = Some((kind, number, String::new())),
            (None, None) => {}
            (Some((_, _, text)), None) => *text += &format!("{line}\n"),
            (Some(_), Some(_)) => {
                let (kind, line, text) = fence.take().expect("it is open");
                match (kind, examples.last_mut()) {
                    ("sh", _) => examples.push(Example {
                        line,
                        commands: text,
                        answer: None,
                    }),
                    ("json", Some(example)) if is_open => {
                        let answer = serde_json::from_str(&text);
                        example.answer = Some(answer.unwrap_or_else(|error| {
                            panic!("line {line}: the answer is no JSON: {error}")
                        }));
                    }
                    _ => {}
                }
                is_open = kind == "sh";
            }
        }
    }
    examples
}

/// Tells where an answer has other keys or other kinds of values than an example. Of a list, each entry must be like one of
/// the example's; `null` is like anything.
fn differences(example: &Value, found: &Value, place: &str) -> Vec<String> {
    match (example, found) {
        (Value::Object(example), Value::Object(found)) => {
            let missing = example.keys().filter(|key| !found.contains_key(*key));
            let missing = missing.map(|key| format!("{place}.{key} is missing"));
            let unknown = found.keys().filter(|key| !example.contains_key(*key));
            let unknown = unknown.map(|key| format!("{place}.{key} is not shown"));
            let other = example.iter().filter_map(|(key, example)| {
                Some(differences(
                    example,
                    found.get(key)?,
                    &format!("{place}.{key}"),
                ))
            });
            missing.chain(unknown).chain(other.flatten()).collect()
        }
        (Value::Array(examples), Value::Array(found)) => {
            let unlike = found.iter().enumerate().filter_map(|(index, found)| {
                let place = format!("{place}[{index}]");
                let told = (examples.iter()).map(|example| differences(example, found, &place));
                told.min_by_key(Vec::len)
            });
            unlike.flatten().collect()
        }
        (Value::Null, _) | (_, Value::Null) => Vec::new(),
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_)) => Vec::new(),
        (example, found) => vec![format!("{place} is {found}, not as {example}")],
    }
}

/// Makes an update that a simulated meter without update keys takes.
fn file_of_update() -> Option<Vec<u8>> {
    let image: Vec<u8> = (0..300_001_u32).map(|at| (at * 31 / 7) as u8).collect();
    let header = Header {
        product: PRODUCT.try_into().ok()?,
        chip: sim::meter::CHIP.try_into().ok()?,
        version: "9.9.9".parse().ok()?,
        minimum: "0.1.0".parse().ok()?,
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(&image).into(),
        signature: [0; SIGNATURE_BYTES],
    };
    Some([&header.to_bytes()[..], &image].concat())
}

fn run(examples: &[Example], url: &str, folder: &Path) -> Result<()> {
    let update = folder.join("update.ofmon");
    fs::write(&update, file_of_update().context("an update")?)?;
    let mut script = "set -euo pipefail\n".to_owned();
    for (index, example) in examples.iter().enumerate() {
        script += &format!("{{\n{}}} > example-{index}\n", example.commands);
    }
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("METER", url)
        .env("UPDATE", &update)
        .output()
        .context("the examples need bash")?;
    let printed = |index| fs::read_to_string(folder.join(format!("example-{index}")));
    if !output.status.success() {
        let last = (0..examples.len())
            .rev()
            .find(|index| printed(*index).is_ok());
        let last = last.unwrap_or_default();
        bail!(
            "the example in line {} ended with {}: {}{}",
            examples[last].line,
            output.status,
            printed(last)?,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut told = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let Some(answer) = &example.answer else {
            continue;
        };
        let text = printed(index)?;
        let found = serde_json::from_str(&text);
        let found = found.with_context(|| format!("line {}: {text:?}", example.line))?;
        let place = format!("line {}: answer", example.line);
        told.extend(differences(answer, &found, &place));
    }
    ensure!(told.is_empty(), "{}", told.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_guide_run() {
    let examples = examples();
    assert!(examples.len() >= 20, "{} examples", examples.len());
    let scratch = tempfile::tempdir().unwrap();
    let (state, folder) = (
        scratch.path().join("state"),
        scratch.path().join("examples"),
    );
    fs::create_dir_all(&folder).unwrap();
    // Enough for several blocks.
    let history = Duration::from_hours(4);
    let ran = simulated::with_meter(&state, history, async move |entry| {
        tokio::task::spawn_blocking(move || run(&examples, &entry.url, &folder)).await?
    });
    ran.await.unwrap();
}

#[test]
fn answers_of_another_form_are_told() {
    let example = serde_json::json!({"a": 1, "list": [{"x": ""}, "word"], "maybe": null});
    let like = serde_json::json!({"a": 2, "list": ["other", {"x": "y"}], "maybe": 7});
    assert_eq!(differences(&example, &like, "answer"), Vec::<String>::new());
    let unlike = serde_json::json!({"a": "2", "list": [{"z": 1}, 3], "more": true});
    let told = differences(&example, &unlike, "answer");
    for part in [
        "answer.a is",
        "answer.list[0]",
        "answer.list[1]",
        "answer.more",
        "answer.maybe",
    ] {
        assert!(
            told.iter().any(|told| told.contains(part)),
            "{part}: {told:?}"
        );
    }
}
