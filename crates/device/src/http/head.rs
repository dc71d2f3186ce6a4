//! What the meter needs to know of a request before it reads the body.

use heapless::String;
use picoserve::request::{HeaderValue, RequestParts};
use protocol::authentication::{Authorization, BODY_HASH_HEADER, BodyHash};

use super::{HEADER_BYTES_MAX, PATH_BYTES_MAX, answer::Failure};

/// Request line and headers, checked and copied out of the connection's buffer.
pub(super) struct Head {
    pub(super) method: String<8>,
    /// Path with query exactly as sent: the MAC covers it.
    pub(super) path_and_query: String<PATH_BYTES_MAX>,
    path_bytes: usize,
    pub(super) authorization: Option<Authorization>,
    pub(super) body_hash: Option<BodyHash>,
}

impl Head {
    /// Takes the head out of a parsed request.
    ///
    /// # Errors
    /// 414 for a long path, 431 for long headers, 400 for a malformed authentication header, 405 for a long method.
    pub(super) fn read(parts: &RequestParts<'_>) -> Result<Self, Failure> {
        let header_bytes: usize = parts
            .headers()
            .iter()
            .map(|(name, value)| name.as_raw().len() + value.as_raw().len() + 4)
            .sum();
        if header_bytes > HEADER_BYTES_MAX {
            return Err(Failure::new(
                431,
                "headers_too_large",
                "the headers are over 2048 bytes",
            ));
        }
        let method =
            String::try_from(parts.method()).map_err(|_| super::routes::method_not_allowed())?;
        let mut path_and_query = String::new();
        let path = parts.path().encoded();
        let mut pieces = [path, "", ""];
        if let Some(query) = parts.query() {
            pieces = [path, "?", query.0];
        }
        for piece in pieces {
            let pushed = path_and_query.push_str(piece);
            pushed.map_err(|_| Failure::new(414, "path_too_long", "the path is over 512 bytes"))?;
        }
        Ok(Self {
            method,
            path_bytes: path.len(),
            path_and_query,
            authorization: parsed(parts.headers().get("authorization"))?,
            body_hash: parsed(parts.headers().get(BODY_HASH_HEADER))?,
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path_and_query[..self.path_bytes]
    }

    /// Returns a whole number from the query, `None` where it is not given.
    ///
    /// # Errors
    /// 400 where it is no number.
    pub(super) fn query_number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let query = self.path_and_query[self.path_bytes..].trim_start_matches('?');
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = value.map(str::parse).transpose();
        number.map_err(|_| Failure::new(400, "bad_query", "a number in the query is none"))
    }
}

fn parsed<T: core::str::FromStr>(value: Option<HeaderValue<'_>>) -> Result<Option<T>, Failure> {
    let parsed = value.map(|value| value.as_str().ok()?.parse().ok());
    match parsed {
        Some(None) => Err(Failure::new(
            400,
            "bad_header",
            "an authentication header is malformed",
        )),
        Some(some) => Ok(some),
        None => Ok(None),
    }
}
