//! What a run ends with, and what is counted.

use super::Reset;
use crate::cpu::Trap;

/// What ends an emulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Code or data was read from the flash while it programs or erases. A chip would read rubbish.
    #[error(
        "{address:#010x} was read from the flash while it is busy, by the instruction at {pc:#010x}"
    )]
    FlashBusy {
        /// The instruction.
        pc: u32,
        /// The address read.
        address: u32,
    },
    /// An exception in the first instruction of the exception handler: it would go on for ever.
    #[error("the exception handler at {pc:#010x} trapped")]
    DoubleTrap {
        /// The instruction.
        pc: u32,
        /// Why.
        source: Trap,
    },
}

/// Why a run came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// What was waited for came: the time, or the text.
    Reached,
    /// An address of [`Machine::stop_at`](super::Machine::stop_at) is next.
    At {
        /// The address.
        pc: u32,
    },
    /// The processor waits for an interrupt, and nothing will ever raise one.
    Idle,
    /// The flash lost its power at the operation that [`Nor::cut_at`](nor_model::Nor::cut_at) named. [`Machine::restart`](super::Machine::restart) gives it back.
    PowerCut,
    /// The program did what ends an emulation.
    Fault(Fault),
}

/// What a machine did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Instructions completed.
    pub instructions: u64,
    /// Cycles of 160 MHz in which the processor worked.
    pub busy: u64,
    /// Cycles of 160 MHz in which it waited for an interrupt, which the host skips.
    pub idle: u64,
    /// Resets, with the time of each in cycles of 160 MHz; the first is that of the power.
    pub resets: Vec<(u64, Reset)>,
}

/// How often the processor went from one address to another, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Times that it arrived.
    pub times: u64,
    /// Cycles of the processor for all of them, interrupts between included.
    pub cycles: u64,
    /// The most for one of them.
    pub cycles_max: u64,
    pub(crate) begun: Option<u64>,
}
