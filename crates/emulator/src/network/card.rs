//! The card: a few registers, and Ethernet frames that go in and out of the chip's memory whole.
//!
//! | offset | register | |
//! |---|---|---|
//! | 0x00 | ID (r) | 0x4f464e43 |
//! | 0x04, 0x08 | MAC_LOW, MAC_HIGH (r) | the address, first byte lowest |
//! | 0x0c | STATUS (r) | bit 0: link up; bit 1: a received frame waits |
//! | 0x10 | RX_LENGTH (r) | bytes of the waiting frame, 0 if none |
//! | 0x14 | RX_ADDRESS (w) | the card copies the waiting frame to this address of memory and drops it |
//! | 0x18 | TX_ADDRESS (w) | where the frame to be sent lies |
//! | 0x1c | TX_LENGTH (w) | 14 to 1514: the card takes the frame from there, at once |
//!
//! Frames carry no checksum of their own and take no time. A write to RX_ADDRESS while nothing waits does nothing. A
//! frame that memory does not hold, or a length that no frame has, is a bus fault: on a real chip it would go unnoticed.

use std::collections::VecDeque;

use crate::memory::{Bus, BusFault};

/// Bytes of the longest frame: a header of 14 and 1,500 of content.
pub const FRAME_BYTES_MAX: usize = 1514;
/// Bytes of the shortest frame: a header.
pub const FRAME_BYTES_MIN: usize = 14;

const IDENTITY: u32 = 0x4f46_4e43;
/// Frames that wait for the firmware; more are dropped.
const RECEIVED_MAX: usize = 32;
/// Frames that wait for the other end of the wire; more are dropped, so that a forgotten wire costs little.
const SENT_MAX: usize = 256;

/// The card and the frames on its wire.
#[derive(Clone, Debug)]
pub struct Card {
    mac: [u8; 6],
    link_up: bool,
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    dropped: u64,
    transmit_address: u32,
}

impl Card {
    /// Makes a card with this address whose link is up.
    #[must_use]
    pub fn new(mac: [u8; 6]) -> Self {
        Self {
            mac,
            link_up: true,
            received: VecDeque::new(),
            sent: VecDeque::new(),
            dropped: 0,
            transmit_address: 0,
        }
    }

    /// Returns the card's address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Plugs the cable in or pulls it; frames on a pulled cable are dropped.
    pub fn set_link(&mut self, up: bool) {
        self.link_up = up;
    }

    /// Forgets all frames and registers, as a reset of the chip does; the link stays.
    pub fn reset(&mut self) {
        self.received.clear();
        self.sent.clear();
        self.transmit_address = 0;
    }

    /// Puts a frame on the wire to the firmware.
    ///
    /// It is dropped where the link is down, 32 frames wait already, or no frame has this length.
    pub fn deliver(&mut self, frame: &[u8]) {
        if self.link_up && self.received.len() < RECEIVED_MAX && is_frame(frame.len()) {
            self.received.push_back(frame.to_vec());
        } else {
            self.dropped += 1;
        }
    }

    /// Returns how many frames can be delivered before any are dropped.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.link_up {
            RECEIVED_MAX - self.received.len()
        } else {
            0
        }
    }

    /// Takes the oldest frame that the firmware has sent.
    pub fn take_sent(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// Returns how many frames were dropped, both ways together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Reads a register.
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        let [a, b, c, d, e, f] = self.mac;
        match offset {
            0x00 => IDENTITY,
            0x04 => u32::from_le_bytes([a, b, c, d]),
            0x08 => u32::from_le_bytes([e, f, 0, 0]),
            0x0c => u32::from(self.link_up) | u32::from(!self.received.is_empty()) << 1,
            0x10 => self.received.front().map_or(0, |frame| frame.len() as u32),
            0x18 => self.transmit_address,
            _ => 0,
        }
    }

    /// Writes a register; frames are copied from or to `memory` within the write.
    ///
    /// # Errors
    /// Where memory does not hold the frame or no frame has the length. A frame that was to be received is then lost.
    pub fn write(
        &mut self,
        offset: u32,
        value: u32,
        memory: &mut impl Bus,
    ) -> Result<(), BusFault> {
        match offset {
            0x14 => self.receive(value, memory),
            0x18 => {
                self.transmit_address = value;
                Ok(())
            }
            0x1c => self.transmit(value, memory),
            _ => Ok(()),
        }
    }

    fn receive(&mut self, address: u32, memory: &mut impl Bus) -> Result<(), BusFault> {
        let frame = self.received.pop_front().unwrap_or_default();
        for (index, byte) in (0..).zip(frame) {
            memory.store8(offset_from(address, index)?, byte)?;
        }
        Ok(())
    }

    fn transmit(&mut self, length: u32, memory: &mut impl Bus) -> Result<(), BusFault> {
        if !is_frame(length as usize) {
            return Err(BusFault);
        }
        let frame = (0..length)
            .map(|index| memory.load8(offset_from(self.transmit_address, index)?))
            .collect::<Result<Vec<_>, _>>()?;
        if self.link_up && self.sent.len() < SENT_MAX {
            self.sent.push_back(frame);
        } else {
            self.dropped += 1;
        }
        Ok(())
    }
}

