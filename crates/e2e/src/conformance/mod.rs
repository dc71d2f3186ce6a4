//! Whether a meter answers the device API as every meter does.
//!
//! `conformance/requests.json` is a list of requests in the order in which they are sent, each with the status and the shape
//! of its answer. The same list is for a simulated meter and for a chip. It begins with a meter that was never set up, and sets
//! it up. MACs, nonces and frames are checked with every answer.

pub(crate) mod exchange;
mod shape;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use protocol::{
    DeviceId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, NONCE_HEADER, Nonce,
    },
    block::Block,
    frame::{FrameHeader, HEADER_BYTES, MAC_BYTES},
    saved::{self, HEADER_BYTES as SAVED_HEADER_BYTES, Part},
};
use serde::Deserialize;
use serde_json::Value;

use exchange::{Answer, exchange};

const REQUESTS: &str = include_str!("../../conformance/requests.json");

/// One request of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
    #[serde(default)]
    access: Access,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    status: u16,
    /// The shape of its JSON, `blocks` or `saved`.
    answer: Value,
}

/// How a request is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Access {
    #[default]
    None,
    Token,
    WrongToken,
    /// With a nonce that the meter did not give.
    ForeignNonce,
    /// With the nonce of the request before.
    UsedNonce,
    /// With the hash of another body.
    AlteredBody,
}

/// Where a meter answers another way than the list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the request.
    pub request: String,
    /// What is not as it should be.
    pub what: String,
}

/// A request as it was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Name of the request.
    pub request: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Body that was sent.
    pub sent: Vec<u8>,
    /// Status of the answer.
    pub status: u16,
    /// Media type of the answer; empty where it has none.
    pub media_type: String,
    /// Body of the answer.
    pub body: Vec<u8>,
}

impl Seen {
    fn new(name: &str, method: &str, path: &str, sent: Vec<u8>, answer: &Answer) -> Self {
        Self {
            request: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            sent,
            status: answer.status,
            media_type: answer.header("Content-Type").unwrap_or_default().to_owned(),
            body: answer.body.clone(),
        }
    }
}

/// What is known from one request to the next.
struct Visit<'a> {
    host: &'a str,
    token: &'a str,
    device: DeviceId,
    last_nonce: Nonce,
    /// Answers by the name of their request.
    answers: BTreeMap<String, Value>,
    /// All exchanges so far.
    seen: Vec<Seen>,
}

/// Sends all requests to the meter at `http://HOST:PORT`, which must never have been set up; it gets `token`, of 16 to 64
/// printable characters. Returns how it differs; empty for a meter that conforms.
///
/// # Errors
/// When the meter cannot be reached, or does not answer at all.
pub fn run(url: &str, token: &str) -> Result<Vec<Difference>> {
    run_seen(url, token).map(|(differences, _)| differences)
}

/// As [`run`]; returns all exchanges too.
///
/// # Errors
/// Those of [`run`].
pub fn run_seen(url: &str, token: &str) -> Result<(Vec<Difference>, Vec<Seen>)> {
    let requests: Vec<Request> = serde_json::from_str(REQUESTS).context("the list of requests")?;
    let host = host(url);
    let info = exchange(host, "GET", "/api/v1/info", &[], b"")?;
    let info: Value = serde_json::from_slice(&info.body).context("info is no JSON")?;
    let device = info["device"].as_str().context("info tells no device")?;
    let mut visit = Visit {
        host,
        token,
        device: device.parse().context("the device is none")?,
        last_nonce: Nonce([0; 20]),
        answers: BTreeMap::new(),
        seen: Vec::new(),
    };
    let mut differences = Vec::new();
    for request in &requests {
        let told = visit.check(request).with_context(|| request.name.clone())?;
        differences.extend(told.into_iter().map(|what| Difference {
            request: request.name.clone(),
            what,
        }));
    }
    Ok((differences, visit.seen))
}

/// Sends one request without authentication and without a body.
///
/// # Errors
/// When the meter does not answer.
pub fn ask(url: &str, method: &str, path: &str) -> Result<Seen> {
    let answer = exchange(host(url), method, path, &[], b"")?;
    Ok(Seen::new(
        &format!("{method} {path}"),
        method,
        path,
        Vec::new(),
        &answer,
    ))
}

