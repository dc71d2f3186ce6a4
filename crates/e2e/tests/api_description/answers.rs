//! What a meter takes and answers in the conformance run is what the description says.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    conformance::{self, Seen},
    simulated,
};
use serde_json::{Value, json};

use crate::description::{Description, Operation};

/// Statuses that are described and not met here, and why; `*` is any operation.
const UNMET: &[(&str, &str, &str)] = &[
    (
        "*",
        "503",
        "no flash fails here, and no memory runs out; tests of `device` see to that",
    ),
    (
        "erase",
        "200",
        "the guide's example erases; a chip that just started has nothing to erase",
    ),
    (
        "changeToken",
        "200",
        "the guide's example changes it; the run goes on with its token",
    ),
    ("update", "200", "the guide's example brings one"),
    (
        "openSession",
        "429",
        "ten wrong codes take ten seconds; tests of `device` try them",
    ),
    ("update", "413", "tests of `device` bring one"),
    (
        "calibrate",
        "200",
        "the guide's example begins a capture; here one would be in the way of what follows",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_answers_as_described() {
    let scratch = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    let seen = simulated::with_meter(scratch.path(), hour, async |entry| {
        tokio::task::spawn_blocking(move || visit(&entry.url)).await?
    });
    let seen = seen.await.unwrap();
    let description = Description::read();
    let mut told = Vec::new();
    let mut met = BTreeSet::new();
    for seen in &seen {
        let path = seen.path.split('?').next().unwrap();
        let operation = description.operation(&seen.method, path);
        if let Some(operation) = operation {
            met.insert((operation.id().to_owned(), seen.status.to_string()));
            if seen.status < 300 {
                check_request(&description, operation, seen, &mut told);
            }
        }
        check_answer(&description, operation, seen, &mut told);
    }
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(unexplained(&description, &met), Vec::<String>::new());
}

/// Asks for everything before set-up and without authentication after it; in between goes the conformance run.
fn visit(url: &str) -> Result<Vec<Seen>> {
    let description = Description::read();
    let each = || -> Result<Vec<Seen>> {
        let guarded = description.operations().into_iter();
        let guarded = guarded.filter(|operation| operation.value["security"] != json!([]));
        let ask = |operation: Operation<'_>| {
            conformance::ask(url, &operation.method.to_uppercase(), operation.path)
        };
        guarded.map(ask).collect()
    };
    let before = each()?;
    let (_, run) = conformance::run_seen(url, "conforming-token-1")?;
    let page = conformance::ask(url, "GET", "/")?;
    let after = each()?;
    for (all, status) in [(&before, 403), (&after, 401)] {
        for seen in all {
            ensure!(seen.status == status, "{}: {}", seen.request, seen.status);
        }
    }
    Ok([before, run, vec![page], after].concat())
}

/// Tells which described statuses were not met without a reason, and which reasons are for nothing.
fn unexplained(description: &Description, met: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut told = Vec::new();
    let mut used = BTreeSet::new();
    for operation in description.operations() {
        let statuses = operation.value["responses"].as_object().unwrap().keys();
        for status in statuses.filter(|status| *status != "default") {
            let id = operation.id();
            let is_met = met.contains(&(id.to_owned(), status.clone()));
            let reason = UNMET
                .iter()
                .position(|(of, unmet, _)| (*of == id || *of == "*") && unmet == status);
            match reason {
                Some(reason) if !is_met => drop(used.insert(reason)),
                None if !is_met => told.push(format!("{id} {status} was not met")),
                _ => {}
            }
        }
    }
    let idle = UNMET
        .iter()
        .enumerate()
        .filter(|(index, _)| !used.contains(index));
    told.extend(idle.map(|(_, reason)| format!("{reason:?} is for nothing")));
    told
}

/// A request that was accepted: its query and its body.
fn check_request(
    description: &Description,
    operation: Operation<'_>,
    seen: &Seen,
    told: &mut Vec<String>,
) {
    let query = operation.query();
    let (_, pairs) = seen.path.split_once('?').unwrap_or_default();
    for (name, value) in pairs.split('&').filter_map(|pair| pair.split_once('=')) {
        let Some(schema) = query.get(name) else {
            told.push(format!(
                "{}: the query {name} is not described",
                seen.request
            ));
            continue;
        };
        let value = serde_json::from_str(value).unwrap();
        hold(description, schema, &value, false, &seen.request, told);
    }
    let content = &operation.value["requestBody"]["content"];
    if let Some(schema) = content["application/json"].get("schema") {
        match serde_json::from_slice(&seen.sent) {
            Ok(sent) => hold(description, schema, &sent, false, &seen.request, told),
            Err(_) => told.push(format!("{}: the body is no JSON", seen.request)),
        }
    } else if content.is_null() && !seen.sent.is_empty() {
        told.push(format!("{}: the body is not described", seen.request));
    }
}

fn check_answer(
    description: &Description,
    operation: Option<Operation<'_>>,
    seen: &Seen,
    told: &mut Vec<String>,
) {
    let answer = operation.map_or(description.edge(), |operation| {
        let answers = &operation.value["responses"];
        let answer = answers.get(seen.status.to_string());
        description.resolved(answer.unwrap_or(&answers["default"]))
    });
    let media_type = seen.media_type.split(';').next().unwrap_or_default();
    let Some(content) = answer["content"].get(media_type) else {
        let status = seen.status;
        return told.push(format!(
            "{}: {status} {media_type:?} is not described",
            seen.request
        ));
    };
    if media_type == "application/json" {
        let body = serde_json::from_slice(&seen.body).expect("the run saw to that");
        hold(
            description,
            &content["schema"],
            &body,
            true,
            &seen.request,
            told,
        );
    }
}

fn hold(
    description: &Description,
    schema: &Value,
    value: &Value,
    is_answer: bool,
    request: &str,
    told: &mut Vec<String>,
) {
    let validator = description.strict(schema, is_answer);
    let errors = validator.iter_errors(value);
    told.extend(errors.map(|error| format!("{request}: {error} at {:?}", error.instance_path())));
}
