//! What each instruction does: RV32I, M and `fence.i`; system instructions are left to the caller.
//!
//! Every arm checks the whole instruction before it changes anything, so that a trap leaves no trace.

use crate::{
    cpu::Trap,
    decode::{Decoded, Op},
    memory::{Bus, BusFault},
};

/// Cycles of each class of instructions on an ESP32-C3, where code and data lie in internal memory.
///
/// Espressif publishes a four-stage pipeline with a 32-bit multiplier and divider, and no table. These are assumptions,
/// on the slow side where in doubt: a load is counted with the slot that an instruction waits that uses it at once, and
/// a division as one bit a cycle. What the cache of the flash misses is not counted.
pub(crate) mod cycles {
    /// Arithmetic, logic, multiplications, stores and branches not taken.
    pub(crate) const SIMPLE: u32 = 1;
    /// Loads from memory.
    pub(crate) const LOAD: u32 = 2;
    /// Divisions and remainders.
    pub(crate) const DIVISION: u32 = 33;
    /// Jumps and branches taken: the pipeline begins anew.
    pub(crate) const JUMP: u32 = 3;
    /// System instructions.
    pub(crate) const SYSTEM: u32 = 2;
    /// What a register of a peripheral needs beyond memory: two cycles of the 80 MHz bus and its bridge.
    pub(crate) const PERIPHERAL: u32 = 4;
}

/// The registers; writes to `x0` go to the one behind the last.
pub(crate) type Registers = [u32; 64];

/// What an instruction left to its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    /// It trapped.
    Trap(Trap),
    /// It is a system instruction, this word.
    System(u32),
    /// Nothing is decoded here.
    Unknown,
    /// Someone wants to know.
    Hook,
}

/// Executes an instruction; returns the address of the next one and the cycles that it took.
#[inline(always)]
pub(crate) fn instruction(
    registers: &mut Registers,
    bus: &mut impl Bus,
    pc: u32,
    decoded: Decoded,
) -> Result<(u32, u32), Left> {
    let following = pc.wrapping_add(decoded.length());
    let left = registers[usize::from(decoded.rs1 & 31)];
    let right = registers[usize::from(decoded.rs2())];
    let immediate = decoded.immediate;
    let (signed_left, signed_right) = (left as i32, right as i32);
    let mut cost = cycles::SIMPLE;
    let address = left.wrapping_add(immediate);
    let value = match decoded.op {
        Op::Set => immediate,
        Op::Addi => address,
        Op::Slti => u32::from(signed_left < immediate as i32),
        Op::Sltiu => u32::from(left < immediate),
        Op::Xori => left ^ immediate,
        Op::Ori => left | immediate,
        Op::Andi => left & immediate,
        Op::Slli => left << (immediate & 31),
        Op::Srli => left >> (immediate & 31),
        Op::Srai => (signed_left >> (immediate & 31)) as u32,
        Op::Add => left.wrapping_add(right),
        Op::Sub => left.wrapping_sub(right),
        Op::Sll => left << (right & 31),
        Op::Slt => u32::from(signed_left < signed_right),
        Op::Sltu => u32::from(left < right),
        Op::Xor => left ^ right,
        Op::Srl => left >> (right & 31),
        Op::Sra => (signed_left >> (right & 31)) as u32,
        Op::Or => left | right,
        Op::And => left & right,
        Op::Mul => left.wrapping_mul(right),
        Op::Mulh => high_half(i64::from(signed_left) * i64::from(signed_right)),
        Op::Mulhsu => high_half(i64::from(signed_left) * i64::from(right)),
        Op::Mulhu => ((u64::from(left) * u64::from(right)) >> 32) as u32,
        Op::Div | Op::Divu | Op::Rem | Op::Remu => {
            cost = cycles::DIVISION;
            division(decoded.op, left, right)
        }
        Op::Lb | Op::Lh | Op::Lw | Op::Lbu | Op::Lhu => {
            cost = cycles::LOAD;
            load(bus, decoded.op, address).map_err(Left::Trap)?
        }
        Op::Sb | Op::Sh | Op::Sw => {
            store(bus, decoded.op, address, right).map_err(Left::Trap)?;
            return Ok((following, cost));
        }
        Op::Beq => return Ok(branch(left == right, immediate, following)),
        Op::Bne => return Ok(branch(left != right, immediate, following)),
        Op::Blt => return Ok(branch(signed_left < signed_right, immediate, following)),
        Op::Bge => return Ok(branch(signed_left >= signed_right, immediate, following)),
        Op::Bltu => return Ok(branch(left < right, immediate, following)),
        Op::Bgeu => return Ok(branch(left >= right, immediate, following)),
        Op::Jal => {
            registers[usize::from(decoded.rd & 63)] = following;
            return Ok((immediate, cycles::JUMP));
        }
        Op::Jalr => {
            registers[usize::from(decoded.rd & 63)] = following;
            return Ok((address & !1, cycles::JUMP));
        }
        Op::Fence => return Ok((following, cost)),
        Op::System => return Err(Left::System(immediate)),
        Op::Illegal => return Err(illegal(immediate)),
        Op::Unknown => return Err(Left::Unknown),
        Op::Hook => return Err(Left::Hook),
    };
    registers[usize::from(decoded.rd & 63)] = value;
    Ok((following, cost))
}

