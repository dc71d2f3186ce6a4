//! Signed requests, verified answers.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use protocol::{
    DeviceId, Seq, StoreId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, Nonce,
    },
    messages::{
        Acknowledge, Anchored, Calibrate, CalibrationState, Clock, Config, Events, Health, Info,
        Live, Updated,
    },
};
use reqwest::{Method, Response, StatusCode, header::AUTHORIZATION};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Answer, BlockStream, Client, ClientError, UPDATE_TIMEOUT, in_time, next_nonce, read, to_json,
    within,
};
use crate::WallClock;

/// How often the time is told before a connection counts as too slow for it.
const CLOCK_TRIES: usize = 3;

/// Talks to one meter with its token.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    device: DeviceId,
    key: Key,
    /// The nonce of the last answer, for the next request.
    nonce: Mutex<Option<Nonce>>,
}

impl Session {
    pub(super) fn new(client: Client, device: DeviceId, token: &str) -> Self {
        Self {
            client,
            device,
            key: Key::derive(token, device),
            nonce: Mutex::new(None),
        }
    }

    /// Returns the meter that is meant.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Asks who answers, and insists on the right meter. The answer itself is not authenticated.
    ///
    /// # Errors
    /// [`ClientError::OtherMeter`] and all of the connection.
    pub async fn info(&self) -> Result<Info, ClientError> {
        let info = self.client.info().await?;
        if info.device != self.device {
            return Err(ClientError::OtherMeter {
                expected: self.device,
                found: info.device,
            });
        }
        self.keep(Some(info.nonce));
        Ok(info)
    }

