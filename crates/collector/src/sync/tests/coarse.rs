//! Coarse readings on their way to a server.

use protocol::{
    Packed, Reading, RunParams, Tier,
    block::write_packed,
    merge::Merger,
    segment::{Models, RunWriter},
};

use super::*;
use crate::sync::{local, rows::Rows, state};

const SPAN: u32 = 6;

fn header(first: u64) -> Header {
    let import_mj = (0..first).map(|seq| channel(seq, 0).energy_quanta as u64 * 10_000);
    let registers = Registers {
        import_mj: import_mj.sum(),
        export_mj: 0,
    };
    Header {
        device: METER,
        store: LIFE.store,
        first: Seq(first),
        boot: 1,
        uptime_ms: (first + 1) * INTERVAL_MS,
        interval_ms: INTERVAL_MS as u32,
        power_unit_mw: 1_000,
        calibration: 0,
        registers: [registers].into_iter().collect(),
    }
}

/// Returns numbers `first..end` in readings of a minute each.
fn minutes(first: u64, end: u64) -> Vec<u8> {
    let params = RunParams {
        interval_ms: INTERVAL_MS as u32,
        power_unit_mw: 1_000,
        calibration: 0,
    };
    let (mut stream, mut models) = (vec![0; BLOCK_BYTES_MAX], Models::new());
    let mut writer =
        RunWriter::new(&mut stream, &mut models, Tier::Minute, 1, &params).expect("one channel");
    let mut merger = Merger::new(SPAN);
    for seq in first..end {
        if let Some(merged) = merger.push(&Packed::full(&[channel(seq, 0)])) {
            writer.push(&merged).expect("room");
        }
    }
    let last = merger.finish().expect("a reading");
    writer.push(&last).expect("room");
    let length = writer.finish();
    let mut bytes = vec![0; BLOCK_BYTES_MAX];
    let count = (end - first) as u32;
    let length = write_packed(
        &mut bytes,
        &header(first),
        Tier::Minute,
        count,
        &stream[..length],
    )
    .expect("room");
    bytes.truncate(length);
    bytes
}

fn fine(first: u64, end: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_BYTES_MAX];
    let mut writer = Writer::new(&mut bytes, &header(first)).expect("room");
    for seq in first..end {
        writer.push(&[channel(seq, 0)]).expect("room");
    }
    let length = writer.finish();
    bytes.truncate(length);
    bytes
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.anchor(LIFE, 0, 1, 0, EPOCH_MS);
    bench
}

impl Bench {
    fn take(&self, bytes: &[u8]) {
        let summary = self.store.lock().put_block(LIFE, bytes, EPOCH_MS * 2);
        assert_eq!(summary.expect("stored").conflicts, 0);
    }

    fn stored(&self) -> Vec<Reading> {
        let store = self.store.lock();
        let readings = store.readings(METER, Span::All).expect("readings");
        readings
            .map(|resolved| resolved.expect("a reading").reading)
            .collect()
    }

    /// Returns ms behind [`EPOCH_MS`] and value of each point.
    fn points(&self, key: &str) -> Vec<(i64, f64)> {
        let device = self.double.device_named(NAME).expect("the device").id;
        let points = self.double.points(device, key).into_iter();
        points
            .map(|(ms, value)| (ms - EPOCH_MS, value.as_f64().expect("a number")))
            .collect()
    }

    /// Asserts that the server has one point for each of these readings.
    fn assert_points(&self, readings: &[Reading]) {
        let (power, import) = (self.points("power"), self.points("energyImport"));
        assert_eq!(
            (power.len(), import.len()),
            (readings.len(), readings.len())
        );
        for ((reading, power), import) in readings.iter().zip(power).zip(import) {
            assert!(
                power.0.abs_diff(reading.uptime_ms as i64) <= 2,
                "{reading:?}"
            );
            let mean = reading.active_power_mw(0).expect("a channel") as f64 / 1e3;
            assert!((power.1 - mean).abs() < 1e-6);
            let wh = reading.registers[0].import_mj as f64 / 3.6e6;
            assert!((import.1 - wh).abs() < 1e-4);
        }
    }
}

