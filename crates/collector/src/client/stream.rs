//! Frames of a block stream.

use protocol::{
    authentication::{Key, Mac},
    frame::{FrameError, FrameHeader, HEADER_BYTES, MAC_BYTES},
};
use reqwest::Response;

use super::ClientError;

/// The answer to a request for blocks, read frame by frame.
#[derive(Debug)]
pub struct BlockStream {
    response: Response,
    key: Key,
    request: Mac,
    /// Bytes that came and were not handed out yet: less than a frame and a chunk.
    pending: Vec<u8>,
    index: u32,
    ended: bool,
}

impl BlockStream {
    pub(super) fn new(response: Response, key: Key, request: Mac) -> Self {
        Self {
            response,
            key,
            request,
            pending: Vec::new(),
            index: 0,
            ended: false,
        }
    }

    /// Returns the bytes of the next block, authentic but not parsed yet; `None` after the last frame.
    ///
    /// # Errors
    /// [`ClientError::CutShort`] where the connection ends before the last frame; what was returned before is good.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        while !self.ended {
            let head = self.take(HEADER_BYTES).await?;
            let head = <&[u8; HEADER_BYTES]>::try_from(head.as_slice())
                .map_err(|_| FrameError::Malformed)?;
            let header = FrameHeader::parse(head, self.index)?;
            let payload = self.take(header.length).await?;
            let mac = self.take(MAC_BYTES).await?;
            let mac =
                <&[u8; MAC_BYTES]>::try_from(mac.as_slice()).map_err(|_| FrameError::Malformed)?;
            header.verify(&self.key, &self.request, &payload, mac)?;
            self.index += 1;
            self.ended = header.last;
            if !payload.is_empty() {
                return Ok(Some(payload));
            }
            if !header.last {
                // Only the last frame may be empty, else a stream could go on for ever and say nothing.
                return Err(FrameError::Malformed.into());
            }
        }
        Ok(None)
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>, ClientError> {
        while self.pending.len() < count {
            match self
                .response
                .chunk()
                .await
                .map_err(ClientError::unreachable)?
            {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => return Err(ClientError::CutShort),
            }
        }
        let rest = self.pending.split_off(count);
        Ok(std::mem::replace(&mut self.pending, rest))
    }
}
