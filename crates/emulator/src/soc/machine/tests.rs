use nor_model::Torn;

use super::*;
use crate::{
    format::{b, i, j, opcode, s, u},
    soc::{CLOCK_HZ, interrupts::source, rom::BYTES},
};

const T0: u32 = 5;
const T1: u32 = 6;
const T2: u32 = 7;
mod triggers;

/// Memory in which programs leave numbers, and the same for instructions.
const COUNTER: u32 = 0x3fc8_0000;
const CODE: u32 = 0x4038_1000;
const CODE_AS_DATA: u32 = 0x3fc8_1000;
const MRET: u32 = 0x3020_0073;
const WFI: u32 = 0x1050_0073;
const RET: u32 = i(opcode::JALR, 0, 0, 1, 0);

const SPI: u32 = 0x6000_2000;
const MATRIX: u32 = 0x600c_2000;
const SYSTIMER: u32 = 0x6002_3000;
const TIMG0: u32 = 0x6001_f000;
const RTC: u32 = 0x6000_8000;

/// A program of the mask ROM: it begins at the reset vector.
struct Program {
    words: Vec<u32>,
}

impl Program {
    fn new() -> Self {
        Self { words: Vec::new() }
    }

    fn then(mut self, words: &[u32]) -> Self {
        self.words.extend(words);
        self
    }

    fn set(self, register: u32, value: u32) -> Self {
        let upper = value.wrapping_add(0x800) & 0xffff_f000;
        self.then(&[
            u(opcode::LUI, register, upper),
            i(opcode::OP_IMM, 0, register, register, value & 0xfff),
        ])
    }

    /// Stores a word.
    fn poke(self, address: u32, value: u32) -> Self {
        self.set(T0, address)
            .set(T1, value)
            .then(&[s(2, T0, T1, 0)])
    }

    /// Adds 1 to a word.
    fn count(self, address: u32) -> Self {
        self.set(T0, address).then(&[
            i(opcode::LOAD, 2, T1, T0, 0),
            i(opcode::OP_IMM, 0, T1, T1, 1),
            s(2, T0, T1, 0),
        ])
    }

    /// Fills up to an offset from the reset vector.
    fn at(mut self, offset: usize) -> Self {
        assert!(self.words.len() * 4 <= offset, "the program is short");
        self.words.resize(offset / 4, 0);
        self
    }

