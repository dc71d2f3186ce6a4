//! Sync against the double of a server: nothing lost, nothing doubled, whatever goes wrong between.

mod coarse;
mod faults;
mod interruptions;
mod links;
mod moves;

use std::{collections::BTreeMap, path::Path, time::Duration};

use protocol::{
    ChannelReading, DeviceId, Registers, Seq, StoreId,
    block::{Header, Writer},
    event::{Event, What},
    limits::BLOCK_BYTES_MAX,
};
use thingsboard_double::Double;

use crate::{
    secrets::{Secret, Secrets, token_name},
    store::{History, SharedStore, Span, Store},
    thingsboard::{Server, ServerAddress, Timeouts, keys_of},
};

use super::{Backoff, DeviceReport, Options, Progress, Report, SyncError, login, sync};

const METER: DeviceId = DeviceId([2, 0x0f, 0x6d, 0, 0, 1]);
const NAME: &str = "OFMON-020F6D000001";
const TOKEN: &str = "AbCdEfGhIjKlMnOpQrSt";
const USER: &str = "tenant@thingsboard.org";
const LIFE: History = History {
    device: METER,
    store: StoreId(7),
};
/// When uptime 0 of boot 1 was.
const EPOCH_MS: i64 = 1_760_000_000_000;
const INTERVAL_MS: u64 = 10_000;

/// Waits short enough for tests; the order of things is the same.
fn quick() -> Options {
    Options {
        batch_readings: 100,
        window_readings: 300,
        backoff: Backoff {
            first: Duration::from_millis(2),
            longest: Duration::from_millis(100),
            failures_max: 12,
        },
        settle: [5, 10, 20, 40].map(Duration::from_millis).to_vec(),
        resends_max: 3,
    }
}

const QUICK: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    request: Duration::from_millis(400),
};

/// A collector's data directory and a server, with a session between them.
struct Bench {
    double: Double,
    directory: tempfile::TempDir,
    store: SharedStore,
    secrets: Secrets,
    server: Server,
    options: Options,
}

impl Bench {
    async fn new() -> Self {
        let double = Double::start(thingsboard_double::Options::default())
            .await
            .expect("the double starts");
        let directory = tempfile::tempdir().expect("a directory");
        let store = SharedStore::new(Store::open(directory.path()).expect("a store"));
        let mut secrets = Secrets::open(directory.path()).expect("secrets");
        let token = Secret::new(TOKEN.to_owned());
        secrets.set(&token_name(METER), token).expect("kept");
        let address = ServerAddress::parse(&double.url()).expect("an address");
        let password = Secret::new("tenant".to_owned());
        let server = login(&store, &mut secrets, address, USER, &password, QUICK)
            .await
            .expect("the demo user");
        Self {
            double,
            directory,
            store,
            secrets,
            server,
            options: quick(),
        }
    }

    /// A bench whose meter has `count` readings of one boot that is anchored at both ends.
    async fn with_readings(count: u64) -> Self {
        let bench = Self::new().await;
        bench.put(LIFE, 0, 1, INTERVAL_MS, count, 1);
        let end_ms = count * INTERVAL_MS;
        bench.anchor(LIFE, 0, 1, 0, EPOCH_MS);
        bench.anchor(LIFE, 1, 1, end_ms, EPOCH_MS + end_ms as i64);
        bench
    }

    /// Stores readings `first..` of a boot whose first interval ends at `uptime_ms`, in blocks of 200.
    fn put(
        &self,
        history: History,
        first: u64,
        boot: u32,
        uptime_ms: u64,
        count: u64,
        channels: usize,
    ) {
        let mut store = self.store.lock();
        for offset in (0..count).step_by(200) {
            let header = Header {
                device: history.device,
                store: history.store,
                first: Seq(first + offset),
                boot,
                uptime_ms: uptime_ms + offset * INTERVAL_MS,
                interval_ms: INTERVAL_MS as u32,
                power_unit_mw: 1000,
                calibration: 0,
                registers: (0..channels).map(|_| Registers::default()).collect(),
            };
            let mut buffer = [0; BLOCK_BYTES_MAX];
            let mut writer = Writer::new(&mut buffer, &header).expect("room");
            for seq in first + offset..first + count.min(offset + 200) {
                let channels: Vec<_> = (0..channels).map(|n| channel(seq, n)).collect();
                writer.push(&channels).expect("room");
            }
            let length = writer.finish();
            // Long after, so that the receipt bounds nothing.
            let received_ms = EPOCH_MS + 400 * 86_400_000;
            store
                .put_block(history, &buffer[..length], received_ms)
                .expect("stored");
        }
    }

