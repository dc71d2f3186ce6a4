//! What is in force and what was changed, for people and programs.

use collector::calibrate::Calibrated;
use jiff::tz::TimeZone;
use protocol::{
    DeviceId,
    messages::{
        CalibrationState, CalibrationStep, CaptureOutcome, CaptureState, ChannelCalibration,
    },
};
use serde::Serialize;

use crate::{
    moment,
    output::{Column, table},
};

/// Degrees of 50 Hz in 1 ns.
const DEGREES_PER_NS: f64 = 360.0 * 50.0 / 1e9;

/// Returns what a step is called.
pub(super) fn name_of(step: CalibrationStep) -> &'static str {
    match step {
        CalibrationStep::NoLoad => "no load",
        CalibrationStep::Load => "load",
        CalibrationStep::Undo => "undo",
    }
}

/// What is in force in a meter.
#[derive(Debug, Serialize)]
pub(super) struct StateView<'a> {
    device: DeviceId,
    name: &'a str,
    #[serde(flatten)]
    state: &'a CalibrationState,
}

impl<'a> StateView<'a> {
    /// Takes what the meter says.
    pub(super) fn new(device: DeviceId, name: &'a str, state: &'a CalibrationState) -> Self {
        Self {
            device,
            name,
            state,
        }
    }

    /// Returns it as a table and sentences.
    pub(super) fn text(&self, zone: &TimeZone) -> String {
        let columns = [
            Column::Number("channel"),
            Column::Number("mV a code"),
            Column::Number("mA a code"),
            Column::Number("phase at 50 Hz, °"),
            Column::Number("noise, mA"),
            Column::Number("no-load limit, W"),
        ];
        let row = |(index, channel): (usize, &ChannelCalibration)| {
            let mut row = vec![(index + 1).to_string()];
            row.extend(Figure::ALL.map(|figure| figure.text(channel)));
            row
        };
        let rows = self.state.channels.iter().enumerate().map(row);
        let mut text = table(&columns, rows);
        let version = self.state.version;
        text.push_str(&match self.state.utc_ms {
            0 => format!("\n\nVersion {version}: the scale of the meter's parts."),
            utc_ms => format!(
                "\n\nVersion {version}, made {}.",
                moment::local(utc_ms, zone)
            ),
        });
        if self.state.can_undo {
            text.push(' ');
            text.push_str(&way_back(self.name));
        }
        if let Some(capture) = &self.state.capture {
            text.push_str(&told(capture));
        }
        text
    }
}

/// Says what became of a capture.
fn told(capture: &CaptureState) -> String {
    let (step, channel) = (name_of(capture.step), capture.channel);
    match capture.outcome {
        CaptureOutcome::Running => format!(
            "\nA capture ({step}, channel {channel}) runs: {} of {} windows, {} s left.",
            capture.windows,
            capture.windows_needed,
            capture
                .windows_needed
                .saturating_sub(capture.windows)
                .div_ceil(5),
        ),
        CaptureOutcome::Applied => {
            format!("\nThe last capture ({step}, channel {channel}) was applied.")
        }
        CaptureOutcome::Refused => format!(
            "\nThe last capture ({step}, channel {channel}) was refused: {}.",
            capture.reason.trim_end_matches(['.', '?'])
        ),
    }
}

fn way_back(name: &str) -> String {
    // A name with spaces is to be pasted as it stands.
    let quote = if name.contains(' ') { "'" } else { "" };
    format!("`ofmon calibrate {quote}{name}{quote} --undo` takes the last step back.")
}

/// What was changed in a meter.
#[derive(Debug, Serialize)]
pub(super) struct CalibratedView<'a> {
    device: DeviceId,
    name: &'a str,
    version_before: u16,
    version: u16,
    /// When the one in force was made; 0 for the scale of the meter's parts.
    utc_ms: i64,
    /// The channels that are others now.
    changed: Vec<ChangeView>,
}

/// What was changed in a channel.
#[derive(Debug, Serialize)]
struct ChangeView {
    /// Counted from 1.
    channel: usize,
    before: ChannelCalibration,
    after: ChannelCalibration,
    voltage_change_percent: f64,
    current_change_percent: f64,
    phase_change_degrees: f64,
}

