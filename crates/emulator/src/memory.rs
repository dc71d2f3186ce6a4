//! What the processor reads and writes.

/// Nothing answers at an address, or not to this kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing answers at this address")]
pub struct BusFault;

/// Everything that has an address: memory and the registers of peripherals.
///
/// Unless [`TAKES_MISALIGNED`](Self::TAKES_MISALIGNED) says otherwise, the processor asks only for addresses that are
/// multiples of the access's size. Loads take `&mut self` because reading
/// a peripheral's register may change it.
pub trait Bus {
    /// Whether loads and stores may lie at any address; otherwise a misaligned one traps before the bus is asked.
    const TAKES_MISALIGNED: bool = false;

    /// Reads a byte.
    ///
    /// # Errors
    /// Where nothing answers.
    fn load8(&mut self, address: u32) -> Result<u8, BusFault>;

    /// Reads two bytes, the lower address being the lower half.
    ///
    /// # Errors
    /// Where nothing answers.
    fn load16(&mut self, address: u32) -> Result<u16, BusFault>;

    /// Reads four bytes, the lowest address being the lowest byte.
    ///
    /// # Errors
    /// Where nothing answers.
    fn load32(&mut self, address: u32) -> Result<u32, BusFault>;

    /// Writes a byte.
    ///
    /// # Errors
    /// Where nothing can be written; then nothing is.
    fn store8(&mut self, address: u32, value: u8) -> Result<(), BusFault>;

    /// Writes two bytes, the lower half to the lower address.
    ///
    /// # Errors
    /// Where nothing can be written; then nothing is.
    fn store16(&mut self, address: u32, value: u16) -> Result<(), BusFault>;

    /// Writes four bytes, the lowest byte to the lowest address.
    ///
    /// # Errors
    /// Where nothing can be written; then nothing is.
    fn store32(&mut self, address: u32, value: u32) -> Result<(), BusFault>;

    /// Reads two bytes of an instruction.
    ///
    /// # Errors
    /// Where nothing answers, or what answers cannot be executed.
    fn fetch16(&mut self, address: u32) -> Result<u16, BusFault> {
        self.load16(address)
    }
}

/// Memory that can be read, written and executed. It answers at any alignment.
#[derive(Clone, Debug)]
pub struct Ram {
    base: u32,
    bytes: Vec<u8>,
}

impl Ram {
    /// Makes zeroed memory at `base`, `length` bytes long.
    ///
    /// # Panics
    /// When it would end beyond the address space.
    #[must_use]
    pub fn new(base: u32, length: u32) -> Self {
        let end = u64::from(base) + u64::from(length);
        assert!(end <= 1 << 32, "memory ends within the address space");
        Self {
            base,
            bytes: vec![0; length as usize],
        }
    }

    /// Returns everything in it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline(always)]
    fn load<const N: usize>(&self, address: u32) -> Result<[u8; N], BusFault> {
        // An address below the base wraps to one beyond the end, because both together stay within 32 bits.
        let offset = address.wrapping_sub(self.base) as usize;
        let from = self.bytes.get(offset..).ok_or(BusFault)?;
        from.first_chunk().copied().ok_or(BusFault)
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, address: u32, value: [u8; N]) -> Result<(), BusFault> {
        let offset = address.wrapping_sub(self.base) as usize;
        let from = self.bytes.get_mut(offset..).ok_or(BusFault)?;
        *from.first_chunk_mut().ok_or(BusFault)? = value;
        Ok(())
    }
}

impl Bus for Ram {
    #[inline]
    fn load8(&mut self, address: u32) -> Result<u8, BusFault> {
        self.load(address).map(u8::from_le_bytes)
    }

    #[inline]
    fn load16(&mut self, address: u32) -> Result<u16, BusFault> {
        self.load(address).map(u16::from_le_bytes)
    }

    #[inline]
    fn load32(&mut self, address: u32) -> Result<u32, BusFault> {
        self.load(address).map(u32::from_le_bytes)
    }

    #[inline]
    fn store8(&mut self, address: u32, value: u8) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    #[inline]
    fn store16(&mut self, address: u32, value: u16) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }

    #[inline]
    fn store32(&mut self, address: u32, value: u32) -> Result<(), BusFault> {
        self.store(address, value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_little_endian_order() {
        let mut ram = Ram::new(0x100, 8);
        ram.store32(0x100, 0x1122_3344).unwrap();
        ram.store16(0x104, 0x5566).unwrap();
        ram.store8(0x106, 0x77).unwrap();
        assert_eq!(
            ram.bytes(),
            [0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x77, 0x00]
        );
        assert_eq!(ram.load32(0x100), Ok(0x1122_3344));
        assert_eq!(ram.load16(0x104), Ok(0x5566));
        assert_eq!(ram.load8(0x106), Ok(0x77));
    }

    #[test]
    fn nothing_answers_outside() {
        for (base, length) in [(0x100, 8), (0, 4), (0xffff_fff8, 8)] {
            let mut ram = Ram::new(base, length);
            let end = base.wrapping_add(length);
            for outside in [base.wrapping_sub(1), end, end.wrapping_add(1)] {
                assert_eq!(ram.load8(outside), Err(BusFault));
                assert_eq!(ram.store8(outside, 1), Err(BusFault));
            }
            // The first byte is inside, the last is not.
            assert_eq!(ram.load16(end.wrapping_sub(1)), Err(BusFault));
            assert_eq!(ram.store32(end.wrapping_sub(2), u32::MAX), Err(BusFault));
            assert!(ram.bytes().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    #[should_panic(expected = "memory ends within the address space")]
    fn memory_beyond_the_address_space_is_refused() {
        let _ = Ram::new(0xffff_fff8, 9);
    }
}
