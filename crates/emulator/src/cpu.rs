//! Registers, the fetch of an instruction, and traps.

use crate::{compressed, execute, format::Instruction, memory::Bus};

/// What an instruction cannot do by itself; it stays without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// The instruction could not be read.
    #[error("no instruction can be read at {address:#010x}")]
    FetchFault {
        /// Of the 16 bits that did not come: the second half of a long instruction may lie elsewhere than the first.
        address: u32,
    },
    /// The bits are no instruction of this processor.
    #[error("{bits:#x} is no instruction")]
    IllegalInstruction {
        /// The instruction; 16 bits where it is a compressed one.
        bits: u32,
    },
    /// `ebreak` or `c.ebreak`.
    #[error("breakpoint")]
    Breakpoint,
    /// `ecall`.
    #[error("environment call")]
    EnvironmentCall,
    /// The address of a load is no multiple of its size.
    #[error("load from {address:#010x} is not aligned")]
    LoadMisaligned {
        /// The address asked for.
        address: u32,
    },
    /// Nothing answers a load.
    #[error("nothing can be read at {address:#010x}")]
    LoadFault {
        /// The address asked for.
        address: u32,
    },
    /// The address of a store is no multiple of its size.
    #[error("store to {address:#010x} is not aligned")]
    StoreMisaligned {
        /// The address asked for.
        address: u32,
    },
    /// Nothing takes a store.
    #[error("nothing can be written at {address:#010x}")]
    StoreFault {
        /// The address asked for.
        address: u32,
    },
}

/// An RV32IMC hart.
#[derive(Clone, Debug)]
pub struct Cpu {
    registers: [u32; 32],
    pc: u32,
    retired: u64,
}

impl Cpu {
    /// Makes a processor that begins at `pc` (bit 0 is ignored) with all registers 0.
    #[must_use]
    pub fn new(pc: u32) -> Self {
        Self {
            registers: [0; 32],
            pc: pc & !1,
            retired: 0,
        }
    }

    /// Returns a register; `x0` is always 0.
    ///
    /// # Panics
    /// When `number` is above 31.
    #[must_use]
    #[inline(always)]
    pub fn register(&self, number: usize) -> u32 {
        self.registers[number]
    }

    /// Sets a register; nothing happens to `x0`.
    ///
    /// # Panics
    /// When `number` is above 31.
    #[inline(always)]
    pub fn set_register(&mut self, number: usize, value: u32) {
        self.registers[number] = value;
        self.registers[0] = 0;
    }

    /// Returns the address of the next instruction, or of the one that trapped.
    #[must_use]
    pub fn pc(&self) -> u32 {
        self.pc
    }

    /// Goes on at `pc`; bit 0 is ignored.
    pub fn set_pc(&mut self, pc: u32) {
        self.pc = pc & !1;
    }

    /// Returns how many instructions were completed.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// Executes one instruction.
    ///
    /// # Errors
    /// What the instruction cannot do by itself. Then neither registers nor program counter have changed.
    #[inline]
    pub fn step(&mut self, bus: &mut impl Bus) -> Result<(), Trap> {
        let low = fetch(bus, self.pc)?;
        let (bits, length) = if low & 3 == 3 {
            let high = fetch(bus, self.pc.wrapping_add(2))?;
            (u32::from(high) << 16 | u32::from(low), 4)
        } else {
            let illegal = Trap::IllegalInstruction { bits: low.into() };
            (compressed::expand(low).ok_or(illegal)?, 2)
        };
        let following = self.pc.wrapping_add(length);
        self.pc = execute::instruction(self, bus, Instruction(bits), following)?;
        self.retired += 1;
        Ok(())
    }

    /// Executes up to `instructions` instructions.
    ///
    /// # Errors
    /// The first trap; the instructions before it are done.
    pub fn run(&mut self, bus: &mut impl Bus, instructions: u64) -> Result<(), Trap> {
        (0..instructions).try_for_each(|_| self.step(bus))
    }
}

#[inline(always)]
fn fetch(bus: &mut impl Bus, address: u32) -> Result<u16, Trap> {
    bus.fetch16(address)
        .map_err(|_| Trap::FetchFault { address })
}
