//! SPI1 and SPI0: the flash chip behind its command controller.
//!
//! The chip is a [`Nor`] and a copy of its bytes that the cache reads. A program or erase makes the chip busy for the
//! time that the flash's latency gives; meanwhile it answers only to reads of its status. Lines and modes are counted in
//! the time of a transfer and change nothing else.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use nor_model::{Latency, Nor, PAGE_BYTES, SECTOR_BYTES};

use super::{CLOCK_HZ, words::Words};

const COMMAND: u32 = 0x00;
const ADDRESS: u32 = 0x04;
const CONTROL: u32 = 0x08;
const USER: u32 = 0x18;
const USER_1: u32 = 0x1c;
const USER_2: u32 = 0x20;
const OUT_BITS: u32 = 0x24;
const IN_BITS: u32 = 0x28;
const STATUS: u32 = 0x2c;
const DATA: u32 = 0x58;

/// Winbond's W25Q32: 4 MB.
const IDENTITY: [u8; 3] = [0xef, 0x40, 0x16];
const WRITE_ENABLED: u8 = 1 << 1;
const BUSY: u8 = 1;
/// Bits that a controller sends in a cycle of 160 MHz: one line at 80 MHz.
const CYCLES_PER_BIT: u64 = 2;

/// What changed on the flash: from one byte to before another.
pub(crate) type Changed = std::ops::Range<u32>;

#[derive(Debug)]
pub(crate) struct Flash {
    nor: Nor,
    /// What lies on it.
    bytes: Vec<u8>,
    latency: Latency,
    words: Words,
    status: u8,
    status_2: u8,
    /// Until when the chip programs or erases.
    busy_until: u64,
    /// Until when the controller transfers.
    transfer_until: u64,
}

impl Flash {
    pub(crate) fn new(nor: Nor, latency: Latency) -> Self {
        Self {
            bytes: nor.bytes(),
            nor,
            latency,
            words: Self::registers(),
            status: 0,
            status_2: 0,
            busy_until: 0,
            transfer_until: 0,
        }
    }

    fn registers() -> Words {
        Words::new(&[
            (CONTROL, 0x002c_a000),
            (0x14, 0x0003_0103),
            (USER, 0x8000_0000),
            (USER_1, 0x5c00_0007),
            (USER_2, 0x7000_0000),
        ])
    }

    /// Makes the controller as after a reset; the chip goes on with what it does.
    pub(crate) fn reset(&mut self) {
        self.words = Self::registers();
        self.transfer_until = 0;
    }

    /// Takes the chip's power and gives it back; virtual time may begin anew.
    pub(crate) fn power_on(&mut self) {
        self.nor.power_on();
        self.bytes = self.nor.bytes();
        (self.status, self.status_2) = (0, 0);
        (self.busy_until, self.transfer_until) = (0, 0);
        self.reset();
    }

    pub(crate) fn nor(&self) -> &Nor {
        &self.nor
    }

    /// Lends the chip; [`resync`](Self::resync) must follow where bytes may have changed.
    pub(crate) fn nor_mut(&mut self) -> &mut Nor {
        &mut self.nor
    }

