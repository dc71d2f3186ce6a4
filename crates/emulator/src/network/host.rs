//! A client of the access point at the other end of the card's wire.

use std::{net::TcpListener, time::Duration};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    socket::{dhcpv4, dns, tcp},
    time::Instant,
    wire::{DnsQueryType, EthernetAddress, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr},
};

use super::{card::Card, forward::Forward, wire::Wire};

/// CPU cycles in a µs.
const CYCLES_A_US: u64 = 160;
/// Of our own: the bit for locally administered addresses is set.
const MAC: EthernetAddress = EthernetAddress([0x02, 0x4f, 0x46, 0x4d, 0x4f, 0x4e]);
/// Bytes that wait each way in a connection.
const BUFFER_BYTES: usize = 16 * 1024;
/// Time between two attempts to get an address: the host cannot know when the access point is there.
const DISCOVER: Duration = Duration::from_millis(100);
const REQUEST: Duration = Duration::from_millis(500);
/// Time after which a meter that does not answer is given up, and a quarter of it after which it is asked.
const SILENCE: Duration = Duration::from_secs(20);
/// First of the ports that connections come from.
const PORT_FIRST: u16 = 49_152;

/// What the meter's DHCP server has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The host's address and network.
    pub address: Ipv4Cidr,
    /// Where the DHCP server is: the meter.
    pub server: Ipv4Address,
    /// The way to everywhere else, if there is one.
    pub router: Option<Ipv4Address>,
    /// Who knows names.
    pub dns_servers: Vec<Ipv4Address>,
}

/// The host has no address yet, so nobody can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the meter has given no address yet")]
pub struct NotThere;

/// A TCP connection to the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection(pub(super) SocketHandle);

/// A question to the meter's DNS.
pub struct Question(dns::QueryHandle);

/// How far a question has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No answer yet.
    Waiting,
    /// The addresses of the name.
    Answered(Vec<IpAddress>),
    /// There is no such name, or no answer came in time.
    Failed,
}

/// The host.
pub struct Host {
    interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    wire: Wire,
    dhcp: SocketHandle,
    dns: SocketHandle,
    lease: Option<Lease>,
    port: u16,
    /// µs of the host's clock at cycle 0 of the chip.
    origin_us: u64,
    now_us: u64,
    forwards: Vec<Forward>,
}