#[tokio::test]
async fn a_coarse_reading_is_one_point_at_its_end_and_finer_ones_do_not_change_it() {
    let mut bench = bench().await;
    bench.take(&minutes(0, 100));
    let sent = bench.stored();
    assert_eq!(sent.len(), 17);
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    let device = only(&report);
    let counts = (
        device.readings_sent,
        device.readings_verified,
        device.readings_left,
    );
    assert_eq!(counts, (100, 100, 0));
    bench.assert_points(&sent);

    let posts = bench.double.statistics().telemetry_posts;
    bench.take(&fine(0, 60));
    assert!(bench.sync().await.is_complete());
    assert_eq!(bench.double.statistics().telemetry_posts, posts);
    bench.assert_points(&sent);

    // New ones behind them, of which a coarse copy begins before.
    bench.take(&fine(96, 130));
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(only(&report).readings_sent, 30);
    let fresh = bench
        .stored()
        .into_iter()
        .filter(|reading| reading.seq.0 >= 100);
    let all: Vec<Reading> = sent.into_iter().chain(fresh).collect();
    bench.assert_points(&all);
}

#[tokio::test]
async fn what_is_left_of_a_coarse_reading_is_a_point_of_its_own() {
    let mut bench = bench().await;
    bench.take(&minutes(0, 60));
    bench.take(&fine(8, 20));
    assert!(bench.sync().await.is_complete());
    let readings = bench.stored();
    let lengths: Vec<u32> = readings.iter().map(|reading| reading.span).collect();
    assert_eq!(lengths[..2], [6, 2]);
    assert_eq!(lengths[14..16], [4, 6]);
    bench.assert_points(&readings);
}

#[tokio::test]
async fn a_window_that_was_begun_coarse_ends_coarse() {
    let mut bench = bench().await;
    bench.take(&minutes(0, 6));
    assert!(bench.sync().await.is_complete());
    bench.take(&minutes(6, 66));
    let coarse = bench.stored();
    {
        let store = bench.store.lock();
        let url = bench.server.address().to_string();
        let (place, _) = state::link(&store.connection, &url, METER)
            .expect("a link")
            .expect("linked");
        let gaps = local::gaps(&store, place).expect("gaps");
        assert_eq!(gaps.len(), 1);
        let begun = local::begin(&store, place, &gaps[0], 4).expect("begun");
        let (row, dated) = begun.window.expect("a window");
        assert_eq!((row.range(), dated.len()), (6..30, 4));
    }
    bench.take(&fine(6, 40));
    let report = bench.sync().await;
    assert!(report.is_complete(), "{report:?}");
    let behind = bench
        .stored()
        .into_iter()
        .filter(|reading| reading.seq.0 >= 30);
    let all: Vec<Reading> = coarse.into_iter().take(5).chain(behind).collect();
    bench.assert_points(&all);
    // What is sent again under the same timestamp is the same in all its values.
    for key in ["voltage", "current", "reactivePower"] {
        let points = bench.points(key);
        for (reading, (_, value)) in all.iter().zip(points).take(5) {
            let channel = &reading.channels[0];
            let expected = match key {
                "voltage" => f64::from(channel.voltage_dv) / 10.0,
                "current" => f64::from(channel.current_ca) / 100.0,
                _ => f64::from(channel.reactive_power_var),
            };
            assert!((value - expected).abs() < 1e-6, "{key}");
        }
    }
}

#[test]
fn fine_readings_merge_into_the_rows_that_a_meter_would_have_made() {
    let coarse = minutes(0, 60);
    let coarse: Vec<Reading> = protocol::block::Block::parse(&coarse)
        .expect("a block")
        .readings()
        .collect();
    let fine = fine(0, 60);
    let mut rows = Rows::new(0, SPAN);
    for reading in protocol::block::Block::parse(&fine)
        .expect("a block")
        .readings()
    {
        rows.push(&reading);
    }
    assert_eq!(rows.finish(), coarse);
    // Rows within longer readings divide them.
    let mut rows = Rows::new(0, 3);
    coarse.iter().for_each(|reading| rows.push(reading));
    let halves = rows.finish();
    assert_eq!(halves.len(), 20);
    assert_eq!(halves[1].registers, coarse[0].registers);
    assert_eq!(halves[0].uptime_ms, 30_000);
}
