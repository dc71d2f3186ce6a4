//! The body of a telemetry post: four forms, one meaning.
//!
//! `{"key": value}`, `{"ts": ms, "values": {…}}`, and arrays of either. An object needs **both** `ts` and `values`,
//! otherwise it is taken as plain keys at the server's own time, and a lone `ts` becomes a key of that name.
//! Timestamps are not checked: seconds instead of milliseconds land in January 1970.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::value::Value;

/// Values of one moment; the server queues, counts and drops data in these units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) ts_ms: i64,
    /// Values by key; `null` values are not in it.
    pub(crate) values: BTreeMap<String, Value>,
}

/// A body that is no telemetry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    /// The body is not JSON.
    #[error("Can't parse value: the body is not JSON")]
    Json(#[from] serde_json::Error),
    /// The body, an element of the array or `values` is not an object.
    #[error("Can't parse value: {0} is not an object")]
    NotAnObject(&'static str),
    /// `ts` is no whole number.
    #[error("Can't parse value: ts is not a whole number of milliseconds")]
    Timestamp,
}

/// Reads a telemetry body; `now_ms` stamps the objects without a time of their own. An empty array gives an empty list.
///
/// # Errors
/// See [`PayloadError`]; nothing of a body with an error is used.
pub(crate) fn parse_telemetry(body: &[u8], now_ms: i64) -> Result<Vec<Message>, PayloadError> {
    let raw: &RawValue = serde_json::from_slice(body)?;
    match raw.get().trim_start().as_bytes().first() {
        Some(b'{') => Ok(vec![parse_object(raw, now_ms)?]),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            elements
                .into_iter()
                .map(|element| parse_object(element, now_ms))
                .collect()
        }
        _ => Err(PayloadError::NotAnObject("the body")),
    }
}

/// Reads a flat object of values, as attributes are sent.
///
/// # Errors
/// See [`PayloadError`].
pub(crate) fn parse_values(body: &[u8]) -> Result<BTreeMap<String, Value>, PayloadError> {
    let raw: &RawValue = serde_json::from_slice(body)?;
    Ok(values_of(&members(raw, "the body")?))
}

fn parse_object(raw: &RawValue, now_ms: i64) -> Result<Message, PayloadError> {
    let members = members(raw, "an element")?;
    match (members.get("ts"), members.get("values")) {
        (Some(ts), Some(values)) => {
            let ts_ms = parse_ts(ts).ok_or(PayloadError::Timestamp)?;
            Ok(Message {
                ts_ms,
                values: values_of(&self::members(values, "values")?),
            })
        }
        _ => Ok(Message {
            ts_ms: now_ms,
            values: values_of(&members),
        }),
    }
}

fn members<'a>(
    raw: &'a RawValue,
    what: &'static str,
) -> Result<BTreeMap<String, &'a RawValue>, PayloadError> {
    if !raw.get().trim_start().starts_with('{') {
        return Err(PayloadError::NotAnObject(what));
    }
    Ok(serde_json::from_str(raw.get())?)
}

fn values_of(members: &BTreeMap<String, &RawValue>) -> BTreeMap<String, Value> {
    members
        .iter()
        .filter_map(|(key, raw)| Some((key.clone(), Value::from_raw(raw)?)))
        .collect()
}

/// Numbers and numeric text count; a fraction is cut off, as the server does.
fn parse_ts(raw: &RawValue) -> Option<i64> {
    let text = raw.get().trim();
    if text.starts_with('"') {
        return serde_json::from_str::<String>(text).ok()?.parse().ok();
    }
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.abs() < i64::MAX as f64).then_some(number.trunc() as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn parsed(body: &str) -> Vec<(i64, Vec<String>)> {
        let messages = parse_telemetry(body.as_bytes(), NOW_MS).expect("the body is valid");
        messages
            .into_iter()
            .map(|message| (message.ts_ms, message.values.into_keys().collect()))
            .collect()
    }

    #[test]
    fn all_four_forms_are_read() {
        assert_eq!(
            parsed(r#"{"a":1,"b":2}"#),
            [(NOW_MS, vec!["a".to_owned(), "b".to_owned()])]
        );
        assert_eq!(
            parsed(r#"{"ts":5,"values":{"a":1}}"#),
            [(5, vec!["a".to_owned()])]
        );
        assert_eq!(
            parsed(r#" [{"ts":5,"values":{"a":1}}, {"ts":"6","values":{"b":1}}]"#),
            [(5, vec!["a".to_owned()]), (6, vec!["b".to_owned()])]
        );
        assert_eq!(
            parsed(r#"[{"a":1},{"a":2}]"#),
            [
                (NOW_MS, vec!["a".to_owned()]),
                (NOW_MS, vec!["a".to_owned()])
            ]
        );
    }

    #[test]
    fn a_lone_ts_becomes_a_key() {
        assert_eq!(
            parsed(r#"{"ts":5,"power":1}"#),
            [(NOW_MS, vec!["power".to_owned(), "ts".to_owned()])]
        );
        assert_eq!(
            parsed(r#"{"values":{"a":1}}"#),
            [(NOW_MS, vec!["values".to_owned()])]
        );
    }

    #[test]
    fn empty_bodies_and_nulls_carry_no_values() {
        assert_eq!(parsed("{}"), [(NOW_MS, vec![])]);
        assert_eq!(parsed("[]"), []);
        assert_eq!(parsed(r#"{"ts":5,"values":{"a":null}}"#), [(5, vec![])]);
    }

    #[test]
    fn wrong_shapes_are_refused_whole() {
        for body in [
            "",
            "{",
            "1",
            "\"a\"",
            "null",
            "[1]",
            "[{\"a\":1},2]",
            r#"{"ts":5,"values":3}"#,
        ] {
            assert!(parse_telemetry(body.as_bytes(), NOW_MS).is_err(), "{body}");
        }
        for body in [
            r#"{"ts":true,"values":{}}"#,
            r#"{"ts":"x","values":{}}"#,
            r#"{"ts":1e300,"values":{}}"#,
        ] {
            assert!(
                matches!(
                    parse_telemetry(body.as_bytes(), NOW_MS),
                    Err(PayloadError::Timestamp)
                ),
                "{body}"
            );
        }
    }
}