    fn anchor(&self, history: History, number: u64, boot: u32, uptime_ms: u64, utc_ms: i64) {
        let what = What::Anchor {
            utc_ms,
            uncertainty_ms: 50,
        };
        let event = Event {
            number,
            boot,
            uptime_ms,
            what,
        };
        self.store
            .lock()
            .put_events(history, &[event], None)
            .expect("stored");
    }

    async fn sync(&mut self) -> Report {
        self.sync_watched(&mut |_| {}).await
    }

    async fn sync_watched(&mut self, progress: &mut (dyn FnMut(Progress) + Send)) -> Report {
        self.try_sync(&[METER], progress)
            .await
            .expect("the session holds")
    }

    /// Syncs, and lets something happen to the server when so many readings are done.
    async fn sync_struck(&mut self, done: u64, strike: impl Fn(&Double) + Sync) -> Report {
        self.sync_all_struck(&[METER], done, strike).await
    }

    /// The same with several meters; each that gets so far is struck.
    async fn sync_all_struck(
        &mut self,
        meters: &[DeviceId],
        done: u64,
        strike: impl Fn(&Double) + Sync,
    ) -> Report {
        let Self {
            double, secrets, ..
        } = self;
        let mut progress = |progress: Progress| {
            if progress.done == done {
                strike(double);
            }
        };
        let (store, server, options) = (&self.store, &self.server, &self.options);
        sync(store, secrets, server, meters, options, &mut progress)
            .await
            .expect("the session holds")
    }

    async fn try_sync(
        &mut self,
        meters: &[DeviceId],
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Report, SyncError> {
        let (store, secrets, server) = (&self.store, &mut self.secrets, &self.server);
        sync(store, secrets, server, meters, &self.options, progress).await
    }

    /// Holds the server to the store: the same readings under the same times with the same values, and nothing else.
    fn assert_same(&self) {
        self.assert_same_of(METER, NAME);
    }

    fn assert_same_of(&self, meter: DeviceId, name: &str) {
        let expected = expected(&self.store.lock(), meter);
        let device = self.double.device_named(name).expect("the device").id;
        let keys: Vec<&str> = expected.keys().copied().collect();
        assert_eq!(self.double.keys(device), keys);
        for (key, expected) in expected {
            let stored = self.double.points(device, key);
            assert_eq!(stored.len(), expected.len(), "number of points of {key}");
            for ((ms, value), (expected_ms, expected)) in stored.into_iter().zip(expected) {
                let off_ms = ms.abs_diff(expected_ms);
                assert!(off_ms <= 2, "{key}: at {ms} in place of {expected_ms}");
                let value = value.as_f64().expect("a number");
                assert!((value - expected).abs() < 1e-3, "{key}: {value} {expected}");
            }
        }
    }

    fn points_on_server(&self) -> usize {
        match self.double.device_named(NAME) {
            Some(device) => self.double.points(device.id, "power").len(),
            None => 0,
        }
    }
}

/// Returns values that differ from reading to reading and from channel to channel.
fn channel(seq: u64, number: usize) -> ChannelReading {
    ChannelReading {
        energy_quanta: (seq % 977) as i32 * 3 + number as i32,
        reactive_power_var: -((seq % 13) as i32),
        voltage_dv: 2300 + (seq % 40) as u16,
        current_ca: (seq % 1500) as u16,
        // Not measured now and then.
        frequency_chz: if seq % 7 == 3 { 0 } else { 5000 },
        ..ChannelReading::default()
    }
}

/// Returns what the server should have, by key, computed from the store in another way than sync does.
fn expected(store: &Store, meter: DeviceId) -> BTreeMap<&'static str, Vec<(i64, f64)>> {
    let mut expected: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
    for resolved in store.readings(meter, Span::All).expect("readings") {
        let resolved = resolved.expect("a reading");
        let reading = &resolved.reading;
        for key in keys_of(reading) {
            let (base, number) = match key.split_once('_') {
                Some((base, suffix)) => (base, suffix.parse::<usize>().expect("a number") - 1),
                None => (key, 0),
            };
            let channel = channel(reading.seq.0, number);
            let registers = reading.registers[number];
            let value = match base {
                "power" => f64::from(channel.energy_quanta),
                "reactivePower" => f64::from(channel.reactive_power_var),
                "voltage" => f64::from(channel.voltage_dv) / 10.0,
                "current" => f64::from(channel.current_ca) / 100.0,
                "frequency" => 50.0,
                "energyImport" => registers.import_mj as f64 / 3.6e6,
                "energyExport" => registers.export_mj as f64 / 3.6e6,
                "coverage" => 1.0,
                other => panic!("an unknown key {other}"),
            };
            let point = (resolved.time.utc_ms, value);
            expected.entry(key).or_default().push(point);
        }
    }
    expected
}

