//! A board and a connection in memory.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    net::{Ipv4Addr, SocketAddrV4},
    task::Poll,
};

use device::Board;
use nor_model::Nor;
use picoserve::{
    Timeouts,
    io::{BaseWrite, ErrorType, Read, Socket, Write},
    mem::{BorrowedBuffer, BorrowedCursor},
    time::Timer,
};

/// A board whose time passes from poll to poll.
#[derive(Default)]
pub(crate) struct StepBoard {
    pub(crate) now_ms: Cell<u64>,
    pub(crate) restarts: Cell<u32>,
}

impl Board for StepBoard {
    type Flash = Nor;
    type Slots = Nor;

    fn uptime_us(&self) -> u64 {
        1_000_000_000 + self.now_ms.get() * 1_000
    }

    async fn delay(&self, milliseconds: u64) {
        let until_ms = self.now_ms.get() + milliseconds;
        poll_fn(|_| match self.now_ms.get() >= until_ms {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await
    }

    fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 168, 4, 1), 80)
    }

    fn restart(&self) {
        self.restarts.set(self.restarts.get() + 1);
    }
}

/// A connection in memory: what is read comes in pieces, then ends.
pub(crate) struct Pipe<'a> {
    pub(crate) unread: &'a [u8],
    pub(crate) piece_bytes: usize,
    pub(crate) written: &'a mut Vec<u8>,
}

/// The half that is read.
pub(crate) struct Unread<'a, 'b>(&'a mut &'b [u8], usize);
/// The half that is written.
pub(crate) struct Writing<'a>(&'a mut Vec<u8>);

impl ErrorType for Unread<'_, '_> {
    type Error = Infallible;
}

impl Read for Unread<'_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let length = self.0.len().min(buffer.len()).min(self.1);
        let (piece, rest) = self.0.split_at(length);
        buffer[..length].copy_from_slice(piece);
        *self.0 = rest;
        Ok(length)
    }
}

impl ErrorType for Writing<'_> {
    type Error = Infallible;
}

impl BaseWrite for Writing<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Write for Writing<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> T, T>(
        &mut self,
        fill: F,
    ) -> Result<T, Infallible> {
        let mut buffer = [0; 512];
        let mut buffer = BorrowedBuffer::new(&mut buffer);
        let done = fill(buffer.unfilled());
        self.0.extend_from_slice(buffer.filled());
        Ok(done)
    }
}

/// What drives the futures here.
pub(crate) struct Steps;

impl<'p> Socket<Steps> for Pipe<'p> {
    type Error = Infallible;
    type ReadHalf<'a>
        = Unread<'a, 'p>
    where
        Self: 'a;
    type WriteHalf<'a>
        = Writing<'a>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::ReadHalf<'_>, Self::WriteHalf<'_>) {
        (
            Unread(&mut self.unread, self.piece_bytes),
            Writing(self.written),
        )
    }

    async fn abort<T: Timer<Steps>>(
        self,
        _: &Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<Infallible>> {
        Ok(())
    }

    async fn shutdown<T: Timer<Steps>>(
        self,
        _: &Timeouts,
        _: &T,
    ) -> Result<(), picoserve::Error<Infallible>> {
        Ok(())
    }
}
