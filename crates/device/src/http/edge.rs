//! The edge of one connection: what it is at, and for how long it may be.
//!
//! Time is counted in ticks, not read: a simulated meter's uptime may run faster than its connections. What takes too long
//! ends the next read or write with [`EdgeError::Ended`].

use core::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    task::Poll,
};

use picoserve::io::{Error, ErrorKind};

use super::{
    answer::Failure,
    crowd::{Seat, TICK_MS},
    scan::HeadScan,
};
use crate::board::Board;

/// Longest silence in a request, and between two.
const IDLE_TICKS_MAX: u32 = 10_000 / TICK_MS as u32;
/// Longest time from the first byte of a request to the last of its answer.
const TOTAL_TICKS_MAX: u32 = 120_000 / TICK_MS as u32;
/// Longest wait for the other side to close, too.
const CLOSE_TICKS_MAX: u32 = 2_000 / TICK_MS as u32;
/// What a connection is at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of a request has come.
    Idle,
    Head,
    /// So many bytes of the body are still to come.
    Body(usize),
    Answering,
    /// All is said; the other side is to close, too.
    Closing,
}

/// What is known of one connection.
pub(super) struct Edge<'a> {
    seat: Seat<'a>,
    phase: Cell<Phase>,
    idle_ticks: Cell<u32>,
    total_ticks: Cell<u32>,
    /// The answer is a stream of any length: the limit of the whole time is not for it.
    is_endless: Cell<bool>,
    /// A part of the answer is on its way already.
    is_answer_begun: Cell<bool>,
    /// Behind this answer nothing is read.
    is_last: Cell<bool>,
    /// Reads and writes fail from now on.
    is_ended: Cell<bool>,
    /// What is to be answered when it ends.
    failure: Cell<Option<Failure>>,
    scan: RefCell<HeadScan>,
}

impl<'a> Edge<'a> {
    pub(super) fn new(seat: Seat<'a>) -> Self {
        Self {
            seat,
            phase: Cell::new(Phase::Idle),
            idle_ticks: Cell::new(0),
            total_ticks: Cell::new(0),
            is_endless: Cell::new(false),
            is_answer_begun: Cell::new(false),
            is_last: Cell::new(false),
            is_ended: Cell::new(false),
            failure: Cell::new(None),
            scan: RefCell::new(HeadScan::new()),
        }
    }

    pub(super) fn seat(&self) -> &Seat<'a> {
        &self.seat
    }

    /// Lifts the limit of the whole time from the request that is being served.
    pub(super) fn lift_total(&self) {
        self.is_endless.set(true);
    }

    /// Returns how many bytes of the body have not come yet.
    pub(super) fn body_left(&self) -> usize {
        match self.phase.get() {
            Phase::Body(left) => left,
            _ => 0,
        }
    }

    /// Reads no more of this connection: not the rest of the body, nor another request.
    pub(super) fn stop_reading(&self) {
        self.is_last.set(true);
    }

    /// Tells whether the connection ends behind the answer that is being made.
    pub(super) fn is_last(&self) -> bool {
        self.is_last.get()
    }

    /// Counts time and ends what takes too long, for as long as the connection is served.
    pub(super) async fn watch(&self, board: &impl Board) {
        loop {
            board.delay(TICK_MS).await;
            self.tick();
        }
    }

    fn tick(&self) {
        let count = |ticks: &Cell<u32>| {
            ticks.set(ticks.get().saturating_add(1));
            ticks.get()
        };
        if self.seat.tick() {
            self.end(None);
            return;
        }
        let (idle, total) = (count(&self.idle_ticks), count(&self.total_ticks));
        let is_late = !self.is_endless.get() && total > TOTAL_TICKS_MAX;
        match self.phase.get() {
            Phase::Idle if idle > IDLE_TICKS_MAX => self.end(None),
            Phase::Head | Phase::Body(_) if idle > IDLE_TICKS_MAX || is_late => {
                let failure = Failure::new(408, "too_slow", "the request did not come in time");
                self.end(Some(failure));
            }
            Phase::Answering if is_late => self.end(None),
            Phase::Closing if total > CLOSE_TICKS_MAX => self.end(None),
            _ => {}
        }
    }

    /// Ends the connection, with an answer where one is due.
    pub(super) fn end(&self, failure: Option<Failure>) {
        if !self.is_ended.replace(true) {
            self.seat.crowd().count_ended();
            self.failure.set(failure);
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Says that bytes of an answer are on their way: another one would be one too many.
    pub(super) fn begin_answer(&self) {
        self.is_answer_begun.set(true);
    }

    /// Takes what is still to be answered on a connection that has ended, so that it can be written.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        let failure = self.failure.take()?;
        let is_due = !self.is_answer_begun.get();
        if is_due {
            self.begin(Phase::Closing);
            self.is_ended.set(false);
        }
        is_due.then_some(failure)
    }

    pub(super) fn begin(&self, phase: Phase) {
        match phase {
            Phase::Idle | Phase::Closing => {
                self.seat.wait();
                self.is_answer_begun.set(false);
                self.is_endless.set(false);
            }
            Phase::Answering => self.seat.answer(),
            Phase::Head | Phase::Body(_) => {}
        }
        if matches!(phase, Phase::Idle | Phase::Head | Phase::Closing) {
            self.total_ticks.set(0);
        }
        self.idle_ticks.set(0);
        self.phase.set(phase);
    }

    /// Passes the bytes of a head; returns how many of them belong to it.
    pub(super) fn pass_head(&self, bytes: &[u8]) -> Result<usize, Failure> {
        if self.phase.get() != Phase::Head {
            self.begin(Phase::Head);
            *self.scan.borrow_mut() = HeadScan::new();
        }
        self.idle_ticks.set(0);
        let mut scan = self.scan.borrow_mut();
        for (index, byte) in bytes.iter().enumerate() {
            if let Some(body_bytes) = scan.take(*byte)? {
                self.begin_body(body_bytes);
                return Ok(index + 1);
            }
        }
        Ok(bytes.len())
    }

    /// Passes so many bytes of a body of which so many were left.
    pub(super) fn pass_body(&self, left: usize, length: usize) {
        if length == 0 {
            // The other side sends no more: what it said that it would send does not come.
            self.stop_reading();
            return;
        }
        self.begin_body(left - length);
    }

    fn begin_body(&self, left: usize) {
        self.begin(match left {
            0 => Phase::Answering,
            left => Phase::Body(left),
        });
    }

    /// Waits, but no longer than until the connection is to end.
    pub(super) async fn pause(&self, board: &impl Board, milliseconds: u64) {
        let delay = async {
            board.delay(milliseconds).await;
            Ok::<(), Infallible>(())
        };
        // The next write tells that it ended.
        let _ = self.unless_ended(delay).await;
    }

    /// Waits for something until the connection is to end.
    pub(super) async fn unless_ended<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, EdgeError<E>> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.is_ended.get() {
                return Poll::Ready(Err(EdgeError::Ended));
            }
            let done = work.as_mut().poll(context);
            done.map(|done| done.map_err(EdgeError::Socket))
        })
        .await
    }
}

