//! The wire between card and host, as smoltcp's kind of device.

use std::collections::VecDeque;

use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use super::card::{Card, FRAME_BYTES_MAX};

/// Frames that wait for room in the card before the host is held back.
const WAITING_MAX: usize = 16;

/// Frames on their way.
#[derive(Debug, Default)]
pub(super) struct Wire {
    to_host: VecDeque<Vec<u8>>,
    to_card: VecDeque<Vec<u8>>,
}

impl Wire {
    /// Takes what the card has sent and gives it what it has room for; tells whether a frame moved.
    ///
    /// A wire would lose what the card has no room for. Here it waits, so that a slow firmware costs no virtual time.
    pub(super) fn exchange(&mut self, card: &mut Card) -> bool {
        let mut moved = false;
        while let Some(frame) = card.take_sent() {
            self.to_host.push_back(frame);
            moved = true;
        }
        while card.room() > 0
            && let Some(frame) = self.to_card.pop_front()
        {
            card.deliver(&frame);
            moved = true;
        }
        moved
    }

    /// Loses all frames.
    pub(super) fn clear(&mut self) {
        self.to_host.clear();
        self.to_card.clear();
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Room<'_>)> {
        let frame = self.to_host.pop_front()?;
        Some((Received(frame), Room(&mut self.to_card)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        (self.to_card.len() < WAITING_MAX).then_some(Room(&mut self.to_card))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }
}

pub(super) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Ram;

    #[test]
    fn frames_wait_for_room_in_the_card() {
        let (mut wire, mut card) = (Wire::default(), Card::new([2; 6]));
        let mut memory = Ram::new(0x100, 64);
        wire.to_card = (0..40).map(|number| vec![number; 14]).collect();
        assert!(wire.transmit(Instant::ZERO).is_none());
        assert!(wire.exchange(&mut card));
        assert!(!wire.exchange(&mut card));
        assert_eq!((wire.to_card.len(), card.dropped()), (8, 0));
        for number in 0..40 {
            card.write(0x14, 0x100, &mut memory).unwrap();
            assert_eq!(memory.bytes()[..14], [number; 14]);
            wire.exchange(&mut card);
        }
        assert_eq!((card.read(0x10), card.dropped()), (0, 0));
        assert!(wire.transmit(Instant::ZERO).is_some());
    }

    #[test]
    fn frames_of_a_meter_that_was_switched_off_are_lost() {
        let (mut wire, mut card) = (Wire::default(), Card::new([2; 6]));
        wire.to_card.push_back(vec![1; 14]);
        wire.to_host.push_back(vec![2; 14]);
        wire.clear();
        assert!(!wire.exchange(&mut card));
        assert!(wire.receive(Instant::ZERO).is_none());
    }
}
