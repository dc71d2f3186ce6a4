//! Instructions taken apart once, so that running one again needs no look at its bits.
//!
//! A [`Decoded`] belongs to an address: targets of jumps and the results of `auipc` are absolute in it.

use crate::{
    compressed,
    cpu::Trap,
    format::{Instruction, opcode},
    memory::Bus,
};

/// What an instruction does. Several instructions of the manual share one where their operands tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Op {
    /// Not decoded yet.
    Unknown,
    /// The bits, which are the immediate, are no instruction.
    Illegal,
    /// Someone wants to know when this address is reached.
    Hook,
    /// `ecall`, `ebreak`, `mret`, `wfi` and the control and status registers; the immediate is the word.
    System,
    /// `fence`, `fence.i`.
    Fence,
    /// Puts the immediate into a register: `lui`, `auipc`, `c.li`.
    Set,
    Addi,
    Slti,
    Sltiu,
    Xori,
    Ori,
    Andi,
    Slli,
    Srli,
    Srai,
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
    Mul,
    Mulh,
    Mulhsu,
    Mulhu,
    Div,
    Divu,
    Rem,
    Remu,
    Lb,
    Lh,
    Lw,
    Lbu,
    Lhu,
    Sb,
    Sh,
    Sw,
    Beq,
    Bne,
    Blt,
    Bge,
    Bltu,
    Bgeu,
    Jal,
    Jalr,
}

/// Where writes to `x0` go, which keep nothing.
const NOWHERE: u8 = 32;

/// An instruction at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) op: Op,
    /// Register that is written; [`NOWHERE`] for `x0`.
    pub(crate) rd: u8,
    pub(crate) rs1: u8,
    /// Second register that is read, and above it the length in parcels.
    rs2_length: u8,
    pub(crate) immediate: u32,
}

impl Decoded {
    /// What lies in a cache before anything was decoded.
    pub(crate) const UNKNOWN: Self = Self {
        op: Op::Unknown,
        rd: NOWHERE,
        rs1: 0,
        rs2_length: 1 << 6,
        immediate: 0,
    };

    /// What lies in a cache where a hook is.
    pub(crate) const HOOK: Self = Self {
        op: Op::Hook,
        ..Self::UNKNOWN
    };

    #[inline(always)]
    pub(crate) fn rs2(self) -> u8 {
        self.rs2_length & 31
    }

    /// Bytes of the instruction: 2 or 4.
    #[inline(always)]
    pub(crate) fn length(self) -> u32 {
        u32::from(self.rs2_length >> 6) << 1
    }

    /// Takes the instruction at `pc` apart.
    ///
    /// # Errors
    /// [`Trap::FetchFault`]. Bits that are no instruction are [`Op::Illegal`].
    #[inline]
    pub(crate) fn fetch(bus: &mut impl Bus, pc: u32) -> Result<Self, Trap> {
        let low = parcel(bus, pc)?;
        if low & 3 != 3 {
            return Ok(match compressed::expand(low) {
                Some(word) => Self::of(Instruction(word), pc, 1),
                None => Self::illegal(low.into(), 1),
            });
        }
        let high = parcel(bus, pc.wrapping_add(2))?;
        let word = u32::from(high) << 16 | u32::from(low);
        Ok(Self::of(Instruction(word), pc, 2))
    }

    fn illegal(bits: u32, parcels: u8) -> Self {
        Self {
            op: Op::Illegal,
            rs2_length: parcels << 6,
            immediate: bits,
            ..Self::UNKNOWN
        }
    }

    #[inline]
    fn of(word: Instruction, pc: u32, parcels: u8) -> Self {
        let Some((op, immediate)) = operation(word, pc) else {
            return Self::illegal(word.0, parcels);
        };
        Self {
            op,
            rd: match word.rd() {
                0 => NOWHERE,
                register => register as u8,
            },
            rs1: word.rs1() as u8,
            rs2_length: parcels << 6 | word.rs2() as u8,
            immediate,
        }
    }
}

#[inline(always)]
fn parcel(bus: &mut impl Bus, address: u32) -> Result<u16, Trap> {
    bus.fetch16(address)
        .map_err(|_| Trap::FetchFault { address })
}

/// Returns what a word does and its immediate, or `None` where it is no instruction.
#[inline]
fn operation(word: Instruction, pc: u32) -> Option<(Op, u32)> {
    Some(match word.opcode() {
        opcode::OP_IMM => (with_immediate(word)?, word.immediate_i()),
        opcode::OP => (on_registers(word)?, 0),
        opcode::LOAD => (
            match word.funct3() {
                0 => Op::Lb,
                1 => Op::Lh,
                2 => Op::Lw,
                4 => Op::Lbu,
                5 => Op::Lhu,
                _ => return None,
            },
            word.immediate_i(),
        ),
        opcode::STORE => (
            match word.funct3() {
                0 => Op::Sb,
                1 => Op::Sh,
                2 => Op::Sw,
                _ => return None,
            },
            word.immediate_s(),
        ),
        opcode::BRANCH => (
            match word.funct3() {
                0 => Op::Beq,
                1 => Op::Bne,
                4 => Op::Blt,
                5 => Op::Bge,
                6 => Op::Bltu,
                7 => Op::Bgeu,
                _ => return None,
            },
            pc.wrapping_add(word.immediate_b()),
        ),
        opcode::LUI => (Op::Set, word.immediate_u()),
        opcode::AUIPC => (Op::Set, pc.wrapping_add(word.immediate_u())),
        opcode::JAL => (Op::Jal, pc.wrapping_add(word.immediate_j())),
        opcode::JALR if word.funct3() == 0 => (Op::Jalr, word.immediate_i()),
        opcode::MISC_MEM if word.funct3() <= 1 => (Op::Fence, 0),
        opcode::SYSTEM => (Op::System, word.0),
        _ => return None,
    })
}

#[inline]
fn with_immediate(word: Instruction) -> Option<Op> {
    // A shift keeps its count where others have the lower bits of the immediate.
    Some(match (word.funct3(), word.funct7()) {
        (0, _) => Op::Addi,
        (1, 0x00) => Op::Slli,
        (2, _) => Op::Slti,
        (3, _) => Op::Sltiu,
        (4, _) => Op::Xori,
        (5, 0x00) => Op::Srli,
        (5, 0x20) => Op::Srai,
        (6, _) => Op::Ori,
        (7, _) => Op::Andi,
        _ => return None,
    })
}

#[inline]
fn on_registers(word: Instruction) -> Option<Op> {
    Some(match (word.funct7(), word.funct3()) {
        (0x00, 0) => Op::Add,
        (0x00, 1) => Op::Sll,
        (0x00, 2) => Op::Slt,
        (0x00, 3) => Op::Sltu,
        (0x00, 4) => Op::Xor,
        (0x00, 5) => Op::Srl,
        (0x00, 6) => Op::Or,
        (0x00, 7) => Op::And,
        (0x20, 0) => Op::Sub,
        (0x20, 5) => Op::Sra,
        (0x01, 0) => Op::Mul,
        (0x01, 1) => Op::Mulh,
        (0x01, 2) => Op::Mulhsu,
        (0x01, 3) => Op::Mulhu,
        (0x01, 4) => Op::Div,
        (0x01, 5) => Op::Divu,
        (0x01, 6) => Op::Rem,
        (0x01, 7) => Op::Remu,
        _ => return None,
    })
}
