//! A meter on a board that does nothing by itself, behind a real listener, and a client that knows the bytes.

mod answer;

use std::{
    cell::RefCell,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use device::{Board, Facts, Marks, Meter, flash_map, http, slots::Slots};
use flash_store::{FlashStore, Format};
use metering::{Calibration, ChannelConfig, VoltageInput, Window};
use nor_model::Nor;
use protocol::{
    DeviceId, StoreId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, BodyHash, Key, Mac, NONCE_HEADER, Nonce,
    },
    event::ResetReason,
    frame::{FrameHeader, HEADER_BYTES, MAC_BYTES},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

pub use answer::Answer;
use answer::parse;

pub const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
pub const NOW_UTC_MS: i64 = 1_800_000_000_000;
const BUILT_UTC_MS: i64 = 1_700_000_000_000;
const DEVICE: DeviceId = DeviceId([2, 15, 109, 0, 0, 1]);
/// The chip that the meter says it is.
pub const CHIP: &str = "esp32c3";
const FLASH_BYTES: usize = 480 * 4096;
const INTERVAL_US: u64 = 10_000_000;

/// A board whose uptime stands still and that counts what it was asked for.
#[derive(Clone, Default)]
struct TestBoard {
    restarts: Arc<AtomicUsize>,
}

impl Board for TestBoard {
    type Flash = Nor;
    type Slots = Nor;

    fn uptime_us(&self) -> u64 {
        123_456_789
    }

    async fn delay(&self, milliseconds: u64) {
        // Limits are waits too: they must not be over at once.
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
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
    address: SocketAddr,
    directory: TempDir,
    board: TestBoard,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestMeter {
    /// Starts a meter that was never set up and holds nothing.
    pub async fn fresh() -> Self {
        Self::start(tempfile::tempdir().unwrap(), 0)
    }

    /// Starts a meter with so many readings and sets it up.
    pub async fn set_up(readings: u64) -> Self {
        let meter = Self::start(tempfile::tempdir().unwrap(), readings);
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
        let path = directory.path().join("flash");
        let slots = directory.path().join("slots");
        let board = TestBoard::default();
        let board_there = board.clone();
        let (ready, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut meter = Meter::start(store(&path), facts()).unwrap();
            let slots = Nor::open(&slots, flash_map::STORE as usize).unwrap();
            let mut slots = Slots::open(slots, None).unwrap();
            slots.start().unwrap();
            for index in 0..readings {
                let window = Window {
                    end_us: (index + 1) * INTERVAL_US,
                    active_power_mw: 374_000 + (index as i32 % 50) * 1000,
                    voltage_mv: 243_800,
                    current_ua: 1_600_000,
                    frequency_mhz: 50_010,
                    ..Window::default()
                };
                meter.push_window(0, index * INTERVAL_US, window);
            }
            assert!(readings == 0 || meter.next().0 == readings);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, RefCell::new(meter), RefCell::new(slots), board_there) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            device: DEVICE,
            address: address.recv().expect("the meter starts"),
            directory,
            board,
            stop: Some(stop),
            thread: Some(thread),
        }
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
        let next: Nonce = answer
            .header(NONCE_HEADER)
            .expect("a nonce")
            .parse()
            .unwrap();
        let expected =
            Key::derive(TOKEN, DEVICE).answer_mac(&mac, answer.status, &answer.body, &next);
        let sent: Mac = answer
            .header(ANSWER_MAC_HEADER)
            .expect("a MAC")
            .parse()
            .unwrap();
        assert!(expected.matches(sent.bytes()), "the answer's MAC is wrong");
        answer
    }

    /// Sends a request with another token.
    pub async fn signed_with(&self, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_signed(token, method, path, body).await.0
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

    async fn send_signed(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> (Answer, Mac) {
        let (nonce, hash) = (self.nonce().await, BodyHash::of(body));
        let mac = Key::derive(token, DEVICE).request_mac(method, path, &hash, &nonce);
        let authorization = Authorization { nonce, mac };
        let headers = format!("Authorization: {authorization}\r\n{BODY_HASH_HEADER}: {hash}\r\n");
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
            "{method} {path} HTTP/1.1\r\nHost: meter\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
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
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The meter may refuse and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

impl Drop for TestMeter {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(
    listener: TcpListener,
    meter: RefCell<Meter<Nor>>,
    slots: RefCell<Slots<Nor>>,
    board: TestBoard,
) {
    let router = http::router(&meter, &slots, &board);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; http::HTTP_BUFFER_BYTES];
        let server = picoserve::Server::new_tokio(&router, &http::CONFIG, &mut buffer);
        // A client that breaks off is its own problem.
        let _ = server.serve(stream).await;
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
        firmware: "0.1.0".try_into().unwrap(),
        chip: CHIP.try_into().unwrap(),
        nonce_secret: [9; 32],
        channels: [channel].into_iter().collect(),
        built_utc_ms: BUILT_UTC_MS,
    }
}
