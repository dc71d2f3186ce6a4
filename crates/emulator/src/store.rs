//! The flash store on the chip: the guest in `guests/store`, run on a model flash that can lose its power.

use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};
use nor_model::Nor;

use crate::{
    cpu::{Cpu, Trap},
    elf::{ElfError, Program},
    memory::{Bus as _, BusFault, Ram},
};

#[path = "../guests/store/src/numbers.rs"]
mod numbers;

/// Where `guest.ld` puts the guest, and how much memory it has.
const RAM_BASE: u32 = 0x4038_0000;
const RAM_BYTES: u32 = 384 * 1024;
/// A life without a cut takes a tenth of this.
const INSTRUCTIONS_MAX: u64 = 20_000_000_000;

const A0: usize = 10;
const A1: usize = 11;
const A2: usize = 12;
const A7: usize = 17;
/// What a call to the flash answers.
const DONE: u32 = 0;
const NOT_DONE: u32 = 1;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// At its end; the next reading would get this number.
    Whole {
        /// The number.
        next: u64,
    },
    /// The flash stopped.
    Stopped,
}

/// Why there is no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The guest cannot be loaded.
    #[error("the guest cannot be loaded")]
    Elf(#[from] ElfError),
    /// The guest did what the processor cannot.
    #[error("the guest trapped at {pc:#010x}")]
    Trap {
        /// Address of the instruction.
        pc: u32,
        /// What it did.
        source: Trap,
    },
    /// The guest panicked.
    #[error("the guest panicked")]
    Panicked,
    /// The guest made a call that is unknown.
    #[error("the guest made call {number} at {pc:#010x}, which there is not")]
    Call {
        /// Address of the instruction.
        pc: u32,
        /// Number of the call.
        number: u32,
    },
    /// The guest named memory that is not there.
    #[error("the guest lent memory that it does not have")]
    Memory(#[from] BusFault),
    /// The guest does not come to an end.
    #[error("the guest did not end within {INSTRUCTIONS_MAX} instructions")]
    Endless,
}

/// Runs the guest on a flash, from its start to its end or to a power cut.
///
/// # Errors
/// When `elf` is not the guest, or the guest does what none does.
pub fn live_on(elf: &[u8], flash: &mut Nor) -> Result<Ended, StoreError> {
    let program = Program::parse(elf)?;
    let mut ram = Ram::new(RAM_BASE, RAM_BYTES);
    program.load(&mut ram)?;
    let mut cpu = Cpu::new(program.entry());
    loop {
        let left = INSTRUCTIONS_MAX.saturating_sub(cpu.retired());
        let pc = match cpu.run(&mut ram, left) {
            Ok(()) => return Err(StoreError::Endless),
            Err(Trap::EnvironmentCall) => cpu.pc(),
            Err(source) => {
                let pc = cpu.pc();
                return Err(StoreError::Trap { pc, source });
            }
        };
        let [first, second, third] = [A0, A1, A2].map(|register| cpu.register(register));
        let is_done = match cpu.register(A7) {
            numbers::FLASH_READ => read(flash, &mut ram, first, second, third)?,
            numbers::FLASH_WRITE => write(flash, &mut ram, first, second, third)?,
            numbers::FLASH_ERASE => flash.erase(first, second).is_ok(),
            numbers::FINISHED => {
                let next = u64::from(second) << 32 | u64::from(first);
                return Ok(Ended::Whole { next });
            }
            numbers::STOPPED => return Ok(Ended::Stopped),
            numbers::FAILED => return Err(StoreError::Panicked),
            number => return Err(StoreError::Call { pc, number }),
        };
        cpu.set_register(A0, if is_done { DONE } else { NOT_DONE });
        // An `ecall` has no compressed form.
        cpu.set_pc(pc.wrapping_add(4));
    }
}

/// Reads from the flash into the guest's memory.
fn read(flash: &mut Nor, ram: &mut Ram, from: u32, to: u32, length: u32) -> Result<bool, BusFault> {
    let mut bytes = lent(length)?;
    let is_done = flash.read(from, &mut bytes).is_ok();
    for (address, byte) in (to..).zip(bytes) {
        ram.store8(address, byte)?;
    }
    Ok(is_done)
}

/// Programs the flash from the guest's memory.
fn write(
    flash: &mut Nor,
    ram: &mut Ram,
    to: u32,
    from: u32,
    length: u32,
) -> Result<bool, BusFault> {
    let mut bytes = lent(length)?;
    for (address, byte) in (from..).zip(&mut bytes) {
        *byte = ram.load8(address)?;
    }
    Ok(flash.write(to, &bytes).is_ok())
}

/// Returns room for so many bytes; no guest lends more than it has.
fn lent(length: u32) -> Result<Vec<u8>, BusFault> {
    (length <= RAM_BYTES)
        .then(|| vec![0; length as usize])
        .ok_or(BusFault)
}
