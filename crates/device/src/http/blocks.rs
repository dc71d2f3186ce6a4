//! `GET /api/v1/blocks`: blocks as authenticated frames.

use alloc::vec::Vec;
use core::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;
use picoserve::{
    io::Write,
    response::{
        IntoResponse,
        chunked::{ChunkWriter, ChunkedResponse, Chunks, ChunksWritten},
    },
};
use protocol::{
    Seq,
    authentication::{Key, Mac, NONCE_HEADER, Nonce},
    block::covered,
    frame::{FrameHeader, HEADER_BYTES, MAC_BYTES},
    limits::BLOCK_BYTES_MAX,
};

use crate::meter::Meter;

/// The longest frame.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + BLOCK_BYTES_MAX + MAC_BYTES;

/// Sends the blocks from a sequence number on, up to what the store held when it began.
pub(super) struct BlockStream<'a, F: NorFlash> {
    meter: &'a RefCell<Meter<F>>,
    key: Key,
    request: Mac,
    from: Seq,
    until: Seq,
    bytes_max: usize,
}

impl<'a, F: NorFlash> BlockStream<'a, F> {
    pub(super) fn new(
        meter: &'a RefCell<Meter<F>>,
        key: Key,
        request: Mac,
        from: u64,
        bytes_max: usize,
    ) -> Self {
        Self {
            meter,
            key,
            request,
            from: Seq(from),
            until: meter.borrow().next(),
            bytes_max,
        }
    }

    pub(super) fn into_response(self, next: Nonce) -> impl IntoResponse + use<'a, F> {
        ChunkedResponse::new(self)
            .into_response()
            .with_header(NONCE_HEADER, next)
    }

    /// Reads the block that covers `from` into `frame`; `None` where there is none or the flash fails.
    fn read(
        &self,
        from: Seq,
        frame: &mut [u8],
    ) -> Result<Option<(usize, Seq)>, flash_store::ReadError> {
        if from >= self.until {
            return Ok(None);
        }
        let payload = &mut frame[HEADER_BYTES..HEADER_BYTES + BLOCK_BYTES_MAX];
        let Some(length) = self.meter.borrow_mut().store().read_block(from, payload)? else {
            return Ok(None);
        };
        // The store packs what it checked; to unpack it again would take long, and much of the stack.
        Ok(covered(&payload[..length]).map(|range| (length, Seq(range.end))))
    }
}

impl<F: NorFlash> Chunks for BlockStream<'_, F> {
    fn content_type(&self) -> &'static str {
        "application/octet-stream"
    }

    async fn write_chunks<W: Write>(
        self,
        mut writer: ChunkWriter<W>,
    ) -> Result<ChunksWritten, W::Error> {
        let mut frame = Vec::new();
        if frame.try_reserve_exact(FRAME_BYTES_MAX).is_err() {
            // As where the flash fails: the stream ends without a last frame.
            return writer.finalize().await;
        }
        frame.resize(FRAME_BYTES_MAX, 0);
        let mut from = self.from;
        let mut sent_bytes = 0;
        for index in 0.. {
            // A flash that fails ends the stream without a last frame: the collector keeps what it has and says so.
            let Ok(read) = self.read(from, &mut frame) else {
                break;
            };
            let (length, next) = read.unwrap_or((0, self.until));
            sent_bytes += length;
            let header = FrameHeader {
                length,
                index,
                last: next >= self.until || sent_bytes >= self.bytes_max,
            };
            let payload_end = HEADER_BYTES + length;
            frame[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
            let mac = self
                .key
                .frame_mac(&self.request, header, &frame[HEADER_BYTES..payload_end]);
            let end = payload_end + MAC_BYTES;
            frame[payload_end..end].copy_from_slice(&mac.bytes()[..MAC_BYTES]);
            writer.write_chunk(&frame[..end]).await?;
            if header.last {
                break;
            }
            from = next;
        }
        writer.finalize().await
    }
}
