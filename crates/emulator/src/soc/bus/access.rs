//! Loads, stores and fetches: memory at once, everything else by its address.

use super::{
    CHUNK, FAST, FAST_BYTES, FLASH_BYTES, FLASH_CODE, FLASH_DATA, PERIPHERALS, RAM_BYTES, RAM_CODE,
    RAM_DATA, Soc, UNREADABLE,
};
use crate::{
    memory::{Bus, BusFault},
    soc::{cache::PAGE_SHIFT, rom},
};

impl Soc {
    /// Returns bytes of ROM, flash or RTC memory, which are read less often than memory.
    fn elsewhere(&mut self, address: u32, length: usize) -> Option<&[u8]> {
        let within = |base: u32, bytes: u32| {
            let offset = address.wrapping_sub(base);
            (offset < bytes).then_some(offset as usize)
        };
        if let Some(offset) = within(FAST, FAST_BYTES as u32) {
            return self.fast.get(offset..offset + length);
        }
        if let Some(offset) = within(0x4000_0000, rom::BYTES as u32) {
            return self.rom.get(offset..offset + length);
        }
        if let Some(offset) = within(rom::DATA_BASE, rom::DATA_BYTES) {
            let offset = offset + rom::DATA_OFFSET as usize;
            return self.rom.get(offset..offset + length);
        }
        let offset = within(FLASH_DATA, FLASH_BYTES).or_else(|| within(FLASH_CODE, FLASH_BYTES))?;
        let place = self.readable[offset >> PAGE_SHIFT];
        if place == UNREADABLE {
            self.note_busy(address);
            return None;
        }
        let at = place as usize + (offset & 0xffff);
        self.flash.bytes().get(at..at + length)
    }

    #[inline(always)]
    fn load<const N: usize>(&mut self, address: u32) -> Result<[u8; N], BusFault> {
        let data = address.wrapping_sub(RAM_DATA) as usize;
        let bytes = self.ram.get(data..data.wrapping_add(N));
        if let Some(bytes) = bytes.and_then(|bytes| bytes.first_chunk()) {
            return Ok(*bytes);
        }
        self.load_elsewhere(address)
    }

    #[inline(never)]
    fn load_elsewhere<const N: usize>(&mut self, address: u32) -> Result<[u8; N], BusFault> {
        if PERIPHERALS.contains(&address) {
            let word = self.read_register(address & !3)?.to_le_bytes();
            let from = address as usize & 3;
            return word[from..].first_chunk().copied().ok_or(BusFault);
        }
        let code = address.wrapping_sub(RAM_CODE) as usize;
        if let Some(bytes) = self.ram.get(code..code.wrapping_add(N)) {
            return bytes.first_chunk().copied().ok_or(BusFault);
        }
        let bytes = self.elsewhere(address, N).ok_or(BusFault)?;
        bytes.first_chunk().copied().ok_or(BusFault)
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, address: u32, value: [u8; N]) -> Result<(), BusFault> {
        if self.watch.is_near(address) && self.watch.refuses(address, N) {
            return Err(BusFault);
        }
        let data = address.wrapping_sub(RAM_DATA) as usize;
        if let Some(place) = self.ram.get_mut(data..data.wrapping_add(N)) {
            place.copy_from_slice(&value);
            if self.has_code[data / CHUNK] {
                self.overwrite(data);
            }
            return Ok(());
        }
        self.store_elsewhere(address, value)
    }

    #[inline(never)]
    fn store_elsewhere<const N: usize>(
        &mut self,
        address: u32,
        value: [u8; N],
    ) -> Result<(), BusFault> {
        if PERIPHERALS.contains(&address) {
            let register = address & !3;
            if let Some(word) = value.first_chunk::<4>() {
                return self.write_register(register, u32::from_le_bytes(*word));
            }
            // A part of a register is written with the rest as it reads.
            let mut word = self.read_register(register)?.to_le_bytes();
            let from = address as usize & 3;
            word[from..from + N].copy_from_slice(&value);
            return self.write_register(register, u32::from_le_bytes(word));
        }
        let code = address.wrapping_sub(RAM_CODE) as usize;
        if let Some(place) = self.ram.get_mut(code..code.wrapping_add(N)) {
            place.copy_from_slice(&value);
            if self.has_code[code / CHUNK] {
                self.overwrite(code);
            }
            return Ok(());
        }
        let fast = address.wrapping_sub(FAST) as usize;
        let place = self
            .fast
            .get_mut(fast..fast.wrapping_add(N))
            .ok_or(BusFault)?;
        place.copy_from_slice(&value);
        self.stale.push((address, N as u32));
        self.deadline = 0;
        Ok(())
    }

    /// Says that instructions were decoded from memory that changed.
    #[cold]
    fn overwrite(&mut self, offset: usize) {
        let chunk = offset / CHUNK;
        self.has_code[chunk] = false;
        let address = RAM_CODE + (chunk * CHUNK) as u32;
        self.stale.push((address, CHUNK as u32));
        self.deadline = 0;
    }
}

impl Bus for Soc {
    /// The chip splits a misaligned access to memory; its stock bootloader relies on it.
    const TAKES_MISALIGNED: bool = true;

    #[inline(always)]
    fn load8(&mut self, address: u32) -> Result<u8, BusFault> {
        self.load(address).map(u8::from_le_bytes)
    }

    #[inline(always)]
    fn load16(&mut self, address: u32) -> Result<u16, BusFault> {
        self.load(address).map(u16::from_le_bytes)
    }

    #[inline(always)]
    fn load32(&mut self, address: u32) -> Result<u32, BusFault> {
        self.load(address).map(u32::from_le_bytes)
    }

    #[inline(always)]
    fn store8(&mut self, address: u32, value: u8) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    #[inline(always)]
    fn store16(&mut self, address: u32, value: u16) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    #[inline(always)]
    fn store32(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    fn fetch16(&mut self, address: u32) -> Result<u16, BusFault> {
        if PERIPHERALS.contains(&address) || address.wrapping_sub(RAM_DATA) < RAM_BYTES as u32 {
            return Err(BusFault);
        }
        self.load_elsewhere(address).map(u16::from_le_bytes)
    }
}
