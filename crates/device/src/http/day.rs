//! `GET /api/v1/day?channel=N`: the last 24 hours.

use protocol::limits::DAY_BARS_MAX;
use serde::{Serialize, Serializer};

use super::{
    Outcome, Service,
    answer::{Answer, Failure},
    head::Head,
};
use crate::{
    board::Board,
    day::{Day, STEP_MS},
    meter::Refused,
};

/// Rest between two pieces of work, so that measuring has its turn.
const REST_MS: u64 = 1;

/// [`protocol::messages::Day`] without its 2 KB by value.
#[derive(Serialize)]
struct Shown<'a> {
    channel: u8,
    step_ms: u32,
    boot: u32,
    uptime_ms: u64,
    #[serde(serialize_with = "bars")]
    power_w: (&'a Day, usize),
}

fn bars<S: Serializer>((day, channel): &(&Day, usize), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(day.bars(*channel))
}

impl<B: Board> Service<'_, B> {
    /// Answers `day`; the first time after a start, and where long nobody asked, that takes a while.
    pub(super) async fn day(&self, head: &Head) -> Result<Outcome, Failure> {
        let channel = head.query_number("channel")?.unwrap_or(1);
        let channels = self.meter.borrow().channels.len();
        let index = usize::try_from(channel)
            .ok()
            .and_then(|channel| channel.checked_sub(1));
        let Some(index) = index.filter(|index| *index < channels) else {
            return Err(Failure::new(
                400,
                "bad_query",
                "the meter has no such channel; they count from 1",
            ));
        };
        let now_ms = self.now_ms();
        let search = self.meter.borrow().search_day(now_ms)?;
        if let Some(mut search) = search {
            loop {
                let step = search.step(&mut self.meter.borrow_mut());
                if step.map_err(|_| Refused::Storage)? {
                    break;
                }
                self.board.delay(REST_MS).await;
            }
            self.meter.borrow_mut().keep_day(search)?;
        }
        let meter = self.meter.borrow();
        let day = meter.day.as_ref().ok_or(Refused::NoMemory)?;
        debug_assert_eq!(day.bars(index).len(), DAY_BARS_MAX);
        Ok(Answer::ok(&Shown {
            channel: index as u8 + 1,
            step_ms: STEP_MS as u32,
            boot: meter.recorder.boot,
            uptime_ms: day.end_ms,
            power_w: (day, index),
        }))
    }
}
