//! A port of this computer whose connections lead to a port of the meter.
//!
//! ```text
//! program ──TcpStream──▶ Bridge ──smoltcp──▶ Card ──▶ firmware
//! ```
//!
//! Nothing here waits: each poll moves the bytes that there are. What one side has closed is closed for the other. A
//! connection that the meter refuses or breaks off ends for the program, and one that the program breaks off is reset.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
};

use smoltcp::socket::tcp::State;

use super::host::{Connection, Host};

/// Connections that are open at once; more wait to be taken.
const OPEN_MAX: usize = 16;
/// Time that a connection which the program has closed may stay without a byte from the meter.
const CLOSING_US: u64 = 60_000_000;
/// Time after which a connection that has ended is forgotten: its last segment must be sent.
const CLOSED_US: u64 = 1_000_000;

/// The port and its connections.
#[derive(Debug)]
pub(super) struct Forward {
    listener: TcpListener,
    port: u16,
    bridges: Vec<Bridge>,
}

#[derive(Debug)]
struct Bridge {
    /// None once both sides have closed, or one has broken off.
    stream: Option<TcpStream>,
    connection: Connection,
    /// The program sends nothing more.
    program_done: bool,
    /// The meter sends nothing more, and the program knows.
    meter_done: bool,
    /// Time of the last byte or change.
    active_us: u64,
}

impl Forward {
    pub(super) fn new(listener: TcpListener, port: u16) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            port,
            bridges: Vec::new(),
        })
    }

    /// Returns how many connections are open.
    pub(super) fn open(&self) -> usize {
        let open = |bridge: &&Bridge| bridge.stream.is_some();
        self.bridges.iter().filter(open).count()
    }

    /// Takes new connections and moves bytes; tells whether anything happened.
    pub(super) fn poll(&mut self, host: &mut Host) -> bool {
        let mut moved = false;
        while host.lease().is_some() && self.open() < OPEN_MAX {
            let Some(bridge) = self.accept(host) else {
                break;
            };
            self.bridges.push(bridge);
            moved = true;
        }
        self.bridges.retain_mut(|bridge| {
            moved |= bridge.poll(host);
            let over = bridge.is_over(host.now_us());
            if over {
                host.drop_connection(bridge.connection);
            }
            !over
        });
        moved
    }

    fn accept(&self, host: &mut Host) -> Option<Bridge> {
        // Whatever keeps one from being taken now, the next poll tries again.
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let _ = stream.set_nodelay(true);
        let connection = host.connect(self.port).ok()?;
        Some(Bridge {
            stream: Some(stream),
            connection,
            program_done: false,
            meter_done: false,
            active_us: host.now_us(),
        })
    }
}

impl Bridge {
    fn poll(&mut self, host: &mut Host) -> bool {
        let now_us = host.now_us();
        let moved = match self.exchange(host) {
            Ok(moved) => moved,
            // The program has broken off.
            Err(_) => {
                host.socket(self.connection).abort();
                self.stream = None;
                true
            }
        };
        if moved {
            self.active_us = now_us;
        } else if self.stream.is_some()
            && self.program_done
            && now_us.saturating_sub(self.active_us) > CLOSING_US
        {
            host.socket(self.connection).abort();
            self.stream = None;
        }
        moved
    }

    fn exchange(&mut self, host: &mut Host) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else {
            return Ok(false);
        };
        let socket = host.socket(self.connection);
        let mut moved = false;
        while !self.program_done && socket.can_send() {
            let read = socket.send(|room| match stream.read(room) {
                Ok(count) => (count, Ok(Some(count))),
                Err(error) => (0, none_yet(error)),
            });
            match read {
                Ok(Ok(Some(0))) => {
                    self.program_done = true;
                    socket.close();
                }
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) | Err(_) => break,
                Ok(Err(error)) => return Err(error),
            }
            moved = true;
        }
        while socket.can_recv() {
            let written = socket.recv(|bytes| match stream.write(bytes) {
                Ok(count) => (count, Ok(Some(count))),
                Err(error) => (0, none_yet(error)),
            });
            match written {
                Ok(Ok(Some(count))) if count > 0 => moved = true,
                Ok(Err(error)) => return Err(error),
                _ => break,
            }
        }
        let opening = matches!(socket.state(), State::SynSent | State::SynReceived);
        if !self.meter_done && !opening && !socket.may_recv() && socket.recv_queue() == 0 {
            self.meter_done = true;
            moved = true;
            // It may be gone already; then reading says so.
            let _ = stream.shutdown(Shutdown::Write);
        }
        let ended = matches!(socket.state(), State::Closed | State::TimeWait);
        if self.meter_done && ended {
            self.stream = None;
            moved = true;
        }
        Ok(moved)
    }

    /// Tells whether the connection can be forgotten: it has ended, and the meter has been told.
    fn is_over(&self, now_us: u64) -> bool {
        self.stream.is_none() && now_us.saturating_sub(self.active_us) > CLOSED_US
    }
}

fn none_yet(error: io::Error) -> io::Result<Option<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests;
