//! What is sent: requests built of parts, most of which a meter knows.

use arbitrary::Arbitrary;
use device::http;
use protocol::authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key, Nonce};

/// What answers without any authentication.
const OPEN: [&str; 4] = ["/", "/api/v1/info", "/api/v1/setup", "/api/v1/session"];
/// What may change readings or the token, and is not for this target.
const CHANGES: [&str; 2] = ["/api/v1/erase", "/api/v1/token"];

#[derive(Arbitrary, Debug)]
pub(crate) struct Input {
    pub(crate) requests: Vec<Request>,
    /// Comes as it is, on a connection of its own.
    pub(crate) raw: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) query: Query,
    pub(crate) body: Body,
    pub(crate) is_sealed: bool,
    /// What is done to the bytes behind the seal.
    pub(crate) flaw: Flaw,
    /// Length of the pieces in which it comes.
    pub(crate) piece_bytes: u8,
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Method {
    Listed(u8),
    Any(String),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Path {
    Listed(u8),
    Any(String),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Query {
    None,
    From(u64),
    FromMax(u64, u64),
    Stream,
    Channel(u8),
    Any(String),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Body {
    None,
    Bytes(Vec<u8>),
    Clock(i64, u32),
    Acknowledge(u64, u64),
    Config(String, u32, u16),
    Setup(String, String),
    Calibrate(u8, u8, u16, Option<u32>, Option<u32>),
    Update(u32, [u8; 32], Vec<u8>),
}

#[derive(Arbitrary, Debug)]
pub(crate) enum Flaw {
    None,
    Cut(u16),
    Flip(u16, u8),
    Insert(u16, Vec<u8>),
    Header(String),
    Length(u32),
}

impl Request {
    fn method(&self) -> String {
        match &self.method {
            Method::Listed(index) => ["GET", "POST", "PUT"][usize::from(*index) % 3].to_owned(),
            Method::Any(text) => text.clone(),
        }
    }

    fn path(&self) -> String {
        match &self.path {
            Path::Listed(index) => {
                let routes = http::ROUTES;
                routes[usize::from(*index) % routes.len()].0.to_owned()
            }
            Path::Any(text) => format!("/{text}"),
        }
    }

    fn query(&self) -> String {
        match &self.query {
            Query::None => String::new(),
            Query::From(from) => format!("?from={from}"),
            Query::FromMax(from, max) => format!("?from={from}&max={max}"),
            Query::Stream => "?stream=1".to_owned(),
            Query::Channel(channel) => format!("?channel={channel}"),
            Query::Any(text) => format!("?{text}"),
        }
    }

    fn body(&self) -> Vec<u8> {
        let text = match &self.body {
            Body::None => String::new(),
            Body::Bytes(bytes) => return bytes.clone(),
            Body::Clock(utc_ms, uncertainty_ms) => {
                format!(r#"{{"utc_ms":{utc_ms},"uncertainty_ms":{uncertainty_ms}}}"#)
            }
            Body::Acknowledge(store, next) => {
                format!(r#"{{"store":"{store:016x}","next":{next}}}"#)
            }
            Body::Config(name, interval_ms, version) => format!(
                r#"{{"name":{name:?},"interval_ms":{interval_ms},"version":{version},"channels":[]}}"#
            ),
            Body::Setup(token, name) => format!(r#"{{"token":{token:?},"name":{name:?}}}"#),
            Body::Calibrate(channel, step, seconds, voltage_mv, power_mw) => {
                let step = ["no_load", "load", "undo"][usize::from(*step) % 3];
                let number =
                    |value: &Option<u32>| value.map_or("null".to_owned(), |v| v.to_string());
                format!(
                    r#"{{"channel":{channel},"step":"{step}","seconds":{seconds},"voltage_mv":{},"power_mw":{},"resistive":true,"utc_ms":0}}"#,
                    number(voltage_mv),
                    number(power_mw)
                )
            }
            Body::Update(image_bytes, image_hash, image) => {
                return update(*image_bytes, *image_hash, image);
            }
        };
        text.into_bytes()
    }

    fn is_for_this_target(&self) -> bool {
        !CHANGES.contains(&self.path().as_str())
    }

    /// Returns what goes over the connection.
    pub(crate) fn bytes(&self, key: &Key, nonce: Nonce) -> Vec<u8> {
        let (method, body) = (self.method(), self.body());
        let target = self.path() + &self.query();
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if self.is_sealed && self.is_for_this_target() {
            let hash = BodyHash::of(&body);
            let mac = key.request_mac(&method, &target, &hash, &nonce);
            let authorization = Authorization { nonce, mac };
            head += &format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
        }
        if let Flaw::Header(header) = &self.flaw {
            head += &format!("{header}\r\n");
        }
        let length = match self.flaw {
            Flaw::Length(length) => length as usize,
            _ => body.len(),
        };
        head += &format!("Content-Length: {length}\r\n\r\n");
        let mut bytes = [head.into_bytes(), body].concat();
        let at = |place: u16, bytes: &[u8]| usize::from(place) % (bytes.len() + 1);
        match &self.flaw {
            Flaw::Cut(place) => bytes.truncate(at(*place, &bytes)),
            Flaw::Flip(place, bits) => {
                let at = at(*place, &bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Flaw::Insert(place, more) => {
                let at = at(*place, &bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Flaw::None | Flaw::Header(_) | Flaw::Length(_) => {}
        }
        bytes
    }

    /// Whoever has no token sends this, and not as it is open to all.
    pub(crate) fn is_strange(&self) -> bool {
        let is_as_it_was = matches!(self.flaw, Flaw::None | Flaw::Cut(_));
        let sealed = self.is_sealed && self.is_for_this_target();
        !sealed && is_as_it_was && !OPEN.contains(&self.path().as_str())
    }
}

fn update(image_bytes: u32, image_hash: [u8; 32], image: &[u8]) -> Vec<u8> {
    let header = protocol::firmware::Header {
        product: "ofmon".try_into().expect("it fits"),
        chip: "esp32c3".try_into().expect("it fits"),
        version: "9.9.9".parse().expect("a version"),
        minimum: "0.0.0".parse().expect("a version"),
        image_bytes,
        image_hash,
        signature: [7; 64],
    };
    [&header.to_bytes()[..], image].concat()
}
