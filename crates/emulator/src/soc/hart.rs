//! The processor in machine mode: its control and status registers, traps and interrupts.
//!
//! An ESP32-C3 takes interrupts from its matrix, not by `mie` and `mip`. The vector table is at `mtvec`: exceptions go to
//! its first entry, interrupt n to its n-th. User mode is not there.

use std::collections::BTreeMap;

use super::{
    bus::Soc,
    code::{Code, PARCELS},
    triggers::Triggers,
};
use crate::{
    cpu::Trap,
    decode::Decoded,
    execute::{self, Left, Registers, cycles},
    format::Instruction,
};

const MSTATUS: u32 = 0x300;
const MISA: u32 = 0x301;
const MTVEC: u32 = 0x305;
const MEPC: u32 = 0x341;
const MCAUSE: u32 = 0x342;
const MTVAL: u32 = 0x343;
/// Cycles of the performance counter, which programs read as the time.
const MPCCR: u32 = 0x7e2;
/// The same counter for user mode, which the mask ROM reads.
const UPCCR: u32 = 0x802;
const MARCHID: u32 = 0xf12;
const MVENDORID: u32 = 0xf11;

const MIE: u32 = 1 << 3;
const MPIE: u32 = 1 << 7;
const MPP: u32 = 3 << 11;

const INTERRUPT: u32 = 1 << 31;
/// Cycles from an interrupt or exception to the first instruction of its vector: an assumption.
const ENTRY: u64 = 4;

/// How a run of instructions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The deadline came.
    Deadline,
    /// An address with a hook was reached; its instruction has not run.
    Hook,
    /// A trap at the very vector: nobody will ever handle it.
    DoubleTrap(Trap),
}

#[derive(Debug)]
pub(crate) struct Hart {
    pub(crate) registers: Registers,
    pub(crate) pc: u32,
    pub(crate) retired: u64,
    /// `wfi` waits for an interrupt.
    pub(crate) waits: bool,
    mstatus: u32,
    mtvec: u32,
    /// The other control and status registers, which only keep what is written.
    kept: BTreeMap<u32, u32>,
    triggers: Triggers,
    /// What the cycles are ahead of their counter.
    counter_offset: u32,
    /// The last exception, for who asks why.
    pub(crate) last_trap: Option<(u32, Trap)>,
}

/// Where the processor begins.
const RESET_VECTOR: u32 = 0x4000_0000;

impl Hart {
    pub(crate) fn new() -> Self {
        Self {
            registers: [0; 64],
            pc: RESET_VECTOR,
            retired: 0,
            waits: false,
            mstatus: 0,
            mtvec: RESET_VECTOR,
            kept: BTreeMap::new(),
            triggers: Triggers::default(),
            counter_offset: 0,
            last_trap: None,
        }
    }