/// Why a read or a write is not done.
#[derive(Debug)]
pub(super) enum EdgeError<E> {
    /// A limit was exceeded, or others need the place.
    Ended,
    /// The socket failed.
    Socket(E),
}

impl<E: core::fmt::Display> core::fmt::Display for EdgeError<E> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Ended => formatter.write_str("the connection is to end"),
            Self::Socket(error) => error.fmt(formatter),
        }
    }
}

impl<E: core::error::Error> core::error::Error for EdgeError<E> {}

impl<E: Error> Error for EdgeError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ended => ErrorKind::ConnectionAborted,
            Self::Socket(error) => error.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Crowd;

    const HEAD: &[u8] = b"POST /api/v1/setup HTTP/1.1\r\nContent-Length: 9\r\n\r\n";

    /// Lets time pass in which a byte comes now and then; returns how long it took until the edge ended the connection.
    fn ended_after_ms(edge: &Edge<'_>, limit_ms: u64) -> Option<u64> {
        let ticks = (1..=limit_ms / TICK_MS).find(|tick| {
            if tick % 100 == 0 {
                edge.idle_ticks.set(0);
            }
            edge.tick();
            edge.is_ended.get()
        });
        ticks.map(|ticks| ticks * TICK_MS)
    }

    #[test]
    fn a_request_that_never_ends_is_ended_after_two_minutes_with_an_answer() {
        let crowd = Crowd::new();
        let edge = Edge::new(crowd.enter().unwrap());
        assert_eq!(edge.pass_head(HEAD).ok(), Some(HEAD.len()));
        assert_eq!(edge.body_left(), 9);
        assert_eq!(ended_after_ms(&edge, 200_000), Some(120_000 + TICK_MS));
        assert_eq!(edge.failure.take().unwrap().status(), 408);
        assert_eq!(crowd.ended(), 1);
    }

    #[test]
    fn an_answer_that_is_never_read_is_ended_after_two_minutes_unless_it_is_a_stream() {
        let crowd = Crowd::new();
        let edge = Edge::new(crowd.enter().unwrap());
        assert!(edge.pass_head(HEAD).is_ok());
        edge.pass_body(9, 9);
        edge.lift_total();
        assert_eq!(ended_after_ms(&edge, 1_000_000), None);
        // The next request is held to the limit again.
        edge.begin(Phase::Idle);
        assert!(edge.pass_head(b"G").is_ok());
        assert_eq!(ended_after_ms(&edge, 200_000), Some(120_000 + TICK_MS));
    }

    #[test]
    fn silence_between_requests_ends_a_connection_without_a_word() {
        let crowd = Crowd::new();
        let edge = Edge::new(crowd.enter().unwrap());
        let ticks = 10_000 / TICK_MS;
        for _ in 0..ticks {
            edge.tick();
        }
        assert!(!edge.is_ended.get());
        edge.tick();
        assert!(edge.is_ended.get() && edge.failure.take().is_none());
    }

    #[test]
    fn what_belongs_to_the_next_request_is_not_passed() {
        let crowd = Crowd::new();
        let edge = Edge::new(crowd.enter().unwrap());
        let two = [HEAD, b"{\"a\":1}}GET"].concat();
        assert_eq!(edge.pass_head(&two).ok(), Some(HEAD.len()));
        assert_eq!(edge.body_left(), 9);
    }
}
