//! One telemetry or attribute value, with the server's own idea of types.
//!
//! ThingsBoard looks at how a number is *written*, not at what it is: a literal with a point and no exponent is a
//! double (`5.0`), any other whole number is a 64-bit long (`1e3` is 1000), a whole number that does not fit becomes
//! text, and so does a fraction with more than [`DOUBLE_DECIMALS_MAX`] decimals. Numeric text is cast by the same
//! rules. Therefore this module works on the literal's characters and never goes through a float first.

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

/// Decimals that a fraction may be written with before the server keeps it as text instead of a double.
pub const DOUBLE_DECIMALS_MAX: i64 = 16;

/// Zeros that writing an exponent out may add. The server has no such limit; a double for tests must not be talked
/// into gigabytes by `1e999999999`, so beyond it the literal itself is kept.
const PLAIN_ZEROS_MAX: i64 = 1000;

/// A stored value; the kind decides how it is aggregated and how it is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A fraction.
    Double(f64),
    /// Text, and numbers that fit neither of the other kinds.
    Text(String),
    /// An object or array, kept as it was written.
    Json(String),
}

impl Value {
    /// Reads one JSON value as the server stores it; `None` for `null`, which the server skips.
    pub(crate) fn from_raw(raw: &RawValue) -> Option<Value> {
        let text = raw.get().trim();
        match text.as_bytes().first()? {
            b'n' => None,
            b't' => Some(Value::Bool(true)),
            b'f' => Some(Value::Bool(false)),
            b'{' | b'[' => Some(Value::Json(text.to_owned())),
            b'"' => {
                // Valid JSON text was checked by the parser that made `raw`.
                let content: String = serde_json::from_str(text).ok()?;
                Some(if is_parsable(&content) {
                    from_literal(&content)
                } else {
                    Value::Text(content)
                })
            }
            _ => Some(from_literal(text)),
        }
    }

    /// Returns the number, or `None` for the kinds that are none.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Long(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            Value::Bool(_) | Value::Text(_) | Value::Json(_) => None,
        }
    }

    /// Answers the value with its type when `strict`, and otherwise as text, which is the server's default.
    pub(crate) fn to_json(&self, strict: bool) -> Json {
        if !strict {
            return Json::String(self.to_text());
        }
        match self {
            Value::Bool(value) => json!(value),
            Value::Long(value) => json!(value),
            Value::Double(value) => json!(value),
            Value::Text(value) => json!(value),
            Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        }
    }

    /// Writes the value as text, doubles in the form that the server's run time gives them (`5.0`, `1.5E7`).
    pub fn to_text(&self) -> String {
        match self {
            Value::Bool(value) => value.to_string(),
            Value::Long(value) => value.to_string(),
            Value::Double(value) => double_text(*value),
            Value::Text(value) | Value::Json(value) => value.clone(),
        }
    }
}

/// Writes a double plainly from 0.001 up to 10 million and with an exponent outside, always with a decimal.
fn double_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => scientific,
    }
}

/// Tells whether text is cast to a number: digits with at most one point that is not last, after an optional minus.
fn is_parsable(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && !digits.ends_with('.')
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
}

/// Types a decimal literal by how it is written.
fn from_literal(literal: &str) -> Value {
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (literal, Some(0)),
    };
    let Some(exponent) = exponent.filter(|exponent| exponent.abs() <= PLAIN_ZEROS_MAX) else {
        return Value::Text(literal.to_owned());
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let negative = whole.starts_with('-');
    let mut digits = String::with_capacity(mantissa.len());
    digits.push_str(whole.trim_start_matches('-'));
    digits.push_str(fraction);
    // The number is `digits` times ten to the power of minus `scale`.
    let scale = fraction.len() as i64 - exponent;

    let trailing_zeros = digits.len() - digits.trim_end_matches('0').len();
    let is_zero = trailing_zeros == digits.len();
    let is_whole = is_zero || scale - trailing_zeros as i64 <= 0;
    let is_simple_double = literal.contains('.') && !literal.contains(['e', 'E']);
    if is_whole && !is_simple_double {
        let significant = if is_zero {
            "0"
        } else {
            digits.trim_end_matches('0')
        };
        let plain = plain_text(
            negative,
            significant,
            if is_zero {
                0
            } else {
                scale - trailing_zeros as i64
            },
        );
        return plain.parse().map_or(Value::Text(plain), Value::Long);
    }
    if scale > DOUBLE_DECIMALS_MAX {
        return Value::Text(plain_text(negative, &digits, scale));
    }
    literal
        .parse()
        .map_or_else(|_| Value::Text(literal.to_owned()), Value::Double)
}

