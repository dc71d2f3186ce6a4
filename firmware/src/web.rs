//! HTTP on port 80: the device API on as many connections as a meter serves side by side.

use device::http;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_time::Duration;
use static_cell::ConstStaticCell;

use crate::{hardware::Hardware, measuring::SharedMeter, slots::SharedSlots};

/// Where HTTP answers.
pub const PORT: u16 = 80;
/// An update comes in portions of this.
const RECEIVED_BYTES: usize = 2 * 1460;
/// Two segments, so that one can be on its way while the other is made.
const SENT_BYTES: usize = 2 * 1460;
/// A station that went away is asked whether it is there, and given up where it does not say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const GONE_AFTER: Duration = Duration::from_secs(45);

/// What one connection needs.
struct Buffers {
    received: [u8; RECEIVED_BYTES],
    sent: [u8; SENT_BYTES],
    http: [u8; http::HTTP_BUFFER_BYTES],
}

static BUFFERS: [ConstStaticCell<Buffers>; http::CONNECTIONS] = [const {
    ConstStaticCell::new(Buffers {
        received: [0; RECEIVED_BYTES],
        sent: [0; SENT_BYTES],
        http: [0; http::HTTP_BUFFER_BYTES],
    })
}; http::CONNECTIONS];

/// Serves one connection after the other, for good.
#[embassy_executor::task(pool_size = http::CONNECTIONS)]
pub async fn serve(
    connection: usize,
    stack: Stack<'static>,
    meter: SharedMeter,
    slots: SharedSlots,
    hardware: &'static Hardware,
    crowd: &'static http::Crowd,
) {
    let Some(buffers) = BUFFERS.get(connection).and_then(ConstStaticCell::try_take) else {
        return;
    };
    let api = http::Api {
        meter,
        slots,
        board: hardware,
        crowd,
    };
    loop {
        let mut socket = TcpSocket::new(stack, &mut buffers.received, &mut buffers.sent);
        if socket.accept(PORT).await.is_err() {
            continue;
        }
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(GONE_AFTER));
        api.serve(socket, &mut buffers.http).await;
    }
}
