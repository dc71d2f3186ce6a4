//! Requests of any kind reach a meter that is set up, some with a MAC that is right: it never panics, never restarts, keeps
//! its readings, gives strangers nothing, and comes to an end with every connection.
#![no_main]

mod board;
mod input;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::pin,
    sync::OnceLock,
    task::{Context, Waker},
};

use arbitrary::{Arbitrary as _, Unstructured};
use device::{Facts, Meter, flash_map, http, slots::Slots};
use flash_store::{FlashStore, Format};
use libfuzzer_sys::fuzz_target;
use metering::{Calibration, ChannelConfig, VoltageInput, Window};
use nor_model::Nor;
use protocol::{
    DeviceId, Reading, StoreId,
    authentication::{Key, NONCE_HEADER, Nonce},
    block::Block,
    event::ResetReason,
    frame::{HEADER_BYTES, MAC_BYTES},
};

use board::{Pipe, StepBoard, Steps};
use input::{Body, Flaw, Input, Method, Path, Query, Request};

const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);
const FLASH_BYTES: usize = 64 * 4096;
const INTERVAL_US: u64 = 10_000_000;
const READINGS: u64 = 40;
/// Virtual time from one poll to the next in ms.
const STEP_MS: u64 = 50;
/// More than a live stream takes, which is the longest of all.
const STEPS_MAX: u64 = 10_000;

/// A meter with its connections.
struct Running {
    meter: RefCell<Meter<Nor>>,
    slots: RefCell<Slots<Nor>>,
    board: StepBoard,
    crowd: http::Crowd,
}

impl Running {
    fn start(flash: Vec<u8>) -> Self {
        let store = FlashStore::mount(Nor::from_bytes(flash)).map_err(|(error, _)| error);
        let meter = Meter::start(store.expect("it was formatted"), facts()).expect("it starts");
        let mut slots = Slots::open(Nor::new(flash_map::STORE as usize), None).expect("it opens");
        slots.start().expect("it starts");
        Self {
            meter: RefCell::new(meter),
            slots: RefCell::new(slots),
            board: StepBoard::default(),
            crowd: http::Crowd::new(),
        }
    }

    /// Sends bytes over a connection of their own; returns what came back.
    fn exchange(&self, bytes: &[u8], piece_bytes: usize) -> Vec<u8> {
        let mut written = Vec::new();
        let pipe = Pipe {
            unread: bytes,
            piece_bytes: piece_bytes.max(1),
            written: &mut written,
        };
        let api = http::Api {
            meter: &self.meter,
            slots: &self.slots,
            board: &self.board,
            crowd: &self.crowd,
        };
        let mut buffer = vec![0; http::HTTP_BUFFER_BYTES];
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut served = pin!(api.serve::<Steps, _>(pipe, &mut buffer));
            let ends = (0..STEPS_MAX).any(|_| {
                self.board.now_ms.set(self.board.now_ms.get() + STEP_MS);
                served.as_mut().poll(&mut context).is_ready()
            });
            assert!(ends, "a connection comes to an end");
        }
        written
    }

    fn nonce(&self) -> Nonce {
        let answer = self.exchange(b"GET /api/v1/info HTTP/1.1\r\n\r\n", 200);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let nonce = text
            .lines()
            .find_map(|line| line.strip_prefix(NONCE_HEADER)?.strip_prefix(": "));
        nonce.expect("info has a nonce").parse().expect("a nonce")
    }

    /// Returns the readings of the beginning, as their owner gets them.
    fn readings(&self, key: &Key) -> BTreeMap<u64, Reading> {
        let request = Request {
            method: Method::Listed(0),
            path: Path::Any("api/v1/blocks".to_owned()),
            query: Query::FromMax(0, 1_000_000),
            body: Body::None,
            is_sealed: true,
            flaw: Flaw::None,
            piece_bytes: 255,
        };
        let answer = self.exchange(&request.bytes(key, self.nonce()), 255);
        let mut readings = BTreeMap::new();
        let mut rest = &joined(&answer)[..];
        while rest.len() > HEADER_BYTES {
            let length = u32::from_le_bytes(rest[..4].try_into().expect("four")) as usize;
            let payload = &rest[HEADER_BYTES..HEADER_BYTES + length];
            if let Ok(block) = Block::parse(payload) {
                let block = block.readings().map(|reading| (reading.seq.0, reading));
                readings.extend(block.filter(|(seq, _)| *seq < READINGS));
            }
            rest = &rest[HEADER_BYTES + length + MAC_BYTES..];
        }
        readings
    }
}

