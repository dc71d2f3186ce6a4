//! Updates on their way to a meter: asked first, gone on with where the connection broke.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use firmware_package::Package;
use futures_util::stream;
use protocol::{
    authentication::BodyHash,
    event::Version,
    firmware::HEADER_BYTES,
    messages::{FirmwareState, Updated},
};
use reqwest::{Body, Method, header::CONTENT_LENGTH};

use super::{ClientError, Session, UPDATE_TIMEOUT, read, within};

/// Bytes that are given to the connection at once.
const PIECE_BYTES: usize = 4096;
/// Tries in a row that bring nothing further before a connection counts as lost.
const TRIES: u32 = 5;
/// Tries altogether, however far each of them came.
const TRIES_MAX: u32 = 100;
/// Pause before the next try; the one after that waits twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateProgress {
    /// Bytes of the image that were sent, those of earlier connections included.
    pub sent: u64,
    /// Bytes of the image.
    pub total: u64,
}

/// What the tries of one update know of each other.
struct Way {
    /// Version that ran before the first byte was sent; `None` until the meter told it.
    before: Option<Version>,
    /// The most bytes of the image that the meter was seen to have.
    furthest: u32,
    /// Tries that may still bring nothing further.
    left: u32,
}

impl Session {
    /// Asks which firmware runs, and how much of an update came before its connection broke.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn firmware(&self) -> Result<FirmwareState, ClientError> {
        self.get("/api/v1/firmware").await
    }

    /// Sends an update; the meter checks it, answers, and restarts into it.
    ///
    /// What the meter holds of it already is not sent again. A connection that breaks is tried again some times, as long as
    /// each try brings something further.
    ///
    /// # Errors
    /// [`ClientError::Answered`] with the reason where the meter does not take it, and all of the connection; the meter
    /// then keeps what came.
    pub async fn update(
        &self,
        package: &Package,
        progress: &mut (dyn FnMut(UpdateProgress) + Send),
    ) -> Result<Updated, ClientError> {
        let mut way = Way {
            before: None,
            furthest: 0,
            left: TRIES,
        };
        for _ in 0..TRIES_MAX {
            match self.try_update(package, &mut way, progress).await {
                Err(error) if way.left > 1 && is_passing(&error) => {
                    way.left -= 1;
                    tracing::info!(device = %self.device(), %error, "an update is tried again");
                    tokio::time::sleep(PAUSE * (TRIES - way.left)).await;
                }
                ended => return ended,
            }
        }
        Err(ClientError::TooSlow)
    }

    async fn try_update(
        &self,
        package: &Package,
        way: &mut Way,
        progress: &mut (dyn FnMut(UpdateProgress) + Send),
    ) -> Result<Updated, ClientError> {
        let before = match &mut way.before {
            Some(before) => before,
            none => none.insert(self.info().await?.firmware),
        };
        let state = match self.firmware().await {
            Ok(state) => Some(state),
            // Firmware from before uploads could be gone on with.
            Err(ClientError::Answered {
                status: 404 | 405, ..
            }) => None,
            Err(error) => return Err(error),
        };
        let header = package.header();
        if let Some(state) = &state
            && state.version.as_str() == header.version.as_str()
            && state.version != *before
        {
            // It took the update; only its answer did not come.
            let version = state.version.clone();
            return Ok(Updated { version });
        }
        let upload = state.and_then(|state| state.upload).filter(|upload| {
            upload.image_hash.0 == header.image_hash
                && upload.version.as_str() == header.version.as_str()
                && upload.image_bytes == header.image_bytes
                && upload.came <= upload.image_bytes
        });
        let from = upload.map_or(0, |upload| upload.came);
        if from > way.furthest {
            (way.furthest, way.left) = (from, TRIES);
        }
        match self.send_update(package, from, progress).await {
            // The upload has another header, another signature for instance.
            Err(ClientError::Answered { code, .. }) if code == "wrong_offset" && from > 0 => {
                self.send_update(package, 0, progress).await
            }
            ended => ended,
        }
    }

    /// Sends the header and the image from a byte on, in one request.
    async fn send_update(
        &self,
        package: &Package,
        from: u32,
        progress: &mut (dyn FnMut(UpdateProgress) + Send),
    ) -> Result<Updated, ClientError> {
        // A nonce that is fresh: the file is not to be sent twice.
        self.info().await?;
        let patient = Self {
            client: self.client.patient()?,
            device: self.device,
            key: Mutex::new(self.key()),
            nonce: Mutex::new(self.take()),
        };
        let (header, image) = package.bytes().split_at(HEADER_BYTES);
        let body: Arc<[u8]> = [header, &image[from as usize..]].concat().into();
        let path = match from {
            0 => "/api/v1/firmware".to_owned(),
            _ => format!("/api/v1/firmware?from={from}"),
        };
        let sent = Arc::new(AtomicU64::new(0));
        let exchange = async {
            let hash = BodyHash::of(&body);
            let (response, mac) = patient
                .send_as(Method::POST, &path, |_, request| {
                    let request = request.header(CONTENT_LENGTH, body.len());
                    let body = counted(Arc::clone(&body), Arc::clone(&sent));
                    (hash, request.body(body))
                })
                .await?;
            Ok((read(response).await?, mac))
        };
        let mut exchange = Box::pin(within(UPDATE_TIMEOUT, exchange));
        let mut tell = tokio::time::interval(TELL_EVERY);
        let answered = loop {
            tokio::select! {
                answered = &mut exchange => break answered,
                _ = tell.tick() => {
                    let sent = sent.load(Ordering::Relaxed).saturating_sub(HEADER_BYTES as u64);
                    progress(UpdateProgress {
                        sent: u64::from(from) + sent,
                        total: image.len() as u64,
                    });
                }
            }
        };
        let (answer, mac) = answered?;
        self.verified(answer, &mac)?.success()
    }
}

/// Makes a body that counts what the connection took of it.
fn counted(bytes: Arc<[u8]>, sent: Arc<AtomicU64>) -> Body {
    let pieces = stream::unfold(0, move |at| {
        let (bytes, sent) = (Arc::clone(&bytes), Arc::clone(&sent));
        async move {
            sent.store(at as u64, Ordering::Relaxed);
            let end = bytes.len().min(at + PIECE_BYTES);
            let piece = bytes[at..end].to_vec();
            (!piece.is_empty()).then_some((Ok::<_, std::convert::Infallible>(piece), end))
        }
    });
    Body::wrap_stream(pieces)
}

/// Tells whether another try can end otherwise.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::CutShort | ClientError::TooSlow => true,
        ClientError::Answered { code, .. } => {
            matches!(code.as_str(), "cut_short" | "too_slow" | "wrong_offset")
        }
        _ => false,
    }
}
