//! What an answer looks like: its keys and the kinds of its values.

use serde_json::Value;

/// Compares an answer with a shape and tells what differs, each with the path to it.
///
/// A shape is JSON: an object has exactly its keys; an array has entries of one shape, any number of them; a text is `number`,
/// `string`, `boolean`, `number?` for one that may be null, `any`, or `=` with the value itself behind it.
pub(super) fn differences(shape: &Value, found: &Value, path: &str, told: &mut Vec<String>) {
    match (shape, found) {
        (Value::Object(shape), Value::Object(found)) => {
            for (key, shape) in shape {
                match found.get(key) {
                    Some(found) => differences(shape, found, &format!("{path}.{key}"), told),
                    None => told.push(format!("{path}.{key} is missing")),
                }
            }
            let unknown = found.keys().filter(|key| !shape.contains_key(*key));
            told.extend(unknown.map(|key| format!("{path}.{key} is not expected")));
        }
        (Value::Array(shape), Value::Array(found)) => {
            for (index, found) in found.iter().enumerate() {
                if let Some(shape) = shape.first() {
                    differences(shape, found, &format!("{path}[{index}]"), told);
                }
            }
        }
        (Value::String(kind), found) if fits(kind, found) => {}
        (shape, found) => told.push(format!("{path} is {found}, not {shape}")),
    }
}

fn fits(kind: &str, found: &Value) -> bool {
    match kind {
        "any" => true,
        "number" => found.is_number(),
        "number?" => found.is_number() || found.is_null(),
        "string" => found.is_string(),
        "boolean" => found.is_boolean(),
        _ => match (kind.strip_prefix('='), found) {
            (Some(value), Value::String(found)) => value == found,
            (Some(value), found) => value.parse().is_ok_and(|value: Value| value == *found),
            (None, _) => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(shape: &str, found: &str) -> Vec<String> {
        let (shape, found) = (
            serde_json::from_str(shape).unwrap(),
            serde_json::from_str(found).unwrap(),
        );
        let mut told = Vec::new();
        differences(&shape, &found, "answer", &mut told);
        told
    }

    #[test]
    fn what_fits_is_not_told() {
        let shape =
            r#"{"a":"number","b":[{"c":"string"}],"d":"number?","e":"=x","f":"=0","g":"boolean"}"#;
        for found in [
            r#"{"a":1,"b":[],"d":null,"e":"x","f":0,"g":true}"#,
            r#"{"a":-1.5,"b":[{"c":""},{"c":"y"}],"d":7,"e":"x","f":0,"g":false}"#,
        ] {
            assert_eq!(told(shape, found), Vec::<String>::new());
        }
    }

    #[test]
    fn what_differs_is_told_with_its_place() {
        let cases = [
            (r#"{"a":"number"}"#, r#"{}"#, "answer.a is missing"),
            (r#"{}"#, r#"{"a":1}"#, "answer.a is not expected"),
            (
                r#"{"a":["number"]}"#,
                r#"{"a":[1,"x"]}"#,
                r#"answer.a[1] is "x", not "number""#,
            ),
            (
                r#"{"a":"=x"}"#,
                r#"{"a":"y"}"#,
                r#"answer.a is "y", not "=x""#,
            ),
            (r#"{"a":{}}"#, r#"{"a":1}"#, "answer.a is 1, not {}"),
            (r#""number""#, "null", r#"answer is null, not "number""#),
            (r#""nmber""#, "1", r#"answer is 1, not "nmber""#),
        ];
        for (shape, found, expected) in cases {
            assert_eq!(told(shape, found), [expected]);
        }
    }
}
