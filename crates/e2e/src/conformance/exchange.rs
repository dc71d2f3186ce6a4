//! One request and its answer, byte for byte over a connection of its own.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// Longest wait for any part of an answer; a chip in an emulator is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = (self.headers.iter()).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends a request to `host` and reads until the meter closes the connection.
pub(crate) fn exchange(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = TcpStream::connect(host).with_context(|| format!("no meter at {host}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    // A meter may answer and close before it has read everything.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    ensure!(!bytes.is_empty(), "no answer: {read:?}");
    parsed(&bytes)
}

fn parsed(bytes: &[u8]) -> Result<Answer> {
    let end = find(bytes, b"\r\n\r\n").context("the answer has no end of its headers")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    let mut answer = Answer {
        status: status.context("the answer has no status")?.parse()?,
        headers: lines.filter_map(header).collect(),
        body: bytes[end + 4..].to_vec(),
    };
    if answer.header("Transfer-Encoding") == Some("chunked") {
        answer.body = joined(&answer.body)?;
    } else if let Some(length) = answer.header("Content-Length") {
        let length: usize = length.parse()?;
        ensure!(
            answer.body.len() == length,
            "the body has not its stated length"
        );
    }
    Ok(answer)
}

/// Joins the chunks of a body.
fn joined(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n").context("a chunk has no length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end])?, 16)?;
        if length == 0 {
            return Ok(body);
        }
        let chunk = rest.get(end + 2..end + 2 + length);
        body.extend(chunk.context("a chunk ends early")?);
        rest = rest.get(end + 4 + length..).context("a chunk ends early")?;
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