    /// Begins again.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            retired: self.retired,
            ..Self::new()
        };
    }

    pub(crate) fn takes_interrupts(&self) -> bool {
        self.mstatus & MIE != 0
    }

    /// Goes to the vector of an interrupt.
    pub(crate) fn interrupt(&mut self, soc: &mut Soc, number: u32) {
        self.waits = false;
        self.enter(
            soc,
            INTERRUPT | number,
            0,
            self.mtvec.wrapping_add(4 * number),
        );
    }

    fn enter(&mut self, soc: &mut Soc, cause: u32, value: u32, target: u32) {
        self.kept.insert(MEPC, self.pc);
        self.kept.insert(MCAUSE, cause);
        self.kept.insert(MTVAL, value);
        let previous = if self.mstatus & MIE != 0 { MPIE } else { 0 };
        self.mstatus = self.mstatus & !(MIE | MPIE) | previous | MPP;
        self.triggers.enter();
        soc.watch = self.triggers.watch();
        self.pc = target;
        soc.extra += ENTRY;
    }

    /// Executes instructions until the bus's deadline.
    pub(crate) fn run(&mut self, soc: &mut Soc, code: &mut Code, step_over_hook: bool) -> Ran {
        let mut over = step_over_hook;
        loop {
            let Some(number) = Code::number(self.pc) else {
                if let Some(ran) = self.trap(soc, Trap::FetchFault { address: self.pc }) {
                    return ran;
                }
                return Ran::Deadline;
            };
            if Code::is_flash(number) && !soc.can_execute(self.pc) {
                if soc.violation.is_some() {
                    return Ran::Deadline;
                }
                if let Some(ran) = self.trap(soc, Trap::FetchFault { address: self.pc }) {
                    return ran;
                }
                return Ran::Deadline;
            }
            let (page, hooks) = code.page(number);
            let base = self.pc & !0xffff;
            let (mut pc, mut cycles, mut retired) = (self.pc, soc.cycles, self.retired);
            let left = loop {
                if cycles >= soc.deadline || pc & !0xffff != base {
                    break None;
                }
                let decoded = page[pc as usize >> 1 & (PARCELS - 1)];
                soc.cycles = cycles;
                soc.pc = pc;
                match execute::instruction(&mut self.registers, soc, pc, decoded) {
                    Ok((next, cost)) => {
                        pc = next;
                        cycles += u64::from(cost);
                        retired += 1;
                    }
                    Err(Left::Unknown) if hooks.contains(&pc) => {
                        page[pc as usize >> 1 & (PARCELS - 1)] = Decoded::HOOK;
                    }
                    Err(Left::Unknown) => match Decoded::fetch(soc, pc) {
                        Ok(fresh) => {
                            soc.mark_code(pc);
                            page[pc as usize >> 1 & (PARCELS - 1)] = fresh;
                        }
                        Err(trap) => break Some(Left::Trap(trap)),
                    },
                    Err(Left::Hook) if over => {
                        over = false;
                        let step = match Decoded::fetch(soc, pc) {
                            Ok(fresh) => execute::instruction(&mut self.registers, soc, pc, fresh),
                            Err(trap) => Err(Left::Trap(trap)),
                        };
                        match step {
                            Ok((next, cost)) => {
                                pc = next;
                                cycles += u64::from(cost);
                                retired += 1;
                            }
                            Err(left) => break Some(left),
                        }
                    }
                    Err(left) => break Some(left),
                }
            };
            self.pc = pc;
            self.retired = retired;
            soc.cycles = cycles;
            let ran = match left {
                None if cycles >= soc.deadline => return Ran::Deadline,
                None => None,
                Some(Left::System(word)) => self.system(soc, Instruction(word)),
                Some(Left::Trap(trap)) => self.trap(soc, trap),
                Some(Left::Unknown | Left::Hook) => Some(Ran::Hook),
            };
            if let Some(ran) = ran {
                return ran;
            }
        }
    }

    /// Takes an exception.
    fn trap(&mut self, soc: &mut Soc, trap: Trap) -> Option<Ran> {
        if soc.violation.is_some() {
            return Some(Ran::Deadline);
        }
        let refused = soc.watch.take_refused();
        let trap = refused.map_or(trap, |store| {
            self.triggers.refused(store);
            Trap::Breakpoint
        });
        let (cause, value) = match trap {
            Trap::FetchFault { address } => (1, address),
            Trap::IllegalInstruction { bits } => (2, bits),
            Trap::Breakpoint => (3, refused.map_or(self.pc, |store| store.0)),
            Trap::LoadMisaligned { address } => (4, address),
            Trap::LoadFault { address } => (5, address),
            Trap::StoreMisaligned { address } => (6, address),
            Trap::StoreFault { address } => (7, address),
            Trap::EnvironmentCall => (11, 0),
        };
        self.last_trap = Some((self.pc, trap));
        let vector = self.mtvec & !0xff;
        if self.pc == vector {
            return Some(Ran::DoubleTrap(trap));
        }
        self.enter(soc, cause, value, vector);
        None
    }

    /// Executes a system instruction.
    #[inline(never)]
    fn system(&mut self, soc: &mut Soc, word: Instruction) -> Option<Ran> {
        const ECALL: u32 = 0x0000_0073;
        const EBREAK: u32 = 0x0010_0073;
        const MRET: u32 = 0x3020_0073;
        const WFI: u32 = 0x1050_0073;
        soc.cycles += u64::from(cycles::SYSTEM);
        let funct3 = word.funct3();
        match word.0 {
            ECALL => return self.trap(soc, Trap::EnvironmentCall),
            EBREAK => return self.trap(soc, Trap::Breakpoint),
            MRET => {
                let enabled = if self.mstatus & MPIE != 0 { MIE } else { 0 };
                self.mstatus = self.mstatus & !MIE | enabled | MPIE;
                self.triggers.leave();
                soc.watch = self.triggers.watch();
                self.pc = self.csr(soc, MEPC).unwrap_or(0) & !1;
                self.retired += 1;
                soc.deadline = 0;
                return Some(Ran::Deadline);
            }
            WFI => {
                self.waits = true;
                self.pc = self.pc.wrapping_add(4);
                self.retired += 1;
                soc.deadline = 0;
                return Some(Ran::Deadline);
            }
            _ => {}
        }
        let illegal = Trap::IllegalInstruction { bits: word.0 };
        let number = word.csr();
        let Some(before) = self.csr(soc, number).filter(|_| funct3 & 3 != 0) else {
            return self.trap(soc, illegal);
        };
        let operand = if funct3 & 4 == 0 {
            self.registers[word.rs1()]
        } else {
            word.rs1() as u32
        };
        let after = match funct3 & 3 {
            1 => Some(operand),
            _ if word.rs1() == 0 => None,
            2 => Some(before | operand),
            _ => Some(before & !operand),
        };
        if word.rd() != 0 {
            self.registers[word.rd()] = before;
        }
        self.pc = self.pc.wrapping_add(4);
        self.retired += 1;
        let value = after?;
        let allowed_before = self.takes_interrupts();
        self.set_csr(soc, number, value);
        if self.takes_interrupts() && !allowed_before && soc.interrupts.pending().is_some() {
            soc.deadline = 0;
            return Some(Ran::Deadline);
        }
        None
    }

    fn csr(&self, soc: &Soc, number: u32) -> Option<u32> {
        if let Some(value) = self.triggers.csr(number) {
            return Some(value);
        }
        Some(match number {
            MSTATUS => self.mstatus | MPP,
            // RV32IMC.
            MISA => 0x4000_1104,
            MTVEC => self.mtvec | 1,
            MPCCR | UPCCR => ((soc.cycles + soc.extra) as u32).wrapping_sub(self.counter_offset),
            MVENDORID => 0x0612,
            MARCHID => 0x8000_0001,
            0xf13 | 0xf14 => 0,
            // mideleg to mcounteren, mscratch to mip, PMP, more of triggers, counter, the processor's own, user mode's.
            0x000..=0x005
            | 0x040..=0x044
            | 0x302..=0x306
            | 0x340..=0x344
            | 0x3a0..=0x3a3
            | 0x3b0..=0x3bf
            | 0x7a0..=0x7a8
            | 0x7b0..=0x7b3
            | 0x7e0
            | 0x7e1
            | 0x800..=0x805
            | 0xbc0..=0xbff => self.kept.get(&number).copied().unwrap_or(0),
            _ => return None,
        })
    }

    fn set_csr(&mut self, soc: &mut Soc, number: u32, value: u32) {
        if self.triggers.set_csr(number, value) {
            soc.watch = self.triggers.watch();
            return;
        }
        match number {
            MSTATUS => self.mstatus = value & (MIE | MPIE | MPP),
            MTVEC => self.mtvec = value & !0xff,
            MPCCR | UPCCR => {
                self.counter_offset = ((soc.cycles + soc.extra) as u32).wrapping_sub(value)
            }
            MISA | 0xf11..=0xf14 => {}
            _ => {
                self.kept.insert(number, value);
            }
        }
    }
}
