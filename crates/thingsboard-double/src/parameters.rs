//! Query parameters, read as leniently as the server's web framework reads them.
//!
//! Lists may be comma separated or repeated, truth values are written in any case (one client sends `True`), and a
//! parameter without a value counts as absent.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::error::ApiError;

/// The parameters of one request in the order they were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Parameters, Infallible> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Parameters(
            query.map(|Query(pairs)| pairs).unwrap_or_default(),
        ))
    }
}

impl Parameters {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a parameter.
    pub(crate) fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Returns all values of a list parameter.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.values(name)
            .flat_map(|value| value.split(','))
            .filter(|item| !item.is_empty())
            .map(String::from)
            .collect()
    }

    /// Returns the keys of telemetry or attributes: a list `keys`, or `key` once for each, commas and all.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = self.list("keys");
        keys.extend(self.values("key").map(String::from));
        keys
    }

    /// Returns a number, or `None` when the parameter is absent.
    ///
    /// # Errors
    /// 400 when the text is no number of that kind.
    pub(crate) fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let invalid =
            |_| ApiError::bad_request(format!("Parameter '{name}' is not a valid number"));
        text.trim().parse().map(Some).map_err(invalid)
    }

    /// Returns a number that has to be there.
    ///
    /// # Errors
    /// 400 when it is absent or no number.
    pub(crate) fn required_number<N: FromStr>(&self, name: &str) -> Result<N, ApiError> {
        let absent = || {
            ApiError::bad_request(format!(
                "Required request parameter '{name}' is not present"
            ))
        };
        self.number(name)?.ok_or_else(absent)
    }

    /// Returns a truth value written in any case.
    ///
    /// # Errors
    /// 400 when the text is neither true nor false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(ApiError::bad_request(format!(
                "Parameter '{name}' is not true or false"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_comma_separated_or_repeated() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let parameters = Parameters(vec![
            pair("keys", "a,b"),
            pair("x", "1"),
            pair("keys", "c"),
            pair("keys", ""),
        ]);
        assert_eq!(parameters.list("keys"), ["a", "b", "c"]);
        assert_eq!(parameters.list("none"), Vec::<String>::new());
    }

    #[test]
    fn keys_with_commas_are_sent_one_by_one() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let parameters = Parameters(vec![pair("keys", "a,b"), pair("key", "c,d")]);
        assert_eq!(parameters.keys(), ["a", "b", "c,d"]);
    }

    #[test]
    fn flags_are_read_in_any_case_and_checked() {
        let parameters = |value: &str| Parameters(vec![("strict".to_owned(), value.to_owned())]);
        assert_eq!(parameters("True").flag("strict", false), Ok(true));
        assert_eq!(parameters("FALSE").flag("strict", true), Ok(false));
        assert_eq!(parameters("").flag("strict", true), Ok(true));
        assert!(parameters("1").flag("strict", false).is_err());
    }

    #[test]
    fn numbers_are_checked_and_may_be_required() {
        let parameters = Parameters(vec![("limit".to_owned(), "-7".to_owned())]);
        assert_eq!(parameters.number::<i64>("limit"), Ok(Some(-7)));
        assert!(parameters.number::<usize>("limit").is_err());
        assert_eq!(parameters.number::<i64>("page"), Ok(None));
        assert!(parameters.required_number::<i64>("page").is_err());
    }
}
