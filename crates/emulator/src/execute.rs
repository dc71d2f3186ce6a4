//! What each 32-bit instruction does: RV32I, M, `fence.i` and the counters of Zicsr.
//!
//! Every function checks the whole instruction before it changes anything, so that a trap leaves no trace.

use crate::{
    cpu::{Cpu, Trap},
    format::{Instruction, opcode},
    memory::Bus,
};

/// Executes an instruction and returns the address of the next one, which is `following` unless it jumps.
#[inline(always)]
pub(crate) fn instruction(
    cpu: &mut Cpu,
    bus: &mut impl Bus,
    word: Instruction,
    following: u32,
) -> Result<u32, Trap> {
    match word.opcode() {
        opcode::OP_IMM => {
            let value = with_immediate(word, cpu.register(word.rs1()))?;
            cpu.set_register(word.rd(), value);
        }
        opcode::OP => {
            let (left, right) = (cpu.register(word.rs1()), cpu.register(word.rs2()));
            cpu.set_register(word.rd(), operation(word, left, right)?);
        }
        opcode::LOAD => {
            let address = cpu.register(word.rs1()).wrapping_add(word.immediate_i());
            cpu.set_register(word.rd(), load(bus, word, address)?);
        }
        opcode::STORE => {
            let address = cpu.register(word.rs1()).wrapping_add(word.immediate_s());
            store(bus, word, address, cpu.register(word.rs2()))?;
        }
        opcode::BRANCH => {
            if is_taken(word, cpu.register(word.rs1()), cpu.register(word.rs2()))? {
                return Ok(cpu.pc().wrapping_add(word.immediate_b()));
            }
        }
        opcode::LUI => cpu.set_register(word.rd(), word.immediate_u()),
        opcode::AUIPC => {
            cpu.set_register(word.rd(), cpu.pc().wrapping_add(word.immediate_u()));
        }
        opcode::JAL => {
            cpu.set_register(word.rd(), following);
            return Ok(cpu.pc().wrapping_add(word.immediate_j()));
        }
        opcode::JALR if word.funct3() == 0 => {
            // The target is read first: both may be the same register.
            let target = cpu.register(word.rs1()).wrapping_add(word.immediate_i()) & !1;
            cpu.set_register(word.rd(), following);
            return Ok(target);
        }
        opcode::MISC_MEM if word.funct3() <= 1 => {}
        opcode::SYSTEM => system(cpu, word)?,
        _ => return Err(illegal(word)),
    }
    Ok(following)
}

#[cold]
fn illegal(word: Instruction) -> Trap {
    Trap::IllegalInstruction { bits: word.0 }
}

#[inline(always)]
fn with_immediate(word: Instruction, left: u32) -> Result<u32, Trap> {
    let right = word.immediate_i();
    // A shift keeps its count where others have the lower bits of the immediate.
    Ok(match (word.funct3(), word.funct7()) {
        (0, _) => left.wrapping_add(right),
        (1, 0x00) => left << (right & 31),
        (2, _) => u32::from((left as i32) < right as i32),
        (3, _) => u32::from(left < right),
        (4, _) => left ^ right,
        (5, 0x00) => left >> (right & 31),
        (5, 0x20) => (left as i32 >> (right & 31)) as u32,
        (6, _) => left | right,
        (7, _) => left & right,
        _ => return Err(illegal(word)),
    })
}

#[inline(always)]
fn operation(word: Instruction, left: u32, right: u32) -> Result<u32, Trap> {
    let (signed_left, signed_right) = (left as i32, right as i32);
    Ok(match (word.funct7(), word.funct3()) {
        (0x00, 0) => left.wrapping_add(right),
        (0x00, 1) => left << (right & 31),
        (0x00, 2) => u32::from(signed_left < signed_right),
        (0x00, 3) => u32::from(left < right),
        (0x00, 4) => left ^ right,
        (0x00, 5) => left >> (right & 31),
        (0x00, 6) => left | right,
        (0x00, 7) => left & right,
        (0x20, 0) => left.wrapping_sub(right),
        (0x20, 5) => (signed_left >> (right & 31)) as u32,
        (0x01, 0) => left.wrapping_mul(right),
        (0x01, 1) => high_half(i64::from(signed_left) * i64::from(signed_right)),
        (0x01, 2) => high_half(i64::from(signed_left) * i64::from(right)),
        (0x01, 3) => ((u64::from(left) * u64::from(right)) >> 32) as u32,
        // A division by zero does not trap: all bits set, and the dividend as the remainder.
        (0x01, 4) if right == 0 => u32::MAX,
        (0x01, 4) => signed_left.wrapping_div(signed_right) as u32,
        (0x01, 5) => left.checked_div(right).unwrap_or(u32::MAX),
        (0x01, 6) if right == 0 => left,
        (0x01, 6) => signed_left.wrapping_rem(signed_right) as u32,
        (0x01, 7) => left.checked_rem(right).unwrap_or(left),
        _ => return Err(illegal(word)),
    })
}