fn only(report: &Report) -> &DeviceReport {
    assert_eq!(report.devices.len(), 1);
    &report.devices[0]
}

/// Opens a store again whose last operation may still be running.
async fn reopened(directory: &Path) -> SharedStore {
    for _ in 0..500 {
        if let Ok(store) = Store::open(directory) {
            return SharedStore::new(store);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the store stays locked");
}

#[tokio::test]
async fn all_readings_of_a_meter_arrive_once_and_are_verified() {
    let mut bench = Bench::with_readings(1_000).await;
    let mut seen = Vec::new();
    let report = bench
        .sync_watched(&mut |progress| seen.push((progress.done, progress.total)))
        .await;
    let device = only(&report);
    assert!(report.is_complete(), "{device:?}");
    let counts = (device.readings_sent, device.readings_verified);
    assert_eq!(counts, (1_000, 1_000));
    assert_eq!((device.readings_resent, device.readings_left), (0, 0));
    assert_eq!(seen.last(), Some(&(1_000, 1_000)));
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    bench.assert_same();
    let statistics = bench.double.statistics();
    assert_eq!(statistics.telemetry_in_flight_max, 1);
    let requests = bench.double.requests();
    let posts = requests
        .iter()
        .filter(|one| one.path.ends_with("/telemetry"));
    assert!(posts.into_iter().all(|post| post.body_bytes > 2));
}

#[tokio::test]
async fn a_second_sync_sends_only_what_is_new() {
    let mut bench = Bench::with_readings(500).await;
    bench.sync().await;
    let posts = bench.double.statistics().telemetry_posts;
    let report = bench.sync().await;
    assert!(report.is_complete());
    assert_eq!(only(&report).readings_sent, 0);
    assert_eq!(bench.double.statistics().telemetry_posts, posts);

    bench.put(LIFE, 500, 1, 501 * INTERVAL_MS, 30, 1);
    let report = bench.sync().await;
    assert!(report.is_complete());
    assert_eq!(only(&report).readings_sent, 30);
    bench.assert_same();
}

#[tokio::test]
async fn many_small_syncs_leave_few_windows() {
    let mut bench = Bench::with_readings(10).await;
    for n in 1..20 {
        assert!(bench.sync().await.is_complete());
        bench.put(LIFE, 10 * n, 1, (10 * n + 1) * INTERVAL_MS, 10, 1);
    }
    assert!(bench.sync().await.is_complete());
    bench.assert_same();
    let windows: i64 = bench
        .store
        .lock()
        .connection
        .query_row("SELECT count(*) FROM sync_window", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(windows, 1);
}

#[tokio::test]
async fn three_channels_several_boots_holes_and_a_second_life_arrive() {
    let mut bench = Bench::new().await;
    bench.put(LIFE, 0, 1, INTERVAL_MS, 250, 3);
    bench.put(LIFE, 260, 2, 40_000, 250, 3);
    // After a gap within the boot.
    bench.put(LIFE, 510, 2, 40_000 + 900 * INTERVAL_MS, 100, 3);
    let second = History {
        store: StoreId(8),
        ..LIFE
    };
    bench.put(second, 0, 1, INTERVAL_MS, 120, 3);
    bench.anchor(LIFE, 0, 1, 100, EPOCH_MS);
    bench.anchor(LIFE, 1, 2, 100, EPOCH_MS + 10_000_000);
    bench.anchor(second, 0, 1, 100, EPOCH_MS + 90_000_000);
    let report = bench.sync().await;
    assert!(report.is_complete(), "{:?}", only(&report));
    assert_eq!(only(&report).readings_verified, 720);
    bench.assert_same();
    let device = bench.double.device_named(NAME).expect("the device").id;
    assert_eq!(bench.double.keys(device).len(), 24);
}
