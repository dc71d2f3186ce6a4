//! Gives addresses to whoever joins the access point.

use core::net::Ipv4Addr;

use edge_dhcp::{
    Options, Packet,
    server::{Server, ServerOptions},
};
use embassy_net::{
    IpEndpoint, Stack,
    udp::{PacketMetadata, UdpSocket},
};
use embassy_time::{Instant, Timer};
use static_cell::ConstStaticCell;

use crate::network::ADDRESS;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Stations that keep their address for two hours: more than a collector and a few phones never come.
const LEASES: usize = 16;
/// Messages are shorter; a longer one is not answered.
const MESSAGE_BYTES: usize = 1_024;
const MESSAGES: usize = 2;
const PAUSE_MS: u64 = 500;
/// The meter's page, for phones that ask for it.
const PAGE: &str = "http://192.168.4.1/";

struct Buffers {
    received: [u8; MESSAGES * MESSAGE_BYTES],
    sent: [u8; MESSAGES * MESSAGE_BYTES],
    message: [u8; MESSAGE_BYTES],
    reply: [u8; MESSAGE_BYTES],
}

static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers {
    received: [0; MESSAGES * MESSAGE_BYTES],
    sent: [0; MESSAGES * MESSAGE_BYTES],
    message: [0; MESSAGE_BYTES],
    reply: [0; MESSAGE_BYTES],
});

/// Serves for good.
#[embassy_executor::task]
pub async fn serve(stack: Stack<'static>) -> ! {
    let Buffers {
        received,
        sent,
        message,
        reply,
    } = BUFFERS.take();
    let (mut received_about, mut sent_about) = (
        [PacketMetadata::EMPTY; MESSAGES],
        [PacketMetadata::EMPTY; MESSAGES],
    );
    let mut socket = UdpSocket::new(stack, &mut received_about, received, &mut sent_about, sent);
    while socket.bind(SERVER_PORT).is_err() {
        Timer::after_millis(PAUSE_MS).await;
    }
    let mut server = Server::<_, LEASES>::new(|| Instant::now().as_secs(), ADDRESS);
    loop {
        let Ok((length, _)) = socket.recv_from(message).await else {
            continue;
        };
        if let Some((reply, to)) = answer(&mut server, &message[..length], reply) {
            // A message that is lost is asked for again.
            let _ = socket.send_to(reply, to).await;
        }
    }
}

/// Returns what a message is answered with, and to whom that goes.
fn answer<'a>(
    server: &mut Server<impl FnMut() -> u64, LEASES>,
    message: &[u8],
    reply: &'a mut [u8],
) -> Option<(&'a [u8], IpEndpoint)> {
    let request = Packet::decode(message).ok()?;
    let (mut gateway, dns) = ([Ipv4Addr::UNSPECIFIED], [ADDRESS]);
    let mut options = ServerOptions::new(ADDRESS, Some(&mut gateway));
    options.dns = &dns;
    options.captive_url = Some(PAGE);
    let mut room = Options::buf();
    let packet = server.handle_request(&mut room, &options, &request)?;
    // A station that has its address already hears what is sent there; any other one hears only what goes to all.
    let to = if request.ciaddr.is_unspecified() || request.broadcast {
        Ipv4Addr::BROADCAST
    } else {
        request.ciaddr
    };
    let reply = packet.encode(reply).ok()?;
    Some((reply, IpEndpoint::new(to.into(), CLIENT_PORT)))
}
