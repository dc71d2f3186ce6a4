//! A made-up meter: the device API over axum, written from its description, with everything it says changeable.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use collector::{
    client::{Client, Session},
    store::{History, Store},
};
use futures_util::{StreamExt as _, stream};
use protocol::{
    ChannelReading, DeviceId, Reading, Registers, Seq, StoreId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, NONCE_HEADER, Nonce,
    },
    block::{Block, Header, Writer},
    event::{Event, What},
    frame::{FrameHeader, MAC_BYTES},
    limits::{BLOCK_BYTES_MAX, EVENTS_PER_ANSWER},
    messages::{
        Acknowledge, Anchored, Calibrate, CalibrationState, Clock, Config, ErrorAnswer, ErrorBody,
        Events, Health, Info, Live, Setup, TokenChange,
    },
};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
pub(crate) const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);
pub(crate) const STORE: StoreId = StoreId(0xfeed);
pub(crate) const HISTORY: History = History {
    device: DEVICE,
    store: STORE,
};
pub(crate) const INTERVAL_MS: u64 = 10_000;

/// Returns the block of readings `first..end`; registers begin at 0 with each block, which nobody here adds up.
pub(crate) fn block_of(history: History, first: u64, end: u64) -> Vec<u8> {
    let header = Header {
        device: history.device,
        store: history.store,
        first: Seq(first),
        boot: 1,
        uptime_ms: (first + 1) * INTERVAL_MS,
        interval_ms: INTERVAL_MS as u32,
        power_unit_mw: 1_000,
        calibration: 0,
        registers: [Registers {
            import_mj: first * 1_000_000,
            export_mj: 0,
        }]
        .into_iter()
        .collect(),
    };
    let mut buffer = vec![0; BLOCK_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer, &header).unwrap();
    for seq in first..end {
        let channel = ChannelReading {
            // 100 W, so that registers meet those of the next block.
            energy_quanta: 100,
            reactive_power_var: (seq % 37) as i32,
            voltage_dv: 2_300 + (seq * 7 % 30) as u16,
            current_ca: 40 + (seq * 5 % 9) as u16,
            frequency_chz: 5_000 + (seq % 3) as u16,
            ..ChannelReading::default()
        };
        writer.push(&[channel]).unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

pub(crate) fn block(first: u64, end: u64) -> Vec<u8> {
    block_of(HISTORY, first, end)
}

/// Makes payloads up for the number that is asked for, and says whether the last one is marked as such.
pub(crate) type Liar = fn(&Inner, u64) -> (Vec<Vec<u8>>, bool);

/// What becomes of a request that carries a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnToken {
    /// It is taken.
    Take,
    /// It is taken, and the connection breaks before the answer.
    TakeAndCut,
    /// It is taken, and someone in between says that it is not.
    TakeAndDeny,
    /// It is not taken, and the connection breaks.
    LeaveAndCut,
    /// The meter does not know such a request.
    Unknown,
}

/// What the meter holds and says.
pub(crate) struct Inner {
    pub(crate) store: StoreId,
    pub(crate) token: Option<String>,
    pub(crate) config: Config,
    /// Blocks by first number.
    pub(crate) blocks: Vec<Vec<u8>>,
    pub(crate) oldest: u64,
    pub(crate) next: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) uptime_ms: u64,
    pub(crate) acknowledged: Option<Seq>,
    /// Ends a stream of blocks after so many bytes by breaking the connection.
    pub(crate) cut_after: Option<usize>,
    /// Breaks the connection after set-up took effect, before the answer.
    pub(crate) cut_setup: bool,
    /// What it was set up with.
    pub(crate) setups: Vec<Setup>,
    /// What becomes of a new token.
    pub(crate) on_token: OnToken,
    /// Access tokens that it had, this one too.
    pub(crate) tokens: Vec<String>,
    /// Changes what is sent for a number that is asked for: payloads, and whether the last one is marked.
    pub(crate) liar: Option<Liar>,
    /// Changes a page of events.
    pub(crate) event_liar: Option<fn(u64) -> Events>,
    /// What is said of the calibration, one after the other and the last for ever; `None` breaks the connection.
    pub(crate) calibrations: VecDeque<Option<CalibrationState>>,
    /// What was asked to be calibrated.
    pub(crate) calibrate: Vec<Calibrate>,
    /// Counts requests.
    pub(crate) requests: u32,
    nonces: u64,
}

