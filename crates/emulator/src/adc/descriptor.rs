//! A descriptor of the DMA: twelve bytes in memory that say where a buffer lies and whose it is.
//!
//! ```text
//! word 0   31 owner (1: DMA) │ 30 end of frame │ 23:12 length (bytes received) │ 11:0 size (bytes)
//! word 1   address of the buffer
//! word 2   address of the next descriptor, 0 after the last
//! ```

use crate::memory::{Bus, BusFault};

const OWNER_DMA: u32 = 1 << 31;
const END_OF_FRAME: u32 = 1 << 30;
const BYTES_MAX: u32 = 0xfff;

/// A descriptor whose buffer is being filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub(super) address: u32,
    size: u32,
    buffer: u32,
    pub(super) next: u32,
    filled: u32,
}

/// Nothing can be received with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unusable;

impl From<BusFault> for Unusable {
    fn from(_: BusFault) -> Self {
        Self
    }
}

impl Descriptor {
    /// Reads one; it must belong to the DMA where the owner is checked.
    pub(super) fn load(
        address: u32,
        check_owner: bool,
        memory: &mut impl Bus,
    ) -> Result<Self, Unusable> {
        if !address.is_multiple_of(4) {
            return Err(Unusable);
        }
        let flags = memory.load32(address)?;
        let descriptor = Self {
            address,
            size: flags & BYTES_MAX,
            buffer: memory.load32(address.wrapping_add(4))?,
            next: memory.load32(address.wrapping_add(8))?,
            filled: 0,
        };
        let owned = flags & OWNER_DMA != 0 || !check_owner;
        if owned && descriptor.size > 0 && descriptor.buffer != 0 {
            Ok(descriptor)
        } else {
            Err(Unusable)
        }
    }

    /// Reads where the list goes on from the descriptor at this address.
    pub(super) fn next_of(address: u32, memory: &mut impl Bus) -> Result<u32, Unusable> {
        Ok(memory.load32(address.wrapping_add(8))?)
    }

    /// Puts a byte into the buffer.
    pub(super) fn push(&mut self, byte: u8, memory: &mut impl Bus) -> Result<(), Unusable> {
        memory.store8(self.buffer.wrapping_add(self.filled), byte)?;
        self.filled += 1;
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.size
    }

    /// Gives it back to the firmware, with what it holds.
    pub(super) fn give_back(
        &self,
        end_of_frame: bool,
        memory: &mut impl Bus,
    ) -> Result<(), Unusable> {
        let end = if end_of_frame { END_OF_FRAME } else { 0 };
        memory.store32(self.address, self.size | self.filled << 12 | end)?;
        Ok(())
    }
}
