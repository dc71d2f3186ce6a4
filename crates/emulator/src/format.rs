//! The formats of 32-bit instructions: where each field lies.
//!
//! Immediates are sign-extended in all formats but U, whose value is the upper 20 bits.

/// Opcodes with the two lowest bits that mark a 32-bit instruction.
pub(crate) mod opcode {
    pub(crate) const LOAD: u32 = 0x03;
    pub(crate) const MISC_MEM: u32 = 0x0f;
    pub(crate) const OP_IMM: u32 = 0x13;
    pub(crate) const AUIPC: u32 = 0x17;
    pub(crate) const STORE: u32 = 0x23;
    pub(crate) const OP: u32 = 0x33;
    pub(crate) const LUI: u32 = 0x37;
    pub(crate) const BRANCH: u32 = 0x63;
    pub(crate) const JALR: u32 = 0x67;
    pub(crate) const JAL: u32 = 0x6f;
    pub(crate) const SYSTEM: u32 = 0x73;
}

/// A 32-bit instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction(pub(crate) u32);

impl Instruction {
    #[inline(always)]
    pub(crate) fn opcode(self) -> u32 {
        self.0 & 0x7f
    }

    /// Register that is written, 0 to 31.
    #[inline(always)]
    pub(crate) fn rd(self) -> usize {
        (self.0 >> 7 & 31) as usize
    }

    /// First register that is read, 0 to 31.
    #[inline(always)]
    pub(crate) fn rs1(self) -> usize {
        (self.0 >> 15 & 31) as usize
    }

    /// Second register that is read, 0 to 31.
    #[inline(always)]
    pub(crate) fn rs2(self) -> usize {
        (self.0 >> 20 & 31) as usize
    }

    #[inline(always)]
    pub(crate) fn funct3(self) -> u32 {
        self.0 >> 12 & 7
    }

    #[inline(always)]
    pub(crate) fn funct7(self) -> u32 {
        self.0 >> 25
    }

    /// Number of a control and status register, 0 to 4095.
    #[inline(always)]
    pub(crate) fn csr(self) -> u32 {
        self.0 >> 20
    }

    /// Immediate of register-immediate operations, loads and `jalr`: -2048 to 2047.
    #[inline(always)]
    pub(crate) fn immediate_i(self) -> u32 {
        (self.0 as i32 >> 20) as u32
    }

    /// Immediate of stores: -2048 to 2047.
    #[inline(always)]
    pub(crate) fn immediate_s(self) -> u32 {
        (self.0 as i32 >> 25 << 5) as u32 | self.0 >> 7 & 0x1f
    }

    /// Offset of a branch, even: -4096 to 4094.
    #[inline(always)]
    pub(crate) fn immediate_b(self) -> u32 {
        (self.0 as i32 >> 31 << 12) as u32
            | (self.0 & 1 << 7) << 4
            | self.0 >> 20 & 0x7e0
            | self.0 >> 7 & 0x1e
    }

    /// Immediate of `lui` and `auipc`: a multiple of 4096.
    #[inline(always)]
    pub(crate) fn immediate_u(self) -> u32 {
        self.0 & 0xffff_f000
    }

    /// Offset of `jal`, even: -1,048,576 to 1,048,574.
    #[inline(always)]
    pub(crate) fn immediate_j(self) -> u32 {
        (self.0 as i32 >> 31 << 20) as u32
            | self.0 & 0xff000
            | self.0 >> 9 & 0x800
            | self.0 >> 20 & 0x7fe
    }
}

/// Makes a register-register instruction; `funct` is funct7 and funct3 as they are written, 10 bits.
pub(crate) const fn r(opcode: u32, funct: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    funct >> 3 << 25 | rs2 << 20 | rs1 << 15 | (funct & 7) << 12 | rd << 7 | opcode
}