/// A running meter.
#[derive(Clone)]
pub(crate) struct Meter {
    inner: Arc<Mutex<Inner>>,
    pub(crate) url: String,
}

impl Meter {
    /// Starts a meter that holds readings `0..next` in blocks of `block_length`.
    pub(crate) async fn start(next: u64, block_length: u64) -> Self {
        let blocks = (0..next).step_by(block_length as usize);
        let blocks = blocks
            .map(|first| block(first, next.min(first + block_length)))
            .collect();
        let inner = Arc::new(Mutex::new(Inner {
            store: STORE,
            token: Some(TOKEN.to_owned()),
            config: Config {
                name: "Cellar".try_into().unwrap(),
                interval_ms: INTERVAL_MS as u32,
                version: 1,
                ..Config::default()
            },
            blocks,
            oldest: 0,
            next,
            events: Vec::new(),
            uptime_ms: next * INTERVAL_MS + 500,
            acknowledged: None,
            cut_after: None,
            cut_setup: false,
            setups: Vec::new(),
            on_token: OnToken::Take,
            tokens: Vec::new(),
            liar: None,
            event_liar: None,
            calibrations: VecDeque::new(),
            calibrate: Vec::new(),
            requests: 0,
            nonces: 0,
        }));
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, url }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn session(&self) -> Session {
        Client::new(&self.url).unwrap().session(DEVICE, TOKEN)
    }
}

/// Returns all readings that the store holds of the meter.
pub(crate) fn held(store: &Store) -> Vec<Reading> {
    let readings = store.readings(DEVICE, collector::store::Span::All).unwrap();
    readings.map(|resolved| resolved.unwrap().reading).collect()
}

pub(crate) fn numbers(store: &Store) -> Vec<u64> {
    held(store).iter().map(|reading| reading.seq.0).collect()
}

type Shared = Arc<Mutex<Inner>>;

/// What a request did, before it is signed.
enum Outcome {
    Json(u16, Vec<u8>),
    /// An answer that someone else gives.
    Forged(u16, Vec<u8>),
    Blocks(Vec<Vec<u8>>, bool),
    Cut,
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 4096).await.unwrap();
    let mut inner = shared.lock().unwrap();
    inner.requests += 1;
    let nonce = inner.fresh_nonce();
    let target = parts.uri.path_and_query().unwrap().as_str();
    let open = matches!(parts.uri.path(), "/api/v1/info" | "/api/v1/setup");
    let mut signing = None;
    let mut nonce_of_request = None;
    if !open {
        let Some(token) = inner.token.clone() else {
            return signed(refusal(403, "not_set_up"), nonce, None);
        };
        let key = Key::derive(&token, DEVICE);
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let sent =
            header(AUTHORIZATION.as_str()).and_then(|text| text.parse::<Authorization>().ok());
        let hash = BodyHash::of(&body);
        let mac = sent.map(|sent| {
            (
                sent,
                key.request_mac(parts.method.as_str(), target, &hash, &sent.nonce),
            )
        });
        match mac {
            Some((sent, mac)) if mac.matches(sent.mac.bytes()) => {
                assert_eq!(header(BODY_HASH_HEADER), Some(hash.to_string().as_str()));
                nonce_of_request = Some(sent.nonce);
                signing = Some((key, mac));
            }
            _ => return signed(refusal(401, "not_authentic"), nonce, None),
        }
    }
    let outcome = inner.outcome(
        parts.method.as_str(),
        parts.uri.path(),
        parts.uri.query(),
        &body,
        nonce,
        nonce_of_request,
    );
    match outcome {
        Outcome::Json(status, body) => signed((status, body), nonce, signing),
        Outcome::Forged(status, body) => signed((status, body), nonce, None),
        Outcome::Blocks(payloads, marked) => {
            frames(&payloads, marked, inner.cut_after, nonce, &signing.unwrap())
        }
        Outcome::Cut => broken(Vec::new()),
    }
}

