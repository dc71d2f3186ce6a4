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
    limits::TOKEN_BYTES_MIN,
    messages::{
        Acknowledge, Anchored, Calibrate, CalibrationState, Clock, Config, Erase, Erased, Events,
        Health, Info, Live, Token, TokenChange,
    },
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::AUTHORIZATION};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Answer, BlockStream, Client, ClientError, LiveStream, in_time, next_nonce, read, to_json,
};
use crate::WallClock;

/// How often the time is told before a connection counts as too slow for it.
const CLOCK_TRIES: usize = 3;
/// Round trips that are measured before; the shortest tells most of the way alone.
const CLOCK_PROBES: usize = 4;
/// Whole ms: of this clock, of the meter's uptime and of the round trip.
const ROUNDING_MS: u32 = 2;
/// A round trip may take so much longer than expected, in ms, before the time is told again.
const HASTE_MS: u32 = 2;

/// Talks to one meter with its token.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    pub(super) device: DeviceId,
    /// Changes with the meter's token.
    pub(super) key: Mutex<Key>,
    /// The nonce of the last answer, for the next request.
    pub(super) nonce: Mutex<Option<Nonce>>,
}

impl Session {
    pub(super) fn new(client: Client, device: DeviceId, token: &str) -> Self {
        Self {
            client,
            device,
            key: Mutex::new(Key::derive(token, device)),
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

    /// Asks for the newest window of measurement once a second, for as long as the meter sends it.
    ///
    /// # Errors
    /// [`ClientError::Answered`] with code `busy` where two others look already, and all of the connection.
    pub async fn live_stream(&self) -> Result<LiveStream, ClientError> {
        let (response, mac) = self.stream("/api/v1/live?stream=1").await?;
        Ok(LiveStream::new(response, self.key(), mac))
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

    /// Gives the meter another access token; the session goes on with it.
    ///
    /// The token is sealed with the key and the nonce of the request that carries it.
    ///
    /// # Errors
    /// [`ClientError::NoToken`] where a meter takes no such token, and all others; where the connection broke, the meter may
    /// have either token, and the session goes on with the old one.
    pub async fn change_token(&self, new: &str) -> Result<(), ClientError> {
        let is_token = new.len() >= TOKEN_BYTES_MIN && new.bytes().all(|b| b.is_ascii_graphic());
        let token = Token::try_from(new).ok().filter(|_| is_token);
        let token = token.ok_or(ClientError::NoToken)?;
        let exchange = async {
            let (response, mac) = self
                .send_as(Method::PUT, "/api/v1/token", |nonce, request| {
                    let sealed = self.key().seal_token(nonce, &token);
                    let body = to_json(&TokenChange { sealed });
                    (BodyHash::of(&body), request.body(body))
                })
                .await?;
            Ok((read(response).await?, mac))
        };
        let (answer, mac) = in_time(exchange).await?;
        // The answer to this request is still under the old key.
        let answer = self.verified(answer, &mac)?;
        answer.success::<serde::de::IgnoredAny>()?;
        *self.lock_key() = Key::derive(new, self.device);
        Ok(())
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

    /// Tells the meter the time; the anchor's uncertainty is about a round trip plus the clock's own.
    ///
    /// What the meter records is the moment at which the time arrived, and the shortest of some round trips tells when
    /// that will be. It arrives within the round trip that telling takes, so where that took no longer than one and a
    /// half of what was expected, the time was right within what was stated. Otherwise it is told again. Returns what was
    /// told last and where the meter recorded it.
    ///
    /// # Errors
    /// [`ClientError::TooSlow`] where no try was quick enough, and all of the connection.
    pub async fn set_clock(&self, clock: &WallClock) -> Result<(Clock, Anchored), ClientError> {
        let mut expected_ms = u32::MAX;
        for _ in 0..CLOCK_PROBES {
            let begun = Instant::now();
            self.info().await?;
            expected_ms = expected_ms.min(elapsed_ms(begun));
        }
        for _ in 0..CLOCK_TRIES {
            // The request is under way for about half a round trip.
            let half_ms = expected_ms.div_ceil(2);
            let haste_ms = half_ms.max(HASTE_MS);
            let way_ms = half_ms.saturating_add(haste_ms).saturating_add(ROUNDING_MS);
            let begun = Instant::now();
            let told = Clock {
                utc_ms: clock.now_ms().saturating_add(half_ms.into()),
                uncertainty_ms: clock.uncertainty_ms.saturating_add(way_ms),
            };
            let anchored = self.post("/api/v1/clock", &told).await?;
            let round_trip_ms = elapsed_ms(begun);
            if round_trip_ms <= half_ms.saturating_mul(2).saturating_add(haste_ms) {
                return Ok((told, anchored));
            }
            // What was told may be wrong by more than it said, so tell it better.
            tracing::debug!(device = %self.device, round_trip_ms, "told the time too slowly");
            expected_ms = round_trip_ms;
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

    /// Gives up the oldest readings of the meter for good, and returns the lowest number that it still holds.
    ///
    /// # Errors
    /// [`ClientError::Answered`] with the reason where the meter does not do it, and all of the connection; where that broke,
    /// they may be gone.
    pub async fn erase(&self, erase: &Erase) -> Result<Erased, ClientError> {
        self.post("/api/v1/erase", erase).await
    }

    /// Asks for blocks from a number on, at least one and about `bytes_max` bytes of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blocks(&self, from: Seq, bytes_max: u64) -> Result<BlockStream, ClientError> {
        let path = format!("/api/v1/blocks?from={from}&max={bytes_max}");
        let (response, mac) = self.stream(&path).await?;
        Ok(BlockStream::new(response, self.key(), mac))
    }

    /// Asks for what comes in authenticated parts; a refusal is read whole.
    async fn stream(&self, path: &str) -> Result<(Response, Mac), ClientError> {
        let (response, mac) = self.send(Method::GET, path, Vec::new()).await?;
        if response.status() == StatusCode::OK {
            self.keep(next_nonce(response.headers()));
            return Ok((response, mac));
        }
        let answer = self.verified(read(response).await?, &mac)?;
        answer.success::<serde::de::IgnoredAny>()?;
        // A success with another status than 200 is none that this API has.
        Err(ClientError::WrongBlock)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
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
        let is_question = method == Method::GET;
        let exchange = async {
            let (response, mac) = self.send(method, path, body).await?;
            Ok((read(response).await?, mac))
        };
        let (answer, mac) = in_time(exchange).await?;
        let is_unsigned = answer.header::<Mac>(ANSWER_MAC_HEADER).is_none();
        if is_question && is_unsigned && matches!(answer.status, 404 | 405) {
            // A meter that does not know a request refuses it before it looks at its MAC. Whoever else says so gets no more
            // by it than by saying nothing; of a request that changes something the outcome would be unknown.
            return answer.success();
        }
        self.verified(answer, &mac)?.success()
    }

    /// Checks that the answer comes from the meter, and keeps its nonce.
    pub(super) fn verified(&self, answer: Answer, request: &Mac) -> Result<Answer, ClientError> {
        let next = next_nonce(&answer.headers).ok_or(ClientError::NotAuthentic)?;
        if answer.status == 403 && answer.header::<Mac>(ANSWER_MAC_HEADER).is_none() {
            // A meter without a token cannot authenticate that it has none.
            answer.success::<serde::de::IgnoredAny>()?;
        }
        let sent: Mac = answer
            .header(ANSWER_MAC_HEADER)
            .ok_or(ClientError::NotAuthentic)?;
        let expected = self
            .key()
            .answer_mac(request, answer.status, &answer.body, &next);
        if !expected.matches(sent.bytes()) {
            return Err(ClientError::NotAuthentic);
        }
        self.keep(Some(next));
        Ok(answer)
    }

    /// Sends a request with a body.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(Response, Mac), ClientError> {
        let hash = BodyHash::of(&body);
        self.send_as(method, path, |_, request| {
            (hash, request.body(body.clone()))
        })
        .await
    }

    /// Sends a request with the body that `with_body` gives it for a nonce, and the hash of that body; a refusal is followed by
    /// one more try with the nonce that came with it.
    pub(super) async fn send_as(
        &self,
        method: Method,
        path: &str,
        with_body: impl Fn(&Nonce, RequestBuilder) -> (BodyHash, RequestBuilder),
    ) -> Result<(Response, Mac), ClientError> {
        for _ in 0..2 {
            let nonce = match self.take() {
                Some(nonce) => nonce,
                None => self.info().await?.nonce,
            };
            let request =
                (self.client.http).request(method.clone(), format!("{}{path}", self.client.base));
            let (hash, request) = with_body(&nonce, request);
            let mac = self.key().request_mac(method.as_str(), path, &hash, &nonce);
            let mut authorization = String::new();
            write!(authorization, "{}", Authorization { nonce, mac })
                .expect("a string takes anything");
            let response = request
                .header(AUTHORIZATION, authorization)
                .header(BODY_HASH_HEADER, hash.to_string())
                .send()
                .await
                .map_err(ClientError::unreachable)?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok((response, mac));
            }
            let refusal = read(response).await?;
            self.keep(next_nonce(&refusal.headers));
        }
        Err(ClientError::Refused)
    }

    pub(super) fn key(&self) -> Key {
        self.lock_key().clone()
    }

    fn lock_key(&self) -> std::sync::MutexGuard<'_, Key> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Option<Nonce> {
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
