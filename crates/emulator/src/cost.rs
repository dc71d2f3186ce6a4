//! What `metering` costs on the chip: the guest in `guests/metering`, run and counted.
//!
//! The guest measures a signal of its own making and marks the calls into `metering`; making the signal is not counted.
//! What the guest and this crate share, the signal, is one file of the guest's.

use crate::{
    cpu::{Cpu, Trap},
    elf::{ElfError, Program},
    memory::Ram,
};

#[path = "../guests/metering/src/signal.rs"]
mod signal;

/// Where `guest.ld` puts the guest, and how much memory it has.
const RAM_BASE: u32 = 0x4038_0000;
const RAM_BYTES: u32 = 384 * 1024;
/// No guest needs that many instructions: a hundred times what it takes today.
const INSTRUCTIONS_MAX: u64 = 5_000_000_000;

const A0: usize = 10;
const A1: usize = 11;
const A7: usize = 17;

/// What the guest needed and what came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Pairs of samples that were fed while instructions were counted.
    pub pairs: u32,
    /// Instructions for all of them.
    pub instructions: u64,
    /// Instructions for a pair in the mean, windows and intervals included.
    pub instructions_per_pair: f64,
    /// Instructions of the longest call: 200 pairs and what ended within them.
    pub instructions_per_call_max: u64,
    /// Of all fields of everything that the channel gave; the PC must have the same.
    pub checksum: u32,
}

/// What the same signal gives on the PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Pairs of samples that the guest counts.
    pub pairs: u32,
    /// Of all fields of everything that the channel gave.
    pub checksum: u32,
}

/// Why there is no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CostError {
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
    /// The guest made a call that is unknown, or out of turn.
    #[error("the guest made call {number} at {pc:#010x}, which is not its turn")]
    Call {
        /// Address of the instruction.
        pc: u32,
        /// Number of the call.
        number: u32,
    },
    /// The guest does not come to an end.
    #[error("the guest did not end within {INSTRUCTIONS_MAX} instructions")]
    Endless,
}

/// Runs the guest and counts.
///
/// # Errors
/// When `elf` is not the guest, or the guest does not come to its end.
pub fn metering_cost(elf: &[u8]) -> Result<Cost, CostError> {
    let program = Program::parse(elf)?;
    let mut ram = Ram::new(RAM_BASE, RAM_BYTES);
    program.load(&mut ram)?;
    let mut cpu = Cpu::new(program.entry());
    let mut counted_from = None;
    let (mut instructions, mut instructions_per_call_max) = (0, 0);
    loop {
        let left = INSTRUCTIONS_MAX.saturating_sub(cpu.retired());
        let pc = match cpu.run(&mut ram, left) {
            Ok(()) => return Err(CostError::Endless),
            Err(Trap::EnvironmentCall) => cpu.pc(),
            Err(source) => {
                let pc = cpu.pc();
                return Err(CostError::Trap { pc, source });
            }
        };
        let number = cpu.register(A7);
        match (number, counted_from) {
            (signal::call::COUNT_FROM, None) => counted_from = Some(cpu.retired()),
            (signal::call::COUNT_UNTIL, Some(from)) => {
                let call = cpu.retired() - from;
                instructions += call;
                instructions_per_call_max = call.max(instructions_per_call_max);
                counted_from = None;
            }
            (signal::call::FINISHED, None) => {
                let pairs = cpu.register(A0);
                return Ok(Cost {
                    pairs,
                    instructions,
                    instructions_per_pair: instructions as f64 / f64::from(pairs),
                    instructions_per_call_max,
                    checksum: cpu.register(A1),
                });
            }
            (signal::call::FAILED, _) => return Err(CostError::Panicked),
            _ => return Err(CostError::Call { pc, number }),
        }
        // An `ecall` has no compressed form.
        cpu.set_pc(pc.wrapping_add(4));
    }
}

/// Measures the guest's signal on this computer.
#[must_use]
pub fn metering_reference() -> Reference {
    let measured = signal::measure(|_| {}, |_| {});
    Reference {
        pairs: measured.pairs,
        checksum: measured.checksum,
    }
}

#[cfg(test)]
mod tests {
    use metering::{Flags, Interval, Output};

    use super::*;

    /// An equal checksum says little about a signal that has nothing in it.
    #[test]
    fn signal_has_ordinary_and_rare_things_in_it() {
        let mut intervals: Vec<Interval> = Vec::new();
        let (mut windows, mut spectra) = (0, 0);
        signal::measure(
            |_| {},
            |output| match output {
                Output::Interval(interval) => intervals.push(*interval),
                Output::Window(_) => windows += 1,
                Output::Spectrum(_) => spectra += 1,
            },
        );
        // 50.15 s with samples and 3.755 s without are 5 intervals.
        assert_eq!(intervals.len(), 5);
        assert!((240..=252).contains(&windows), "{windows} windows");
        assert_eq!(spectra, 2);
        // 325.3 V and 13.8 A in peaks, 30 degrees apart, and 0.54 more that are taken for skew: 1,933 W.
        let first = intervals[0];
        assert!((1_923..=1_943).contains(&first.energy_quanta), "{first:?}");
        assert_eq!((first.flags, first.coverage_permille), (Flags(0), 1_000));
        assert_eq!(first.frequency_chz, 4_998);
        let any = |holds: &dyn Fn(&Interval) -> bool| intervals[2..].iter().any(holds);
        assert!(any(&|interval| interval.flags.contains(Flags::CLIPPED)));
        assert!(any(&|interval| interval.flags.contains(Flags::NO_VOLTAGE)));
        assert!(any(&|interval| interval.minimum_power_w < -1_000));
        assert!(any(&|interval| interval.coverage_permille < 900));
    }

    #[test]
    fn marks_come_in_turn_around_the_counted_calls() {
        let (mut from, mut until) = (0, 0);
        let mark = |mark| match mark {
            signal::Mark::CountFrom => from += 1,
            signal::Mark::CountUntil => {
                until += 1;
                assert_eq!(from, until);
            }
        };
        let measured = signal::measure(mark, |_| {});
        assert_eq!((from, until, measured.pairs), (260, 260, 260 * 200));
    }
}
