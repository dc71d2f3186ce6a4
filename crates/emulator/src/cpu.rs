//! Registers, the fetch of an instruction, and traps.

use crate::{
    decode::Decoded,
    execute::{self, Left, Registers},
    format::Instruction,
    memory::Bus,
};

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
    registers: Registers,
    pc: u32,
    retired: u64,
}

impl Cpu {
    /// Makes a processor that begins at `pc` (bit 0 is ignored) with all registers 0.
    #[must_use]
    pub fn new(pc: u32) -> Self {
        Self {
            registers: [0; 64],
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
        assert!(number < 32, "there are 32 registers");
        self.registers[number]
    }

    /// Sets a register; nothing happens to `x0`.
    ///
    /// # Panics
    /// When `number` is above 31.
    #[inline(always)]
    pub fn set_register(&mut self, number: usize, value: u32) {
        assert!(number < 32, "there are 32 registers");
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
        let decoded = Decoded::fetch(bus, self.pc)?;
        self.pc = match execute::instruction(&mut self.registers, bus, self.pc, decoded) {
            Ok((next, _)) => next,
            Err(Left::System(word)) => {
                self.system(Instruction(word))?;
                self.pc.wrapping_add(4)
            }
            Err(Left::Trap(trap)) => return Err(trap),
            Err(Left::Unknown | Left::Hook) => unreachable!("a fresh instruction is decoded"),
        };
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

    /// `ecall`, `ebreak` and the counters.
    #[inline(never)]
    fn system(&mut self, word: Instruction) -> Result<(), Trap> {
        const ECALL: u32 = 0x0000_0073;
        const EBREAK: u32 = 0x0010_0073;
        let illegal = Trap::IllegalInstruction { bits: word.0 };
        // The number of the register that holds the bits to set or clear, or those bits themselves: 0 changes nothing.
        let no_bits = word.rs1() == 0;
        match word.funct3() {
            0 if word.0 == ECALL => return Err(Trap::EnvironmentCall),
            0 if word.0 == EBREAK => return Err(Trap::Breakpoint),
            2 | 3 | 6 | 7 if no_bits => {}
            _ => return Err(illegal),
        }
        let counter = self.counter(word.csr()).ok_or(illegal)?;
        self.set_register(word.rd(), counter);
        Ok(())
    }

    /// Returns a half of the count of instructions, which is that of the cycles too.
    fn counter(&self, csr: u32) -> Option<u32> {
        const MCYCLE: u32 = 0xb00;
        const MINSTRET: u32 = 0xb02;
        const CYCLE: u32 = 0xc00;
        const INSTRET: u32 = 0xc02;
        const UPPER: u32 = 0x080;
        match csr & !UPPER {
            MCYCLE | MINSTRET | CYCLE | INSTRET => {
                let shift = if csr & UPPER == 0 { 0 } else { 32 };
                Some((self.retired >> shift) as u32)
            }
            _ => None,
        }
    }
}
