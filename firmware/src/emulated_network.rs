//! Driver of the emulator's network card, in place of Wi-Fi (feature `emulated-network`).
//!
//! No chip has this card: it is of the emulator's own design, at addresses where no peripheral of the ESP32-C3 lies.
//! Ethernet frames go in and out whole, by one write to a register each:
//!
//! | offset | register | |
//! |---|---|---|
//! | 0x00 | ID (r) | 0x4f464e43 |
//! | 0x04, 0x08 | MAC_LOW, MAC_HIGH (r) | the address, first byte lowest |
//! | 0x0c | STATUS (r) | bit 0: link up; bit 1: a frame waits |
//! | 0x10 | RX_LENGTH (r) | bytes of the waiting frame, 0 if none |
//! | 0x14 | RX_ADDRESS (w) | the card copies the waiting frame there and drops it |
//! | 0x18 | TX_ADDRESS (w) | where the next frame to be sent lies |
//! | 0x1c | TX_LENGTH (w) | 14 to 1514; the card takes the frame at once |
//!
//! The card has no interrupt. While nothing waits, the driver has the network task woken after 1 ms.

use core::{
    future::Future as _,
    pin::Pin,
    ptr,
    sync::atomic::{Ordering, compiler_fence},
    task::Context,
};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time::Timer;

const BASE: usize = 0x600d_0000;
const ID: usize = 0x00;
const MAC_LOW: usize = 0x04;
const MAC_HIGH: usize = 0x08;
const STATUS: usize = 0x0c;
const RX_LENGTH: usize = 0x10;
const RX_ADDRESS: usize = 0x14;
const TX_ADDRESS: usize = 0x18;
const TX_LENGTH: usize = 0x1c;

const IDENTITY: u32 = 0x4f46_4e43;
const LINK_UP: u32 = 1 << 0;
const FRAME_WAITS: u32 = 1 << 1;

/// Ethernet header and 1,500 bytes.
const FRAME_BYTES_MAX: usize = 1514;
const FRAME_BYTES_MIN: usize = 14;
/// Time between two looks at the card while nothing waits.
const POLL_MS: u64 = 1;

/// The card, with room for one frame each way. It is about 3 KB large, so it belongs in a static.
pub struct EmulatedNetwork {
    mac: [u8; 6],
    received: [u8; FRAME_BYTES_MAX],
    sent: [u8; FRAME_BYTES_MAX],
}

impl EmulatedNetwork {
    /// Returns the driver, or `None` where there is no card: this is not the emulator.
    ///
    /// There may be one driver only.
    #[must_use]
    pub fn new() -> Option<Self> {
        if read(ID) != IDENTITY {
            return None;
        }
        let ([a, b, c, d], [e, f, ..]) =
            (read(MAC_LOW).to_le_bytes(), read(MAC_HIGH).to_le_bytes());
        Some(Self {
            mac: [a, b, c, d, e, f],
            received: [0; FRAME_BYTES_MAX],
            sent: [0; FRAME_BYTES_MAX],
        })
    }
}

impl Driver for EmulatedNetwork {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        if read(STATUS) & FRAME_WAITS == 0 {
            wake_soon(context);
            return None;
        }
        let length = (read(RX_LENGTH) as usize).min(FRAME_BYTES_MAX);
        write(RX_ADDRESS, address(self.received.as_mut_ptr()));
        // The card has written behind the compiler's back.
        compiler_fence(Ordering::SeqCst);
        Some((Received(&mut self.received[..length]), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _context: &mut Context<'_>) -> Option<Room<'_>> {
        Some(Room(&mut self.sent))
    }

    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        if read(STATUS) & LINK_UP != 0 {
            LinkState::Up
        } else {
            wake_soon(context);
            LinkState::Down
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}

/// A received frame.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to be sent.
pub struct Room<'a>(&'a mut [u8; FRAME_BYTES_MAX]);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        // The network stack asks for no more than the capabilities say.
        let length = length.min(FRAME_BYTES_MAX);
        let result = f(&mut self.0[..length]);
        if length >= FRAME_BYTES_MIN {
            // The frame must lie in memory before the card takes it.
            compiler_fence(Ordering::SeqCst);
            write(TX_ADDRESS, address(self.0.as_mut_ptr()));
            write(TX_LENGTH, length as u32);
        }
        result
    }
}

/// Has the task woken after 1 ms.
fn wake_soon(context: &mut Context<'_>) {
    // Only the first poll is wanted: it gives the task's waker to the timer queue, which keeps it.
    let _ = Pin::new(&mut Timer::after_millis(POLL_MS)).poll(context);
}

/// Returns where a buffer lies, for the card, which then reads or writes it.
fn address(buffer: *mut u8) -> u32 {
    buffer.expose_provenance() as u32
}

fn read(register: usize) -> u32 {
    // SAFETY: on the ESP32-C3 there is nothing but registers at these addresses, and reading where there is no card gives
    // some number and has no effect. The reads are aligned.
    unsafe { ptr::with_exposed_provenance::<u32>(BASE + register).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: only a driver writes, and there is none without the card (`EmulatedNetwork::new`). The card touches memory
    // only within the write, and only a buffer that the driver holds by `&mut` and whose address it has just given: one
    // of `FRAME_BYTES_MAX` bytes, and no frame is longer.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(BASE + register).write_volatile(value) }
}
