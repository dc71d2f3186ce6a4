//! UART0 and the USB serial port, as far as a console needs them. Bytes take no time.

use std::collections::VecDeque;

use super::{interrupts::source, words::Words};

/// UART0.
#[derive(Clone, Debug)]
pub(crate) struct Uart {
    words: Words,
    raw: u32,
    pub(crate) sent: Vec<u8>,
    pub(crate) received: VecDeque<u8>,
}

impl Uart {
    const FIFO: u32 = 0x00;
    const RAW: u32 = 0x04;
    const STATUS_MASKED: u32 = 0x08;
    const ENABLE: u32 = 0x0c;
    const CLEAR: u32 = 0x10;
    const STATUS: u32 = 0x1c;
    const ID: u32 = 0x80;
    /// The transmitter has room, and is done.
    const SENT: u32 = 1 << 1 | 1 << 14;
    /// Bytes wait, and no more have come for a while.
    const RECEIVED: u32 = 1 | 1 << 8;

    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[
                (0x14, 0x2b6),
                (0x20, 0x1000_001c),
                (0x24, 0x0000_c060),
                (0x60, 0x000a_0012),
                (0x78, 0x0370_1000),
                (0x7c, 0x0200_8270),
                (Self::ID, 0x4000_0500),
            ]),
            raw: Self::SENT,
            sent: Vec::new(),
            received: VecDeque::new(),
        }
    }

    /// Makes the registers as after a reset; what was sent stays.
    pub(crate) fn reset(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        *self = Self {
            sent,
            ..Self::new()
        };
    }

    pub(crate) fn read(&mut self, offset: u32) -> u32 {
        match offset {
            Self::FIFO => self.received.pop_front().unwrap_or(0).into(),
            Self::RAW => self.raw(),
            Self::STATUS_MASKED => self.raw() & self.words.get(Self::ENABLE),
            Self::STATUS => 0xe000_c000 | self.received.len().min(128) as u32,
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            Self::FIFO => {
                self.sent.push(value as u8);
                self.raw |= Self::SENT;
            }
            Self::CLEAR => self.raw &= !value,
            // Bit 31 asks to take the registers over, which is done at once.
            Self::ID => self.words.set(offset, value & !(1 << 31)),
            _ => self.words.set(offset, value),
        }
    }

    fn raw(&self) -> u32 {
        // There is always room to send.
        let received = if self.received.is_empty() {
            0
        } else {
            Self::RECEIVED
        };
        self.raw | 1 << 1 | received
    }

    pub(crate) fn sources(&self) -> u64 {
        u64::from(self.raw() & self.words.get(Self::ENABLE) != 0) << source::UART0
    }
}

/// USB_DEVICE: the serial port of the chip's own USB. No computer is plugged in, so that programs that look for one
/// choose the UART; what is sent nevertheless is kept.
#[derive(Clone, Debug)]
pub(crate) struct UsbSerial {
    words: Words,
    raw: u32,
    pub(crate) sent: Vec<u8>,
}

impl UsbSerial {
    const FIFO: u32 = 0x00;
    const CONFIG: u32 = 0x04;
    const RAW: u32 = 0x08;
    const STATUS: u32 = 0x0c;
    const ENABLE: u32 = 0x10;
    const CLEAR: u32 = 0x14;
    const EMPTY: u32 = 1 << 3;

    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[(0x18, 0x0000_4200), (0x80, 0x0200_7300)]),
            raw: Self::EMPTY,
            sent: Vec::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        *self = Self {
            sent,
            ..Self::new()
        };
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            Self::FIFO => 0,
            // There is room.
            Self::CONFIG => 1 << 1,
            Self::RAW => self.raw,
            Self::STATUS => self.raw & self.words.get(Self::ENABLE),
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            Self::FIFO => self.sent.push(value as u8),
            Self::CONFIG => self.raw |= Self::EMPTY,
            Self::CLEAR => self.raw &= !value,
            _ => self.words.set(offset, value),
        }
    }

    pub(crate) fn sources(&self) -> u64 {
        u64::from(self.read(Self::STATUS) != 0) << source::USB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uart_sends_at_once_and_interrupts_for_what_came() {
        let mut uart = Uart::new();
        uart.write(Uart::FIFO, u32::from(b'o'));
        uart.write(Uart::FIFO, u32::from(b'k'));
        assert_eq!(uart.sent, b"ok");
        uart.write(Uart::ENABLE, 1);
        assert_eq!(uart.sources(), 0);
        uart.received.push_back(7);
        assert_eq!(uart.sources(), 1 << source::UART0);
        assert_eq!(
            (uart.read(Uart::STATUS) & 0x3ff, uart.read(Uart::FIFO)),
            (1, 7)
        );
        assert_eq!(uart.sources(), 0);
    }

    #[test]
    fn usb_keeps_what_is_sent() {
        let mut usb = UsbSerial::new();
        assert_ne!(usb.read(UsbSerial::CONFIG) & 2, 0);
        usb.write(UsbSerial::FIFO, u32::from(b'x'));
        assert_eq!(usb.sent, b"x");
    }
}
