//! The socket of one connection, behind its edge.
//!
//! picoserve reads and writes through [`Guarded`]. It hands on one request at a time: the bytes of a head only while
//! `HeadScan` finds them well formed, and of a body only as many as the head said. Where a limit ended the connection,
//! picoserve gives it up, and here it gets the JSON answer that it still can get.

use alloc::string::String;
use core::fmt::Write as _;

use picoserve::{
    Timeouts,
    io::{BaseWrite, ErrorType, Read, Socket, Write},
    mem::BorrowedCursor,
    response::StatusCode,
    time::{Duration, Timer},
};
use protocol::authentication::NONCE_HEADER;

use super::{
    Service,
    answer::{Answer, Failure},
    edge::{Edge, EdgeError, Phase},
};
use crate::board::Board;

/// For what is left to do on a connection that is given up.
const ABORT: Timeouts = Timeouts {
    start_read_request: Duration::from_millis(200),
    persistent_start_read_request: Duration::from_millis(200),
    read_request: Duration::from_millis(200),
    write: Duration::from_millis(200),
};

const CUT_SHORT: Failure =
    Failure::new(400, "cut_short", "the request ended before it was complete");

/// A socket behind the edge.
pub(super) struct Guarded<'a, 's, B: Board, S> {
    pub(super) socket: S,
    pub(super) service: &'a Service<'s, B>,
    /// Takes bytes before it is known to which request they belong.
    pub(super) stash: &'a mut [u8],
}

impl<Runtime, B: Board, S: Socket<Runtime>> Socket<Runtime> for Guarded<'_, '_, B, S> {
    type Error = EdgeError<S::Error>;
    type ReadHalf<'h>
        = GuardedRead<'h, S::ReadHalf<'h>>
    where
        Self: 'h;
    type WriteHalf<'h>
        = GuardedWrite<'h, S::WriteHalf<'h>>
    where
        Self: 'h;

    fn split(&mut self) -> (Self::ReadHalf<'_>, Self::WriteHalf<'_>) {
        let edge = self.service.edge;
        let (read, write) = self.socket.split();
        let read = GuardedRead {
            inner: read,
            edge,
            stash: self.stash,
            held: 0..0,
        };
        (read, GuardedWrite { inner: write, edge })
    }

    /// Gives the connection up, with an answer where it can still get one.
    async fn abort<T: Timer<Runtime>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), picoserve::Error<Self::Error>> {
        let edge = self.service.edge;
        if let Some(failure) = edge.take_failure() {
            let text = self.service.last_answer(failure);
            let is_written = {
                let (_, mut write) = self.split();
                write.write_all(text.as_bytes()).await.is_ok() && write.flush().await.is_ok()
            };
            if is_written {
                return self.shutdown(timeouts, timer).await;
            }
        }
        // Who is gone cannot be told so.
        let _ = self.socket.abort(&ABORT, timer).await;
        Ok(())
    }

    async fn shutdown<T: Timer<Runtime>>(
        self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), picoserve::Error<Self::Error>> {
        let edge = self.service.edge;
        edge.begin(Phase::Closing);
        // All was sent; whether the other side closes properly is its own affair.
        let closing = self.socket.shutdown(timeouts, timer);
        let _ = edge.unless_ended(closing).await;
        Ok(())
    }
}

impl<B: Board> Service<'_, B> {
    /// Renders the last answer of a connection.
    fn last_answer(&self, failure: Failure) -> String {
        let Answer { status, body, .. } = failure.into();
        let mut text = String::new();
        let written = write!(
            text,
            "HTTP/1.1 {} \r\nContent-Type: application/json\r\nContent-Length: {}\r\n{NONCE_HEADER}: {}\r\nConnection: close\r\n\r\n{}",
            StatusCode::new(status),
            body.len(),
            self.next_nonce(),
            core::str::from_utf8(&body).unwrap_or_default(),
        );
        debug_assert!(written.is_ok(), "a string takes any text");
        text
    }
}

/// What a connection reads.
pub(super) struct GuardedRead<'a, R> {
    inner: R,
    edge: &'a Edge<'a>,
    stash: &'a mut [u8],
    /// Where in the stash bytes lie that were not handed on yet.
    held: core::ops::Range<usize>,
}

impl<R: Read> ErrorType for GuardedRead<'_, R> {
    type Error = EdgeError<R::Error>;
}

impl<R: Read> Read for GuardedRead<'_, R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let edge = self.edge;
        if edge.phase() == Phase::Answering {
            edge.begin(Phase::Idle);
        }
        if edge.is_last() || buffer.is_empty() {
            return Ok(0);
        }
        if !self.held.is_empty() {
            return self.hand_on(buffer);
        }
        if let Phase::Body(left) = edge.phase() {
            let room = left.min(buffer.len());
            let read = self.inner.read(&mut buffer[..room]);
            let length = edge.unless_ended(read).await?;
            edge.pass_body(left, length);
            return Ok(length);
        }
        let length = edge.unless_ended(self.inner.read(self.stash)).await?;
        if length == 0 && edge.phase() == Phase::Head {
            edge.end(Some(CUT_SHORT));
            return Err(EdgeError::Ended);
        }
        self.held = 0..length;
        self.hand_on(buffer)
    }
}

impl<R: Read> GuardedRead<'_, R> {
    /// Takes bytes of one request out of the stash.
    fn hand_on(&mut self, buffer: &mut [u8]) -> Result<usize, EdgeError<R::Error>> {
        let edge = self.edge;
        let room = self.held.len().min(buffer.len());
        let bytes = &self.stash[self.held.start..][..room];
        let length = match edge.phase() {
            _ if bytes.is_empty() => 0,
            Phase::Body(left) => {
                let length = bytes.len().min(left);
                edge.pass_body(left, length);
                length
            }
            _ => edge.pass_head(bytes).map_err(|failure| {
                edge.end(Some(failure));
                EdgeError::Ended
            })?,
        };
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.held.start += length;
        Ok(length)
    }
}

/// What a connection writes.
pub(super) struct GuardedWrite<'a, W> {
    inner: W,
    edge: &'a Edge<'a>,
}

impl<W: Write> ErrorType for GuardedWrite<'_, W> {
    type Error = EdgeError<W::Error>;
}

impl<W: Write> BaseWrite for GuardedWrite<'_, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.edge.begin_answer();
        self.edge.unless_ended(self.inner.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.edge.unless_ended(self.inner.flush()).await
    }
}

impl<W: Write> Write for GuardedWrite<'_, W> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> T, T>(
        &mut self,
        fill: F,
    ) -> Result<T, Self::Error> {
        self.edge.begin_answer();
        self.edge.unless_ended(self.inner.write_with(fill)).await
    }
}
