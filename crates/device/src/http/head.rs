//! What the meter needs to know of a request before it reads the body.

use core::net::{Ipv4Addr, SocketAddrV4};

use heapless::String;
use picoserve::request::{HeaderValue, RequestParts};
use protocol::authentication::{Authorization, BODY_HASH_HEADER, BodyHash};

use crate::viewing::{COOKIE_NAME, Cookie};

use super::{LINE_BYTES_MAX, answer::Failure};

/// Request line and headers, checked and copied out of the connection's buffer.
pub(super) struct Head {
    pub(super) method: String<8>,
    /// Path with query exactly as sent: the MAC covers it.
    pub(super) path_and_query: String<LINE_BYTES_MAX>,
    path_bytes: usize,
    pub(super) authorization: Option<Authorization>,
    pub(super) body_hash: Option<BodyHash>,
    /// Cookie of a session; there is none where it does not look like one.
    pub(super) session: Option<Cookie>,
    /// The request comes from a page that is not the meter's.
    pub(super) is_cross_site: bool,
    pub(super) host: Host,
}

/// Whom a request takes the meter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// The meter, or it does not say.
    Own,
    /// Some other address, as where a tunnel leads to the meter.
    Address,
    /// A name: the meter has none, but it is the answer to every question for one.
    Name,
}

impl Head {
    /// Takes the head out of a parsed request to the meter at `own`.
    ///
    /// # Errors
    /// 414 for a long path, 400 for a malformed authentication header, 405 for a long method.
    pub(super) fn read(parts: &RequestParts<'_>, own: SocketAddrV4) -> Result<Self, Failure> {
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
            session: session(parts),
            is_cross_site: is_cross_site(parts),
            host: Host::of(text(parts, "host"), own),
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

impl Host {
    fn of(host: &str, own: SocketAddrV4) -> Self {
        let address = host.parse().ok();
        let plain = || Some(SocketAddrV4::new(host.parse::<Ipv4Addr>().ok()?, 80));
        match address.or_else(plain) {
            Some(address) if address == own => Self::Own,
            Some(_) => Self::Address,
            None if host.is_empty() => Self::Own,
            None if host.starts_with('[') => Self::Address,
            None if host.split(':').next() == Some("localhost") => Self::Address,
            None => Self::Name,
        }
    }
}

/// Returns a header's text, nothing where it is not there.
fn text<'a>(parts: &RequestParts<'a>, name: &str) -> &'a str {
    let value = parts.headers().get(name);
    value.and_then(|value| value.as_str().ok()).unwrap_or("")
}

fn session(parts: &RequestParts<'_>) -> Option<Cookie> {
    let value = text(parts, "cookie").split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    });
    Cookie::try_from(value?).ok()
}

/// Tells whether the browser says that the request is of another page: not even to read is for that.
fn is_cross_site(parts: &RequestParts<'_>) -> bool {
    let (site, origin) = (text(parts, "sec-fetch-site"), text(parts, "origin"));
    let is_foreign = |origin: &str| origin.strip_prefix("http://") != Some(text(parts, "host"));
    !matches!(site, "" | "none" | "same-origin") || (!origin.is_empty() && is_foreign(origin))
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