impl Host {
    /// Makes a host that looks for a meter; the seed decides its random numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut wire = Wire::default();
        let mut config = Config::new(MAC.into());
        config.random_seed = seed;
        let interface = Interface::new(config, &mut wire, Instant::ZERO);
        let mut dhcp = dhcpv4::Socket::new();
        let mut retry = dhcpv4::RetryConfig::default();
        retry.discover_timeout = DISCOVER.into();
        retry.initial_request_timeout = REQUEST.into();
        dhcp.set_retry_config(retry);
        let mut sockets = SocketSet::new(Vec::new());
        Self {
            interface,
            wire,
            dhcp: sockets.add(dhcp),
            dns: sockets.add(dns::Socket::new(&[], Vec::new())),
            sockets,
            lease: None,
            port: PORT_FIRST,
            origin_us: 0,
            now_us: 0,
            forwards: Vec::new(),
        }
    }

    /// Moves frames and bytes as far as they go at `now`, in CPU cycles since the chip's power-on.
    pub fn poll(&mut self, now: u64, card: &mut Card) {
        self.now_us = self.now_us.max(self.origin_us + now / CYCLES_A_US);
        loop {
            let mut moved = self.wire.exchange(card);
            let _ = self.interface.poll(
                Instant::from_micros(self.now_us as i64),
                &mut self.wire,
                &mut self.sockets,
            );
            self.take_lease();
            moved |= self.wire.exchange(card);
            let mut forwards = std::mem::take(&mut self.forwards);
            for forward in &mut forwards {
                moved |= forward.poll(self);
            }
            self.forwards = forwards;
            if !moved {
                break;
            }
        }
    }

    /// Returns when the host has something to do by itself, in CPU cycles since the chip's power-on.
    ///
    /// Frames of the card and bytes of this computer's connections come besides.
    #[must_use]
    pub fn next_event(&mut self) -> Option<u64> {
        let now = Instant::from_micros(self.now_us as i64);
        let at = self.interface.poll_at(now, &self.sockets)?;
        let at_us = (at.total_micros() as u64).max(self.now_us);
        Some(at_us.saturating_sub(self.origin_us) * CYCLES_A_US)
    }

    /// Begins virtual time anew at 0 with a meter that is switched on again: address and connections are lost.
    pub fn power_on(&mut self) {
        self.origin_us = self.now_us;
        self.wire.clear();
        self.sockets
            .get_mut::<dhcpv4::Socket<'_>>(self.dhcp)
            .reset();
        self.take_lease();
        for (_, socket) in self.sockets.iter_mut() {
            if let smoltcp::socket::Socket::Tcp(socket) = socket {
                socket.abort();
            }
        }
    }

    /// Returns the address and what came with it.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Opens a connection to a port of the meter.
    ///
    /// # Errors
    /// Where there is no address yet.
    ///
    /// # Panics
    /// When `port` is 0.
    pub fn connect(&mut self, port: u16) -> Result<Connection, NotThere> {
        assert_ne!(port, 0, "a port");
        let server = self.lease.as_ref().ok_or(NotThere)?.server;
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(SILENCE.into()));
        socket.set_keep_alive(Some((SILENCE / 4).into()));
        let local = self.port;
        self.port = local.checked_add(1).unwrap_or(PORT_FIRST);
        socket
            .connect(self.interface.context(), (server, port), local)
            .map_err(|_| NotThere)?;
        Ok(Connection(self.sockets.add(socket)))
    }

    /// Returns smoltcp's socket of a connection: to send, receive, close, and see how it stands.
    ///
    /// # Panics
    /// When the connection was dropped.
    pub fn socket(&mut self, connection: Connection) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(connection.0)
    }

    /// Forgets a connection; without a word to the meter, so it should have been closed.
    ///
    /// # Panics
    /// When the connection was dropped before.
    pub fn drop_connection(&mut self, connection: Connection) {
        self.sockets.remove(connection.0);
    }

    /// Asks the meter's DNS for the addresses of a name.
    ///
    /// # Errors
    /// Where there is no address yet or the meter is no DNS server; also where the name is none.
    pub fn ask(&mut self, name: &str) -> Result<Question, NotThere> {
        if self
            .lease
            .as_ref()
            .is_none_or(|it| it.dns_servers.is_empty())
        {
            return Err(NotThere);
        }
        self.sockets
            .get_mut::<dns::Socket<'_>>(self.dns)
            .start_query(self.interface.context(), name, DnsQueryType::A)
            .map(Question)
            .map_err(|_| NotThere)
    }

    /// Returns how far a question has come; the question again while it waits.
    pub fn answer(&mut self, question: Question) -> (Progress, Option<Question>) {
        let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        match dns.get_query_result(question.0) {
            Err(dns::GetQueryResultError::Pending) => (Progress::Waiting, Some(question)),
            Err(dns::GetQueryResultError::Failed) => (Progress::Failed, None),
            Ok(addresses) => (Progress::Answered(addresses.to_vec()), None),
        }
    }

    /// Joins the connections that a port of this computer takes to a port of the meter, from now on at each
    /// [`Self::poll`].
    ///
    /// They wait until the meter has given an address; at most 16 are open at once, more wait.
    ///
    /// # Errors
    /// When the listener cannot be asked without waiting.
    pub fn forward(&mut self, listener: TcpListener, port: u16) -> std::io::Result<()> {
        self.forwards.push(Forward::new(listener, port)?);
        Ok(())
    }

    /// Returns how many connections of this computer are open to the meter.
    #[must_use]
    pub fn forwarded(&self) -> usize {
        self.forwards.iter().map(Forward::open).sum()
    }

    /// Returns the host's clock in µs; it goes on when the meter is switched on again.
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    fn take_lease(&mut self) {
        let Some(event) = self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll() else {
            return;
        };
        let lease = match event {
            dhcpv4::Event::Deconfigured => None,
            dhcpv4::Event::Configured(config) => Some(Lease {
                address: config.address,
                server: config.server.address,
                router: config.router,
                dns_servers: config.dns_servers.to_vec(),
            }),
        };
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(lease) = &lease {
                // There is room: it was just emptied.
                let _ = addresses.push(IpCidr::Ipv4(lease.address));
            }
        });
        self.interface.routes_mut().remove_default_ipv4_route();
        if let Some(router) = lease.as_ref().and_then(|lease| lease.router) {
            let _ = self.interface.routes_mut().add_default_ipv4_route(router);
        }
        let servers: Vec<IpAddress> = lease
            .iter()
            .flat_map(|lease| lease.dns_servers.iter().map(|server| (*server).into()))
            // As many as a question goes to.
            .take(1)
            .collect();
        self.sockets
            .get_mut::<dns::Socket<'_>>(self.dns)
            .update_servers(&servers);
        self.lease = lease;
    }
}

#[cfg(test)]
pub(super) mod meter;
#[cfg(test)]
mod tests;
