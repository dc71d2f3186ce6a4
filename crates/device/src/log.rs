//! The event log: the calibrations in it, and pages of it for collectors.
//!
//! Each version of the calibration that a reading names has an event that tells its numbers. The settings are written
//! before the event, and old events are overwritten, so each start looks whether what is in force is told already.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use protocol::{
    event::{EVENT_JSON_BYTES_MAX, Event, What},
    limits::{EVENTS_PER_ANSWER, JSON_BYTES_MAX},
    messages::Events,
};

use crate::{
    calibrating::message,
    meter::{Meter, Refused},
};

/// Bytes of a page in JSON beside its events and the commas between them.
const PAGE_BYTES: usize = r#"{"events":[],"next":18446744073709551615}"#.len();
// Each page has at least one event, or a collector would not get on.
const _: () = assert!(PAGE_BYTES + EVENT_JSON_BYTES_MAX <= JSON_BYTES_MAX);

impl<F: NorFlash> Meter<F> {
    /// Answers `events`: a page from number `from` on, as many as the answer has room for.
    pub(crate) fn events(&mut self, from: u64) -> Result<Events, Refused> {
        let mut events = Vec::<_, EVENTS_PER_ANSWER>::new();
        let mut json = [0; EVENT_JSON_BYTES_MAX];
        let mut bytes = PAGE_BYTES;
        let store = self.store();
        store
            .events(from, &mut |event| {
                let length = serde_json_core::to_slice(event, &mut json)
                    .expect("an event fits its stated maximum");
                bytes += length + usize::from(!events.is_empty());
                bytes <= JSON_BYTES_MAX && events.push(event.clone()).is_ok()
            })
            .map_err(|_| Refused::Storage)?;
        let next = store.next_event();
        Ok(Events { events, next })
    }

    /// Logs the calibration in force.
    pub(crate) fn log_calibration(&mut self, now_ms: u64) {
        let what = self.calibration_told();
        self.recorder.log(now_ms, what);
    }

    /// Logs the calibration in force at a start, unless the last one in the log is the same.
    ///
    /// A log that cannot be read is taken for one that does not tell it: once more does no harm.
    pub(crate) fn log_calibration_where_missing(&mut self) {
        let mut last = None;
        let mut take = |event: &Event| {
            if let What::Calibrated { .. } = event.what {
                last = Some(event.what.clone());
            }
            true
        };
        let whole = self.store().events(0, &mut take).is_ok();
        if !whole || last != Some(self.calibration_told()) {
            self.log_calibration(0);
        }
    }

    fn calibration_told(&self) -> What {
        let calibration = &self.settings().calibration;
        let channels = self.channels.iter();
        What::Calibrated {
            version: calibration.version,
            utc_ms: calibration.utc_ms,
            channels: channels
                .map(|channel| message(&channel.config().calibration))
                .collect(),
        }
    }
}