/// Answers with `bytes` and then breaks the connection.
fn broken(bytes: Vec<u8>) -> Response {
    let cut = async {
        // What was given to a connection that breaks in the same moment is never sent.
        tokio::time::sleep(Duration::from_millis(3)).await;
        Err(io::Error::other("cut"))
    };
    let sent = stream::iter([Ok(Bytes::from(bytes))]);
    Response::new(Body::from_stream(sent.chain(stream::once(cut))))
}

fn signed((status, body): (u16, Vec<u8>), nonce: Nonce, signing: Option<(Key, Mac)>) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), body.clone()).into_response();
    response
        .headers_mut()
        .insert(NONCE_HEADER, nonce.to_string().parse().unwrap());
    if let Some((key, request)) = signing {
        let mac = key.answer_mac(&request, status, &body, &nonce).to_string();
        response
            .headers_mut()
            .insert(ANSWER_MAC_HEADER, mac.parse().unwrap());
    }
    response
}

fn frames(
    payloads: &[Vec<u8>],
    marked: bool,
    cut: Option<usize>,
    nonce: Nonce,
    (key, request): &(Key, Mac),
) -> Response {
    let count = payloads.len();
    let frame = |(index, payload): (usize, &Vec<u8>)| {
        let header = FrameHeader {
            length: payload.len(),
            index: index as u32,
            last: marked && index + 1 == count,
        };
        let mac = key.frame_mac(request, header, payload);
        Bytes::from([&header.to_bytes()[..], payload, &mac.bytes()[..MAC_BYTES]].concat())
    };
    let frames: Vec<Bytes> = payloads.iter().enumerate().map(frame).collect();
    let mut response = match cut {
        Some(cut) if cut < frames.iter().map(Bytes::len).sum() => {
            broken(frames.concat()[..cut].to_vec())
        }
        // Frame by frame, as the meter does.
        _ => Response::new(Body::from_stream(stream::iter(
            frames.into_iter().map(Ok::<_, Infallible>),
        ))),
    };
    response
        .headers_mut()
        .insert(NONCE_HEADER, nonce.to_string().parse().unwrap());
    response
}

fn refusal(status: u16, code: &str) -> (u16, Vec<u8>) {
    let error = ErrorBody {
        code: code.try_into().unwrap(),
        message: "no".try_into().unwrap(),
    };
    (status, serde_json::to_vec(&ErrorAnswer { error }).unwrap())
}

fn ok(value: &impl Serialize) -> Outcome {
    Outcome::Json(200, serde_json::to_vec(value).unwrap())
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

fn number(query: Option<&str>, name: &str) -> u64 {
    let pairs = query.unwrap_or_default().split('&');
    let value = pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name);
    value.map_or(0, |(_, value)| value.parse().unwrap())
}

