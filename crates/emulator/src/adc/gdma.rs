//! The receiving side of the DMA controller: three channels, at 0x6003_F000.
//!
//! Only what peripherals send to memory is moved. The registers of the transmitting side keep what is written and do
//! nothing.

use super::descriptor::{Descriptor, Unusable};
use crate::memory::Bus;

/// The converter's number in IN_PERI_SEL.
pub const PERIPHERAL_ADC: u32 = 8;

const CHANNELS: usize = 3;
const CHANNELS_FROM: u32 = 0x70;
const CHANNEL_BYTES: u32 = 0xc0;
const INTERRUPT_BYTES: u32 = 0x10;
/// Registers of a channel from OUT_CONF0 on.
const OUT_FROM: u32 = 0x60;

const DONE: u32 = 1 << 0;
const SUC_EOF: u32 = 1 << 1;
const DSCR_ERR: u32 = 1 << 5;
const DSCR_EMPTY: u32 = 1 << 7;
const FIFO_OVERFLOW: u32 = 1 << 9;
const INTERRUPTS: u32 = 0x1fff;

const CONF0_RESET: u32 = 1 << 0;
const CONF1_CHECK_OWNER: u32 = 1 << 12;
const LINK_ADDRESS: u32 = 0xf_ffff;
const LINK_AUTO_RETURN: u32 = 1 << 20;
const LINK_STOP: u32 = 1 << 21;
const LINK_START: u32 = 1 << 22;
const LINK_RESTART: u32 = 1 << 23;
const LINK_PARK: u32 = 1 << 24;
/// What the 20 bits of IN_LINK lack: descriptors lie in internal memory.
const LINK_HIGH: u32 = 0x3fc0_0000;

/// The controller.
#[derive(Clone, Debug)]
pub struct Gdma {
    channels: [Channel; CHANNELS],
    miscellaneous: u32,
    lost: u64,
}

#[derive(Clone, Debug)]
struct Channel {
    raw: u32,
    enabled: u32,
    conf0: u32,
    conf1: u32,
    link: u32,
    priority: u32,
    peripheral: u32,
    suc_eof: u32,
    /// Addresses of the current descriptor and of the two before it.
    descriptors: [u32; 3],
    state: State,
    transmit: [u32; 13],
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Receiving(Descriptor),
    /// The descriptor at this address was the last.
    Ended(u32),
    Failed,
}

impl Default for Gdma {
    fn default() -> Self {
        Self::new()
    }
}

impl Gdma {
    /// Makes the controller as it is after a reset.
    #[must_use]
    pub fn new() -> Self {
        Self {
            channels: std::array::from_fn(|_| Channel::new()),
            miscellaneous: 0,
            lost: 0,
        }
    }

    /// Reads a register.
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        match place(offset) {
            Place::Interrupt(channel, register) => self.channels[channel].read_interrupt(register),
            Place::Channel(channel, register) => self.channels[channel].read(register),
            Place::Miscellaneous => self.miscellaneous,
            Place::Other => 0,
        }
    }

    /// Writes a register; a start reads the first descriptor from `memory`.
    pub fn write(&mut self, offset: u32, value: u32, memory: &mut impl Bus) {
        match place(offset) {
            Place::Interrupt(channel, register) => {
                self.channels[channel].write_interrupt(register, value);
            }
            Place::Channel(channel, register) => {
                self.channels[channel].write(register, value, memory);
            }
            Place::Miscellaneous => self.miscellaneous = value,
            Place::Other => (),
        }
    }

    /// Returns the interrupt lines of the three channels.
    #[must_use]
    pub fn interrupts(&self) -> [bool; CHANNELS] {
        std::array::from_fn(|index| {
            let channel = &self.channels[index];
            channel.raw & channel.enabled != 0
        })
    }

    /// Tells whether any channel may raise an interrupt.
    pub(super) fn interrupts_enabled(&self) -> bool {
        self.channels.iter().any(|channel| channel.enabled != 0)
    }

    /// Returns how many words a started channel had no room for.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Moves a word from a peripheral into the memory of each channel that is connected to it; `end` ends a frame.
    pub(super) fn receive(&mut self, peripheral: u32, word: u32, end: bool, memory: &mut impl Bus) {
        for channel in &mut self.channels {
            if channel.peripheral == peripheral && !channel.receive(word, end, memory) {
                self.lost += 1;
            }
        }
    }
}

enum Place {
    Interrupt(usize, u32),
    Channel(usize, u32),
    Miscellaneous,
    Other,
}

fn place(offset: u32) -> Place {
    let within = |base: u32, size: u32| {
        let index = offset.checked_sub(base)? / size;
        let register = (offset - base) % size;
        ((index as usize) < CHANNELS).then_some((index as usize, register))
    };
    if offset == 0x44 {
        Place::Miscellaneous
    } else if let Some((channel, register)) = within(0, INTERRUPT_BYTES) {
        Place::Interrupt(channel, register)
    } else if let Some((channel, register)) = within(CHANNELS_FROM, CHANNEL_BYTES) {
        Place::Channel(channel, register)
    } else {
        Place::Other
    }
}

impl Channel {
    fn new() -> Self {
        let mut transmit = [0; 13];
        // OUT_LINK is parked and OUT_PERI_SEL connected to nothing.
        (transmit[4], transmit[12]) = (1 << 23, 0x3f);
        Self {
            raw: 0,
            enabled: 0,
            conf0: 0,
            conf1: 0,
            link: LINK_AUTO_RETURN,
            priority: 0,
            peripheral: 0x3f,
            suc_eof: 0,
            descriptors: [0; 3],
            state: State::Idle,
            transmit,
        }
    }

