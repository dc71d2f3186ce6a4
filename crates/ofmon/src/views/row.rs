//! One channel of one reading, as a row: the columns of the CSV and the members of the JSON objects, in this order.

use protocol::{ChannelReading, DeviceId, Flags, Reading};
use serde::{Serialize, Serializer};

use crate::moment;

/// Where a reading was placed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// End of the interval in UTC.
    pub(crate) utc_ms: i64,
    /// The true time lies within ± this, in ms.
    pub(crate) uncertainty_ms: u64,
    /// Whether no clock was ever told in that boot.
    pub(crate) estimated: bool,
}

/// A row; `null` (empty in CSV) is what the meter did not measure.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its channel, from 1.
    pub(crate) channel: u8,
    /// Number of the reading, the first one of a coarse reading.
    pub(crate) seq: u64,
    /// End of the interval; RFC 3339 with milliseconds when written.
    #[serde(serialize_with = "rfc3339")]
    pub(crate) time_utc: i64,
    /// The true time lies within ± this.
    pub(crate) uncertainty_ms: u64,
    /// Whether no clock was ever told in that boot.
    pub(crate) estimated: bool,
    /// Length of the interval; a coarse reading has that of all its numbers.
    pub(crate) interval_s: f64,
    /// Mean active power; negative is export.
    pub(crate) power_w: f64,
    /// Fundamental reactive power; positive is inductive.
    pub(crate) reactive_power_var: Option<i32>,
    /// RMS voltage.
    pub(crate) voltage_v: Option<f64>,
    /// RMS current.
    pub(crate) current_a: f64,
    /// Mains frequency.
    pub(crate) frequency_hz: Option<f64>,
    /// Import register at the end of the interval.
    pub(crate) energy_import_wh: f64,
    /// Export register at the end of the interval.
    pub(crate) energy_export_wh: f64,
    /// Share of the samples present, 0 to 1.
    pub(crate) coverage: f64,
    /// Conditions during the interval, separated by `|`.
    pub(crate) flags: String,
}

/// Names of the columns, for a file without a row.
pub(crate) const COLUMNS: [&str; 16] = [
    "device",
    "channel",
    "seq",
    "time_utc",
    "uncertainty_ms",
    "estimated",
    "interval_s",
    "power_w",
    "reactive_power_var",
    "voltage_v",
    "current_a",
    "frequency_hz",
    "energy_import_wh",
    "energy_export_wh",
    "coverage",
    "flags",
];

/// Makes a row of each channel of a reading, first channel first.
pub(crate) fn rows(device: DeviceId, reading: &Reading, place: Place) -> impl Iterator<Item = Row> {
    let channels = reading.channels.iter().zip(&reading.registers).enumerate();
    channels.map(move |(index, (channel, registers))| Row {
        device,
        channel: index as u8 + 1,
        seq: reading.seq.0,
        time_utc: place.utc_ms,
        uncertainty_ms: place.uncertainty_ms,
        estimated: place.estimated,
        interval_s: f64::from(reading.interval_ms) / 1e3,
        power_w: power_w(reading, index),
        reactive_power_var: has_voltage(channel).then_some(channel.reactive_power_var),
        voltage_v: has_voltage(channel).then(|| f64::from(channel.voltage_dv) / 10.0),
        current_a: f64::from(channel.current_ca) / 100.0,
        frequency_hz: (channel.frequency_chz > 0).then(|| f64::from(channel.frequency_chz) / 100.0),
        energy_import_wh: watt_hours(registers.import_mj),
        energy_export_wh: watt_hours(registers.export_mj),
        coverage: f64::from(channel.coverage_permille) / 1e3,
        flags: flags(channel.flags),
    })
}

/// Returns the mean power of an interval in W.
fn power_w(reading: &Reading, channel: usize) -> f64 {
    reading.active_power_mw(channel).unwrap_or_default() as f64 / 1e3
}

/// Turns millijoules into watt-hours, rounded to a microwatt-hour: finer than any register moves.
pub(crate) fn watt_hours(energy_mj: u64) -> f64 {
    // 1 Wh is 3,600,000 mJ, so 1 mJ is 1/3.6 µWh.
    (energy_mj as f64 / 3.6).round() / 1e6
}

