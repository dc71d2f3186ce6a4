//! Blocks in an authenticated stream.
//!
//! The answer to `GET /api/v1/blocks` is a row of frames. Each carries one block and a MAC over the request it answers,
//! its place in the row and whether it is the last, so that a false access point can neither alter, reorder nor cut it
//! unnoticed; what was received before a cut is good.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | length of the payload, little-endian, at most [`BLOCK_BYTES_MAX`] |
//! | 4 | 4 | index from 0, little-endian |
//! | 8 | 1 | 1 in the last frame, else 0 |
//! | 9 | length | payload: one block; empty only in a last frame with nothing more to say |
//! | … | 16 | MAC, see [`Key::frame_mac`](crate::authentication::Key::frame_mac) |

use crate::{
    authentication::{Key, Mac},
    limits::BLOCK_BYTES_MAX,
};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 9;
/// Bytes after the payload.
pub const MAC_BYTES: usize = 16;

/// The fields before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the payload.
    pub length: usize,
    /// Place in the stream, from 0.
    pub index: u32,
    /// Marks the last frame of the stream.
    pub last: bool,
}

/// Why a stream is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length exceeds the limit or the mark is neither 0 nor 1.
    Malformed,
    /// Another index was due.
    OutOfOrder,
    /// The MAC does not match: not this meter, or altered on the way.
    NotAuthentic,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the stream is malformed",
            Self::OutOfOrder => "a part of the stream is missing",
            Self::NotAuthentic => "the stream does not come from this meter",
        })
    }
}

impl core::error::Error for FrameError {}

impl FrameHeader {
    /// Returns the bytes that precede the payload.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.index.to_le_bytes());
        bytes[8] = self.last.into();
        bytes
    }

    /// Reads the bytes that precede the payload; `index` is the one that is due.
    ///
    /// # Errors
    /// [`FrameError::Malformed`], [`FrameError::OutOfOrder`].
    pub fn parse(bytes: &[u8; HEADER_BYTES], index: u32) -> Result<Self, FrameError> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let header = Self {
            length: word(0) as usize,
            index: word(4),
            last: bytes[8] == 1,
        };
        if header.length > BLOCK_BYTES_MAX || bytes[8] > 1 {
            Err(FrameError::Malformed)
        } else if header.index != index {
            Err(FrameError::OutOfOrder)
        } else {
            Ok(header)
        }
    }

    /// Checks the MAC that follows `payload` in the answer to the request with MAC `request`.
    ///
    /// # Errors
    /// [`FrameError::NotAuthentic`].
    pub fn verify(
        self,
        key: &Key,
        request: &Mac,
        payload: &[u8],
        mac: &[u8; MAC_BYTES],
    ) -> Result<(), FrameError> {
        if key.frame_mac(request, self, payload).matches(mac) {
            Ok(())
        } else {
            Err(FrameError::NotAuthentic)
        }
    }
}
