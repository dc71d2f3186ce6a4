//! A meter on a board that does nothing by itself, behind a real listener, and a client that knows the bytes.

mod answer;

use std::{
    cell::RefCell,
    net::{SocketAddr, SocketAddrV4},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use device::{Board, Facts, Marks, Meter, flash_map, http, slots::Slots};
use flash_store::{FlashStore, Format};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use metering::{Calibration, ChannelConfig, VoltageInput, Window};
use nor_model::Nor;
use protocol::{
    DeviceId, Reading, StoreId,
    authentication::{Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, Nonce},
    block::Block,
    event::ResetReason,
    firmware::{PublicKey, UPDATE_KEYS_MAX},
    frame::{FrameHeader, HEADER_BYTES, MAC_BYTES},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

pub use answer::{Answer, parse};

pub const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
pub const NOW_UTC_MS: i64 = 1_800_000_000_000;
const BUILT_UTC_MS: i64 = 1_700_000_000_000;
const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);
/// The chip that the meter says it is.
pub const CHIP: &str = "esp32c3";
const FLASH_BYTES: usize = 480 * 4096;
const INTERVAL_US: u64 = 10_000_000;

/// Time between two readings of a meter that measures.
const MEASURED_EVERY: Duration = Duration::from_millis(50);

/// What a meter is built with, and how its time goes.
#[derive(Clone, Default)]
pub struct Build {
    /// Keys that it believes updates of.
    pub keys: Vec<PublicKey>,
    /// How much faster than the clock's its time goes; 0 lets its uptime stand still, and its waits take their time.
    pub speed: u64,
}

/// A board that counts what it was asked for.
#[derive(Clone)]
struct TestBoard {
    address: Arc<OnceLock<SocketAddrV4>>,
    moved_ms: Arc<AtomicU64>,
    restarts: Arc<AtomicUsize>,
    speed: u64,
    begun: Instant,
}

impl Board for TestBoard {
    type Flash = Nor;
    type Slots = Nor;

    fn uptime_us(&self) -> u64 {
        let run_us = self.begun.elapsed().as_micros() as u64 * self.speed;
        123_456_789 + self.moved_ms.load(Ordering::SeqCst) * 1000 + run_us
    }

    fn address(&self) -> SocketAddrV4 {
        *self.address.get().expect("the meter listens")
    }

    async fn delay(&self, milliseconds: u64) {
        // Limits are waits too: they must not be over at once.
        tokio::time::sleep(Duration::from_millis(milliseconds / self.speed.max(1))).await;
    }

    fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }

    fn marks(&self) -> Marks {
        Marks {
            samples_lost: 7,
            flash_stop_us: 45_000,
            stack_free_bytes: Some(5_000),
            heap_free_bytes: None,
        }
    }
}

