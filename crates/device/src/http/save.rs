//! `GET /api/v1/save`: everything that the store holds as one [file](protocol::saved).

use core::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;
use flash_store::{FlashStore, ReadError};
use protocol::{
    Seq,
    saved::{Header, Payload},
};

use super::{
    answer::Failure,
    stream::{Content, FileName, FrameStream, read_block},
};
use crate::meter::Meter;

/// The blocks from a sequence number on, and then all events, up to what the store held when it began.
pub(super) struct Save {
    from: Seq,
    until: Seq,
    from_event: u64,
    until_event: u64,
}

/// Begins to send what `meter` holds from number `from` on.
pub(super) fn save<F: NorFlash>(
    meter: &RefCell<Meter<F>>,
    from: Seq,
    now_ms: u64,
) -> Result<(FrameStream<'_, F>, Option<FileName>), Failure> {
    let mut borrowed = meter.borrow_mut();
    let key = borrowed.key().cloned().ok_or(super::NOT_SET_UP)?;
    let info = borrowed.info(now_ms);
    drop(borrowed);
    let header = Header {
        device: info.device,
        store: info.store,
        boot: info.boot,
        uptime_ms: now_ms,
        from,
        next: info.next,
        nonce: info.nonce,
    };
    let content = Save {
        from,
        until: info.next,
        from_event: 0,
        until_event: info.next_event,
    };
    let (bytes, mac) = header.seal(&key);
    let stream = FrameStream::new(meter, key, mac, Content::Save(content), &bytes)?;
    let name = FileName {
        device: info.device,
        next: info.next,
    };
    Ok((stream, Some(name)))
}

impl Save {
    /// Reads the next part of the file into `payload`; returns its length and whether it is the end.
    pub(super) fn fill<F: NorFlash>(
        &mut self,
        store: &mut FlashStore<F>,
        payload: &mut [u8],
    ) -> Result<(usize, bool), ReadError> {
        let mut payload = Payload::new(payload);
        let read = read_block(store, self.from, self.until, payload.block_room())?;
        self.from = read.map_or(self.until, |(_, next)| next);
        if let Some((length, _)) = read {
            return Ok((payload.block(length), false));
        }
        let (from, until) = (self.from_event, self.until_event);
        store.events(from, &mut |event| {
            let is_taken = event.number < until && payload.push_event(event);
            if is_taken {
                self.from_event = event.number + 1;
            }
            is_taken
        })?;
        let length = payload.events();
        Ok((length, length == 0))
    }
}