    /// Reads the newest window of measurement.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn live(&self) -> Result<Live, ClientError> {
        self.get("/api/v1/live").await
    }

    /// Reads the meter's counters.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get("/api/v1/health").await
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn config(&self) -> Result<Config, ClientError> {
        self.get("/api/v1/config").await
    }

    /// Changes the settings; the version in them is that of the settings which they replace.
    ///
    /// # Errors
    /// [`ClientError`]; where the connection broke, they may have changed.
    pub async fn change_config(&self, config: &Config) -> Result<Config, ClientError> {
        self.exchange(Method::PUT, "/api/v1/config", to_json(config))
            .await
    }

    /// Reads which calibration is in force and how far a capture is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn calibration(&self) -> Result<CalibrationState, ClientError> {
        self.get("/api/v1/calibrate").await
    }

    /// Begins a step of a calibration, or takes the last one back; returns at once with what is in force then.
    ///
    /// # Errors
    /// [`ClientError`]; where the connection broke, the step may have begun.
    pub async fn calibrate(&self, request: &Calibrate) -> Result<CalibrationState, ClientError> {
        self.post("/api/v1/calibrate", request).await
    }

    /// Reads a page of events from a number on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self, from: u64) -> Result<Events, ClientError> {
        self.get(&format!("/api/v1/events?from={from}")).await
    }

    /// Tells the meter the time; the anchor's uncertainty is half the round trip plus the clock's own.
    ///
    /// The round trip is that of the request before it: what the meter records is the moment at which the time arrived.
    /// Where it took so long that the promise may be broken, the time is told again. Returns what was told last and where
    /// the meter recorded it.
    ///
    /// # Errors
    /// [`ClientError::TooSlow`] where no try was quick enough, and all of the connection.
    pub async fn set_clock(&self, clock: &WallClock) -> Result<(Clock, Anchored), ClientError> {
        let begun = Instant::now();
        self.info().await?;
        let mut round_trip_ms = elapsed_ms(begun);
        for _ in 0..CLOCK_TRIES {
            // The request is under way for about half a round trip.
            let half_ms = round_trip_ms.div_ceil(2);
            let begun = Instant::now();
            let told = Clock {
                utc_ms: clock.now_ms().saturating_add(half_ms.into()),
                uncertainty_ms: clock.uncertainty_ms.saturating_add(half_ms),
            };
            let anchored = self.post("/api/v1/clock", &told).await?;
            round_trip_ms = elapsed_ms(begun);
            if round_trip_ms <= 2 * half_ms + clock.uncertainty_ms {
                return Ok((told, anchored));
            }
            // It took longer than was promised: what was told may be wrong by more than it said, so tell it better.
            tracing::debug!(device = %self.device, round_trip_ms, "told the time too slowly");
        }
        Err(ClientError::TooSlow)
    }

    /// Tells the meter that everything before `next` is stored.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn acknowledge(&self, store: StoreId, next: Seq) -> Result<(), ClientError> {
        let done: serde::de::IgnoredAny = self
            .post("/api/v1/ack", &Acknowledge { store, next })
            .await?;
        let _ = done;
        Ok(())
    }

    /// Asks for blocks from a number on, at least one and about `bytes_max` bytes of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blocks(&self, from: Seq, bytes_max: u64) -> Result<BlockStream, ClientError> {
        let path = format!("/api/v1/blocks?from={from}&max={bytes_max}");
        let (response, mac) = self.send(Method::GET, &path, Vec::new()).await?;
        if response.status() == StatusCode::OK {
            self.keep(next_nonce(response.headers()));
            return Ok(BlockStream::new(response, self.key.clone(), mac));
        }
        let answer = self.verified(read(response).await?, &mac)?;
        answer.success::<serde::de::IgnoredAny>()?;
        // A success with another status than 200 is none that this API has.
        Err(ClientError::WrongBlock)
    }

    /// Sends an update, an `.ofmon` file; the meter checks it, answers, and restarts into it.
    ///
    /// # Errors
    /// [`ClientError::Answered`] with the reason where the meter does not take it, and all of the connection.
    pub async fn update(&self, file: Vec<u8>) -> Result<Updated, ClientError> {
        // A nonce that is fresh: the file is not to be sent twice.
        self.info().await?;
        let patient = Self {
            client: self.client.patient()?,
            device: self.device,
            key: self.key.clone(),
            nonce: Mutex::new(self.take()),
        };
        let exchange = async {
            let path = "/api/v1/firmware";
            let (response, mac) = patient.send(Method::POST, path, file).await?;
            Ok((read(response).await?, mac))
        };
        let (answer, mac) = within(UPDATE_TIMEOUT, exchange).await?;
        self.verified(answer, &mac)?.success()
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, Vec::new()).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.exchange(Method::POST, path, to_json(body)).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let (response, mac) = self.send(method, path, body).await?;
            Ok((read(response).await?, mac))
        };
        let (answer, mac) = in_time(exchange).await?;
        self.verified(answer, &mac)?.success()
    }

    /// Checks that the answer comes from the meter, and keeps its nonce.
    fn verified(&self, answer: Answer, request: &Mac) -> Result<Answer, ClientError> {
        let next = next_nonce(&answer.headers).ok_or(ClientError::NotAuthentic)?;
        if answer.status == 403 && answer.header::<Mac>(ANSWER_MAC_HEADER).is_none() {
            // A meter without a token cannot authenticate that it has none.
            answer.success::<serde::de::IgnoredAny>()?;
        }
        let sent: Mac = answer
            .header(ANSWER_MAC_HEADER)
            .ok_or(ClientError::NotAuthentic)?;
        let expected = self
            .key
            .answer_mac(request, answer.status, &answer.body, &next);
        if !expected.matches(sent.bytes()) {
            return Err(ClientError::NotAuthentic);
        }
        self.keep(Some(next));
        Ok(answer)
    }

    /// Sends a request; a refusal is followed by one more try with the nonce that came with it.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(Response, Mac), ClientError> {
        for _ in 0..2 {
            let nonce = match self.take() {
                Some(nonce) => nonce,
                None => self.info().await?.nonce,
            };
            let hash = BodyHash::of(&body);
            let mac = self.key.request_mac(method.as_str(), path, &hash, &nonce);
            let mut authorization = String::new();
            write!(authorization, "{}", Authorization { nonce, mac })
                .expect("a string takes anything");
            let request = self
                .client
                .http
                .request(method.clone(), format!("{}{path}", self.client.base))
                .header(AUTHORIZATION, authorization)
                .header(BODY_HASH_HEADER, hash.to_string())
                .body(body.clone());
            let response = request.send().await.map_err(ClientError::unreachable)?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok((response, mac));
            }
            let refusal = read(response).await?;
            self.keep(next_nonce(&refusal.headers));
        }
        Err(ClientError::Refused)
    }

    fn take(&self) -> Option<Nonce> {
        self.nonce
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn keep(&self, nonce: Option<Nonce>) {
        *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = nonce;
    }
}

fn elapsed_ms(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX / 4)
}