fn has_voltage(channel: &ChannelReading) -> bool {
    channel.voltage_dv > 0 && !channel.flags.contains(Flags::NO_VOLTAGE)
}

/// Names the conditions of a reading, separated by `|`; conditions that this version does not know are left out.
fn flags(flags: Flags) -> String {
    const NAMES: [(Flags, &str); 4] = [
        (Flags::NO_VOLTAGE, "no_voltage"),
        (Flags::CLIPPED, "clipped"),
        (Flags::ESTIMATED, "estimated"),
        (Flags::NO_LOAD, "no_load"),
    ];
    let named = NAMES.iter().filter(|(flag, _)| flags.contains(*flag));
    let names: Vec<&str> = named.map(|(_, name)| *name).collect();
    names.join("|")
}

fn rfc3339<S: Serializer>(utc_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match moment::rfc3339(*utc_ms) {
        Some(text) => serializer.serialize_str(&text),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Registers, Seq};

    use super::*;

    const PLACE: Place = Place {
        utc_ms: 1_795_248_000_000,
        uncertainty_ms: 2_012,
        estimated: false,
    };

    fn reading(channel: ChannelReading) -> Reading {
        let registers = Registers {
            import_mj: 36_000_000_000,
            export_mj: 10_000,
        };
        Reading {
            seq: Seq(7),
            span: 1,
            boot: 1,
            uptime_ms: 80_000,
            interval_ms: 10_000,
            power_unit_mw: 1_000,
            channels: [channel].into_iter().collect(),
            extremes: protocol::reading::ExtremesSet::new(),
            registers: [registers].into_iter().collect(),
        }
    }

    fn csv_of(reading: &Reading) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows(DeviceId([2, 15, 0, 0, 0, 1]), reading, PLACE) {
            writer.serialize(row).unwrap();
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn a_row_has_the_agreed_columns_and_units() {
        let channel = ChannelReading {
            energy_quanta: -1_234,
            reactive_power_var: 56,
            voltage_dv: 2_305,
            current_ca: 1_234,
            frequency_chz: 4_998,
            coverage_permille: 998,
            flags: Flags::CLIPPED,
        };
        let text = csv_of(&reading(channel));
        let (head, row) = text.split_once('\n').unwrap();
        assert_eq!(head, COLUMNS.join(","));
        assert_eq!(
            row.trim_end(),
            "020f00000001,1,7,2026-11-21T08:00:00.000Z,2012,false,10.0,-1234.0,56,230.5,12.34,49.98,10000.0,0.002778,0.998,clipped"
        );
    }

    #[test]
    fn a_coarse_reading_has_its_mean_power_and_its_whole_interval() {
        let channel = ChannelReading {
            energy_quanta: -1_000,
            voltage_dv: 2_300,
            ..ChannelReading::default()
        };
        let coarse = Reading {
            span: 6,
            interval_ms: 60_000,
            ..reading(channel)
        };
        let text = csv_of(&coarse);
        let row = text.lines().nth(1).unwrap();
        assert!(
            row.contains(",1,7,2026-11-21T08:00:00.000Z,2012,false,60.0,-166.667,0,"),
            "{row}"
        );
    }

    #[test]
    fn what_was_not_measured_is_empty() {
        let channel = ChannelReading {
            flags: Flags::NO_VOLTAGE | Flags::ESTIMATED,
            ..ChannelReading::default()
        };
        let text = csv_of(&reading(channel));
        assert!(
            text.trim_end()
                .ends_with(",10.0,0.0,,,0.0,,10000.0,0.002778,1.0,no_voltage|estimated"),
            "{text}"
        );
    }

    #[test]
    fn every_channel_has_a_row_of_its_own() {
        let mut three = reading(ChannelReading::default());
        for _ in 0..2 {
            three.channels.push(ChannelReading::default()).unwrap();
            three.registers.push(Registers::default()).unwrap();
        }
        let channels: Vec<u8> = rows(DeviceId([0; 6]), &three, PLACE)
            .map(|row| row.channel)
            .collect();
        assert_eq!(channels, [1, 2, 3]);
    }
}