impl<'a> CalibratedView<'a> {
    /// Compares what was in force with what is.
    pub(super) fn new(device: DeviceId, name: &'a str, done: &Calibrated) -> Self {
        let percent = |before: u32, after: u32| {
            let ratio = f64::from(after) / f64::from(before.max(1));
            (ratio - 1.0) * 100.0
        };
        let pairs = done.before.channels.iter().zip(&done.after.channels);
        let changed = pairs
            .enumerate()
            .filter(|(_, (before, after))| before != after)
            .map(|(index, (before, after))| ChangeView {
                channel: index + 1,
                before: *before,
                after: *after,
                voltage_change_percent: percent(
                    before.voltage_nv_per_code,
                    after.voltage_nv_per_code,
                ),
                current_change_percent: percent(
                    before.current_na_per_code,
                    after.current_na_per_code,
                ),
                phase_change_degrees: Figure::Phase.of(after) - Figure::Phase.of(before),
            });
        Self {
            device,
            name,
            version_before: done.before.version,
            version: done.after.version,
            utc_ms: done.after.utc_ms,
            changed: changed.collect(),
        }
    }

    /// Returns it as a table of before and after.
    pub(super) fn text(&self) -> String {
        let (name, version) = (self.name, self.version);
        if self.changed.is_empty() {
            return format!("Calibration {version} of {name} is like the one before.");
        }
        let columns = [
            Column::Number("channel"),
            Column::Text("what"),
            Column::Number("before"),
            Column::Number("after"),
            Column::Number("change"),
        ];
        let mut text = table(&columns, self.changed.iter().flat_map(ChangeView::rows));
        text.push_str(&format!(
            "\n\nCalibration {version} of {name} is in force. {}",
            way_back(name)
        ));
        text
    }
}

impl ChangeView {
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |figure: Figure| {
            let change = match figure {
                Figure::Voltage => format!("{} %", signed(self.voltage_change_percent, 2)),
                Figure::Current => format!("{} %", signed(self.current_change_percent, 2)),
                Figure::Phase | Figure::Noise | Figure::NoLoad => {
                    let change = figure.of(&self.after) - figure.of(&self.before);
                    signed(change, figure.decimals())
                }
            };
            vec![
                self.channel.to_string(),
                figure.name().to_owned(),
                figure.text(&self.before),
                figure.text(&self.after),
                change,
            ]
        };
        Figure::ALL.map(row).into()
    }
}

/// Writes a change with its sign; one that is rounded away has none of its own.
fn signed(change: f64, decimals: usize) -> String {
    let text = format!("{change:+.decimals$}");
    match text.strip_prefix('-') {
        Some(size) if size.bytes().all(|byte| matches!(byte, b'0' | b'.')) => format!("+{size}"),
        _ => text,
    }
}

/// One number of a channel's calibration.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Voltage,
    Current,
    Phase,
    Noise,
    NoLoad,
}

impl Figure {
    const ALL: [Self; 5] = [
        Self::Voltage,
        Self::Current,
        Self::Phase,
        Self::Noise,
        Self::NoLoad,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Voltage => "voltage gain, mV a code",
            Self::Current => "current gain, mA a code",
            Self::Phase => "phase at 50 Hz, °",
            Self::Noise => "noise, mA",
            Self::NoLoad => "no-load limit, W",
        }
    }

    const fn decimals(self) -> usize {
        match self {
            Self::Voltage | Self::Current => 3,
            Self::Phase => 2,
            Self::Noise => 1,
            Self::NoLoad => 3,
        }
    }

    fn of(self, channel: &ChannelCalibration) -> f64 {
        match self {
            Self::Voltage => f64::from(channel.voltage_nv_per_code) / 1e6,
            Self::Current => f64::from(channel.current_na_per_code) / 1e6,
            Self::Phase => f64::from(channel.current_skew_ns) * DEGREES_PER_NS,
            Self::Noise => f64::from(channel.current_noise_na) / 1e6,
            Self::NoLoad => f64::from(channel.no_load_mw) / 1e3,
        }
    }

    fn text(self, channel: &ChannelCalibration) -> String {
        format!("{:.1$}", self.of(channel), self.decimals())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_rounded_away_is_not_negative() {
        let said = [-0.004, -0.006, 0.004, 1.234].map(|change| signed(change, 2));
        assert_eq!(said, ["+0.00", "-0.01", "+0.00", "+1.23"]);
    }
}
