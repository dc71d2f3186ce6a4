//! Meters: what is known of them and which are in range.

use protocol::{DeviceId, StoreId};
use serde::Serialize;

use crate::{
    engine::Visit,
    exit::{Ending, ErrorBody},
    views::firmware::FirmwareView,
};

/// A meter, as far as it was set up or collected.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeviceView {
    /// The meter.
    pub(crate) id: DeviceId,
    /// Its name; empty where it has none.
    pub(crate) name: String,
    /// The history that is collected now; null before the first collection.
    pub(crate) store_id: Option<StoreId>,
    /// Readings held, all histories together.
    pub(crate) readings: u64,
    /// Lowest number held of the present history.
    pub(crate) oldest_seq: Option<u64>,
    /// First number not held yet.
    pub(crate) next_seq: u64,
    /// End of the newest reading.
    pub(crate) last_reading_ms: Option<i64>,
    /// When a collector was last there.
    pub(crate) last_collected_ms: Option<i64>,
    /// Mean power of the newest reading, all channels together.
    pub(crate) power_w: Option<f64>,
    /// Import register, all channels together.
    pub(crate) energy_import_wh: Option<f64>,
    /// Export register, all channels together.
    pub(crate) energy_export_wh: Option<f64>,
    /// Numbers that came twice with different content; zero for a healthy meter.
    pub(crate) conflicts: u64,
    /// Readings that the meter overwrote before anyone collected them.
    pub(crate) lost: u64,
    /// Visits whose clock contradicts that of the others, and restarts that visits contradict; zero where all clocks are right.
    pub(crate) clock_conflicts: usize,
}

/// A meter in range.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NearbyView {
    /// The meter.
    pub(crate) id: DeviceId,
    /// Name of its access point.
    pub(crate) ssid: String,
    /// Its name here; null where it is not known.
    pub(crate) name: Option<String>,
    /// Whether its token is known here, so that it can be collected.
    pub(crate) known: bool,
    /// Whether someone set it up; null where it did not answer.
    pub(crate) set_up: Option<bool>,
    /// When a collector was last there.
    pub(crate) last_collected_ms: Option<i64>,
}

/// What one visit at a meter brought.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CollectedView {
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its name.
    pub(crate) name: String,
    /// Readings that were not here before.
    pub(crate) readings: u64,
    /// Blocks that came.
    pub(crate) blocks: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// First number not held yet.
    pub(crate) next_seq: u64,
    /// Bytes of the meter's flash in use; null where it did not say.
    pub(crate) flash_used_bytes: Option<u32>,
    /// What was seen of its firmware; null where it does not tell.
    pub(crate) firmware: Option<FirmwareView>,
    /// By how much the times that this visit and earlier ones told contradict each other; null where they do not, or did
    /// before.
    pub(crate) clock_conflict_ms: Option<u64>,
    /// Whether the meter got another access token.
    pub(crate) token_changed: bool,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Why it was not collected to the end; null where it was.
    pub(crate) error: Option<ErrorBody>,
}

impl CollectedView {
    /// Tells what a visit brought.
    pub(crate) fn of(visit: &Visit) -> Self {
        Self {
            device: visit.device,
            name: visit.name.clone(),
            readings: visit.collected.readings_new,
            blocks: visit.collected.blocks,
            bytes: visit.collected.bytes,
            next_seq: visit.collected.cursor.0,
            flash_used_bytes: visit.collected.flash_used_bytes,
            firmware: visit.collected.firmware.as_ref().map(FirmwareView::of),
            clock_conflict_ms: visit.collected.clock_conflict_ms,
            token_changed: visit.token_changed,
            seconds: visit.seconds,
            error: visit
                .ended
                .as_ref()
                .err()
                .map(|error| Ending::of(error).body()),
        }
    }
}