    fn read_interrupt(&self, register: u32) -> u32 {
        match register {
            0x0 => self.raw,
            0x4 => self.raw & self.enabled,
            0x8 => self.enabled,
            _ => 0,
        }
    }

    fn write_interrupt(&mut self, register: u32, value: u32) {
        match register {
            0x8 => self.enabled = value & INTERRUPTS,
            0xc => self.raw &= !value,
            _ => (),
        }
    }

    fn read(&self, register: u32) -> u32 {
        match register {
            0x00 => self.conf0,
            0x04 => self.conf1,
            // As after a reset: there is no FIFO.
            0x08 => 0x0780_0003,
            0x0c => 0x0800,
            0x10 => {
                let parked = !matches!(self.state, State::Receiving(_));
                self.link | if parked { LINK_PARK } else { 0 }
            }
            0x14 => self.descriptors[0] & 0x3_ffff,
            0x18 => self.suc_eof,
            0x20 => self.descriptors[0],
            0x24 => self.descriptors[1],
            0x28 => self.descriptors[2],
            0x2c => self.priority,
            0x30 => self.peripheral,
            _ => *self.transmit.get(transmit_index(register)).unwrap_or(&0),
        }
    }

    fn write(&mut self, register: u32, value: u32, memory: &mut impl Bus) {
        match register {
            0x00 => {
                self.conf0 = value;
                if value & CONF0_RESET != 0 {
                    self.state = State::Idle;
                }
            }
            0x04 => self.conf1 = value,
            0x10 => self.write_link(value, memory),
            0x2c => self.priority = value & 0xf,
            0x30 => self.peripheral = value & 0x3f,
            _ => {
                if let Some(kept) = self.transmit.get_mut(transmit_index(register)) {
                    *kept = value;
                }
            }
        }
    }

    fn write_link(&mut self, value: u32, memory: &mut impl Bus) {
        self.link = value & (LINK_ADDRESS | LINK_AUTO_RETURN);
        if value & LINK_STOP != 0 {
            self.state = State::Idle;
        }
        if self.conf0 & CONF0_RESET != 0 {
            return;
        }
        if value & LINK_START != 0 {
            self.go_to(LINK_HIGH | value & LINK_ADDRESS, memory);
        }
        if value & LINK_RESTART != 0 {
            self.restart(memory);
        }
    }

    /// Looks for descriptors that were put behind what was the last one.
    fn restart(&mut self, memory: &mut impl Bus) {
        let address = match self.state {
            State::Receiving(descriptor) => descriptor.address,
            State::Ended(last) => last,
            State::Idle | State::Failed => return,
        };
        match (Descriptor::next_of(address, memory), &mut self.state) {
            (Ok(next), State::Receiving(descriptor)) => descriptor.next = next,
            (Ok(0), _) => (),
            (Ok(next), _) => self.go_to(next, memory),
            (Err(Unusable), _) => self.fail(),
        }
    }

    fn go_to(&mut self, address: u32, memory: &mut impl Bus) {
        let [current, before, _] = self.descriptors;
        self.descriptors = [address, current, before];
        let check_owner = self.conf1 & CONF1_CHECK_OWNER != 0;
        match Descriptor::load(address, check_owner, memory) {
            Ok(descriptor) => self.state = State::Receiving(descriptor),
            Err(Unusable) => self.fail(),
        }
    }

    fn fail(&mut self) {
        self.raw |= DSCR_ERR;
        self.state = State::Failed;
    }

    /// Tells whether the word found room, or the channel is not started and wants none.
    fn receive(&mut self, word: u32, end: bool, memory: &mut impl Bus) -> bool {
        let bytes = word.to_le_bytes();
        for (index, byte) in bytes.into_iter().enumerate() {
            let State::Receiving(mut descriptor) = self.state else {
                return self.refuse();
            };
            if descriptor.push(byte, memory).is_err() {
                self.fail();
                return false;
            }
            self.state = State::Receiving(descriptor);
            let ends = end && index + 1 == bytes.len();
            if ends || descriptor.is_full() {
                self.finish(descriptor, ends, memory);
            }
        }
        true
    }

    fn refuse(&mut self) -> bool {
        self.raw |= match self.state {
            State::Ended(_) => DSCR_EMPTY | FIFO_OVERFLOW,
            State::Failed => FIFO_OVERFLOW,
            State::Idle | State::Receiving(_) => 0,
        };
        matches!(self.state, State::Idle)
    }

    fn finish(&mut self, descriptor: Descriptor, end: bool, memory: &mut impl Bus) {
        if descriptor.give_back(end, memory).is_err() {
            return self.fail();
        }
        self.raw |= DONE;
        if end {
            self.raw |= SUC_EOF;
            self.suc_eof = descriptor.address;
        }
        if descriptor.next == 0 {
            self.state = State::Ended(descriptor.address);
        } else {
            self.go_to(descriptor.next, memory);
        }
    }
}

fn transmit_index(register: u32) -> usize {
    register
        .checked_sub(OUT_FROM)
        .map_or(usize::MAX, |offset| offset as usize / 4)
}

#[cfg(test)]
mod tests;