fn host(url: &str) -> &str {
    let host = url.strip_prefix("http://").unwrap_or(url);
    host.trim_end_matches('/')
}

/// Returns how many requests the list has.
///
/// # Errors
/// When the list cannot be read.
pub fn count() -> Result<usize> {
    Ok(serde_json::from_str::<Vec<Request>>(REQUESTS)?.len())
}

impl Visit<'_> {
    fn check(&mut self, request: &Request) -> Result<Vec<String>> {
        let path = self.filled(&request.path)?;
        let body = self.filled(&request.body)?.into_bytes();
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            headers.push((name.clone(), self.filled(value)?));
        }
        let mac = self.authenticate(request, &path, &body, &mut headers)?;
        let answer = exchange(self.host, &request.method, &path, &headers, &body)?;
        let (name, method) = (&request.name, &request.method);
        self.seen
            .push(Seen::new(name, method, &path, body, &answer));
        let mut told = Vec::new();
        if answer.status != request.status {
            let text = String::from_utf8_lossy(&answer.body);
            told.push(format!(
                "status {}, not {}: {text}",
                answer.status, request.status
            ));
            return Ok(told);
        }
        if request.answer == "blocks" {
            self.check_blocks(&answer, mac, &mut told);
            return Ok(told);
        }
        if request.answer == "saved" {
            self.check_saved(&answer, &mut told);
            return Ok(told);
        }
        let Ok(found) = serde_json::from_slice(&answer.body) else {
            told.push("the answer is no JSON".to_owned());
            return Ok(told);
        };
        shape::differences(&request.answer, &found, "answer", &mut told);
        self.check_mac(&answer, mac, &mut told);
        self.answers.insert(request.name.clone(), found);
        Ok(told)
    }

    /// Adds the headers of authentication; returns the MAC where the answer must have one too.
    fn authenticate(
        &mut self,
        request: &Request,
        path: &str,
        body: &[u8],
        headers: &mut Vec<(String, String)>,
    ) -> Result<Option<Mac>> {
        if request.access == Access::None {
            return Ok(None);
        }
        let nonce = match request.access {
            Access::UsedNonce => self.last_nonce,
            Access::ForeignNonce => Nonce([7; 20]),
            _ => self.nonce()?,
        };
        self.last_nonce = nonce;
        let hash = match request.access {
            Access::AlteredBody => BodyHash::of(b"another body"),
            _ => BodyHash::of(body),
        };
        let key = match request.access {
            Access::WrongToken => Key::derive("another token", self.device),
            _ => self.key(),
        };
        let mac = key.request_mac(&request.method, path, &hash, &nonce);
        let authorization = Authorization { nonce, mac };
        headers.push(("Authorization".to_owned(), authorization.to_string()));
        headers.push((BODY_HASH_HEADER.to_owned(), hash.to_string()));
        Ok(matches!(request.access, Access::Token | Access::AlteredBody).then_some(mac))
    }

    fn key(&self) -> Key {
        Key::derive(self.token, self.device)
    }

    fn nonce(&self) -> Result<Nonce> {
        let info = exchange(self.host, "GET", "/api/v1/info", &[], b"")?;
        let nonce = info.header(NONCE_HEADER).context("info has no nonce")?;
        nonce.parse().context("the nonce is none")
    }

    /// Each answer has a nonce; each one to an admitted request has a MAC, and no other.
    fn check_mac(&self, answer: &Answer, request: Option<Mac>, told: &mut Vec<String>) {
        let next: Option<Nonce> = answer
            .header(NONCE_HEADER)
            .and_then(|text| text.parse().ok());
        let Some(next) = next else {
            told.push("there is no nonce".to_owned());
            return;
        };
        let sent = answer.header(ANSWER_MAC_HEADER);
        match (request, sent.and_then(|text| text.parse::<Mac>().ok())) {
            (None, None) => {}
            (None, Some(_)) => told.push("there is a MAC, and no request had one".to_owned()),
            (Some(_), None) => told.push("there is no MAC".to_owned()),
            (Some(request), Some(sent)) => {
                let mac = (self.key()).answer_mac(&request, answer.status, &answer.body, &next);
                if !mac.matches(sent.bytes()) {
                    told.push("the MAC is wrong".to_owned());
                }
            }
        }
    }

    /// A stream of frames in order, each with its MAC, the last one marked, and a whole block in each but an empty last one.
    fn check_blocks(&self, answer: &Answer, request: Option<Mac>, told: &mut Vec<String>) {
        let Some(request) = request else {
            told.push("blocks came without authentication".to_owned());
            return;
        };
        let (mut rest, mut index, mut is_whole) = (&answer.body[..], 0, false);
        while let Some((head, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let Ok(header) = FrameHeader::parse(head, index) else {
                return told.push(format!("frame {index} has no header"));
            };
            let Some((payload, after)) = after.split_at_checked(header.length) else {
                return told.push(format!("frame {index} is cut"));
            };
            let Some((mac, after)) = after.split_first_chunk::<MAC_BYTES>() else {
                return told.push(format!("frame {index} is cut"));
            };
            if header.verify(&self.key(), &request, payload, mac).is_err() {
                told.push(format!("the MAC of frame {index} is wrong"));
            }
            let is_empty_end = header.last && payload.is_empty();
            if !is_empty_end && Block::parse(payload).is_err() {
                told.push(format!("frame {index} holds no block"));
            }
            is_whole = header.last;
            (rest, index) = (after, index + 1);
        }
        if !is_whole || !rest.is_empty() {
            told.push("the stream does not end with its last frame".to_owned());
        }
    }

    /// A file of this meter that is whole: blocks in order, then events in order.
    fn check_saved(&self, answer: &Answer, told: &mut Vec<String>) {
        let name = answer.header("Content-Disposition").unwrap_or_default();
        if !name.starts_with(&format!("attachment; filename=\"ofmon-{}-", self.device)) {
            told.push(format!("the file is not named: {name}"));
        }
        let Some((head, mut rest)) = answer.body.split_first_chunk::<SAVED_HEADER_BYTES>() else {
            return told.push("the file has no header".to_owned());
        };
        let mut reader = match saved::Reader::new(head, self.key()) {
            Ok(reader) => reader,
            Err(error) => return told.push(error.to_string()),
        };
        let (mut next, mut next_event) = (0, 0);
        loop {
            match reader.take(rest) {
                Err(error) => return told.push(error.to_string()),
                Ok(saved::Taken::Needs(_)) => return told.push("the file is cut".to_owned()),
                Ok(saved::Taken::Ended) => break,
                Ok(saved::Taken::Part { part, length }) => {
                    match part {
                        Part::Block(block) => {
                            match Block::parse(block).map(|block| block.range()) {
                                Ok(range) if range.start >= next && next_event == 0 => {
                                    next = range.end
                                }
                                _ => told.push("a block of the file is not in order".to_owned()),
                            }
                        }
                        Part::Events(events) => {
                            for event in events {
                                if event.number < next_event {
                                    told.push("an event of the file is not in order".to_owned());
                                }
                                next_event = event.number + 1;
                            }
                        }
                        Part::End => {}
                    }
                    rest = &rest[length..];
                }
            }
        }
        if next_event == 0 || !rest.is_empty() {
            told.push("the file has no events, or does not end with its last frame".to_owned());
        }
    }

    /// Puts values in for `${token}`, `${long:N}` and `${request.field}`.
    fn filled(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("a place has no end")?;
            filled.push_str(before);
            filled.push_str(&self.value(name)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<String> {
        if name == "token" {
            return Ok(self.token.to_owned());
        }
        if let Some(length) = name.strip_prefix("long:") {
            return Ok("x".repeat(length.parse()?));
        }
        let (request, field) = name.split_once('.').context("a place without a field")?;
        match self
            .answers
            .get(request)
            .and_then(|answer| answer.get(field))
        {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => Ok(value.to_string()),
            None => bail!("nothing is known of {name}"),
        }
    }
}
