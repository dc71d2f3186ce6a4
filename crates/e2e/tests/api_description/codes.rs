//! The codes of errors: in the code of the device API, in the description and in the guide the same.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{description::Description, guide};

type Codes = BTreeSet<(u16, String)>;

/// Finds `404, "not_found"` in the sources, with any white space between.
fn in_source() -> Codes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device/src/http");
    let mut codes = Codes::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                codes.extend(
                    text.split(',')
                        .zip(text.split(',').skip(1))
                        .filter_map(code),
                );
            }
        }
    }
    codes
}

/// Reads a status at the end of one piece and a code that is the next one.
fn code((before, after): (&str, &str)) -> Option<(u16, String)> {
    let digits = before.trim_end();
    let status = digits.get(digits.len().checked_sub(3)?..)?.parse().ok()?;
    let code = after.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_code = code
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    ((400..600).contains(&status) && is_code).then(|| (status, code.to_owned()))
}

/// The codes of the description, with statuses where it says one.
fn in_description() -> (Codes, BTreeSet<String>) {
    let description = Description::read();
    let of = |answer: &serde_json::Value| -> Vec<String> {
        let schema = &description.resolved(answer)["content"]["application/json"]["schema"];
        let codes = &schema["properties"]["error"]["properties"]["code"]["enum"];
        let codes = codes.as_array().into_iter().flatten();
        codes
            .map(|code| code.as_str().unwrap().to_owned())
            .collect()
    };
    let mut codes = Codes::new();
    for operation in description.operations() {
        for (status, answer) in operation.value["responses"].as_object().unwrap() {
            if let Ok(status) = status.parse() {
                codes.extend(of(answer).into_iter().map(|code| (status, code)));
            }
        }
    }
    let anywhere = of(description.edge()).into_iter().collect();
    (codes, anywhere)
}

#[test]
fn each_code_of_a_meter_is_described_and_no_other() {
    let source = in_source();
    assert!(source.len() > 30, "too few to be all: {source:?}");
    let (codes, anywhere) = in_description();
    let undescribed: Vec<_> = (source.iter())
        .filter(|pair| !codes.contains(pair) && !anywhere.contains(&pair.1))
        .collect();
    let unknown: Vec<_> = codes.difference(&source).collect();
    let source_words: BTreeSet<_> = source.iter().map(|(_, code)| code.clone()).collect();
    let unknown_anywhere: Vec<_> = anywhere.difference(&source_words).collect();
    assert_eq!(
        (undescribed, unknown, unknown_anywhere),
        (vec![], vec![], vec![])
    );
}

#[test]
fn the_guide_explains_each_code() {
    let explained: Codes = guide::rows("## Errors")
        .into_iter()
        .filter_map(|cells| {
            let [status, code, ..] = &cells[..] else {
                return None;
            };
            Some((status.parse().ok()?, code.trim_matches('`').to_owned()))
        })
        .collect();
    assert_eq!(explained, in_source());
}