#[cold]
fn illegal(bits: u32) -> Left {
    Left::Trap(Trap::IllegalInstruction { bits })
}

#[inline(always)]
fn branch(is_taken: bool, target: u32, following: u32) -> (u32, u32) {
    if is_taken {
        (target, cycles::JUMP)
    } else {
        (following, cycles::SIMPLE)
    }
}

#[inline(always)]
fn high_half(product: i64) -> u32 {
    (product >> 32) as u32
}

/// Divides. A division by zero does not trap: all bits set, and the dividend as the remainder.
#[inline(always)]
fn division(op: Op, left: u32, right: u32) -> u32 {
    let (signed_left, signed_right) = (left as i32, right as i32);
    match op {
        Op::Divu => left.checked_div(right).unwrap_or(u32::MAX),
        Op::Remu => left.checked_rem(right).unwrap_or(left),
        Op::Div if right == 0 => u32::MAX,
        Op::Div => signed_left.wrapping_div(signed_right) as u32,
        _ if right == 0 => left,
        _ => signed_left.wrapping_rem(signed_right) as u32,
    }
}

#[inline(always)]
fn load<B: Bus>(bus: &mut B, op: Op, address: u32) -> Result<u32, Trap> {
    let mask = match op {
        Op::Lw => 3,
        Op::Lh | Op::Lhu => 1,
        _ => 0,
    };
    if !B::TAKES_MISALIGNED && address & mask != 0 {
        return Err(Trap::LoadMisaligned { address });
    }
    let loaded = match op {
        Op::Lw => bus.load32(address),
        Op::Lh => bus.load16(address).map(|half| half as i16 as u32),
        Op::Lhu => bus.load16(address).map(u32::from),
        Op::Lb => bus.load8(address).map(|byte| byte as i8 as u32),
        _ => bus.load8(address).map(u32::from),
    };
    loaded.map_err(|BusFault| Trap::LoadFault { address })
}

#[inline(always)]
fn store<B: Bus>(bus: &mut B, op: Op, address: u32, value: u32) -> Result<(), Trap> {
    let mask = match op {
        Op::Sw => 3,
        Op::Sh => 1,
        _ => 0,
    };
    if !B::TAKES_MISALIGNED && address & mask != 0 {
        return Err(Trap::StoreMisaligned { address });
    }
    let stored = match op {
        Op::Sw => bus.store32(address, value),
        Op::Sh => bus.store16(address, value as u16),
        _ => bus.store8(address, value as u8),
    };
    stored.map_err(|BusFault| Trap::StoreFault { address })
}
