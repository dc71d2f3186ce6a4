//! `/api/v1/firmware`: which firmware runs, and updates, which go into their slot as they come.
//!
//! The MAC of the request covers the SHA-256 of the body, so only who has the token can begin an update, and nothing else than
//! what was authenticated can end one. An update that is refused is read to its end all the same: who sends it gets an
//! answer. Where the connection breaks, or is too slow, what came stays; the next request sends the header again, and of the
//! image what is missing.

use core::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
};

use heapless::Vec;
use picoserve::{io::Read, request::Request};
use protocol::{
    authentication::BodyHash,
    event::{Version, What},
    firmware::{HEADER_BYTES, Name, PublicKey, UPDATE_KEYS_MAX},
    limits::IMAGE_BYTES_MAX,
    messages::{FirmwareState, Updated, Upload},
};
use sha2::{Digest, Sha256};

use super::{
    Outcome, Service,
    answer::{Answer, Failure},
};
use crate::{
    board::Board,
    flash_map::SECTOR_BYTES,
    update::{self, Claim, Running, TAKES_UNSIGNED, UpdateError},
};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1024;
/// Longest wait for the next bytes.
const IDLE_MS: u64 = 10_000;
/// Longest time for a whole update.
const TOTAL_MS: u64 = 600_000;
/// Pause behind each sector, in which everything else has its turn.
const PAUSE_MS: u64 = 1;

/// What of a file has come.
struct Reception {
    chip: Name,
    version: Version,
    keys: Vec<PublicKey, UPDATE_KEYS_MAX>,
    /// Bytes of the image that came before, as the request says.
    from: u64,
    header: [u8; HEADER_BYTES],
    came: usize,
    hash: Sha256,
    /// What became of the update; `None` until its header is there.
    update: Option<Result<Claim, UpdateError>>,
}

impl<B: Board> Service<'_, B> {
    /// Answers `GET firmware`.
    pub(super) fn firmware(&self) -> FirmwareState {
        let slots = self.slots.borrow();
        let upload = slots.held().map(|held| Upload {
            version: Version::try_from(held.header().version.as_str()).unwrap_or_default(),
            image_hash: BodyHash(held.header().image_hash),
            image_bytes: held.header().image_bytes,
            came: held.came(),
        });
        FirmwareState {
            version: self.meter.borrow().facts.firmware.clone(),
            confirmed: slots.is_confirmed(),
            upload,
        }
    }

    /// Takes an update whose whole body hashes to `authenticated`; `from` bytes of its image came before.
    pub(super) async fn update<R: Read>(
        &self,
        authenticated: BodyHash,
        from: u64,
        request: &mut Request<'_, R>,
    ) -> Result<Outcome, Failure> {
        let body = request.body_connection.body();
        let mut left = body.content_length();
        if left > HEADER_BYTES + IMAGE_BYTES_MAX {
            return Err(UpdateError::Size.into());
        }
        // The time for a request with its body is meant for short ones; the limits above stand for it.
        let mut reader = body.reader().with_different_timeout_signal(pending());
        let mut reception = self.reception(from);
        let mut chunk = [0; CHUNK_BYTES];
        let until_ms = self.now_ms().saturating_add(TOTAL_MS);
        while left > 0 {
            let read = first(reader.read(&mut chunk), self.board.delay(IDLE_MS)).await;
            let bytes = match read {
                Some(Ok(length @ 1..)) if self.now_ms() <= until_ms => &chunk[..length],
                Some(Ok(0) | Err(_)) => {
                    return Err(Failure::new(
                        400,
                        "cut_short",
                        "the body ended before its stated length",
                    ));
                }
                Some(Ok(_)) | None => {
                    return Err(Failure::new(
                        408,
                        "too_slow",
                        "nothing came for 10 s, or all of it took over 600 s: what came is kept",
                    ));
                }
            };
            left -= bytes.len();
            let before = reception.came;
            self.receive(&mut reception, bytes);
            let is_writing = matches!(reception.update, Some(Ok(_)));
            let sector = |came: usize| came / SECTOR_BYTES as usize;
            if is_writing && sector(before) != sector(reception.came) {
                self.board.delay(PAUSE_MS).await;
            }
        }
        if BodyHash(reception.hash.clone().finalize().into()) != authenticated {
            // Someone altered it on its way: that is nothing to go on with.
            if let Some(Ok(claim)) = reception.update {
                update::drop_update(&mut self.slots.borrow_mut(), claim);
            }
            return Err(Failure::new(
                400,
                "wrong_hash",
                "the body is not the one that was authenticated",
            ));
        }
        self.conclude(reception)
    }

    fn reception(&self, from: u64) -> Reception {
        let meter = self.meter.borrow();
        Reception {
            chip: meter.facts.chip.clone(),
            version: meter.facts.firmware.clone(),
            keys: meter.facts.update_keys.clone(),
            from,
            header: [0; HEADER_BYTES],
            came: 0,
            hash: Sha256::new(),
            update: None,
        }
    }

    fn receive(&self, reception: &mut Reception, bytes: &[u8]) {
        reception.hash.update(bytes);
        let room = HEADER_BYTES.saturating_sub(reception.came);
        let (head, image) = bytes.split_at(room.min(bytes.len()));
        let at = reception.came.min(HEADER_BYTES);
        reception.header[at..at + head.len()].copy_from_slice(head);
        reception.came += bytes.len();
        let mut slots = self.slots.borrow_mut();
        if reception.update.is_none() && reception.came >= HEADER_BYTES {
            let running = Running {
                chip: &reception.chip,
                version: &reception.version,
                keys: &reception.keys,
                takes_unsigned: TAKES_UNSIGNED,
            };
            let opened = update::open(&mut slots, &reception.header, reception.from, &running);
            reception.update = Some(opened);
        }
        if let Some(Ok(claim)) = reception.update
            && let Err(error) = update::write(&mut slots, claim, image)
        {
            reception.update = Some(Err(error));
        }
    }

    /// Makes the bootloader start what came.
    fn conclude(&self, reception: Reception) -> Result<Outcome, Failure> {
        let claim = reception.update.ok_or(UpdateError::NotAnUpdate)??;
        let version = update::finish(&mut self.slots.borrow_mut(), claim)?;
        let version = Version::try_from(version.as_str()).unwrap_or_default();
        let what = What::FirmwareTaken {
            version: version.clone(),
        };
        self.meter.borrow_mut().log(self.now_ms(), what);
        Ok(Answer::updated(&Updated { version }))
    }
}

/// Waits for a future, but no longer than for a second one.
async fn first<T>(future: impl Future<Output = T>, limit: impl Future<Output = ()>) -> Option<T> {
    let (mut future, mut limit) = (pin!(future), pin!(limit));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}