#[inline(always)]
fn high_half(product: i64) -> u32 {
    (product >> 32) as u32
}

#[inline(always)]
fn load(bus: &mut impl Bus, word: Instruction, address: u32) -> Result<u32, Trap> {
    let mask = match word.funct3() {
        0 | 4 => 0,
        1 | 5 => 1,
        2 => 3,
        _ => return Err(illegal(word)),
    };
    if address & mask != 0 {
        return Err(Trap::LoadMisaligned { address });
    }
    let loaded = match word.funct3() {
        0 => bus.load8(address).map(|byte| byte as i8 as u32),
        1 => bus.load16(address).map(|half| half as i16 as u32),
        4 => bus.load8(address).map(u32::from),
        5 => bus.load16(address).map(u32::from),
        _ => bus.load32(address),
    };
    loaded.map_err(|_| Trap::LoadFault { address })
}

#[inline(always)]
fn store(bus: &mut impl Bus, word: Instruction, address: u32, value: u32) -> Result<(), Trap> {
    let mask = match word.funct3() {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => return Err(illegal(word)),
    };
    if address & mask != 0 {
        return Err(Trap::StoreMisaligned { address });
    }
    let stored = match word.funct3() {
        0 => bus.store8(address, value as u8),
        1 => bus.store16(address, value as u16),
        _ => bus.store32(address, value),
    };
    stored.map_err(|_| Trap::StoreFault { address })
}

#[inline(always)]
fn is_taken(word: Instruction, left: u32, right: u32) -> Result<bool, Trap> {
    Ok(match word.funct3() {
        0 => left == right,
        1 => left != right,
        4 => (left as i32) < right as i32,
        5 => left as i32 >= right as i32,
        6 => left < right,
        7 => left >= right,
        _ => return Err(illegal(word)),
    })
}

/// `ecall`, `ebreak` and the counters. Rare, so it stays out of the way of the others.
#[inline(never)]
fn system(cpu: &mut Cpu, word: Instruction) -> Result<(), Trap> {
    const ECALL: u32 = 0x0000_0073;
    const EBREAK: u32 = 0x0010_0073;
    // The number of the register that holds the bits to set or clear, or those bits themselves: 0 changes nothing.
    let no_bits = word.rs1() == 0;
    match word.funct3() {
        0 if word.0 == ECALL => return Err(Trap::EnvironmentCall),
        0 if word.0 == EBREAK => return Err(Trap::Breakpoint),
        2 | 3 | 6 | 7 if no_bits => {}
        _ => return Err(illegal(word)),
    }
    let counter = counter(cpu, word.csr()).ok_or_else(|| illegal(word))?;
    cpu.set_register(word.rd(), counter);
    Ok(())
}

/// Returns a half of the count of instructions, which is that of the cycles too.
fn counter(cpu: &Cpu, csr: u32) -> Option<u32> {
    const MCYCLE: u32 = 0xb00;
    const MINSTRET: u32 = 0xb02;
    const CYCLE: u32 = 0xc00;
    const INSTRET: u32 = 0xc02;
    const UPPER: u32 = 0x080;
    match csr & !UPPER {
        MCYCLE | MINSTRET | CYCLE | INSTRET => {
            let shift = if csr & UPPER == 0 { 0 } else { 32 };
            Some((cpu.retired() >> shift) as u32)
        }
        _ => None,
    }
}
