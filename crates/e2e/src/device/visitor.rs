//! Who comes to a meter with the token while others misbehave.

use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use protocol::{
    DeviceId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, NONCE_HEADER, Nonce,
    },
};

use crate::conformance::exchange::{Answer, exchange};

/// Wait before a connection that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// Longest time in which a good request must be answered at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is asked.
const QUESTION: &str = "/api/v1/health";

/// Knows where the meter is and how to prove that it may ask.
pub(super) struct Visitor<'a> {
    host: String,
    key: Key,
    now: &'a dyn Fn() -> Duration,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(
        url: &str,
        device: DeviceId,
        token: &str,
        now: &'a dyn Fn() -> Duration,
    ) -> Self {
        Self {
            host: url.trim_start_matches("http://").to_owned(),
            key: Key::derive(token, device),
            now,
        }
    }

    /// Opens a connection.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(&self.host).context("no connection")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request on a connection of its own.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Answer> {
        exchange(&self.host, method, path, headers, body)
    }

    /// Asks for a nonce.
    pub(super) fn nonce(&self) -> Result<Nonce> {
        let info = self.ask("GET", "/api/v1/info", &[], b"")?;
        let nonce = info.header(NONCE_HEADER).context("info has no nonce")?;
        nonce.parse().ok().context("the nonce is none")
    }

    /// Returns the headers that authenticate a request, and its MAC.
    pub(super) fn sealed(
        &self,
        nonce: Nonce,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> (Vec<(String, String)>, Mac) {
        let hash = BodyHash::of(body);
        let mac = self.key.request_mac(method, path, &hash, &nonce);
        let authorization = Authorization { nonce, mac };
        let headers = vec![
            ("Authorization".to_owned(), authorization.to_string()),
            (BODY_HASH_HEADER.to_owned(), hash.to_string()),
        ];
        (headers, mac)
    }

    /// Asks until an authentic answer comes; returns how long that took, as the meter feels it.
    pub(super) fn answered(&self) -> Result<Duration> {
        let (begun, begun_here) = ((self.now)(), Instant::now());
        loop {
            match self.question() {
                Ok(()) => return Ok((self.now)() - begun),
                Err(error) if begun_here.elapsed() > PATIENCE => return Err(error),
                Err(_) => thread::sleep(AGAIN),
            }
        }
    }

    fn question(&self) -> Result<()> {
        let (headers, request) = self.sealed(self.nonce()?, "GET", QUESTION, b"");
        let answer = self.ask("GET", QUESTION, &headers, b"")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        let header = |name| answer.header(name).context("a header is missing");
        let next: Nonce = header(NONCE_HEADER)?.parse().ok().context("no nonce")?;
        let sent: Mac = header(ANSWER_MAC_HEADER)?.parse().ok().context("no MAC")?;
        let mac = self.key.answer_mac(&request, 200, &answer.body, &next);
        ensure!(mac.matches(sent.bytes()), "the answer is not the meter's");
        Ok(())
    }
}
