//! Readings in ThingsBoard's form: `[{"ts": …, "values": {"power": …}}, …]`.
//!
//! `ts` is the end of the interval. The first channel has plain keys, the others `_2` and `_3`. ThingsBoard types a number
//! by how it is written, so each key is written in one way: measured quantities with a point, reactive power without.
//! Energies are rounded to 0.1 mWh: a longer fraction would be stored as text.

use protocol::{ChannelReading, Reading, Registers, limits::CHANNELS_MAX};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The keys of the first channel.
pub const KEYS: [&str; 8] = [
    "power",
    "reactivePower",
    "voltage",
    "current",
    "frequency",
    "energyImport",
    "energyExport",
    "coverage",
];

/// Data points of one upload at the most.
pub const POINTS_MAX: usize = 3_000;

/// Size of one upload at the most, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Keys with their channels' suffixes.
const SUFFIXED: [[&str; 8]; CHANNELS_MAX] = [
    KEYS,
    [
        "power_2",
        "reactivePower_2",
        "voltage_2",
        "current_2",
        "frequency_2",
        "energyImport_2",
        "energyExport_2",
        "coverage_2",
    ],
    [
        "power_3",
        "reactivePower_3",
        "voltage_3",
        "current_3",
        "frequency_3",
        "energyImport_3",
        "energyExport_3",
        "coverage_3",
    ],
];

/// Place of the frequency among the keys.
const FREQUENCY: usize = 4;

/// Returns the keys of the first `channels` channels.
#[must_use]
pub fn channel_keys(channels: usize) -> Vec<String> {
    let keys = SUFFIXED.iter().take(channels).flatten();
    keys.map(|key| (*key).to_owned()).collect()
}

/// Returns the keys under which a reading has points: all but the frequency where it was not measured.
pub(crate) fn keys_of(reading: &Reading) -> impl Iterator<Item = &'static str> {
    let channels = reading.channels.iter().zip(SUFFIXED);
    channels.flat_map(|(channel, keys)| {
        let is_measured = channel.frequency_chz != 0;
        keys.into_iter()
            .enumerate()
            .filter(move |(index, _)| *index != FREQUENCY || is_measured)
            .map(|(_, key)| key)
    })
}

/// One upload: never empty, and within the limits of points and bytes.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Readings in it, at least one.
    pub readings: usize,
    /// The JSON.
    pub(super) body: Vec<u8>,
}

/// Packs as many readings as fit, in their order; `None` where there are none.
#[must_use]
pub fn pack(readings: &[(i64, Reading)]) -> Option<Packed> {
    let mut body = Vec::with_capacity(readings.len().saturating_mul(200).min(BODY_BYTES_MAX));
    let (mut points, mut packed) = (0, 0);
    for (ts_ms, reading) in readings {
        let points_after = points + keys_of(reading).count();
        let length_before = body.len();
        body.push(if packed == 0 { b'[' } else { b',' });
        let row = Row {
            ts: *ts_ms,
            values: Values(reading),
        };
        // Writing numbers under fixed keys to memory does not fail.
        serde_json::to_writer(&mut body, &row).ok()?;
        let is_full = points_after > POINTS_MAX || body.len() + 1 > BODY_BYTES_MAX;
        if is_full && packed > 0 {
            body.truncate(length_before);
            break;
        }
        points = points_after;
        packed += 1;
    }
    if packed == 0 {
        return None;
    }
    body.push(b']');
    Some(Packed {
        readings: packed,
        body,
    })
}

#[derive(Serialize)]
struct Row<'a> {
    ts: i64,
    values: Values<'a>,
}

struct Values<'a>(&'a Reading);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reading = self.0;
        let mut map = serializer.serialize_map(None)?;
        let channels = reading
            .channels
            .iter()
            .zip(&reading.registers)
            .zip(SUFFIXED);
        for (index, ((channel, registers), keys)) in channels.enumerate() {
            let power_mw = reading.active_power_mw(index).unwrap_or_default();
            write_channel(&mut map, &keys, channel, registers, power_mw)?;
        }
        map.end()
    }
}

