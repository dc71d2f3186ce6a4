//! An ESP32-C3 on a PC: runs the very image of a meter, and single programs that are compiled for the chip.
//!
//! Written from the RISC-V Instruction Set Manual, Volume I (unprivileged), version 20191213, the registers of the
//! `esp32c3` crate, and the technical reference manual of the chip; from no emulator's code.
//!
//! ```text
//!                        ┌─ Machine ──────────────────────────────────────────────────────────────┐
//! image in a Nor ───────▶│ mask ROM ▶ bootloader ▶ application                                    │
//! adc::Feed ────────────▶│ hart ◀── interrupt matrix ◀── timers, watchdogs, converter, DMA, pins  │──▶ console, pins
//! network::Host ◀── Card │   └── bus ── memory, cache ── flash controller, SHA, eFuse, random ... │
//!                        └────────────────────────────────────────────────────────────────────────┘
//! program ──elf──▶ Ram (Bus) ◀──loads, stores──▶ Cpu ──▶ Trap: what the instruction cannot do by itself
//! ```
//!
//! # The machine
//! [`Machine`] boots an unmodified flash image of 4 MB through the chip's mask ROM and the stock bootloader. Virtual time
//! counts cycles of 160 MHz since power came; it depends on nothing outside, so that runs repeat to the cycle. Where the
//! processor waits for an interrupt, time goes on to the next event at once.
//!
//! | part | what is there |
//! |---|---|
//! | processor | RV32IMC in machine mode; interrupts by the matrix, with priorities, threshold, levels and edges; decoded instructions are kept until what they came from changes |
//! | time of instructions | 1 cycle; loads 2, jumps and branches taken 3, divisions 33, system instructions 2, an access to a register 4 more, the entry of a trap 4: assumptions, as no table is published; the processor's clock follows its registers |
//! | memory | ROM, 400 KiB of SRAM on both buses, 8 KiB of RTC memory that survives resets but not power cuts, flash through the cache's table; misaligned accesses to memory are done |
//! | flash | the controller's own and user commands on a [`Nor`](nor_model::Nor): busy times, status, permission, wrapping pages, power cuts; a read through the cache while it is busy is a [`Fault`] |
//! | time | SYSTIMER, both timer groups and their watchdogs, the RTC's timer and watchdog, calibration of the slow clock |
//! | resets | by software and by each watchdog, of the processor, the system or everything, with their reasons |
//! | others | UART0 and USB serial (bytes take no time), pins, eFuse (MAC, revision 1.1, ADC calibration), SHA-224/256, random numbers from a seed, converter and DMA ([`adc`]), a network card of our own ([`network`]) |
//!
//! Not there: lines of the cache and what their misses cost, the radio (its calibration flags say that it is done, and
//! nothing is ever sent or received), Bluetooth, sleep, the super watchdog, the watchdogs' mode during a boot from flash,
//! brown-out, flash encryption and suspension, memory protection, user mode, triggers, I2C, I2S, RMT, LEDC, SPI2, TWAI,
//! UART1, AES, RSA, HMAC, SHA by DMA, clock gates. Registers without a model keep what is written; [`Machine::touches`]
//! lists them.
//!
//! # The processor alone
//! [`Cpu`] runs programs on plain memory; each instruction counts as one.
//!
//! | instructions | what is there |
//! |---|---|
//! | RV32I | all; `fence` does nothing, because there is one hart and memory is in order |
//! | M, C | all; hints do nothing |
//! | Zifencei | `fence.i` does nothing, because nothing fetched is kept |
//! | Zicsr | all; of the registers only the counters `mcycle`, `minstret`, `cycle` and `instret` with their upper halves, and they can only be read |
//!
//! A trap ends [`Cpu::step`] and the caller decides what follows; the program counter stays at the instruction that
//! trapped, which has changed no register, stored nothing and does not count as retired. Loads and stores must be aligned
//! to their size: the unprivileged manual leaves it to the processor, and a misaligned one in compiled Rust is a mistake
//! worth seeing.
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

pub mod adc;
mod compressed;
mod cost;
mod cpu;
mod decode;
mod elf;
mod execute;
mod format;
pub mod life;
mod memory;
pub mod network;
mod soc;
mod store;

pub use cost::{Cost, CostError, Reference, metering_cost, metering_reference};
pub use cpu::{Cpu, Trap};
pub use elf::{ElfError, Program};
pub use memory::{Bus, BusFault, Ram};
pub use soc::{CLOCK_HZ, Counters, Fault, Machine, Parts, Reset, Rom, RomError, Span, Stop, Touch};
pub use store::{Ended, StoreError, live_on};
