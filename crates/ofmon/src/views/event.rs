//! Events of a meter: when, what, and what is to be thought of it.

use protocol::{
    StoreId,
    event::{Event, ResetReason, What},
};
use serde::Serialize;

use crate::moment;

/// One event of a meter's log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EventView {
    /// The history that it belongs to.
    pub(crate) store_id: StoreId,
    /// Counts the events of that history from 0.
    pub(crate) number: u64,
    /// The boot in which it happened.
    pub(crate) boot: u32,
    /// Uptime at which it happened.
    pub(crate) uptime_ms: u64,
    /// When it happened; RFC 3339 with milliseconds, null where that is not known at all.
    pub(crate) time_utc: Option<String>,
    /// The true time lies within ± this; null where nothing is known.
    pub(crate) uncertainty_ms: Option<u64>,
    /// Whether no clock was ever told in that boot, or none that can be relied on.
    pub(crate) estimated: bool,
    /// What happened, as the device API tells it.
    pub(crate) what: What,
    /// What happened, in words.
    pub(crate) text: String,
    /// Whether what is said of the time here contradicts (other) visits.
    pub(crate) contradictory: bool,
    /// For a start: how long nothing was measured before it; null for the first boot that is known.
    pub(crate) gap: Option<GapView>,
    /// Where it is shown in a zone.
    #[serde(skip)]
    pub(crate) utc_ms: Option<i64>,
}

/// Time between the last that is known of a boot and the start of the next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct GapView {
    /// Its begin at the earliest; null beyond the year 9999.
    pub(crate) from_utc: Option<String>,
    /// Its end at the latest.
    pub(crate) to_utc: Option<String>,
    /// Its length at the least.
    pub(crate) seconds_min: f64,
    /// Its length at the most.
    pub(crate) seconds_max: f64,
}

impl GapView {
    /// Makes it from its bounds in ms.
    pub(crate) fn new((from_ms, to_ms): (i64, i64), (least_ms, most_ms): (u64, u64)) -> Self {
        Self {
            from_utc: moment::rfc3339(from_ms),
            to_utc: moment::rfc3339(to_ms),
            seconds_min: least_ms as f64 / 1e3,
            seconds_max: most_ms as f64 / 1e3,
        }
    }

    /// Says how long it was.
    fn text(&self) -> String {
        let (least, most) = (length(self.seconds_min), length(self.seconds_max));
        if least == most {
            format!("nothing measured for {least}")
        } else {
            format!("nothing measured for {least} to {most}")
        }
    }
}

/// Writes a length of time in a fitting unit.
pub(crate) fn length(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.1} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// Says in words what happened.
pub(crate) fn text(event: &Event, gap: Option<&GapView>, is_contradictory: bool) -> String {
    let mut text = match &event.what {
        What::Started { reason, next } => {
            format!("started {}; next reading {next}", reason_text(*reason))
        }
        What::Anchor {
            utc_ms,
            uncertainty_ms,
        } => format!(
            "told the time: {} ± {}",
            moment::rfc3339(*utc_ms).unwrap_or_else(|| format!("{utc_ms} ms")),
            length(f64::from(*uncertainty_ms) / 1e3)
        ),
        What::Lost {
            first,
            count,
            energy,
        } => {
            let import_mj: u64 = energy.iter().map(|channel| channel.import_mj).sum();
            let energy = if energy.is_empty() {
                String::new()
            } else {
                format!(", {:.3} kWh in them", import_mj as f64 / 3.6e9)
            };
            format!(
                "{count} readings from {first} on were overwritten before anyone collected them{energy}"
            )
        }
        What::SetUp => "set up".to_owned(),
        What::ConfigChanged { version } => format!("configuration {version} took effect"),
        What::StorageFault => "the flash failed: readings may be missing after this".to_owned(),
        What::Calibrated { version: 0, .. } => "measures with the scale of its parts".to_owned(),
        What::Calibrated { version, .. } => format!("calibration {version} took effect"),
        What::FirmwareTaken { version } => format!("took firmware {version} and starts into it"),
        What::FirmwareConfirmed { version } => format!("firmware {version} works and stays"),
        What::FirmwareLeft { version } if version.is_empty() => {
            "left firmware that did not work".to_owned()
        }
        What::FirmwareLeft { version } => format!("left firmware {version}, which did not work"),
        What::SettingsForgotten => "forgot token and settings, as the button asked".to_owned(),
        What::Continued { uncertainty_ms, .. } => format!(
            "counts on from the boot before, ± {}",
            length(f64::from(*uncertainty_ms) / 1e3)
        ),
        What::TokenChanged => "took another access token".to_owned(),
        What::Erased { through } => format!("erased readings up to {through}, as its owner asked"),
    };
    if is_contradictory {
        text.push_str(" (contradicts other visits)");
    }
    if let Some(gap) = gap {
        text.push_str("; ");
        text.push_str(&gap.text());
    }
    text
}

fn reason_text(reason: ResetReason) -> &'static str {
    match reason {
        ResetReason::PowerOn => "when power came",
        ResetReason::Software => "as its firmware asked",
        ResetReason::Watchdog => "by its watchdog, after a hang",
        ResetReason::Brownout => "after too low a supply",
        ResetReason::Unknown => "for a reason that is not known",
        ResetReason::Panic => "after a fault in its firmware",
        ResetReason::StackOverflow => "after its stack was full",
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Registers, Seq};

    use super::*;

    fn said(what: What) -> String {
        let event = Event {
            number: 0,
            boot: 1,
            uptime_ms: 0,
            what,
        };
        text(&event, None, false)
    }

    #[test]
    fn events_are_told_in_words() {
        let energy = Registers {
            import_mj: 9_000_000_000,
            export_mj: 0,
        };
        let lost = What::Lost {
            first: Seq(7),
            count: 360,
            energy: [energy].into_iter().collect(),
        };
        assert_eq!(
            said(lost),
            "360 readings from 7 on were overwritten before anyone collected them, 2.500 kWh in them"
        );
        let anchor = What::Anchor {
            utc_ms: 1_795_248_000_000,
            uncertainty_ms: 2_004,
        };
        assert_eq!(
            said(anchor),
            "told the time: 2026-11-21T08:00:00.000Z ± 2.0 s"
        );
    }

    #[test]
    fn gap_is_told_with_its_bounds() {
        let gap = GapView::new((0, 400_000_000), (90_000, 360_000_000));
        assert_eq!(gap.text(), "nothing measured for 90.0 s to 4 d");
        let known = GapView::new((0, 5_000), (4_990, 5_010));
        assert_eq!(known.text(), "nothing measured for 5.0 s");
    }
}
