//! A meter as the host sees one, for tests: DHCP, DNS and an echo, on a stack that drives the card by its registers.

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{tcp, udp},
    time::Instant,
    wire::{
        DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, IpAddress, IpCidr, Ipv4Address,
    },
};

use crate::{
    memory::{Bus as _, Ram},
    network::Card,
};

pub(crate) const ADDRESS: Ipv4Address = Ipv4Address::new(192, 168, 4, 1);
pub(crate) const CLIENT: Ipv4Address = Ipv4Address::new(192, 168, 4, 2);
const MAC: [u8; 6] = [0x02, 1, 2, 3, 4, 5];
const BASE: u32 = 0x3fc8_0000;

/// The meter's end of the card.
pub(crate) struct Port {
    pub(crate) card: Card,
    memory: Ram,
}

pub(crate) struct Meter {
    pub(crate) port: Port,
    interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    pub(crate) echoes: Vec<SocketHandle>,
}

impl Meter {
    /// With so many echoes at TCP port 80.
    pub(crate) fn new(echoes: usize) -> Self {
        let mut port = Port {
            card: Card::new(MAC),
            memory: Ram::new(BASE, 4096),
        };
        let config = Config::new(EthernetAddress(MAC).into());
        let mut interface = Interface::new(config, &mut port, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(ADDRESS.into(), 24)).unwrap();
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut bound = |port: u16| {
            let mut socket = udp::Socket::new(buffer(), buffer());
            socket.bind(port).unwrap();
            sockets.add(socket)
        };
        let (dhcp, dns) = (bound(67), bound(53));
        let stream = || tcp::SocketBuffer::new(vec![0; 2048]);
        let echoes = (0..echoes)
            .map(|_| sockets.add(tcp::Socket::new(stream(), stream())))
            .collect();
        Self {
            port,
            interface,
            sockets,
            dhcp,
            dns,
            echoes,
        }
    }

    pub(crate) fn poll(&mut self, now: u64) {
        let now = Instant::from_micros((now / 160) as i64);
        self.interface.poll(now, &mut self.port, &mut self.sockets);
        self.serve_address();
        self.serve_name();
        for echo in self.echoes.clone() {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(echo);
            match socket.state() {
                tcp::State::Closed => socket.listen(80).unwrap(),
                tcp::State::CloseWait if socket.recv_queue() == 0 => socket.close(),
                _ => {}
            }
            while socket.can_recv() && socket.can_send() {
                let room = socket.send_capacity() - socket.send_queue();
                let mut bytes = vec![0; room];
                let count = socket.recv_slice(&mut bytes).unwrap();
                assert_eq!(socket.send_slice(&bytes[..count]), Ok(count));
            }
        }
        self.interface.poll(now, &mut self.port, &mut self.sockets);
    }

    fn serve_address(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dhcp);
        let Ok((bytes, _)) = socket.recv() else {
            return;
        };
        let asked = DhcpPacket::new_checked(bytes).unwrap();
        let asked = DhcpRepr::parse(&asked).unwrap();
        let message_type = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            other => panic!("{other:?}"),
        };
        let answer = DhcpRepr {
            message_type,
            your_ip: CLIENT,
            server_ip: ADDRESS,
            router: Some(ADDRESS),
            subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
            server_identifier: Some(ADDRESS),
            dns_servers: Some([ADDRESS].into_iter().collect()),
            lease_duration: Some(7_200),
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            max_size: None,
            ..asked
        };
        let mut bytes = vec![0; answer.buffer_len()];
        answer
            .emit(&mut DhcpPacket::new_unchecked(&mut bytes))
            .unwrap();
        let to = (IpAddress::v4(255, 255, 255, 255), 68);
        socket.send_slice(&bytes, to).unwrap();
    }

    /// Every name is the meter's, as a captive portal says it.
    fn serve_name(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dns);
        let Ok((bytes, from)) = socket.recv() else {
            return;
        };
        let mut answer = bytes.to_vec();
        // An answer without error, of one record: the name asked for, an address, for 60 s.
        answer[2] |= 0x80;
        answer[7] = 1;
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ADDRESS.octets());
        socket.send_slice(&answer, from.endpoint).unwrap();
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Room<'_>)> {
        let length = self.card.read(0x10) as usize;
        assert_eq!(self.card.read(0x0c), 1 | u32::from(length > 0) << 1);
        if length == 0 {
            return None;
        }
        self.card.write(0x14, BASE, &mut self.memory).unwrap();
        let frame = self.memory.bytes()[..length].to_vec();
        Some((Received(frame), Room(self)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        Some(Room(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub(crate) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Room<'a>(&'a mut Port);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        let Port { card, memory } = self.0;
        for (index, byte) in (0..).zip(frame) {
            memory.store8(BASE + 2048 + index, byte).unwrap();
        }
        card.write(0x18, BASE + 2048, memory).unwrap();
        card.write(0x1c, length as u32, memory).unwrap();
        result
    }
}
