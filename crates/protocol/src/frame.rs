//! Blocks in an authenticated stream.
//!
//! The answer to `GET /api/v1/blocks` is a row of frames. Each carries one block and a MAC over the request it answers,
//! its place in the row and whether it is the last, so that a false access point can neither alter, reorder nor cut it
//! unnoticed; what was received before a cut is good.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | length of the payload, little-endian, at most [`PAYLOAD_BYTES_MAX`] |
//! | 4 | 4 | index from 0, little-endian |
//! | 8 | 1 | 1 in the last frame, else 0 |
//! | 9 | length | payload: one block; empty only in a last frame with nothing more to say |
//! | … | 16 | MAC, see [`Key::frame_mac`](crate::authentication::Key::frame_mac) |
//!
//! A [saved file](crate::saved) has the same frames; there each payload begins with a byte that says what it is.

use crate::{
    authentication::{Key, Mac},
    limits::BLOCK_BYTES_MAX,
};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 9;
/// Bytes after the payload.
pub const MAC_BYTES: usize = 16;
/// Bytes of the longest payload: a block, and the byte that a saved file has before it.
pub const PAYLOAD_BYTES_MAX: usize = 1 + BLOCK_BYTES_MAX;
/// Bytes of the longest frame.
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_BYTES_MAX + MAC_BYTES;

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
        if header.length > PAYLOAD_BYTES_MAX || bytes[8] > 1 {
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

    /// Puts header and MAC around the payload that lies in `frame` from [`HEADER_BYTES`] on; returns the frame's length.
    ///
    /// # Panics
    /// When `frame` has no room for payload and MAC.
    pub fn seal(self, key: &Key, request: &Mac, frame: &mut [u8]) -> usize {
        let payload_end = HEADER_BYTES + self.length;
        let end = payload_end + MAC_BYTES;
        frame[..HEADER_BYTES].copy_from_slice(&self.to_bytes());
        let mac = key.frame_mac(request, self, &frame[HEADER_BYTES..payload_end]);
        frame[payload_end..end].copy_from_slice(&mac.bytes()[..MAC_BYTES]);
        end
    }
}

/// Reads a row of frames from bytes as they come, each checked for its place and its MAC.
#[derive(Clone, Debug)]
pub struct Frames {
    key: Key,
    request: Mac,
    index: u32,
    has_ended: bool,
}

/// What the bytes at the beginning of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// Not a whole frame yet: so many bytes from its beginning on are needed, at most [`FRAME_BYTES_MAX`].
    Needs(usize),
    /// A frame that is authentic.
    Frame {
        /// What it carries; empty at the most in the last one.
        payload: &'a [u8],
        /// Bytes of the whole frame.
        length: usize,
    },
    /// The last frame was taken before; nothing follows it.
    Ended,
}

impl Frames {
    /// Begins the row that answers the request with MAC `request`.
    #[must_use]
    pub fn new(key: Key, request: Mac) -> Self {
        Self {
            key,
            request,
            index: 0,
            has_ended: false,
        }
    }

    /// Tells whether the last frame was taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes the frame at the beginning of `bytes`.
    ///
    /// # Errors
    /// [`FrameError`]; what was taken before is good.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<Taken<'a>, FrameError> {
        if self.has_ended {
            return Ok(Taken::Ended);
        }
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(Taken::Needs(HEADER_BYTES));
        };
        let header = FrameHeader::parse(head, self.index)?;
        let length = HEADER_BYTES + header.length + MAC_BYTES;
        let Some((payload, rest)) = rest.split_at_checked(header.length) else {
            return Ok(Taken::Needs(length));
        };
        let Some(mac) = rest.first_chunk::<MAC_BYTES>() else {
            return Ok(Taken::Needs(length));
        };
        header.verify(&self.key, &self.request, payload, mac)?;
        if payload.is_empty() && !header.last {
            // Only the last frame may be empty, else a stream could go on for ever and say nothing.
            return Err(FrameError::Malformed);
        }
        self.index = self.index.checked_add(1).ok_or(FrameError::OutOfOrder)?;
        self.has_ended = header.last;
        Ok(Taken::Frame { payload, length })
    }
}
