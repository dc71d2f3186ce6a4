//! Energy by hours, days and months.

use collector::store::Bar;
use protocol::Registers;
use serde::{Deserialize, Serialize};

use super::row::watt_hours;

/// How long a bar is, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// An hour.
    Hour,
    /// A day, of 23 to 25 hours.
    Day,
    /// A month.
    Month,
}

/// Bars in rising order.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EnergyView {
    /// The zone in which days begin.
    pub(crate) time_zone: String,
    /// The bars.
    pub(crate) bars: Vec<BarView>,
}

/// Energy of one hour, day or month; not cumulative.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BarView {
    /// Its begin.
    pub(crate) start_ms: i64,
    /// Its end.
    pub(crate) end_ms: i64,
    /// Energy taken from the mains.
    pub(crate) import_wh: f64,
    /// Energy given to the mains.
    pub(crate) export_wh: f64,
    /// Whether readings cover all of it.
    pub(crate) complete: bool,
}

impl BarView {
    /// Makes a bar of a period and the energy of all channels in it.
    pub(crate) fn new(bar: &Bar, energy: Registers) -> Self {
        Self {
            start_ms: bar.start_ms,
            end_ms: bar.end_ms,
            import_wh: watt_hours(energy.import_mj),
            export_wh: watt_hours(energy.export_mj),
            complete: bar.complete,
        }
    }
}
