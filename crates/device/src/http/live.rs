//! `GET /api/v1/live?stream=1`: the newest window once a second, as server-sent events.
//!
//! The id of an event is its index; for who sent a MAC the index and, behind a space, the MAC of the event's data in 32 hex
//! digits: that of a frame with this index and payload, see [`Key::frame_mac`](protocol::authentication::Key::frame_mac).
//! A stream ends by itself, so that none is forgotten; browsers come again.

use alloc::vec::Vec;
use core::{cell::RefCell, fmt};

use protocol::frame::{FrameHeader, MAC_BYTES};

use super::{Admitted, Service, answer::Answer, crowd::LiveSeat, edge::Edge};
use crate::{board::Board, meter::Meter};

/// Time from an event to the next.
const STEP_MS: u64 = 1_000;
/// Events of one stream.
const EVENTS: u32 = 120;
/// What stands around the JSON of an event, at most.
const AROUND_BYTES: usize = 64;

/// Sends what is measured while it is measured.
pub(super) struct LiveStream<'a, B: Board> {
    meter: &'a RefCell<Meter<B::Flash>>,
    board: &'a B,
    edge: &'a Edge<'a>,
    admitted: Option<Admitted>,
    /// The event that is being sent, and the number of the next.
    event: Vec<u8>,
    index: u32,
    /// Held as long as the stream goes on.
    _seat: LiveSeat<'a>,
}

impl<'a, B: Board> LiveStream<'a, B> {
    pub(super) fn new(
        service: &Service<'a, B>,
        admitted: Option<Admitted>,
        seat: LiveSeat<'a>,
    ) -> Self {
        Self {
            meter: service.meter,
            board: service.board,
            edge: service.edge,
            admitted,
            event: Vec::new(),
            index: 0,
            _seat: seat,
        }
    }

    /// Waits until the next event is due and returns it; `None` at the end, or without memory for it.
    pub(super) async fn next(&mut self) -> Option<&[u8]> {
        if self.index == EVENTS {
            return None;
        }
        if self.index > 0 {
            // It does not lie there for a second for nothing.
            self.event = Vec::new();
            self.edge.pause(self.board, STEP_MS).await;
        }
        self.event = self.event(self.index)?;
        self.index += 1;
        Some(&self.event)
    }

    /// Renders an event; `None` where there is no memory for it.
    fn event(&self, index: u32) -> Option<Vec<u8>> {
        let live = self.meter.borrow().live();
        let Answer {
            status: 200, body, ..
        } = Answer::render(200, &live)
        else {
            return None;
        };
        let mut event = Vec::new();
        event.try_reserve_exact(body.len() + AROUND_BYTES).ok()?;
        let mut put = |text: fmt::Arguments<'_>| fmt::write(&mut Text(&mut event), text).ok();
        put(format_args!("id: {index}"))?;
        if let Some(Admitted { key, request }) = &self.admitted {
            let header = FrameHeader {
                length: body.len(),
                index,
                last: false,
            };
            let mac = key.frame_mac(request, header, &body);
            put(format_args!(" "))?;
            for byte in &mac.bytes()[..MAC_BYTES] {
                put(format_args!("{byte:02x}"))?;
            }
        }
        put(format_args!("\ndata: "))?;
        event.extend_from_slice(&body);
        event.extend_from_slice(b"\n\n");
        Some(event)
    }
}

/// Takes text into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
