//! Live values as server-sent events.

use protocol::{
    authentication::{Key, Mac},
    frame::{FrameError, FrameHeader},
    limits::JSON_BYTES_MAX,
    messages::Live,
};
use reqwest::Response;

use super::ClientError;

/// The longest event: JSON, and an id around it.
const EVENT_BYTES_MAX: usize = JSON_BYTES_MAX + 64;
const EVENT_END: &[u8] = b"\n\n";

/// The newest window of a meter once a second, each authentic and in its place.
#[derive(Debug)]
pub struct LiveStream {
    response: Response,
    key: Key,
    request: Mac,
    /// Bytes that came and are no whole event yet.
    pending: Vec<u8>,
    index: u32,
}

impl LiveStream {
    pub(super) fn new(response: Response, key: Key, request: Mac) -> Self {
        Self {
            response,
            key,
            request,
            pending: Vec::new(),
            index: 0,
        }
    }

    /// Waits for the next event; `None` where the meter ends the stream, as it does after two minutes.
    ///
    /// # Errors
    /// [`ClientError::Stream`] for an event that is altered or not the next, [`ClientError::TooLong`] for one without end,
    /// and all of the connection, also where the meter says nothing for 10 s.
    pub async fn next(&mut self) -> Result<Option<Live>, ClientError> {
        loop {
            let end = self.pending.windows(2).position(|two| two == EVENT_END);
            if let Some(end) = end {
                let rest = self.pending.split_off(end + EVENT_END.len());
                let event = std::mem::replace(&mut self.pending, rest);
                return self.verified(&event[..end]).map(Some);
            }
            if self.pending.len() > EVENT_BYTES_MAX {
                return Err(ClientError::TooLong);
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(ClientError::unreachable)? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.is_empty() => return Ok(None),
                None => return Err(ClientError::CutShort),
            }
        }
    }

    fn verified(&mut self, event: &[u8]) -> Result<Live, ClientError> {
        let (index, mac, data) = parts(event).ok_or(FrameError::Malformed)?;
        if index != self.index {
            return Err(FrameError::OutOfOrder.into());
        }
        let header = FrameHeader {
            length: data.len(),
            index,
            last: false,
        };
        header.verify(&self.key, &self.request, data.as_bytes(), &mac)?;
        self.index += 1;
        serde_json::from_str(data).map_err(ClientError::NotAMeter)
    }
}

/// Splits an event into its index, the MAC of its data, and the data.
fn parts(event: &[u8]) -> Option<(u32, [u8; 16], &str)> {
    let event = str::from_utf8(event).ok()?;
    let (id, data) = event.strip_prefix("id: ")?.split_once("\ndata: ")?;
    let (index, mac) = id.split_once(' ')?;
    let digits = mac.len() == 32 && mac.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mac = u128::from_str_radix(digits.then_some(mac)?, 16).ok()?;
    Some((index.parse().ok()?, mac.to_be_bytes(), data))
}