    pub(crate) fn into_nor(self) -> Nor {
        self.nor
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_powered(&self) -> bool {
        self.nor.is_powered()
    }

    pub(crate) fn is_busy(&self, now: u64) -> bool {
        now < self.busy_until
    }

    pub(crate) fn next_event(&self, now: u64) -> Option<u64> {
        self.is_busy(now).then_some(self.busy_until)
    }

    pub(crate) fn read(&self, offset: u32, now: u64) -> u32 {
        match offset {
            // The command's bit stays while it runs.
            COMMAND if now < self.transfer_until => self.words.get(COMMAND),
            COMMAND => 0,
            _ => self.words.get(offset),
        }
    }

    /// Writes a register of SPI1; returns what changed on the flash.
    pub(crate) fn write(&mut self, offset: u32, value: u32, now: u64) -> Option<Changed> {
        self.words.set(offset, value);
        if offset != COMMAND || value == 0 {
            return None;
        }
        let (bits, changed) = if value & 1 << 18 != 0 {
            self.user_command(now)
        } else {
            self.fixed_command(value, now)
        };
        self.transfer_until = now + bits * CYCLES_PER_BIT;
        changed
    }

    /// Does one of the commands that have a bit of their own; returns the bits transferred.
    fn fixed_command(&mut self, command: u32, now: u64) -> (u64, Option<Changed>) {
        let address = self.words.get(ADDRESS);
        let place = address & 0x00ff_ffff;
        match 31 - (command & 0xfff0_0000).leading_zeros().min(31) {
            30 => self.set_write_enabled(true, now),
            29 => self.set_write_enabled(false, now),
            28 => {
                let [a, b, c] = IDENTITY;
                self.words.set(DATA, u32::from_le_bytes([a, b, c, 0]));
                return (32, None);
            }
            27 => {
                let status = self.status(now);
                self.words.set(STATUS, status.into());
                return (16, None);
            }
            26 => {
                self.write_status(self.words.get(STATUS) as u16, 2, now);
                return (24, None);
            }
            25 => {
                let length = address >> 24;
                return (32 + 8 * u64::from(length), self.program(place, length, now));
            }
            24 => return (32, self.erase(place, SECTOR_BYTES as u32, now)),
            23 => return (32, self.erase(place, 0x1_0000, now)),
            22 => return (8, self.erase(0, self.bytes.len() as u32, now)),
            // Deep power down, release from it, high performance: nothing to do.
            _ => {}
        }
        (8, None)
    }

    /// Does what the user registers describe; returns the bits transferred, as if on one line.
    fn user_command(&mut self, now: u64) -> (u64, Option<Changed>) {
        let user = self.words.get(USER);
        let user_1 = self.words.get(USER_1);
        let user_2 = self.words.get(USER_2);
        let has = |bit: u32| user >> bit & 1 != 0;
        let count = |offset: u32| (self.words.get(offset) & 0x3ff) + 1;
        let (has_command, has_address, has_dummy) = (has(31), has(30), has(29));
        let in_bytes = if has(28) {
            count(IN_BITS).div_ceil(8)
        } else {
            0
        };
        let out_bytes = if has(27) {
            count(OUT_BITS).div_ceil(8)
        } else {
            0
        };
        let address_bits = if has_address { (user_1 >> 26) + 1 } else { 0 };
        // A longer address has mode bits behind it.
        let place = self.words.get(ADDRESS) >> address_bits.saturating_sub(24) & 0x00ff_ffff;
        let command = if has_command { user_2 as u8 } else { 0 };
        let mut changed = None;
        match command {
            0x06 => self.set_write_enabled(true, now),
            0x04 => self.set_write_enabled(false, now),
            0x05 => self.answer(&[self.status(now)]),
            0x35 => self.answer(&[self.status_2]),
            0x15 => self.answer(&[0]),
            0x9f => self.answer(&IDENTITY),
            0xab => self.answer(&[IDENTITY[2] - 1]),
            0x90 => self.answer(&[IDENTITY[0], IDENTITY[2] - 1]),
            0x4b => self.answer(&[0; 8]),
            0x5a => self.answer(&[0xff; 64]),
            0x01 => self.write_status(self.words.get(DATA) as u16, out_bytes, now),
            0x31 => self.write_status(
                (self.words.get(DATA) << 8) as u16 | u16::from(self.status),
                2,
                now,
            ),
            0x02 | 0x32 => changed = self.program(place, out_bytes, now),
            0x20 => changed = self.erase(place, SECTOR_BYTES as u32, now),
            0x52 => changed = self.erase(place, 0x8000, now),
            0xd8 => changed = self.erase(place, 0x1_0000, now),
            0x60 | 0xc7 => changed = self.erase(0, self.bytes.len() as u32, now),
            0x03 | 0x0b | 0x3b | 0x6b | 0xbb | 0xeb if !self.is_busy(now) => {
                let at = place as usize % self.bytes.len();
                let end = (at + in_bytes as usize).min(self.bytes.len());
                let bytes = self.bytes[at..end].to_vec();
                self.answer(&bytes);
            }
            _ => {}
        }
        let control = self.words.get(CONTROL);
        let lines = match command {
            // Quad and dual reads, by the controller's mode bits.
            0x6b | 0xeb => 4,
            0x3b | 0xbb => 2,
            _ if control & (1 << 20 | 1 << 24) != 0 => 4,
            _ if control & (1 << 14 | 1 << 23) != 0 => 2,
            _ => 1,
        };
        let dummy = if has_dummy { user_1 & 0x3f } else { 0 };
        let bits = 8 + address_bits + dummy + 8 * (in_bytes + out_bytes) / lines;
        (bits.into(), changed)
    }

    /// Puts bytes into the data registers.
    fn answer(&mut self, bytes: &[u8]) {
        for (offset, chunk) in (DATA..DATA + 64).step_by(4).zip(bytes.chunks(4)) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words.set(offset, u32::from_le_bytes(word));
        }
    }

