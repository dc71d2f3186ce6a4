//! Compressed instructions (the C extension), each as the 32-bit instruction that it stands for.
//!
//! Those for floating point and for 64 bits are none here. Hints, which by their 32-bit form change nothing, are
//! expanded like their neighbours.

use crate::format::{self, opcode};

const RA: u32 = 1;
const SP: u32 = 2;
const EBREAK: u32 = 0x0010_0073;

/// Returns the 32-bit form, or `None` where the bits are reserved or of an extension that is not there.
///
/// The two lowest bits must not both be set: that is a 32-bit instruction.
#[inline]
pub(crate) fn expand(parcel: u16) -> Option<u32> {
    let bits = u32::from(parcel);
    let funct3 = bits >> 13;
    match bits & 3 {
        0 => on_memory(bits, funct3),
        1 => on_immediates(bits, funct3),
        _ => on_all_registers(bits, funct3),
    }
}

/// Returns `count` bits from bit `from` on, put to bit `to` of an immediate.
#[inline(always)]
fn field(bits: u32, from: u32, count: u32, to: u32) -> u32 {
    (bits >> from & ((1 << count) - 1)) << to
}

/// Returns one of the eight registers that three bits can name, `x8` to `x15`.
#[inline(always)]
fn short_register(bits: u32, from: u32) -> u32 {
    8 + field(bits, from, 3, 0)
}

/// Returns the signed 6-bit immediate of bits 12 and 6 to 2.
#[inline(always)]
fn immediate6(bits: u32) -> u32 {
    let sign = 0_u32.wrapping_sub(field(bits, 12, 1, 5));
    sign | field(bits, 2, 5, 0)
}

/// Quadrant 0: loads and stores by one of eight registers, and addresses on the stack.
#[inline(always)]
fn on_memory(bits: u32, funct3: u32) -> Option<u32> {
    let (high, low) = (short_register(bits, 7), short_register(bits, 2));
    let offset = field(bits, 10, 3, 3) | field(bits, 6, 1, 2) | field(bits, 5, 1, 6);
    match funct3 {
        // c.addi4spn; the word of zeros, never an instruction, is among the reserved.
        0 => {
            let immediate = field(bits, 11, 2, 4)
                | field(bits, 7, 4, 6)
                | field(bits, 6, 1, 2)
                | field(bits, 5, 1, 3);
            (immediate != 0).then(|| format::i(opcode::OP_IMM, 0, low, SP, immediate))
        }
        // c.lw, c.sw
        2 => Some(format::i(opcode::LOAD, 2, low, high, offset)),
        6 => Some(format::s(2, high, low, offset)),
        _ => None,
    }
}

/// Quadrant 1: immediates, jumps and branches, and arithmetic on eight registers.
#[inline(always)]
fn on_immediates(bits: u32, funct3: u32) -> Option<u32> {
    let rd = field(bits, 7, 5, 0);
    let immediate = immediate6(bits);
    match funct3 {
        // c.addi, c.jal, c.li
        0 => Some(format::i(opcode::OP_IMM, 0, rd, rd, immediate)),
        1 => Some(format::j(RA, jump_offset(bits))),
        2 => Some(format::i(opcode::OP_IMM, 0, rd, 0, immediate)),
        // c.addi16sp
        3 if rd == SP => {
            let immediate = 0_u32.wrapping_sub(field(bits, 12, 1, 9))
                | field(bits, 6, 1, 4)
                | field(bits, 5, 1, 6)
                | field(bits, 3, 2, 7)
                | field(bits, 2, 1, 5);
            (immediate != 0).then(|| format::i(opcode::OP_IMM, 0, SP, SP, immediate))
        }
        // c.lui
        3 => (immediate != 0).then(|| format::u(opcode::LUI, rd, immediate << 12)),
        4 => on_eight_registers(bits, immediate),
        // c.j, c.beqz, c.bnez
        5 => Some(format::j(0, jump_offset(bits))),
        _ => {
            let offset = 0_u32.wrapping_sub(field(bits, 12, 1, 8))
                | field(bits, 10, 2, 3)
                | field(bits, 5, 2, 6)
                | field(bits, 3, 2, 1)
                | field(bits, 2, 1, 5);
            Some(format::b(funct3 & 1, short_register(bits, 7), 0, offset))
        }
    }
}

/// Returns the signed 12-bit offset of `c.j` and `c.jal`.
#[inline(always)]
fn jump_offset(bits: u32) -> u32 {
    0_u32.wrapping_sub(field(bits, 12, 1, 11))
        | field(bits, 11, 1, 4)
        | field(bits, 9, 2, 8)
        | field(bits, 8, 1, 10)
        | field(bits, 7, 1, 6)
        | field(bits, 6, 1, 7)
        | field(bits, 3, 3, 1)
        | field(bits, 2, 1, 5)
}

/// Shifts and logic of quadrant 1.
#[inline(always)]
fn on_eight_registers(bits: u32, immediate: u32) -> Option<u32> {
    let (rd, rs2) = (short_register(bits, 7), short_register(bits, 2));
    let upper = bits >> 12 & 1 != 0;
    let count = immediate & 31;
    let operation = |funct| Some(format::r(opcode::OP, funct, rd, rd, rs2));
    match (bits >> 10 & 3, upper, bits >> 5 & 3) {
        // c.srli, c.srai: a count above 31 is for 64 bits.
        (0, false, _) => Some(format::i(opcode::OP_IMM, 5, rd, rd, count)),
        (1, false, _) => Some(format::i(opcode::OP_IMM, 5, rd, rd, 0x400 | count)),
        // c.andi
        (2, _, _) => Some(format::i(opcode::OP_IMM, 7, rd, rd, immediate)),
        // c.sub, c.xor, c.or, c.and
        (3, false, 0) => operation(0x20 << 3),
        (3, false, 1) => operation(4),
        (3, false, 2) => operation(6),
        (3, false, _) => operation(7),
        _ => None,
    }
}

/// Quadrant 2: what names any register, and loads and stores on the stack.
#[inline(always)]
fn on_all_registers(bits: u32, funct3: u32) -> Option<u32> {
    let (rd, rs2) = (field(bits, 7, 5, 0), field(bits, 2, 5, 0));
    let upper = bits >> 12 & 1 != 0;
    match funct3 {
        // c.slli: a count above 31 is for 64 bits.
        0 if !upper => Some(format::i(opcode::OP_IMM, 1, rd, rd, rs2)),
        // c.lwsp
        2 if rd != 0 => {
            let offset = field(bits, 12, 1, 5) | field(bits, 4, 3, 2) | field(bits, 2, 2, 6);
            Some(format::i(opcode::LOAD, 2, rd, SP, offset))
        }
        4 => match (upper, rd, rs2) {
            (false, 0, 0) => None,
            (true, 0, 0) => Some(EBREAK),
            // c.jr, c.jalr
            (_, _, 0) => Some(format::i(opcode::JALR, 0, upper.into(), rd, 0)),
            // c.mv, c.add
            (false, ..) => Some(format::r(opcode::OP, 0, rd, 0, rs2)),
            (true, ..) => Some(format::r(opcode::OP, 0, rd, rd, rs2)),
        },
        // c.swsp
        6 => {
            let offset = field(bits, 9, 4, 2) | field(bits, 7, 2, 6);
            Some(format::s(2, SP, rs2, offset))
        }
        _ => None,
    }
}
