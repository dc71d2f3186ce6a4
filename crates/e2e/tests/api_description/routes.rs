//! Description and guide name exactly the routes that a meter has; the description is valid, and its bounds are the meter's.

use std::collections::BTreeSet;

use device::http::{Access, ROUTES};
use protocol::limits::{
    CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX, CODE_BYTES_MAX, CODE_BYTES_MIN, CT_RATIO, DAY_BARS_MAX,
    EVENTS_PER_ANSWER, INTERVAL_MS, NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN,
    VERSION_BYTES_MAX,
};
use roas::{
    v3_1::spec::Spec,
    validation::{Options, Validate},
};
use serde_json::{Value, json};

use crate::{description::Description, guide};

fn access(security: &Value) -> Access {
    let (hmac, session) = (json!({"hmac": []}), json!({"session": []}));
    match security
        .as_array()
        .expect("each operation says it")
        .as_slice()
    {
        [] => Access::Open,
        [one] if *one == hmac => Access::Owner,
        [one, other] if *one == hmac && *other == session => Access::Viewer,
        other => panic!("no class of access: {other:?}"),
    }
}

/// Returns path, method and class of each route of a meter, a line each.
fn served() -> BTreeSet<String> {
    let lines = ROUTES.iter().flat_map(|(path, methods, access)| {
        let methods = methods.iter();
        methods.map(move |method| format!("{path} {method} {access:?}"))
    });
    lines.collect()
}

/// Tells what is in only one of two sets.
fn differences(one: &BTreeSet<String>, other: &BTreeSet<String>) -> Vec<String> {
    one.symmetric_difference(other).cloned().collect()
}

#[test]
fn the_description_has_the_routes_of_a_meter() {
    let description = Description::read();
    let described = description.operations().into_iter().map(|operation| {
        let method = operation.method.to_uppercase();
        let access = access(&operation.value["security"]);
        format!("{} {method} {access:?}", operation.path)
    });
    let described = described.collect();
    assert_eq!(differences(&served(), &described), Vec::<String>::new());
}

#[test]
fn the_guide_has_the_routes_of_a_meter() {
    let mut told = BTreeSet::new();
    for row in guide::rows("## Routes") {
        let access = match row[1].as_str() {
            "owner" => Access::Owner,
            "viewer" => Access::Viewer,
            who if who.starts_with("anyone") => Access::Open,
            _ => continue,
        };
        let route = row[0].replace(['`', ','], " ");
        let words: Vec<_> = route.split_whitespace().collect();
        let (target, methods) = words.split_last().unwrap();
        let path = target.split('?').next().unwrap();
        told.extend(
            methods
                .iter()
                .map(|method| format!("{path} {method} {access:?}")),
        );
    }
    assert_eq!(differences(&served(), &told), Vec::<String>::new());
}

#[test]
fn the_bounds_of_the_description_are_those_of_the_protocol() {
    let description = Description::read();
    let code = format!("^[!-~]{{{CODE_BYTES_MIN},{CODE_BYTES_MAX}}}$");
    let token = format!("^[!-~]{{{TOKEN_BYTES_MIN},{TOKEN_BYTES_MAX}}}$");
    let bounds = [
        ("Name/maxLength", json!(NAME_BYTES_MAX)),
        ("Info/properties/name/maxLength", json!(NAME_BYTES_MAX)),
        ("Version/maxLength", json!(VERSION_BYTES_MAX)),
        ("Code/pattern", json!(code)),
        ("Setup/properties/token/pattern", json!(token)),
        ("Channel/maximum", json!(CHANNELS_MAX)),
        ("Setup/properties/channels/maxItems", json!(CHANNELS_MAX)),
        ("Live/properties/channels/maxItems", json!(CHANNELS_MAX)),
        (
            "ChannelSettings/properties/name/maxLength",
            json!(CHANNEL_NAME_BYTES_MAX),
        ),
        (
            "ChannelSettings/properties/ct_ratio/minimum",
            json!(CT_RATIO.start()),
        ),
        (
            "ChannelSettings/properties/ct_ratio/maximum",
            json!(CT_RATIO.end()),
        ),
        (
            "Info/properties/interval_ms/minimum",
            json!(INTERVAL_MS.start()),
        ),
        (
            "Info/properties/interval_ms/maximum",
            json!(INTERVAL_MS.end()),
        ),
        (
            "Config/properties/interval_ms/minimum",
            json!(INTERVAL_MS.start()),
        ),
        (
            "Config/properties/interval_ms/maximum",
            json!(INTERVAL_MS.end()),
        ),
        (
            "Setup/properties/interval_ms/minimum",
            json!(INTERVAL_MS.start()),
        ),
        (
            "Setup/properties/interval_ms/maximum",
            json!(INTERVAL_MS.end()),
        ),
        ("Day/properties/power_w/maxItems", json!(DAY_BARS_MAX)),
        (
            "Events/properties/events/maxItems",
            json!(EVENTS_PER_ANSWER),
        ),
    ];
    for (place, bound) in bounds {
        assert_eq!(description.schema(place), Some(&bound), "{place}");
    }
}

#[test]
fn the_description_is_valid_openapi() {
    let text = Description::text();
    let spec: Spec = serde_json::from_str(&text).expect("it has the form of OpenAPI");
    let told = spec.validate(Options::new(), None);
    assert!(told.is_ok(), "{}", told.unwrap_err());
    let mut unknown = Vec::new();
    let known = serde_json::to_value(&spec).unwrap();
    collect_unknown(
        &serde_json::from_str(&text).unwrap(),
        &known,
        "",
        &mut unknown,
    );
    assert_eq!(unknown, Vec::<String>::new());
}

/// Collects the keys that OpenAPI does not know, and that are lost for it when the document is read.
fn collect_unknown(document: &Value, known: &Value, place: &str, unknown: &mut Vec<String>) {
    let below = |key: &str| format!("{place}/{key}");
    match (document, known) {
        (Value::Object(document), Value::Object(known)) => {
            for (key, value) in document {
                match known.get(key) {
                    Some(known) => collect_unknown(value, known, &below(key), unknown),
                    None => unknown.push(below(key)),
                }
            }
        }
        (Value::Array(document), Value::Array(known)) => {
            for (index, (value, known)) in document.iter().zip(known).enumerate() {
                collect_unknown(value, known, &below(&index.to_string()), unknown);
            }
        }
        _ => {}
    }
}

#[test]
fn each_operation_has_a_name_of_its_own() {
    let description = Description::read();
    let operations = description.operations();
    let names: BTreeSet<_> = operations.iter().map(|operation| operation.id()).collect();
    assert_eq!(names.len(), operations.len());
}
