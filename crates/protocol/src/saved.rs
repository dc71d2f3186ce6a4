//! What a meter holds as one file: `GET /api/v1/save`, read by `ofmon import`.
//!
//! Whoever stands before the meter with a phone can take its readings along. The file is a header and a row of
//! [frames](crate::frame). A MAC with the meter's key covers the header, and each frame's MAC covers the header's, so that
//! nobody without the key can make, change, mix or shorten such a file unnoticed. What came before a cut is good. Nothing in
//! it is secret but the readings themselves.
//!
//! | offset | bytes | field of the header |
//! |---|---|---|
//! | 0 | 4 | `OFMS` |
//! | 4 | 1 | version: 1 |
//! | 5 | 6 | device id |
//! | 11 | 8 | store id, big-endian as it is written |
//! | 19 | 4 | boot in which it was saved |
//! | 23 | 8 | uptime in ms at which saving began |
//! | 31 | 8 | first sequence number that was asked for |
//! | 39 | 8 | number of the reading that was next when saving began: the file ends before it |
//! | 47 | 20 | a nonce, so that no two files have the same header |
//! | 67 | 32 | MAC of what precedes, see [`Key::saved_mac`] |
//!
//! All other numbers are little-endian. The payload of a frame begins with one byte:
//!
//! | byte | behind it |
//! |---|---|
//! | 0 | one [block](crate::block) |
//! | 1 | events, at least one: each its length in 2 bytes and what [`Event::write`] makes |
//!
//! Blocks come first, by number, then all events, by number. The last frame is marked and empty.

use crate::{
    authentication::{Key, Mac, Nonce},
    event::{EVENT_BYTES_MAX, Event},
    frame::{self, FrameError, Frames, PAYLOAD_BYTES_MAX},
    identity::{DeviceId, Seq, StoreId},
};

/// Bytes of the header with its MAC.
pub const HEADER_BYTES: usize = FIELDS_BYTES + 32;

const FIELDS_BYTES: usize = 67;
const MAGIC: &[u8; 4] = b"OFMS";
const VERSION: u8 = 1;
const BLOCK: u8 = 0;
const EVENTS: u8 = 1;
/// Bytes of the length before each event.
const LENGTH_BYTES: usize = 2;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The meter.
    pub device: DeviceId,
    /// The history that the numbers count.
    pub store: StoreId,
    /// The boot in which the file was saved.
    pub boot: u32,
    /// Uptime in ms at which saving began.
    pub uptime_ms: u64,
    /// First number that was asked for; what the meter no longer held then is not in the file.
    pub from: Seq,
    /// The number that the meter's next reading was to get when saving began.
    pub next: Seq,
    /// Makes each file another one.
    pub nonce: Nonce,
}

/// Why bytes are not what a meter saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedError {
    /// They do not begin as such a file does.
    NotSaved,
    /// The file is of a version that is not known here.
    Version(u8),
    /// The header's MAC is not one of this key: another token, or altered.
    NotAuthentic,
    /// A frame is damaged, altered or not in its place.
    Frame(FrameError),
    /// An authentic frame holds neither a block nor events.
    Content,
}

impl core::fmt::Display for SavedError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotSaved => f.write_str("this is no file of saved readings"),
            Self::Version(version) => {
                write!(f, "the file has version {version}, which is not known here")
            }
            Self::NotAuthentic => f.write_str(
                "the file was not saved by the meter that it names, as it is known here",
            ),
            Self::Frame(_) => f.write_str("the file is damaged"),
            Self::Content => f.write_str("a part of the file is neither a block nor events"),
        }
    }
}

impl core::error::Error for SavedError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Frame(error) => Some(error),
            _ => None,
        }
    }
}

impl From<FrameError> for SavedError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl Header {
    /// Returns the bytes that a file begins with, and the MAC that its frames have in place of a request's.
    #[must_use]
    pub fn seal(&self, key: &Key) -> ([u8; HEADER_BYTES], Mac) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5..11].copy_from_slice(&self.device.0);
        bytes[11..19].copy_from_slice(&self.store.0.to_be_bytes());
        bytes[19..23].copy_from_slice(&self.boot.to_le_bytes());
        bytes[23..31].copy_from_slice(&self.uptime_ms.to_le_bytes());
        bytes[31..39].copy_from_slice(&self.from.0.to_le_bytes());
        bytes[39..47].copy_from_slice(&self.next.0.to_le_bytes());
        bytes[47..FIELDS_BYTES].copy_from_slice(&self.nonce.0);
        let mac = key.saved_mac(&bytes[..FIELDS_BYTES]);
        bytes[FIELDS_BYTES..].copy_from_slice(mac.bytes());
        (bytes, mac)
    }

    /// Reads what a file says of itself; nothing vouches for it before [`Reader::new`].
    ///
    /// # Errors
    /// [`SavedError::NotSaved`], [`SavedError::Version`].
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, SavedError> {
        if !bytes.starts_with(MAGIC) {
            return Err(SavedError::NotSaved);
        }
        if bytes[4] != VERSION {
            return Err(SavedError::Version(bytes[4]));
        }
        Ok(Self {
            device: DeviceId(part(bytes, 5)),
            store: StoreId(u64::from_be_bytes(part(bytes, 11))),
            boot: u32::from_le_bytes(part(bytes, 19)),
            uptime_ms: u64::from_le_bytes(part(bytes, 23)),
            from: Seq(u64::from_le_bytes(part(bytes, 31))),
            next: Seq(u64::from_le_bytes(part(bytes, 39))),
            nonce: Nonce(part(bytes, 47)),
        })
    }
}

