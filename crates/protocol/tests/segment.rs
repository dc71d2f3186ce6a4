//! Packed runs: whole, total, the same bytes for ever, and as small as they are said to be.

use proptest::prelude::*;
use protocol::{
    ChannelReading, Flags, Packed, RunParams, Tier,
    segment::{Full, Models, NotReadings, RunReader, RunWriter},
};

const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1_000,
    calibration: 1,
};

fn reader(bytes: &[u8], channels: usize) -> RunReader<'_, Models> {
    RunReader::new(bytes, Models::new(), Tier::Full, channels, &PARAMS).unwrap()
}

/// A small generator, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }
}

/// A household-like run: base load, switched loads, mains that wander.
fn household(count: usize, seed: u64) -> Vec<ChannelReading> {
    let mut random = Random(seed);
    let (mut base, mut switched, mut voltage, mut frequency) =
        (180_i64, 0_i64, 2_310_i64, 5_000_i64);
    (0..count)
        .map(|_| {
            base = (base + random.below(13) - 6).clamp(60, 400);
            if random.below(90) == 0 {
                switched = [0, 0, 700, 1_200, 2_000][random.below(5) as usize];
            }
            voltage = (voltage + random.below(7) - 3).clamp(2_200, 2_400);
            frequency = (frequency + random.below(3) - 1).clamp(4_995, 5_005);
            let watts = base + switched + random.below(9) - 4;
            let var = 40 + random.below(11);
            let apparent = ((watts * watts + var * var) as f64).sqrt();
            ChannelReading {
                energy_quanta: watts as i32,
                reactive_power_var: var as i32,
                voltage_dv: voltage as u16,
                current_ca: (apparent * 1_000.0 / voltage as f64).round() as u16,
                frequency_chz: frequency as u16,
                coverage_permille: 1_000,
                flags: Flags(0),
            }
        })
        .collect()
}

fn packed(readings: &[Vec<ChannelReading>], buffer: &mut [u8]) -> (u32, usize) {
    let channels = readings.first().map_or(1, Vec::len);
    let mut models = Models::new();
    let mut writer = RunWriter::new(buffer, &mut models, Tier::Full, channels, &PARAMS).unwrap();
    for reading in readings {
        if writer.push(&Packed::full(reading)) == Err(Full) {
            break;
        }
    }
    (writer.readings(), writer.finish())
}

fn unpacked(bytes: &[u8], channels: usize, count: u32) -> Vec<Vec<ChannelReading>> {
    let mut reader = reader(bytes, channels);
    (0..count)
        .map(|_| reader.next_reading().unwrap().channels.to_vec())
        .collect()
}

fn single(readings: Vec<ChannelReading>) -> Vec<Vec<ChannelReading>> {
    readings.into_iter().map(|reading| vec![reading]).collect()
}

#[test]
fn a_sector_holds_more_than_a_thousand_readings_and_gives_them_back() {
    let readings = single(household(4_000, 7));
    let mut buffer = [0; 4_096];
    let (count, length) = packed(&readings, &mut buffer);
    assert!(
        count > 1_000 && length <= 4_096,
        "{count} readings in {length} bytes"
    );
    println!("{:.3} bytes a reading", length as f64 / f64::from(count));
    assert_eq!(
        unpacked(&buffer[..length], 1, count),
        readings[..count as usize]
    );
}

#[test]
fn what_does_not_fit_is_refused_and_the_rest_is_whole_at_every_size() {
    let readings = single(household(200, 3));
    for size in 0..130 {
        let mut buffer = vec![0xa5; size + 8];
        let (count, length) = packed(&readings, &mut buffer[..size]);
        assert!(length <= size && buffer[size..] == [0xa5; 8], "{size}");
        assert!(count < 200);
        assert_eq!(
            unpacked(&buffer[..length], 1, count),
            readings[..count as usize],
            "{size}"
        );
    }
}

#[test]
fn a_full_writer_stays_full() {
    let mut buffer = [0; 12];
    let mut models = Models::new();
    let mut writer = RunWriter::new(&mut buffer, &mut models, Tier::Full, 1, &PARAMS).unwrap();
    let large = ChannelReading {
        energy_quanta: i32::MIN,
        reactive_power_var: i32::MAX,
        ..ChannelReading::default()
    };
    assert_eq!(writer.push(&Packed::full(&[large])), Err(Full));
    assert_eq!(
        writer.push(&Packed::full(&[ChannelReading::default()])),
        Err(Full)
    );
    assert_eq!((writer.readings(), writer.finish()), (0, 0));
}

#[test]
fn runs_have_one_to_three_channels() {
    for channels in [0, 4] {
        let mut models = Models::new();
        assert!(RunWriter::new(&mut [], &mut models, Tier::Full, channels, &PARAMS).is_none());
        assert!(RunReader::new(&[], &mut models, Tier::Full, channels, &PARAMS).is_none());
    }
}

