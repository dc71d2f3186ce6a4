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

#[cfg(test)]
mod tests {
    use super::*;

    /// Both columns were made by an assembler of another project (LLVM's), from the instruction and from its long form.
    #[test]
    fn each_instruction_is_its_long_form() {
        let cases = [
            ("c.addi4spn s0, sp, 4", 0x0040, 0x0041_0413),
            ("c.addi4spn a5, sp, 1020", 0x1ffc, 0x3fc1_0793),
            ("c.addi4spn a0, sp, 680", 0x1528, 0x2a81_0513),
            ("c.lw s0, 0(a5)", 0x4380, 0x0007_a403),
            ("c.lw a5, 124(s0)", 0x5c7c, 0x07c4_2783),
            ("c.lw a0, 84(a1)", 0x49e8, 0x0545_a503),
            ("c.sw s0, 0(a5)", 0xc380, 0x0087_a023),
            ("c.sw a5, 124(s0)", 0xdc7c, 0x06f4_2e23),
            ("c.sw a0, 40(a1)", 0xd588, 0x02a5_a423),
            ("c.nop", 0x0001, 0x0000_0013),
            ("c.addi t6, -32", 0x1f81, 0xfe0f_8f93),
            ("c.addi ra, 31", 0x00fd, 0x01f0_8093),
            ("c.jal -2048", 0x3001, 0x801f_f0ef),
            ("c.jal 2046", 0x2ffd, 0x7fe0_00ef),
            ("c.jal 1364", 0x2b91, 0x5540_00ef),
            ("c.li t6, -32", 0x5f81, 0xfe00_0f93),
            ("c.li a0, 21", 0x4555, 0x0150_0513),
            ("c.addi16sp sp, -512", 0x7101, 0xe001_0113),
            ("c.addi16sp sp, 496", 0x617d, 0x1f01_0113),
            ("c.addi16sp sp, 336", 0x6171, 0x1501_0113),
            ("c.lui t6, 0xfffe0", 0x7f81, 0xfffe_0fb7),
            ("c.lui ra, 31", 0x60fd, 0x0001_f0b7),
            ("c.srli s0, 31", 0x807d, 0x01f4_5413),
            ("c.srli a5, 1", 0x8385, 0x0017_d793),
            ("c.srai a5, 31", 0x87fd, 0x41f7_d793),
            ("c.andi s0, -32", 0x9801, 0xfe04_7413),
            ("c.andi a5, 31", 0x8bfd, 0x01f7_f793),
            ("c.sub s0, a5", 0x8c1d, 0x40f4_0433),
            ("c.xor a5, s0", 0x8fa1, 0x0087_c7b3),
            ("c.or a0, a1", 0x8d4d, 0x00b5_6533),
            ("c.and s1, a4", 0x8cf9, 0x00e4_f4b3),
            ("c.j -2048", 0xb001, 0x801f_f06f),
            ("c.j 2046", 0xaffd, 0x7fe0_006f),
            ("c.j 682", 0xa46d, 0x2aa0_006f),
            ("c.beqz s0, -256", 0xd001, 0xf004_00e3),
            ("c.beqz a5, 254", 0xcffd, 0x0e07_8f63),
            ("c.bnez a0, 170", 0xe54d, 0x0a05_1563),
            ("c.slli t6, 31", 0x0ffe, 0x01ff_9f93),
            ("c.slli ra, 1", 0x0086, 0x0010_9093),
            ("c.lwsp t6, 252(sp)", 0x5ffe, 0x0fc1_2f83),
            ("c.lwsp ra, 168(sp)", 0x50aa, 0x0a81_2083),
            ("c.jr t6", 0x8f82, 0x000f_8067),
            ("c.jalr ra", 0x9082, 0x0000_80e7),
            ("c.mv t6, ra", 0x8f86, 0x0010_0fb3),
            ("c.add ra, t6", 0x90fe, 0x01f0_80b3),
            ("c.ebreak", 0x9002, 0x0010_0073),
            ("c.swsp t6, 252(sp)", 0xdffe, 0x0ff1_2e23),
            ("c.swsp zero, 84(sp)", 0xca82, 0x0401_2a23),
        ];
        for (text, parcel, word) in cases {
            let expanded = expand(parcel).unwrap_or(0);
            assert_eq!(expanded, word, "{text}: {expanded:#010x}, not {word:#010x}");
        }
    }

    #[test]
    fn reserved_and_foreign_ones_are_none() {
        let cases = [
            ("zeroes", 0x0000),
            ("c.addi4spn of 0", 0x0004),
            ("c.fld", 0x2000),
            ("c.flw", 0x6000),
            ("reserved", 0x8000),
            ("c.fsd", 0xa000),
            ("c.fsw", 0xe000),
            ("c.addi16sp of 0", 0x6101),
            ("c.lui of 0", 0x6501),
            ("c.srli by 32", 0x9001),
            ("c.srai by 32", 0x9401),
            ("c.subw", 0x9c01),
            ("c.addw", 0x9c21),
            ("c.slli by 32", 0x1502),
            ("c.fldsp", 0x2502),
            ("c.lwsp to x0", 0x4002),
            ("c.flwsp", 0x6502),
            ("c.jr x0", 0x8002),
            ("c.fsdsp", 0xa002),
            ("c.fswsp", 0xe002),
        ];
        for (text, parcel) in cases {
            assert_eq!(expand(parcel), None, "{text}");
        }
    }

    /// All 49,152 parcels were compared with LLVM 14's disassembler once. It knows the same instructions, and besides
    /// `c.lui` of 0 and shifts of `x0` by more than 31, which the manual reserves. The checksum holds that result.
    #[test]
    fn all_parcels_are_as_a_disassembler_reads_them() {
        let (mut instructions, mut checksum) = (0, 0x811c_9dc5_u32);
        for parcel in (0..=u16::MAX).filter(|parcel| parcel & 3 != 3) {
            let expanded = expand(parcel);
            instructions += usize::from(expanded.is_some());
            for byte in expanded.unwrap_or(0).to_le_bytes() {
                checksum = (checksum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
        }
        assert_eq!((instructions, checksum), (28_823, 0x2fc2_ebeb));
    }
}