/// Makes an instruction with a 12-bit immediate.
pub(crate) const fn i(opcode: u32, funct3: u32, rd: u32, rs1: u32, immediate: u32) -> u32 {
    immediate << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

/// Makes a store.
pub(crate) const fn s(funct3: u32, rs1: u32, rs2: u32, immediate: u32) -> u32 {
    (immediate >> 5) << 25
        | rs2 << 20
        | rs1 << 15
        | funct3 << 12
        | (immediate & 0x1f) << 7
        | opcode::STORE
}

/// Makes a branch.
pub(crate) const fn b(funct3: u32, rs1: u32, rs2: u32, offset: u32) -> u32 {
    (offset >> 12 & 1) << 31
        | (offset >> 5 & 0x3f) << 25
        | rs2 << 20
        | rs1 << 15
        | funct3 << 12
        | (offset >> 1 & 0xf) << 8
        | (offset >> 11 & 1) << 7
        | opcode::BRANCH
}

/// Makes an instruction with the upper 20 bits of a value.
pub(crate) const fn u(opcode: u32, rd: u32, immediate: u32) -> u32 {
    immediate & 0xffff_f000 | rd << 7 | opcode
}

/// Makes a jump.
pub(crate) const fn j(rd: u32, offset: u32) -> u32 {
    (offset >> 20 & 1) << 31
        | (offset >> 1 & 0x3ff) << 21
        | (offset >> 11 & 1) << 20
        | (offset >> 12 & 0xff) << 12
        | rd << 7
        | opcode::JAL
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instruction, one of its fields, and what that holds.
    type Case = (u32, fn(Instruction) -> u32, i32);

    /// The encodings were made by an assembler of another project (LLVM's).
    #[test]
    fn immediates_are_where_an_assembler_puts_them() {
        let cases: [Case; 12] = [
            (0x8005_8513, Instruction::immediate_i, -2048),
            (0x7ff5_8513, Instruction::immediate_i, 2047),
            (0x80a5_a023, Instruction::immediate_s, -2048),
            (0x7ea5_afa3, Instruction::immediate_s, 2047),
            (0xfca5_afa3, Instruction::immediate_s, -33),
            (0x80b5_0063, Instruction::immediate_b, -4096),
            (0x7eb5_0fe3, Instruction::immediate_b, 4094),
            (0x2ab5_15e3, Instruction::immediate_b, 2730),
            (
                0xfedc_b537,
                Instruction::immediate_u,
                0xfedc_b000_u32 as i32,
            ),
            (0x8000_00ef, Instruction::immediate_j, -1_048_576),
            (0x7fff_f0ef, Instruction::immediate_j, 1_048_574),
            (0x2ab2_a0ef, Instruction::immediate_j, 174_762),
        ];
        for (word, immediate, value) in cases {
            assert_eq!(immediate(Instruction(word)) as i32, value, "{word:#010x}");
        }
    }

    #[test]
    fn each_immediate_comes_back() {
        for value in -2048..2048 {
            let immediate = value as u32;
            let word = Instruction(i(opcode::OP_IMM, 5, 31, 1, immediate));
            assert_eq!(word.immediate_i(), immediate);
            assert_eq!((word.rd(), word.rs1(), word.funct3()), (31, 1, 5));
            let word = Instruction(s(2, 30, 1, immediate));
            assert_eq!(word.immediate_s(), immediate);
            assert_eq!((word.rs1(), word.rs2(), word.funct3()), (30, 1, 2));
        }
        for value in (-4096..4096).step_by(2) {
            let word = Instruction(b(7, 1, 30, value as u32));
            assert_eq!(word.immediate_b(), value as u32);
            assert_eq!((word.rs1(), word.rs2(), word.funct3()), (1, 30, 7));
        }
        for value in (-(1 << 20)..1 << 20).step_by(2) {
            let word = Instruction(j(17, value as u32));
            assert_eq!((word.immediate_j(), word.rd()), (value as u32, 17));
        }
    }
}
