//! `GET /api/v1/blocks`: blocks as authenticated frames.

use embedded_storage::nor_flash::NorFlash;
use flash_store::{FlashStore, ReadError};
use protocol::{Seq, limits::BLOCK_BYTES_MAX};

use super::stream::read_block;

/// The blocks from a sequence number on, up to what the store held when it began.
pub(super) struct Blocks {
    pub(super) from: Seq,
    pub(super) until: Seq,
    /// Bytes of blocks that may still be sent; one block always may.
    pub(super) bytes_left: usize,
}

impl Blocks {
    /// Reads the next block into `payload`; returns its length and whether it is the last.
    pub(super) fn fill<F: NorFlash>(
        &mut self,
        store: &mut FlashStore<F>,
        payload: &mut [u8],
    ) -> Result<(usize, bool), ReadError> {
        let room = &mut payload[..BLOCK_BYTES_MAX];
        let read = read_block(store, self.from, self.until, room)?;
        let (length, next) = read.unwrap_or((0, self.until));
        self.from = next;
        self.bytes_left = self.bytes_left.saturating_sub(length);
        Ok((length, next >= self.until || self.bytes_left == 0))
    }
}