/// Writes `digits` × 10^−`scale` without an exponent, with all decimals that `scale` asks for.
fn plain_text(negative: bool, digits: &str, scale: i64) -> String {
    let decimals = usize::try_from(scale).unwrap_or(0);
    let trailing = if scale < 0 {
        scale.unsigned_abs() as usize
    } else {
        0
    };
    let padded = format!(
        "{}{digits}{}",
        "0".repeat(decimals.saturating_sub(digits.len())),
        "0".repeat(trailing)
    );
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if negative && digits.bytes().any(|digit| digit != b'0') {
        "-"
    } else {
        ""
    };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Option<Value> {
        let raw: &RawValue = serde_json::from_str(json).expect("the test's own JSON");
        Value::from_raw(raw)
    }

    #[test]
    fn the_way_a_number_is_written_decides_its_type() {
        assert_eq!(value("12"), Some(Value::Long(12)));
        assert_eq!(value("-0"), Some(Value::Long(0)));
        assert_eq!(value("5.0"), Some(Value::Double(5.0)));
        assert_eq!(value("0.0"), Some(Value::Double(0.0)));
        assert_eq!(value("1e3"), Some(Value::Long(1000)));
        assert_eq!(value("0e-5"), Some(Value::Long(0)));
        assert_eq!(value("1200e-2"), Some(Value::Long(12)));
        assert_eq!(value("1.5e1"), Some(Value::Long(15)));
        assert_eq!(value("10e-1"), Some(Value::Long(1)));
        assert_eq!(value("1.5E-5"), Some(Value::Double(1.5e-5)));
        assert_eq!(value("9223372036854775807"), Some(Value::Long(i64::MAX)));
    }

    #[test]
    fn numbers_without_a_fitting_type_become_text() {
        assert_eq!(
            value("9223372036854775808"),
            Some(Value::Text("9223372036854775808".into()))
        );
        assert_eq!(
            value("1e20"),
            Some(Value::Text("100000000000000000000".into()))
        );
        assert_eq!(
            value("0.30000000000000004"),
            Some(Value::Text("0.30000000000000004".into()))
        );
        assert_eq!(
            value("0.3000000000000000"),
            Some(Value::Double(0.3)),
            "16 decimals still fit"
        );
        assert_eq!(
            value("-25e-18"),
            Some(Value::Text("-0.000000000000000025".into()))
        );
        assert_eq!(
            value("5.00000000000000000"),
            Some(Value::Text("5.00000000000000000".into()))
        );
        assert_eq!(
            value("-0.00000000000000000"),
            Some(Value::Text("0.00000000000000000".into()))
        );
        assert_eq!(
            value("1e999999999"),
            Some(Value::Text("1e999999999".into()))
        );
    }

    #[test]
    fn numeric_text_is_cast_and_other_text_is_not() {
        assert_eq!(value("\"12\""), Some(Value::Long(12)));
        assert_eq!(value("\"007\""), Some(Value::Long(7)));
        assert_eq!(value("\"-.5\""), Some(Value::Double(-0.5)));
        for text in ["5.", "-", "", "1e3", "0x10", "1 ", "1.2.3", "NaN"] {
            assert_eq!(
                value(&format!("\"{text}\"")),
                Some(Value::Text(text.into()))
            );
        }
    }

    #[test]
    fn other_kinds_are_kept_and_null_is_skipped() {
        assert_eq!(value("null"), None);
        assert_eq!(value("true"), Some(Value::Bool(true)));
        assert_eq!(value("{\"a\": 1}"), Some(Value::Json("{\"a\": 1}".into())));
        assert_eq!(
            value("[1]").map(|value| value.to_json(true)),
            Some(json!([1]))
        );
    }

    #[test]
    fn doubles_are_written_as_the_server_writes_them() {
        for (number, text) in [
            (5.0, "5.0"),
            (-0.001, "-0.001"),
            (0.00012, "1.2E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (123_456_789.5, "1.234567895E8"),
            (0.0, "0.0"),
        ] {
            assert_eq!(Value::Double(number).to_text(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_finite_double_reads_back_from_its_text(number in proptest::num::f64::NORMAL) {
            proptest::prop_assert_eq!(Value::Double(number).to_text().parse::<f64>(), Ok(number));
        }

        #[test]
        fn every_long_survives_its_literal(number: i64) {
            proptest::prop_assert_eq!(value(&number.to_string()), Some(Value::Long(number)));
        }
    }
}