/// Whoever packs or unpacks must have this room: three channels of what is learnt.
#[test]
fn models_take_less_than_eighteen_kilobytes() {
    let bytes = size_of::<Models>();
    assert!((3 * 4_096..18 * 1_024).contains(&bytes), "{bytes}");
}

#[test]
fn hundred_readings_take_little_more_each_than_two_thousand() {
    let readings = single(household(2_000, 5));
    let bytes_per_reading = |count: usize| {
        let mut buffer = [0; 8_192];
        let (packed, length) = packed(&readings[..count], &mut buffer);
        assert_eq!(packed as usize, count);
        length as f64 / count as f64
    };
    let (few, many) = (bytes_per_reading(100), bytes_per_reading(2_000));
    assert!(few < 1.2 * many, "{few} and {many} bytes a reading");
}

/// The current of an electronic load is far from √(P² + Q²)/V, but goes with it.
#[test]
fn distorted_current_takes_hardly_more_than_a_sinusoidal_one() {
    let plain = household(1_000, 9);
    let mut distorted = plain.clone();
    for reading in &mut distorted {
        reading.current_ca += reading.current_ca / 3;
    }
    let [plain, distorted] = [plain, distorted].map(|readings| {
        let mut buffer = [0; 8_192];
        packed(&single(readings), &mut buffer).1
    });
    assert!(
        distorted < plain + plain / 5,
        "{distorted} and {plain} bytes"
    );
}

/// The bytes of this run, as they were when the codec was made: they decode for ever.
#[test]
fn bytes_are_those_of_ever() {
    let readings = single(household(40, 11));
    let mut buffer = [0; 512];
    let (count, length) = packed(&readings, &mut buffer);
    assert_eq!(count, 40);
    let hash = buffer[..length]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    assert_eq!((length, hash), GOLDEN);
}

const GOLDEN: (usize, u64) = (90, 10_877_747_089_676_655_413);

fn any_reading() -> impl Strategy<Value = ChannelReading> {
    let energy = prop_oneof![-300..300_i32, any::<i32>()];
    let reactive = prop_oneof![-100..100_i32, any::<i32>()];
    (energy, reactive, any::<[u16; 5]>()).prop_map(|(energy_quanta, reactive_power_var, rest)| {
        let [
            voltage_dv,
            current_ca,
            frequency_chz,
            coverage_permille,
            flags,
        ] = rest;
        ChannelReading {
            energy_quanta,
            reactive_power_var,
            voltage_dv,
            current_ca,
            frequency_chz,
            coverage_permille: coverage_permille % 1_001,
            flags: Flags(flags),
        }
    })
}

proptest! {
    #[test]
    fn any_readings_come_back(
        channels in 1..=3_usize,
        readings in prop::collection::vec(any_reading(), 3..120),
        size in 0..4_096_usize,
    ) {
        let readings: Vec<Vec<ChannelReading>> = readings.chunks_exact(channels).map(<[_]>::to_vec).collect();
        let mut buffer = vec![0; size];
        let (count, length) = packed(&readings, &mut buffer);
        prop_assert!(length <= size);
        prop_assert_eq!(unpacked(&buffer[..length], channels, count), &readings[..count as usize]);
    }

    #[test]
    fn any_bytes_give_readings_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), channels in 1..=3_usize) {
        let mut reader = reader(&bytes, channels);
        for _ in 0..200 {
            match reader.next_reading() {
                Ok(reading) => prop_assert_eq!(reading.channels.len(), channels),
                Err(NotReadings) => return Ok(()),
            }
        }
    }
}

/// Set `PROFILE` to a load profile of the household data's format: prints what its rows take in runs of one sector.
#[test]
#[ignore = "needs a file named by PROFILE"]
fn rows_of_a_file() {
    let path = std::env::var_os("PROFILE").expect("PROFILE names a load profile");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rest = 0.0;
    let mut readings = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<f64> = line
            .split(';')
            .skip(2)
            .take(4)
            .filter_map(|field| field.parse().ok())
            .collect();
        let [power_kw, reactive_kvar, voltage_v, current_a] = fields[..] else {
            continue;
        };
        let exact_w = power_kw * 1e3 + rest;
        rest = exact_w - exact_w.round();
        readings.push(vec![ChannelReading {
            energy_quanta: exact_w.round() as i32,
            reactive_power_var: (reactive_kvar * 1e3).round() as i32,
            voltage_dv: (voltage_v * 10.0).round() as u16,
            current_ca: (current_a * 100.0).round() as u16,
            frequency_chz: 0,
            coverage_permille: 1_000,
            flags: Flags(0),
        }]);
    }
    let (mut at, mut bytes) = (0, 0);
    while at < readings.len() {
        let mut buffer = [0; 4_032];
        let (count, length) = packed(&readings[at..], &mut buffer);
        assert_eq!(
            unpacked(&buffer[..length], 1, count),
            readings[at..at + count as usize]
        );
        println!("{count} readings in {length} bytes");
        (at, bytes) = (at + count as usize, bytes + length + 64);
    }
    println!(
        "{:.3} bytes a reading with 64 for a header",
        bytes as f64 / readings.len() as f64
    );
}