fn write_channel<M: SerializeMap>(
    map: &mut M,
    keys: &[&str; 8],
    channel: &ChannelReading,
    registers: &Registers,
    power_mw: i64,
) -> Result<(), M::Error> {
    map.serialize_entry(keys[0], &(power_mw as f64 / 1e3))?;
    map.serialize_entry(keys[1], &channel.reactive_power_var)?;
    map.serialize_entry(keys[2], &(f64::from(channel.voltage_dv) / 10.0))?;
    map.serialize_entry(keys[3], &(f64::from(channel.current_ca) / 100.0))?;
    if channel.frequency_chz != 0 {
        map.serialize_entry(keys[FREQUENCY], &(f64::from(channel.frequency_chz) / 100.0))?;
    }
    map.serialize_entry(keys[5], &watt_hours(registers.import_mj))?;
    map.serialize_entry(keys[6], &watt_hours(registers.export_mj))?;
    map.serialize_entry(keys[7], &(f64::from(channel.coverage_permille) / 1e3))
}

/// Returns an energy in Wh, rounded to 0.1 mWh.
fn watt_hours(energy_mj: u64) -> f64 {
    // 0.1 mWh are 360 mJ.
    let tenths = (u128::from(energy_mj) + 180) / 360;
    tenths as f64 / 1e4
}

#[cfg(test)]
mod tests {
    use protocol::{Flags, Seq, reading::ExtremesSet};
    use serde_json::{Value, json};

    use super::*;

    fn reading(seq: u64, channels: usize) -> Reading {
        let channel = ChannelReading {
            energy_quanta: -1234,
            reactive_power_var: -56,
            voltage_dv: 2301,
            current_ca: 537,
            frequency_chz: 4998,
            coverage_permille: 1000,
            flags: Flags(0),
        };
        let registers = Registers {
            import_mj: 3_600_001,
            export_mj: 10_000,
        };
        Reading {
            seq: Seq(seq),
            span: 1,
            boot: 1,
            uptime_ms: 10_000 * (seq + 1),
            interval_ms: 10_000,
            power_unit_mw: 1000,
            channels: (0..channels).map(|_| channel).collect(),
            extremes: ExtremesSet::new(),
            registers: (0..channels).map(|_| registers).collect(),
        }
    }

    #[test]
    fn a_reading_has_the_keys_and_units_of_the_table() {
        let packed = pack(&[(1_700_000_000_000, reading(0, 1))]).expect("one reading");
        assert_eq!(
            String::from_utf8(packed.body).expect("JSON"),
            r#"[{"ts":1700000000000,"values":{"power":-1234.0,"reactivePower":-56,"voltage":230.1,"current":5.37,"frequency":49.98,"energyImport":1.0,"energyExport":0.0028,"coverage":1.0}}]"#
        );
    }

    #[test]
    fn an_unmeasured_frequency_is_left_out_of_json_and_keys() {
        let mut silent = reading(0, 2);
        silent.channels[1].frequency_chz = 0;
        let packed = pack(&[(5, silent.clone())]).expect("one reading");
        let rows: Value = serde_json::from_slice(&packed.body).expect("JSON");
        let written = rows[0]["values"].as_object().expect("values");
        let expected: Vec<&str> = keys_of(&silent).collect();
        assert_eq!(written.len(), 15);
        assert_eq!(expected.len(), 15);
        assert!(expected.iter().all(|key| written.contains_key(*key)));
        assert!(!written.contains_key("frequency_2"));
        assert_eq!(written["energyExport_2"], json!(0.0028));
    }

    #[test]
    fn uploads_keep_the_limit_of_points_and_are_never_empty() {
        assert!(pack(&[]).is_none());
        let many: Vec<_> = (0..1000).map(|n| (n, reading(n as u64, 3))).collect();
        let packed = pack(&many).expect("readings");
        assert_eq!(packed.readings, POINTS_MAX / 24);
        let rows: Vec<Value> = serde_json::from_slice(&packed.body).expect("JSON");
        assert_eq!(rows.len(), packed.readings);
        assert!(packed.body.len() <= BODY_BYTES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn energies_have_at_most_four_decimals_and_are_near(energy_mj in 0u64..1 << 60) {
            let wh = watt_hours(energy_mj);
            let text = serde_json::to_string(&wh).expect("a number");
            if let Some((_, decimals)) = text.split_once('.') {
                proptest::prop_assert!(decimals.len() <= 4 || text.contains('e'), "{}", text);
            }
            let exact = energy_mj as f64 / 3.6e6;
            proptest::prop_assert!((wh - exact).abs() <= 0.000_051 + exact * 1e-15);
        }
    }
}
