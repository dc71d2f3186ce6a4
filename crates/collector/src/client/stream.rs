//! Frames of a block stream.

use protocol::{
    authentication::{Key, Mac},
    frame::{Frames, Taken},
};
use reqwest::Response;

use super::ClientError;

/// The answer to a request for blocks, read frame by frame.
#[derive(Debug)]
pub struct BlockStream {
    response: Response,
    frames: Frames,
    /// Bytes that came and were not handed out yet: less than a frame and a chunk.
    pending: Vec<u8>,
}

impl BlockStream {
    pub(super) fn new(response: Response, key: Key, request: Mac) -> Self {
        Self {
            response,
            frames: Frames::new(key, request),
            pending: Vec::new(),
        }
    }

    /// Returns the bytes of the next block, authentic but not parsed yet; `None` after the last frame.
    ///
    /// # Errors
    /// [`ClientError::CutShort`] where the connection ends before the last frame; what was returned before is good.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            match self.frames.take(&self.pending)? {
                Taken::Needs(_) => {}
                Taken::Ended => return Ok(None),
                Taken::Frame { payload, length } => {
                    let block = payload.to_vec();
                    self.pending.drain(..length);
                    if block.is_empty() {
                        continue;
                    }
                    return Ok(Some(block));
                }
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(ClientError::unreachable)? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => return Err(ClientError::CutShort),
            }
        }
    }
}