impl Inner {
    fn fresh_nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut nonce = [0; 20];
        nonce[..8].copy_from_slice(&self.nonces.to_le_bytes());
        Nonce(nonce)
    }

    fn outcome(
        &mut self,
        method: &str,
        path: &str,
        query: Option<&str>,
        body: &[u8],
        nonce: Nonce,
        nonce_of_request: Option<Nonce>,
    ) -> Outcome {
        match (method, path) {
            ("GET", "/api/v1/info") => ok(&self.info(nonce)),
            ("POST", "/api/v1/setup") => self.set_up(parsed(body)),
            ("GET", "/api/v1/live") => ok(&Live {
                uptime_ms: self.uptime_ms,
                channels: Default::default(),
            }),
            ("GET", "/api/v1/config") => ok(&self.config),
            ("PUT", "/api/v1/config") => {
                self.config = parsed(body);
                self.config.code = None;
                ok(&self.config)
            }
            ("PUT", "/api/v1/token") => self.change_token(&parsed(body), nonce_of_request),
            ("GET", "/api/v1/health") => ok(&Health {
                flash_used_bytes: 4_096,
                ..Health::default()
            }),
            ("GET", "/api/v1/events") => ok(&self.events(number(query, "from"))),
            ("GET", "/api/v1/blocks") => self.blocks(number(query, "from"), number(query, "max")),
            ("POST", "/api/v1/clock") => ok(&self.clock(parsed(body))),
            ("POST", "/api/v1/ack") => {
                let acknowledge: Acknowledge = parsed(body);
                assert_eq!(acknowledge.store, self.store);
                self.acknowledged = Some(acknowledge.next);
                Outcome::Json(200, b"{}".to_vec())
            }
            ("GET", "/api/v1/calibrate") => self.next_calibration(),
            ("POST", "/api/v1/calibrate") => {
                self.calibrate.push(parsed(body));
                self.next_calibration()
            }
            _ => {
                let (status, body) = refusal(404, "not_found");
                Outcome::Json(status, body)
            }
        }
    }

    fn info(&self, nonce: Nonce) -> Info {
        Info {
            device: DEVICE,
            product: "ofmon".try_into().unwrap(),
            firmware: "0.1.0".try_into().unwrap(),
            chip: "esp32c3".try_into().unwrap(),
            api: 1,
            store: self.store,
            set_up: self.token.is_some(),
            name: self.config.name.clone(),
            boot: 1,
            uptime_ms: self.uptime_ms,
            oldest: Seq(self.oldest),
            next: Seq(self.next),
            next_event: self.events.len() as u64,
            clock_set: false,
            interval_ms: INTERVAL_MS as u32,
            channels: 1,
            viewable: false,
            nonce,
        }
    }

    fn set_up(&mut self, setup: Setup) -> Outcome {
        if self.token.is_some() {
            let (status, body) = refusal(409, "already_set_up");
            return Outcome::Json(status, body);
        }
        self.token = Some(setup.token.as_str().to_owned());
        self.config.name = setup.name.clone();
        self.config.interval_ms = setup.interval_ms.unwrap_or(INTERVAL_MS as u32);
        self.config.channels = setup.channels.clone();
        self.setups.push(setup);
        if self.cut_setup {
            Outcome::Cut
        } else {
            Outcome::Json(200, b"{}".to_vec())
        }
    }

    fn change_token(&mut self, change: &TokenChange, nonce: Option<Nonce>) -> Outcome {
        if self.on_token == OnToken::Unknown {
            let (status, body) = refusal(404, "not_found");
            return Outcome::Json(status, body);
        }
        let key = Key::derive(self.token.as_deref().unwrap(), DEVICE);
        let token = key.open_token(&nonce.unwrap(), &change.sealed).unwrap();
        if self.on_token != OnToken::LeaveAndCut {
            self.token = Some(token.as_str().to_owned());
            self.tokens.push(token.as_str().to_owned());
        }
        match self.on_token {
            OnToken::Take => Outcome::Json(200, b"{}".to_vec()),
            OnToken::TakeAndDeny => {
                let (status, body) = refusal(403, "not_set_up");
                Outcome::Forged(status, body)
            }
            _ => Outcome::Cut,
        }
    }

    fn events(&self, from: u64) -> Events {
        if let Some(liar) = self.event_liar {
            return liar(from);
        }
        let events = self.events.iter().filter(|event| event.number >= from);
        Events {
            events: events.take(EVENTS_PER_ANSWER).cloned().collect(),
            next: self.events.len() as u64,
        }
    }

    fn clock(&mut self, clock: Clock) -> Anchored {
        let event = self.events.len() as u64;
        self.events.push(Event {
            number: event,
            boot: 1,
            uptime_ms: self.uptime_ms,
            what: What::Anchor {
                utc_ms: clock.utc_ms,
                uncertainty_ms: clock.uncertainty_ms,
            },
        });
        Anchored {
            event,
            boot: 1,
            uptime_ms: self.uptime_ms,
        }
    }

    fn next_calibration(&mut self) -> Outcome {
        let next = match self.calibrations.len() {
            1 => self.calibrations[0].clone(),
            _ => self.calibrations.pop_front().unwrap(),
        };
        next.as_ref().map_or(Outcome::Cut, ok)
    }

    fn blocks(&self, from: u64, bytes_max: u64) -> Outcome {
        if let Some(liar) = self.liar {
            let (payloads, marked) = liar(self, from);
            return Outcome::Blocks(payloads, marked);
        }
        let mut payloads = Vec::new();
        let mut bytes = 0;
        for block in &self.blocks {
            if Block::parse(block).unwrap().range().end > from && bytes < bytes_max {
                bytes += block.len() as u64;
                payloads.push(block.clone());
            }
        }
        if payloads.is_empty() {
            payloads.push(Vec::new());
        }
        Outcome::Blocks(payloads, true)
    }
}
