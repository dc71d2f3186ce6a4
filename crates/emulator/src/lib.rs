//! Runs on a PC what is compiled for the chip of a meter: an RV32IMC processor and memory.
//!
//! Written from the RISC-V Instruction Set Manual, Volume I (unprivileged), version 20191213. One hart, little-endian, no
//! caches and no model of time: each instruction counts as one cycle.
//!
//! ```text
//! program ──elf──▶ memory (Bus) ◀──loads, stores──▶ cpu ──▶ Trap: what the instruction cannot do by itself
//!                     └──16-bit parcels──compressed──▶ 32-bit instructions ──▲
//! ```
//!
//! | instructions | what is there |
//! |---|---|
//! | RV32I | all; `fence` does nothing, because there is one hart and memory is in order |
//! | M, C | all; hints do nothing |
//! | Zifencei | `fence.i` does nothing, because nothing fetched is kept |
//! | Zicsr | all; of the registers only the counters `mcycle`, `minstret`, `cycle` and `instret` with their upper halves, and they can only be read |
//!
//! Not there yet: the registers and instructions of machine mode (`mstatus`, `mtvec`, `mret`, `wfi` and so on), and with
//! them interrupts. A trap therefore ends [`Cpu::step`] and the caller decides what follows; the program counter stays
//! at the instruction that trapped, which has changed no register, stored nothing and does not count as retired.
//!
//! Loads and stores must be aligned to their size: the unprivileged manual leaves it to the processor, and a
//! misaligned one in compiled Rust is a mistake worth seeing.
//!
//! # Example
//! ```
//! use emulator::{Bus, Cpu, Ram, Trap};
//!
//! let mut ram = Ram::new(0x4038_0000, 64);
//! for (index, word) in [0x0060_0513, 0x0070_0593, 0x02b5_0533, 0x0000_0073].iter().enumerate() {
//!     // li a0, 6; li a1, 7; mul a0, a0, a1; ecall
//!     ram.store32(0x4038_0000 + 4 * index as u32, *word)?;
//! }
//! let mut cpu = Cpu::new(0x4038_0000);
//! assert_eq!(cpu.run(&mut ram, 100), Err(Trap::EnvironmentCall));
//! assert_eq!((cpu.register(10), cpu.retired()), (42, 3));
//! # Ok::<(), emulator::BusFault>(())
//! ```

mod compressed;
mod cost;
mod cpu;
mod elf;
mod execute;
mod format;
mod memory;
mod store;

pub use cost::{Cost, CostError, Reference, metering_cost, metering_reference};
pub use cpu::{Cpu, Trap};
pub use elf::{ElfError, Program};
pub use memory::{Bus, BusFault, Ram};
pub use store::{Ended, StoreError, live_on};