/// A running meter.
pub struct TestMeter {
    pub device: DeviceId,
    pub address: SocketAddr,
    directory: TempDir,
    board: TestBoard,
    is_measuring: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestMeter {
    /// Starts a meter that was never set up and holds nothing.
    pub async fn fresh() -> Self {
        Self::start(tempfile::tempdir().unwrap(), 0)
    }

    /// Starts a meter with so many readings that was never set up.
    pub async fn with_readings(readings: u64) -> Self {
        Self::start(tempfile::tempdir().unwrap(), readings)
    }

    /// Starts a meter with so many readings and sets it up.
    pub async fn set_up(readings: u64) -> Self {
        Self::prepared(Self::start(tempfile::tempdir().unwrap(), readings)).await
    }

    async fn prepared(meter: Self) -> Self {
        let body = format!(r#"{{"token":"{TOKEN}","name":"Cellar"}}"#);
        assert_eq!(
            meter
                .plain("POST", "/api/v1/setup", body.as_bytes())
                .await
                .status,
            200
        );
        meter
    }

    /// Starts a meter of some build and sets it up.
    pub async fn set_up_as(build: &Build) -> Self {
        Self::prepared(Self::start_as(tempfile::tempdir().unwrap(), 0, build)).await
    }

    /// Starts a meter with so many readings, sets it up, and lets it measure 20 readings a second from then on.
    pub async fn measuring(readings: u64) -> Self {
        let meter = Self::set_up(readings).await;
        meter.is_measuring.store(true, Ordering::SeqCst);
        meter
    }

    /// Moves the uptime on.
    pub fn pass(&self, time: Duration) {
        let milliseconds = time.as_millis() as u64;
        self.board
            .moved_ms
            .fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Connects without a word.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Cuts the power and starts again on the same flash.
    pub async fn restarted(mut self) -> Self {
        self.end();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Self::start(directory, 0)
    }

    /// Cuts the power, damages the flash, and starts again on it.
    pub async fn restarted_on_damaged(mut self, damage: impl FnOnce(&mut [u8])) -> Self {
        self.end();
        let path = self.directory.path().join("flash");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        self.restarted().await
    }

    fn start(directory: TempDir, readings: u64) -> Self {
        Self::start_as(directory, readings, &Build::default())
    }

    fn start_as(directory: TempDir, readings: u64, build: &Build) -> Self {
        let path = directory.path().join("flash");
        let slots = directory.path().join("slots");
        let board = TestBoard {
            restarts: Arc::default(),
            speed: build.speed,
            begun: Instant::now(),
            address: Arc::default(),
            moved_ms: Arc::default(),
        };
        let keys = build.keys.iter().copied().collect();
        let board_there = board.clone();
        let is_measuring = Arc::<AtomicBool>::default();
        let is_measuring_there = is_measuring.clone();
        let (ready, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut meter = Meter::start(store(&path), facts(keys)).unwrap();
            let slots = Nor::open(&slots, flash_map::STORE as usize).unwrap();
            let mut slots = Slots::open(slots, None).unwrap();
            slots.start().unwrap();
            for index in 0..readings {
                meter.push_window(0, index * INTERVAL_US, window(index));
            }
            assert!(readings == 0 || meter.next().0 == readings);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                if let SocketAddr::V4(address) = address {
                    board_there.address.set(address).unwrap();
                }
                ready.send(address).unwrap();
                let meter = RefCell::new(meter);
                tokio::select! {
                    () = serve(listener, &meter, RefCell::new(slots), board_there) => {}
                    () = measure(&meter, &is_measuring_there) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            device: DEVICE,
            address: address.recv().expect("the meter starts"),
            directory,
            board,
            is_measuring,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Lets time go by.
    pub fn advance(&self, milliseconds: u64) {
        self.board
            .moved_ms
            .fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Returns how often the meter asked for a restart.
    pub fn restarts(&self) -> usize {
        self.board.restarts.load(Ordering::SeqCst)
    }

    /// Cuts the power and returns the flash of the firmware slots.
    pub fn into_slots(mut self) -> Slots<Nor> {
        self.end();
        let path = self.directory.path().join("slots");
        let flash = Nor::open(&path, flash_map::STORE as usize).unwrap();
        Slots::open(flash, None).unwrap()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the meter does not panic");
        }
    }

    /// Sends a request without authentication.
    pub async fn plain(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.raw(method, path, "", body).await
    }

    /// Sends a request as its owner does and checks the answer's MAC.
    pub async fn signed(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let (answer, mac) = self.send_signed(TOKEN, method, path, body).await;
        let key = Key::derive(TOKEN, DEVICE);
        assert!(answer.is_authentic(&key, &mac), "the answer's MAC is wrong");
        answer
    }

    /// Sends a request with another token.
    pub async fn signed_with(&self, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_signed(token, method, path, body).await.0
    }

    /// Returns the first so many readings.
    pub async fn readings(&self, count: u64) -> Vec<Reading> {
        let payloads = self.stream("/api/v1/blocks?from=0&max=100000000").await.0;
        let mut readings = Vec::new();
        for payload in &payloads {
            let block = Block::parse(payload).unwrap();
            readings.extend(block.readings().filter(|reading| reading.seq.0 < count));
        }
        assert_eq!(readings.len() as u64, count);
        readings
    }

    /// Asks for blocks; returns the payloads and whether the last frame was marked.
    pub async fn stream(&self, path: &str) -> (Vec<Vec<u8>>, bool) {
        let (answer, mac) = self.send_signed(TOKEN, "GET", path, b"").await;
        assert_eq!(answer.status, 200);
        let key = Key::derive(TOKEN, DEVICE);
        let (mut rest, mut payloads, mut whole) = (&answer.body[..], Vec::new(), false);
        while let Some((head, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let header = FrameHeader::parse(head, payloads.len() as u32).unwrap();
            let (payload, after) = after.split_at(header.length);
            let (sent, after) = after.split_first_chunk::<MAC_BYTES>().unwrap();
            header.verify(&key, &mac, payload, sent).unwrap();
            payloads.push(payload.to_vec());
            whole = header.last;
            rest = after;
        }
        payloads.retain(|payload| !payload.is_empty());
        (payloads, whole)
    }

    /// Asks for a file as its owner does; what authenticates it lies in it.
    pub async fn file(&self, path: &str) -> Answer {
        self.send_signed(TOKEN, "GET", path, b"").await.0
    }

    /// Asks for something, reads so many bytes of the answer, and goes away.
    pub async fn broken_off(&self, path: &str, bytes: usize) {
        let (nonce, hash) = (self.nonce().await, BodyHash::of(b""));
        let mac = Key::derive(TOKEN, DEVICE).request_mac("GET", path, &hash, &nonce);
        let authorization = Authorization { nonce, mac };
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: meter\r\nAuthorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.read_exact(&mut vec![0; bytes]).await.unwrap();
    }

    async fn send_signed(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> (Answer, Mac) {
        let (headers, mac) = sealed(token, self.nonce().await, method, path, body);
        (self.raw(method, path, &headers, body).await, mac)
    }

    /// Asks for a nonce.
    pub async fn nonce(&self) -> Nonce {
        let info: protocol::messages::Info = self.plain("GET", "/api/v1/info", b"").await.json();
        info.nonce
    }

    /// Sends a request with headers of one's own on a connection of its own.
    pub async fn raw(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let bytes = self.exchange(&[head.as_bytes(), body].concat()).await;
        parse(&bytes)
    }

    /// Sends bytes that are no request; the meter must close the connection.
    pub async fn garbage(&self, bytes: &[u8]) {
        self.exchange(bytes).await;
    }

    /// Sends bytes and returns what comes back until the meter closes the connection.
    pub async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The meter may refuse and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

/// Returns the headers that authenticate a request, and its MAC.
pub fn sealed(token: &str, nonce: Nonce, method: &str, path: &str, body: &[u8]) -> (String, Mac) {
    let hash = BodyHash::of(body);
    let mac = Key::derive(token, DEVICE).request_mac(method, path, &hash, &nonce);
    let authorization = Authorization { nonce, mac };
    let headers = format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
    (headers, mac)
}

impl Drop for TestMeter {
    fn drop(&mut self) {
        self.end();
    }
}

fn window(index: u64) -> Window {
    Window {
        end_us: (index + 1) * INTERVAL_US,
        active_power_mw: 374_000 + (index as i32 % 50) * 1000,
        voltage_mv: 243_800,
        current_ua: 1_600_000,
        frequency_mhz: 50_010,
        ..Window::default()
    }
}

/// Makes readings where the meter is to measure.
async fn measure(meter: &RefCell<Meter<Nor>>, is_measuring: &AtomicBool) {
    loop {
        tokio::time::sleep(MEASURED_EVERY).await;
        if is_measuring.load(Ordering::SeqCst) {
            let mut meter = meter.borrow_mut();
            let index = meter.next().0;
            meter.push_window(0, index * INTERVAL_US, window(index));
        }
    }
}

async fn serve(
    listener: TcpListener,
    meter: &RefCell<Meter<Nor>>,
    slots: RefCell<Slots<Nor>>,
    board: TestBoard,
) {
    let crowd = http::Crowd::new();
    let api = http::Api {
        meter,
        slots: &slots,
        board: &board,
        crowd: &crowd,
    };
    let connection = async |stream| {
        let mut buffer = vec![0; http::HTTP_BUFFER_BYTES];
        api.serve(stream, &mut buffer).await;
    };
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < http::CONNECTIONS => {
                connections.push(connection(accepted.unwrap().0));
            }
            Some(()) = connections.next() => {}
        }
    }
}

fn store(path: &Path) -> FlashStore<Nor> {
    let fresh = !path.exists();
    let flash = Nor::open(path, FLASH_BYTES).unwrap();
    if fresh {
        let format = Format {
            device: DEVICE,
            store: StoreId(7),
            channels: 1,
            password: None,
        };
        return FlashStore::format(flash, &format).unwrap();
    }
    FlashStore::mount(flash)
        .map_err(|(error, _)| error)
        .unwrap()
}

fn facts(update_keys: heapless::Vec<PublicKey, UPDATE_KEYS_MAX>) -> Facts {
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
        continued: None,
        firmware: "0.1.0".try_into().unwrap(),
        chip: CHIP.try_into().unwrap(),
        update_keys,
        nonce_secret: [9; 32],
        channels: [channel].into_iter().collect(),
        ct_ratio: 2_000,
        built_utc_ms: BUILT_UTC_MS,
    }
}
