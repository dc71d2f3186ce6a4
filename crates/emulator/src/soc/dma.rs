//! What bus masters reach: internal memory, at its addresses on the data bus.

use super::bus::{CHUNK, RAM_BYTES, RAM_CODE, RAM_DATA};
use crate::memory::{Bus, BusFault};

/// Memory as the DMA and the network card have it, while they themselves are in use.
pub(crate) struct Internal<'a> {
    pub(crate) ram: &'a mut [u8; RAM_BYTES],
    pub(crate) has_code: &'a mut [bool; RAM_BYTES / CHUNK],
    /// Where instructions were decoded from memory that changed.
    pub(crate) stale: &'a mut Vec<(u32, u32)>,
    pub(crate) deadline: &'a mut u64,
}

impl Internal<'_> {
    fn load<const N: usize>(&self, address: u32) -> Result<[u8; N], BusFault> {
        let at = address.wrapping_sub(RAM_DATA) as usize;
        let bytes = self.ram.get(at..at.wrapping_add(N)).ok_or(BusFault)?;
        bytes.first_chunk().copied().ok_or(BusFault)
    }

    fn store<const N: usize>(&mut self, address: u32, value: [u8; N]) -> Result<(), BusFault> {
        let at = address.wrapping_sub(RAM_DATA) as usize;
        let place = self.ram.get_mut(at..at.wrapping_add(N)).ok_or(BusFault)?;
        place.copy_from_slice(&value);
        let chunk = at / CHUNK;
        if std::mem::take(&mut self.has_code[chunk]) {
            let address = RAM_CODE + (chunk * CHUNK) as u32;
            self.stale.push((address, CHUNK as u32));
            *self.deadline = 0;
        }
        Ok(())
    }
}

impl Bus for Internal<'_> {
    fn load8(&mut self, address: u32) -> Result<u8, BusFault> {
        self.load(address).map(u8::from_le_bytes)
    }

    fn load16(&mut self, address: u32) -> Result<u16, BusFault> {
        self.load(address).map(u16::from_le_bytes)
    }

    fn load32(&mut self, address: u32) -> Result<u32, BusFault> {
        self.load(address).map(u32::from_le_bytes)
    }

    fn store8(&mut self, address: u32, value: u8) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    fn store16(&mut self, address: u32, value: u16) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    fn store32(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }
}