    fn machine(self) -> Machine {
        let mut bytes = vec![0; BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(self.words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Machine::new(Parts {
            rom: Rom {
                bytes: bytes.into_boxed_slice(),
            },
            flash: Nor::new(0x40_0000),
            latency: Latency::default(),
            mac: [2, 0, 0, 0, 0, 1],
            seed: 1,
            feed: Feed::constant(0),
        })
    }
}

fn csrw(number: u32, register: u32) -> u32 {
    i(opcode::SYSTEM, 1, 0, register, number)
}

/// Waits for ever.
fn sleep(program: Program) -> Program {
    program.then(&[WFI, j(0, 4_u32.wrapping_neg())])
}

#[test]
fn timer_wakes_the_processor_and_waiting_is_skipped() {
    let handler = sleep(
        Program::new()
            .poke(MATRIX + 4 * source::SYSTIMER_0, 1)
            .poke(MATRIX + 0x118, 1)
            .poke(MATRIX + 0x104, 1 << 1)
            // A period of 1 ms.
            .poke(SYSTIMER + 0x34, 1 << 30 | 16_000)
            .poke(SYSTIMER + 0x64, 1)
            .poke(SYSTIMER, 1 << 30 | 1 << 24)
            .poke(SYSTIMER + 0x50, 1)
            .set(T2, 0x4000_0400)
            .then(&[csrw(0x305, T2)])
            .set(T2, 1 << 3)
            .then(&[csrw(0x300, T2)]),
    );
    let mut machine = handler
        .at(0x400)
        .then(&[j(0, 0), j(0, 0x100 - 4)])
        .at(0x500)
        .count(COUNTER)
        .poke(SYSTIMER + 0x6c, 1)
        .then(&[MRET])
        .machine();
    assert_eq!(machine.run_until(CLOCK_HZ), Stop::Reached);
    assert_eq!(machine.load32(COUNTER), Some(999));
    let counters = machine.counters();
    assert_eq!(counters.busy + counters.idle, machine.now());
    assert!(counters.idle > 155_000_000, "{counters:?}");
    assert!(counters.instructions < 20_000, "{counters:?}");
}

#[test]
fn waiting_for_nothing_is_idle() {
    let mut machine = sleep(Program::new()).machine();
    assert_eq!(machine.run_until(CLOCK_HZ), Stop::Idle);
}

#[test]
fn software_resets_with_its_reason() {
    let restart = |program: Program| program.poke(RTC, 1 << 31).then(&[j(0, 0)]);
    let mut machine = restart(
        Program::new()
            .count(COUNTER)
            .set(T0, COUNTER)
            .set(T2, 3)
            // Three times.
            .then(&[b(0, T1, T2, 8), j(0, 8), j(0, 0)]),
    )
    .machine();
    assert_eq!(machine.run_until(CLOCK_HZ / 100), Stop::Reached);
    // Memory stays through a reset by software.
    assert_eq!(machine.load32(COUNTER), Some(3));
    let reasons: Vec<_> = machine
        .counters()
        .resets
        .iter()
        .map(|(_, why)| *why)
        .collect();
    let software = Reset::SoftwareSystem;
    assert_eq!(reasons, [Reset::PowerOn, software, software]);
    assert_eq!(machine.load32(RTC + 0x38).map(|state| state & 63), Some(3));
}

#[test]
fn hung_program_is_ended_by_its_watchdog() {
    let mut machine = Program::new()
        .poke(TIMG0 + 0x4c, 40_000 << 16)
        .poke(TIMG0 + 0x50, 20)
        .poke(TIMG0 + 0x48, 1 << 31 | 3 << 29)
        .then(&[j(0, 0)])
        .machine();
    assert_eq!(machine.run_until(CLOCK_HZ / 64), Stop::Reached);
    let (at, why) = machine.counters().resets[1];
    assert_eq!(why, Reset::Timer0System);
    // 20 counts of half a millisecond.
    assert!((1_600_000..1_601_000).contains(&at), "{at}");
}

fn erase(program: Program) -> Program {
    program
        .poke(SPI, 1 << 30)
        .poke(SPI + 4, 0x1000)
        .poke(SPI, 1 << 24)
}

#[test]
fn flash_read_while_it_is_busy_ends_the_run() {
    let mapped = Program::new()
        .poke(0x600c_5000, 0)
        .poke(0x600c_4000, 1)
        .set(T2, 0x3c00_0000)
        .then(&[i(opcode::LOAD, 2, T1, T2, 0)]);
    let mut machine = erase(mapped)
        .set(T2, 0x3c00_0000)
        .then(&[i(opcode::LOAD, 2, T1, T2, 0), j(0, 0)])
        .machine();
    let Stop::Fault(Fault::FlashBusy { address, .. }) = machine.run_until(CLOCK_HZ) else {
        panic!("{:?}", machine.last_trap());
    };
    assert_eq!(address, 0x3c00_0000);
}

#[test]
fn cut_stops_the_machine_until_its_power_is_back() {
    let mut machine = erase(Program::new().count(COUNTER))
        .then(&[j(0, 0)])
        .machine();
    machine.flash_mut().cut_at(0, Torn::Complete, 0);
    assert_eq!(machine.run_until(CLOCK_HZ), Stop::PowerCut);
    assert_eq!(machine.run_until(CLOCK_HZ), Stop::PowerCut);
    machine.restart();
    assert_eq!(machine.now(), 0);
    assert_eq!(machine.run_until(CLOCK_HZ / 10), Stop::Reached);
    // Memory was lost with the power.
    assert_eq!(machine.load32(COUNTER), Some(1));
    assert_eq!(machine.flash().counters().erases[1], 2);
}

#[test]
fn overwritten_instructions_are_decoded_anew() {
    let increment = |by: u32| i(opcode::OP_IMM, 0, 10, 10, by);
    let call = |program: Program| program.set(T2, CODE).then(&[i(opcode::JALR, 0, 1, T2, 0)]);
    let mut machine = Program::new()
        .poke(CODE_AS_DATA, increment(1))
        .poke(CODE_AS_DATA + 4, RET);
    machine = call(call(machine)).poke(CODE_AS_DATA, increment(100));
    let mut machine = call(machine).then(&[j(0, 0)]).machine();
    assert_eq!(machine.run_until(CLOCK_HZ / 1_000), Stop::Reached);
    assert_eq!(machine.register(10), 102);
}

#[test]
fn spans_and_stops_see_each_arrival() {
    let mut machine = Program::new()
        .then(&[
            i(opcode::OP_IMM, 0, 10, 10, 1),
            i(opcode::OP_IMM, 0, 11, 11, 1),
            i(opcode::LOAD, 2, 12, 0, 0),
            j(0, 12_u32.wrapping_neg()),
        ])
        .machine();
    // A load from nowhere goes to the vector, which is the beginning.
    let (from, to) = (0x4000_0004, 0x4000_0000);
    machine.measure(from, to);
    machine.stop_at(0x4000_0008);
    for round in 1..=3 {
        let stop = machine.run_until(CLOCK_HZ);
        assert_eq!(stop, Stop::At { pc: 0x4000_0008 });
        assert_eq!(machine.register(10), round);
    }
    let span = machine.span(from, to).unwrap();
    assert_eq!(span.times, 2);
    assert_eq!(span.cycles, 2 * span.cycles_max);
}

#[test]
fn random_numbers_follow_from_the_seed() {
    let numbers = || {
        let mut machine = sleep(Program::new()).machine();
        [(); 4].map(|()| machine.load32(0x6002_60b0))
    };
    assert_eq!(numbers(), numbers());
    assert_ne!(numbers()[0], numbers()[1]);
}