fn is_frame(length: usize) -> bool {
    (FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&length)
}

fn offset_from(address: u32, index: u32) -> Result<u32, BusFault> {
    address.checked_add(index).ok_or(BusFault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Ram;

    const BASE: u32 = 0x3fc8_0000;
    const MAC: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

    fn frame(first: u8, length: usize) -> Vec<u8> {
        (0..length)
            .map(|index| first.wrapping_add(index as u8))
            .collect()
    }

    #[test]
    fn card_says_what_it_is() {
        let mut card = Card::new(MAC);
        assert_eq!(card.read(0x00), u32::from_be_bytes(*b"OFNC"));
        assert_eq!(
            (card.read(0x04), card.read(0x08)),
            (0x3322_1102, 0x0000_5544)
        );
        assert_eq!(card.read(0x0c), 1);
        card.set_link(false);
        assert_eq!(card.read(0x0c), 0);
    }

    #[test]
    fn received_frames_go_to_memory_in_order() {
        let mut memory = Ram::new(BASE, 4096);
        let mut card = Card::new(MAC);
        card.deliver(&frame(1, 60));
        card.deliver(&frame(7, 1514));
        assert_eq!((card.read(0x0c), card.read(0x10)), (3, 60));
        // Not aligned: the card copies bytes.
        card.write(0x14, BASE + 1, &mut memory).unwrap();
        assert_eq!(memory.bytes()[1..61], frame(1, 60));
        assert_eq!(memory.bytes()[61], 0);
        assert_eq!(card.read(0x10), 1514);
        card.write(0x14, BASE + 4096 - 1514, &mut memory).unwrap();
        assert_eq!(memory.bytes()[4096 - 1514..], frame(7, 1514));
        assert_eq!((card.read(0x0c), card.read(0x10)), (1, 0));
        let before = memory.bytes().to_vec();
        assert_eq!(card.write(0x14, BASE, &mut memory), Ok(()));
        assert_eq!(memory.bytes(), before);
    }

    #[test]
    fn sent_frames_are_taken_at_once() {
        let mut memory = Ram::new(BASE, 2048);
        let mut card = Card::new(MAC);
        for (index, byte) in (0..).zip(frame(9, 100)) {
            memory.store8(BASE + 3 + index, byte).unwrap();
        }
        card.write(0x18, BASE + 3, &mut memory).unwrap();
        card.write(0x1c, 100, &mut memory).unwrap();
        // What happens to memory afterwards does not matter.
        memory.store32(BASE + 4, 0).unwrap();
        assert_eq!(card.take_sent(), Some(frame(9, 100)));
        assert_eq!(card.take_sent(), None);
    }

    #[test]
    fn frame_outside_memory_is_a_fault() {
        let mut memory = Ram::new(BASE, 64);
        let mut card = Card::new(MAC);
        card.deliver(&frame(1, 60));
        assert_eq!(card.write(0x14, BASE + 5, &mut memory), Err(BusFault));
        card.write(0x18, BASE + 5, &mut memory).unwrap();
        assert_eq!(card.write(0x1c, 60, &mut memory), Err(BusFault));
        card.write(0x18, u32::MAX - 20, &mut memory).unwrap();
        assert_eq!(card.write(0x1c, 60, &mut memory), Err(BusFault));
        assert_eq!(card.take_sent(), None);
    }

    #[test]
    fn lengths_that_no_frame_has_are_refused() {
        let mut memory = Ram::new(BASE, 2048);
        let mut card = Card::new(MAC);
        card.write(0x18, BASE, &mut memory).unwrap();
        for (length, result) in [
            (13, Err(BusFault)),
            (14, Ok(())),
            (1514, Ok(())),
            (1515, Err(BusFault)),
            (0, Err(BusFault)),
        ] {
            assert_eq!(card.write(0x1c, length, &mut memory), result, "{length}");
        }
        card.deliver(&frame(0, 13));
        card.deliver(&frame(0, 1515));
        assert_eq!((card.read(0x0c), card.dropped()), (1, 2));
    }

    #[test]
    fn full_queue_drops_the_newest() {
        let mut memory = Ram::new(BASE, 64);
        let mut card = Card::new(MAC);
        for number in 0..40 {
            card.deliver(&frame(number, 14));
        }
        assert_eq!(card.dropped(), 8);
        for number in 0..32 {
            card.write(0x14, BASE, &mut memory).unwrap();
            assert_eq!(memory.bytes()[0], number);
        }
        assert_eq!(card.read(0x10), 0);
    }

    #[test]
    fn pulled_cable_and_reset_lose_frames() {
        let mut memory = Ram::new(BASE, 64);
        let mut card = Card::new(MAC);
        card.set_link(false);
        card.deliver(&frame(1, 14));
        card.write(0x18, BASE, &mut memory).unwrap();
        card.write(0x1c, 14, &mut memory).unwrap();
        assert_eq!((card.take_sent(), card.dropped()), (None, 2));
        card.set_link(true);
        card.deliver(&frame(1, 14));
        card.write(0x1c, 14, &mut memory).unwrap();
        card.reset();
        assert_eq!((card.read(0x0c), card.read(0x18)), (1, 0));
        assert_eq!(card.take_sent(), None);
    }
}
