//! A made-up history of which every reading is known, and the tests that cut it up.

mod blocks;
mod coarse;
mod derived;
mod histories;
mod opening;

use protocol::{
    ChannelReading, DeviceId, Reading, Registers, Seq, StoreId,
    block::{Block, Header, Writer, write_lost},
    limits::BLOCK_BYTES_MAX,
};
use tempfile::TempDir;

use super::*;

const DEVICE: DeviceId = DeviceId([2, 0, 0, 0, 0, 1]);
const HISTORY: History = History {
    device: DEVICE,
    store: StoreId(77),
};
const INTERVAL_MS: u64 = 10_000;
/// 10 J.
const QUANTUM_MJ: u64 = 10_000;

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

/// Returns the power of reading `seq` in W: some ups and downs.
fn power_w(seq: u64) -> i32 {
    (seq * seq % 1_000) as i32 + 100
}

fn channel(seq: u64) -> ChannelReading {
    ChannelReading {
        energy_quanta: power_w(seq),
        reactive_power_var: -((seq % 50) as i32),
        voltage_dv: 2_300 + (seq % 7) as u16,
        current_ca: (seq % 1_600) as u16,
        frequency_chz: 5_000,
        ..ChannelReading::default()
    }
}

fn import_before_mj(seq: u64) -> u64 {
    (0..seq).map(|seq| power_w(seq) as u64 * QUANTUM_MJ).sum()
}

fn header(first: u64) -> Header {
    let registers = Registers {
        import_mj: import_before_mj(first),
        export_mj: 0,
    };
    Header {
        device: HISTORY.device,
        store: HISTORY.store,
        first: Seq(first),
        boot: 1,
        uptime_ms: (first + 1) * INTERVAL_MS,
        interval_ms: INTERVAL_MS as u32,
        power_unit_mw: 1_000,
        calibration: 0,
        registers: [registers].into_iter().collect(),
    }
}

fn packed(header: &Header, channels: impl Iterator<Item = ChannelReading>) -> Vec<u8> {
    let mut buffer = vec![0; BLOCK_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer, header).unwrap();
    channels.for_each(|channel| writer.push(&[channel]).unwrap());
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

/// Returns the block of readings `first..end` of the history.
fn block(first: u64, end: u64) -> Vec<u8> {
    packed(&header(first), (first..end).map(channel))
}

/// Returns a block whose readings are not those of the history.
fn false_block(first: u64, end: u64) -> Vec<u8> {
    packed(&header(first), (first..end).map(|seq| channel(seq + 1)))
}

fn lost(first: u64, count: u32) -> Vec<u8> {
    let mut buffer = vec![0; 256];
    let energy = [Registers::default()];
    let length = write_lost(&mut buffer, &header(first), count, &energy).unwrap();
    buffer.truncate(length);
    buffer
}

/// Returns all readings that the store gives.
fn held(store: &Store) -> Vec<Reading> {
    let readings = store.readings(DEVICE, Span::All).unwrap();
    readings.map(|resolved| resolved.unwrap().reading).collect()
}

fn numbers(store: &Store) -> Vec<u64> {
    held(store).iter().map(|reading| reading.seq.0).collect()
}

/// Returns the readings as the history has them.
fn expected(range: std::ops::Range<u64>) -> Vec<Reading> {
    let end = range.end;
    let blocks = range
        .step_by(200)
        .map(|first| block(first, end.min(first + 200)));
    let readings =
        |bytes: Vec<u8>| -> Vec<Reading> { Block::parse(&bytes).unwrap().readings().collect() };
    blocks.flat_map(readings).collect()
}

fn block_count(store: &Store) -> u64 {
    store.bytes().unwrap().blocks
}
