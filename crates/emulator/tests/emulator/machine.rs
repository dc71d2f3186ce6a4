//! A processor with some memory, for single instructions.
//!
//! Encodings in these tests were made by an assembler of another project (LLVM's); the text beside is what it was given.

use emulator::{Bus, Cpu, Ram, Trap};

/// Where code begins. There is as much memory before it, for negative offsets.
pub(crate) const CODE: u32 = 0x4038_1000;
const BASE: u32 = 0x4038_0000;
const LENGTH: u32 = 0x2000;

pub(crate) const A0: usize = 10;
pub(crate) const A1: usize = 11;
pub(crate) const A2: usize = 12;

pub(crate) struct Machine {
    pub(crate) cpu: Cpu,
    pub(crate) ram: Ram,
}

impl Machine {
    pub(crate) fn new(words: &[u32]) -> Self {
        let parcels: Vec<u16> = words
            .iter()
            .flat_map(|word| [*word as u16, (*word >> 16) as u16])
            .collect();
        Self::of_parcels(&parcels)
    }

    pub(crate) fn of_parcels(parcels: &[u16]) -> Self {
        let mut ram = Ram::new(BASE, LENGTH);
        for (index, parcel) in parcels.iter().enumerate() {
            ram.store16(CODE + 2 * index as u32, *parcel).unwrap();
        }
        Self {
            cpu: Cpu::new(CODE),
            ram,
        }
    }

    pub(crate) fn with(mut self, registers: &[(usize, u32)]) -> Self {
        for (number, value) in registers {
            self.cpu.set_register(*number, *value);
        }
        self
    }

    pub(crate) fn step(&mut self) -> Result<(), Trap> {
        self.cpu.step(&mut self.ram)
    }

    /// Returns all that a trap must not change.
    pub(crate) fn state(&self) -> (Vec<u32>, u32, u64, Vec<u8>) {
        let registers = (0..32).map(|number| self.cpu.register(number)).collect();
        let memory = self.ram.bytes().to_vec();
        (registers, self.cpu.pc(), self.cpu.retired(), memory)
    }

    /// Steps once, which must trap without any effect, and returns the trap.
    pub(crate) fn trap(&mut self) -> Trap {
        let before = self.state();
        let trap = self.step().unwrap_err();
        assert_eq!(self.state(), before);
        trap
    }
}

/// Returns `a0` after one instruction on `a1` and `a2`.
pub(crate) fn result(word: u32, a1: u32, a2: u32) -> u32 {
    let mut machine = Machine::new(&[word]).with(&[(A1, a1), (A2, a2)]);
    machine.step().unwrap();
    assert_eq!((machine.cpu.pc(), machine.cpu.retired()), (CODE + 4, 1));
    machine.cpu.register(A0)
}