    fn status(&self, now: u64) -> u8 {
        self.status | if self.is_busy(now) { BUSY } else { 0 }
    }

    fn set_write_enabled(&mut self, enabled: bool, now: u64) {
        if !self.is_busy(now) {
            self.status = self.status & !WRITE_ENABLED | if enabled { WRITE_ENABLED } else { 0 };
        }
    }

    fn write_status(&mut self, value: u16, bytes: u32, now: u64) {
        if self.is_busy(now) || self.status & WRITE_ENABLED == 0 {
            return;
        }
        let [low, high] = value.to_le_bytes();
        self.status = low & !(WRITE_ENABLED | BUSY);
        if bytes > 1 {
            self.status_2 = high;
        }
    }

    /// Tells whether the chip begins a program or erase; that takes the permission.
    fn begins(&mut self, now: u64) -> bool {
        let begins = !self.is_busy(now) && self.status & WRITE_ENABLED != 0;
        if begins {
            self.status &= !WRITE_ENABLED;
        }
        begins
    }

    fn program(&mut self, place: u32, length: u32, now: u64) -> Option<Changed> {
        if length == 0 || !self.begins(now) {
            return None;
        }
        let mut data = Vec::with_capacity(64);
        for offset in (DATA..DATA + 64).step_by(4) {
            data.extend(self.words.get(offset).to_le_bytes());
        }
        data.truncate(length as usize);
        // What goes beyond a page begins at its start again. A byte of all ones programs nothing.
        let page = (place as usize % self.bytes.len()) & !(PAGE_BYTES - 1);
        let mut bytes = [0xff; PAGE_BYTES];
        for (at, byte) in (place as usize..).zip(&data) {
            bytes[at % PAGE_BYTES] &= byte;
        }
        let first = bytes.iter().position(|byte| *byte != 0xff).unwrap_or(0) & !3;
        let last = bytes.iter().rposition(|byte| *byte != 0xff).unwrap_or(3);
        let end = (last / 4 + 1) * 4;
        self.busy_until = now + cycles(self.latency.program_ns(data.len()));
        // The chip tells nobody that it failed; a cut shows in its power.
        let _ = self.nor.write((page + first) as u32, &bytes[first..end]);
        Some(self.refresh(page + first, page + end))
    }

    fn erase(&mut self, place: u32, length: u32, now: u64) -> Option<Changed> {
        if !self.begins(now) {
            return None;
        }
        let capacity = self.bytes.len() as u32;
        let from = (place % capacity) & !(length - 1);
        let sectors = u64::from(length / SECTOR_BYTES as u32);
        self.busy_until = now + cycles(self.latency.erase_sector_ns) * sectors;
        let _ = self.nor.erase(from, from + length);
        Some(self.refresh(from as usize, (from + length) as usize))
    }

    /// Copies what lies on the chip after it changed.
    fn refresh(&mut self, from: usize, end: usize) -> Changed {
        if self
            .nor
            .read(from as u32, &mut self.bytes[from..end])
            .is_err()
        {
            // Without power nothing can be read; nobody reads it either until power is back.
            self.bytes[from..end].fill(0xff);
        }
        from as u32..end as u32
    }
}

fn cycles(ns: u64) -> u64 {
    ns * (CLOCK_HZ / 1_000_000) / 1_000
}

#[cfg(test)]
mod tests;