/// Copies `N` bytes of the header; `at` is a constant of the table above.
fn part<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// The payload of a frame while a meter fills it.
#[derive(Debug)]
pub struct Payload<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Payload<'a> {
    /// Begins a payload in `buffer`.
    ///
    /// # Panics
    /// When `buffer` is shorter than [`PAYLOAD_BYTES_MAX`].
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer: &mut buffer[..PAYLOAD_BYTES_MAX],
            length: 0,
        }
    }

    /// Returns the room for a block, to be followed by [`block`](Self::block).
    #[must_use]
    pub fn block_room(&mut self) -> &mut [u8] {
        &mut self.buffer[1..]
    }

    /// Makes the first `length` bytes of the room the one block of this payload; returns the payload's length.
    #[must_use]
    pub fn block(self, length: usize) -> usize {
        self.buffer[0] = BLOCK;
        1 + length
    }

    /// Adds an event; `false` where there is no room for it any more.
    #[must_use]
    pub fn push_event(&mut self, event: &Event) -> bool {
        let at = self.length.max(1);
        let body = at + LENGTH_BYTES;
        if self.buffer.len() < body + EVENT_BYTES_MAX {
            return false;
        }
        self.buffer[0] = EVENTS;
        let length = event.write(&mut self.buffer[body..]);
        self.buffer[at..body].copy_from_slice(&(length as u16).to_le_bytes());
        self.length = body + length;
        true
    }

    /// Returns the length of the events; 0 where there are none.
    #[must_use]
    pub fn events(self) -> usize {
        self.length
    }
}

/// Reads a file from bytes as they come.
#[derive(Clone, Debug)]
pub struct Reader(Frames);

/// What the bytes at the beginning of a frame are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// Not a whole frame yet: so many bytes from its beginning on are needed, at most [`frame::FRAME_BYTES_MAX`].
    Needs(usize),
    /// A part of the file.
    Part {
        /// What it holds.
        part: Part<'a>,
        /// Bytes of the whole frame.
        length: usize,
    },
    /// The last frame was taken before; nothing follows it.
    Ended,
}

/// What a frame of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A block, authentic but not parsed yet.
    Block(&'a [u8]),
    /// Events.
    Events(Events<'a>),
    /// Nothing: the end.
    End,
}

impl Reader {
    /// Checks the header's MAC and begins with what follows it.
    ///
    /// # Errors
    /// [`SavedError::NotAuthentic`].
    pub fn new(bytes: &[u8; HEADER_BYTES], key: Key) -> Result<Self, SavedError> {
        let (fields, sent) = bytes.split_at(FIELDS_BYTES);
        let mac = key.saved_mac(fields);
        if !mac.matches(sent) {
            return Err(SavedError::NotAuthentic);
        }
        Ok(Self(Frames::new(key, mac)))
    }

    /// Tells whether the last frame was taken: without it, the file is cut.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Takes the frame at the beginning of `bytes`.
    ///
    /// # Errors
    /// [`SavedError::Frame`], [`SavedError::Content`]; what was taken before is good.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<Taken<'a>, SavedError> {
        let (payload, length) = match self.0.take(bytes)? {
            frame::Taken::Needs(count) => return Ok(Taken::Needs(count)),
            frame::Taken::Ended => return Ok(Taken::Ended),
            frame::Taken::Frame { payload, length } => (payload, length),
        };
        let part = match payload {
            [] => Part::End,
            [BLOCK, block @ ..] => Part::Block(block),
            [EVENTS, events @ ..] => Part::Events(Events::new(events)?),
            _ => return Err(SavedError::Content),
        };
        Ok(Taken::Part { part, length })
    }
}

/// Events of a frame, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events<'a>(&'a [u8]);

impl<'a> Events<'a> {
    /// Checks that all of the bytes are events.
    fn new(bytes: &'a [u8]) -> Result<Self, SavedError> {
        let mut rest = Self(bytes);
        let has_events = rest.by_ref().count() > 0;
        if has_events && rest.0.is_empty() {
            Ok(Self(bytes))
        } else {
            Err(SavedError::Content)
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH_BYTES>()?;
        let (event, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        let event = Event::parse(event).ok()?;
        self.0 = rest;
        Some(event)
    }
}
