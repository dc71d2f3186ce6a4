//! Answers that are rows of authenticated frames: blocks, and the file of everything.
//!
//! A frame lies on the heap, and its content is read between two awaits, so that measuring goes on while it is sent.

use alloc::vec::Vec;
use core::{cell::RefCell, fmt};

use embedded_storage::nor_flash::NorFlash;
use flash_store::{FlashStore, ReadError};
use protocol::{
    DeviceId, Seq,
    authentication::{Key, Mac},
    block::covered,
    frame::{FRAME_BYTES_MAX, FrameHeader, HEADER_BYTES, PAYLOAD_BYTES_MAX},
};

use super::{answer::Failure, blocks::Blocks, save::Save};
use crate::{board::Board, meter::Meter};

/// What the frames carry.
pub(super) enum Content {
    Blocks(Blocks),
    Save(Save),
}

/// The name under which a browser keeps a saved file.
pub(super) struct FileName {
    pub(super) device: DeviceId,
    pub(super) next: Seq,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, next } = self;
        write!(f, "attachment; filename=\"ofmon-{device}-{next}.ofms\"")
    }
}

/// An answer of many frames, and its name where it is a file.
pub(super) type Begun<'a, B> = (FrameStream<'a, <B as Board>::Flash>, Option<FileName>);

/// Sends frames until the content ends.
pub(super) struct FrameStream<'a, F: NorFlash> {
    meter: &'a RefCell<Meter<F>>,
    key: Key,
    /// What each frame's MAC covers.
    request: Mac,
    content: Content,
    /// Room for one frame; what is to be sent before the first lies in it.
    frame: Vec<u8>,
    prefix_bytes: usize,
    /// Of the frame that is due.
    index: u32,
    is_over: bool,
}

impl<'a, F: NorFlash> FrameStream<'a, F> {
    /// Begins a stream; `prefix` goes before its frames.
    pub(super) fn new(
        meter: &'a RefCell<Meter<F>>,
        key: Key,
        request: Mac,
        content: Content,
        prefix: &[u8],
    ) -> Result<Self, Failure> {
        let mut frame = Vec::new();
        if frame.try_reserve_exact(FRAME_BYTES_MAX).is_err() {
            return Err(Failure::new(
                503,
                "no_memory",
                "the meter has no memory for that at this moment",
            ));
        }
        frame.resize(FRAME_BYTES_MAX, 0);
        frame[..prefix.len()].copy_from_slice(prefix);
        Ok(Self {
            meter,
            key,
            request,
            content,
            frame,
            prefix_bytes: prefix.len(),
            index: 0,
            is_over: false,
        })
    }

    /// Returns what is to be sent next, `None` at the end.
    ///
    /// A flash that fails ends the stream without a last frame: the collector keeps what it has and says so.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let prefix_bytes = core::mem::take(&mut self.prefix_bytes);
        if prefix_bytes > 0 {
            return Some(&self.frame[..prefix_bytes]);
        }
        if self.is_over {
            return None;
        }
        let (bytes, last) = self.fill(self.index)?;
        self.index += 1;
        self.is_over = last;
        Some(&self.frame[..bytes])
    }

    /// Puts the next frame into its room; returns its length and whether it is the last, `None` where the flash fails.
    fn fill(&mut self, index: u32) -> Option<(usize, bool)> {
        let payload = &mut self.frame[HEADER_BYTES..HEADER_BYTES + PAYLOAD_BYTES_MAX];
        let store = &mut *self.meter.borrow_mut();
        let filled = match &mut self.content {
            Content::Blocks(blocks) => blocks.fill(store.store(), payload),
            Content::Save(save) => save.fill(store.store(), payload),
        };
        let (length, last) = filled.ok()?;
        let header = FrameHeader {
            length,
            index,
            last,
        };
        let bytes = header.seal(&self.key, &self.request, &mut self.frame);
        Some((bytes, last))
    }
}

/// Reads the block that covers `from` into `room`; returns its length and the number behind it, `None` where there is none
/// below `until`.
pub(super) fn read_block<F: NorFlash>(
    store: &mut FlashStore<F>,
    from: Seq,
    until: Seq,
    room: &mut [u8],
) -> Result<Option<(usize, Seq)>, ReadError> {
    if from >= until {
        return Ok(None);
    }
    let Some(length) = store.read_block(from, room)? else {
        return Ok(None);
    };
    // The store packs what it checked; to unpack it again would take long, and much of the stack.
    Ok(covered(&room[..length]).map(|range| (length, Seq(range.end))))
}