/// Joins the chunks of an answer's body.
fn joined(answer: &[u8]) -> Vec<u8> {
    let find = |bytes: &[u8], needle: &[u8]| {
        let windows = &mut bytes.windows(needle.len());
        windows.position(|window| window == needle)
    };
    let mut body = Vec::new();
    let head = find(answer, b"\r\n\r\n").expect("an answer has a head");
    let mut rest = &answer[head + 4..];
    while let Some(end) = find(rest, b"\r\n") {
        let digits = std::str::from_utf8(&rest[..end]).expect("digits");
        let length = usize::from_str_radix(digits, 16).expect("a length");
        if length == 0 {
            break;
        }
        body.extend(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
    body
}

fn facts() -> Facts {
    let channel = ChannelConfig {
        calibration: Calibration::ideal(100_000_000, 50_000_000),
        voltage: VoltageInput::Own,
        full_scale_code: 4095,
        sample_rate_hz: 2000,
        interval_ms: 10_000,
        power_unit_mw: 1000,
    };
    Facts {
        reset_reason: ResetReason::PowerOn,
        firmware: "0.1.0".try_into().expect("it fits"),
        chip: "esp32c3".try_into().expect("it fits"),
        nonce_secret: [9; 32],
        channels: [channel].into_iter().collect(),
        built_utc_ms: 0,
        continued: None,
        ct_ratio: 2_000,
        update_keys: Default::default(),
    }
}

/// Returns a flash with readings, and what they are; a meter on it was set up with the first request that it got.
fn prepared() -> &'static (Vec<u8>, BTreeMap<u64, Reading>) {
    static PREPARED: OnceLock<(Vec<u8>, BTreeMap<u64, Reading>)> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let format = Format {
            device: DEVICE,
            store: StoreId(7),
            channels: 1,
            password: None,
        };
        let mut flash = Nor::new(FLASH_BYTES);
        drop(FlashStore::format(&mut flash, &format).expect("it formats"));
        let bytes = flash.bytes().to_vec();
        let running = fresh(bytes.clone());
        let readings = running.readings(&Key::derive(TOKEN, DEVICE));
        assert_eq!(readings.len() as u64, READINGS);
        (bytes, readings)
    })
}

/// Starts a meter on a formatted flash, lets it measure, and sets it up.
fn fresh(flash: Vec<u8>) -> Running {
    let running = Running::start(flash);
    for index in 0..READINGS {
        let window = Window {
            end_us: (index + 1) * INTERVAL_US,
            active_power_mw: 374_000 + (index as i32 % 50) * 1000,
            voltage_mv: 243_800,
            current_ua: 1_600_000,
            frequency_mhz: 50_010,
            ..Window::default()
        };
        let mut meter = running.meter.borrow_mut();
        meter.push_window(0, index * INTERVAL_US, window);
    }
    let body = format!(r#"{{"token":"{TOKEN}","name":"Cellar"}}"#);
    let head = format!(
        "POST /api/v1/setup HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = running.exchange(&[head.as_bytes(), body.as_bytes()].concat(), 255);
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    running
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let (flash, expected) = prepared();
    let running = fresh(flash.clone());
    let key = Key::derive(TOKEN, DEVICE);
    for request in input.requests.iter().take(12) {
        let bytes = request.bytes(&key, running.nonce());
        let answer = running.exchange(&bytes, request.piece_bytes.into());
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "));
        if request.is_strange() {
            let is_taken = answer.starts_with(b"HTTP/1.1 2");
            // A path of one's own may hold what splits a request in two; what comes behind may be open to all.
            let is_listed = matches!(request.path, Path::Listed(_))
                && matches!(request.method, Method::Listed(_))
                && !matches!(request.query, Query::Any(_));
            assert!(!is_taken || !is_listed, "{request:?}");
        }
    }
    running.exchange(&input.raw, 100);
    assert_eq!(running.board.restarts.get(), 0);
    assert_eq!(running.readings(&key), *expected);
});
