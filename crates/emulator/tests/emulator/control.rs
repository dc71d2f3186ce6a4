//! Branches, jumps, calls to the environment, counters, and what is no instruction.

use emulator::{Cpu, Ram, Trap};
use proptest::prelude::*;

use crate::machine::{A0, A1, A2, CODE, Machine};

/// A branch by 16 on `a1` and `a2`, and when it is taken.
type Branch = (&'static str, u32, fn(u32, u32) -> bool);

const BRANCHES: [Branch; 6] = [
    ("beq", 0x00c5_8863, |a, b| a == b),
    ("bne", 0x00c5_9863, |a, b| a != b),
    ("blt", 0x00c5_c863, |a, b| (a as i32) < b as i32),
    ("bge", 0x00c5_d863, |a, b| a as i32 >= b as i32),
    ("bltu", 0x00c5_e863, |a, b| a < b),
    ("bgeu", 0x00c5_f863, |a, b| a >= b),
];

fn check_branches(a1: u32, a2: u32) {
    for (name, word, is_taken) in BRANCHES {
        let mut machine = Machine::new(&[word]).with(&[(A1, a1), (A2, a2)]);
        machine.step().unwrap();
        let target = CODE + if is_taken(a1, a2) { 16 } else { 4 };
        assert_eq!(machine.cpu.pc(), target, "{name} on {a1:#x} and {a2:#x}");
    }
}

#[test]
fn branches_compare_with_and_without_sign() {
    const EDGES: [u32; 5] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    for a1 in EDGES {
        for a2 in EDGES {
            check_branches(a1, a2);
        }
    }
    // bne a1, a2, -16
    let mut machine = Machine::new(&[0xfec5_98e3]).with(&[(A1, 1)]);
    machine.step().unwrap();
    assert_eq!(machine.cpu.pc(), CODE - 16);
}

#[test]
fn jumps_leave_the_address_behind_them() {
    let base = CODE + 0x100;
    for (name, word, register, link, target) in [
        ("jal a0, 8", 0x0080_056f, A0, CODE + 4, CODE + 8),
        ("jal a0, -8", 0xff9f_f56f, A0, CODE + 4, CODE - 8),
        // The lowest bit of the sum is dropped.
        ("jalr a0, 5(a1)", 0x0055_8567, A0, CODE + 4, base + 4),
        // The target is read before the link is written.
        ("jalr a1, -4(a1)", 0xffc5_85e7, A1, CODE + 4, base - 4),
        ("jalr zero, 0(a1)", 0x0005_8067, 0, 0, base),
    ] {
        let mut machine = Machine::new(&[word]).with(&[(A1, base)]);
        machine.step().unwrap();
        assert_eq!(machine.cpu.pc(), target, "{name}");
        assert_eq!(machine.cpu.register(register), link, "{name}");
    }
}

#[test]
fn compressed_jumps_link_to_two_bytes_on() {
    for (name, parcel, target) in [
        ("c.jalr a1", 0x9582, CODE + 0x100),
        ("c.jal 8", 0x2021, CODE + 8),
    ] {
        let mut machine = Machine::of_parcels(&[parcel]).with(&[(A1, CODE + 0x100)]);
        machine.step().unwrap();
        assert_eq!(machine.cpu.pc(), target, "{name}");
        assert_eq!(machine.cpu.register(1), CODE + 2, "{name}");
    }
    // c.beqz a1, -8
    for (a1, target) in [(0, CODE - 8), (1, CODE + 2)] {
        let mut machine = Machine::of_parcels(&[0xdde5]).with(&[(A1, a1)]);
        machine.step().unwrap();
        assert_eq!(machine.cpu.pc(), target);
    }
}

#[test]
fn long_instruction_may_begin_between_two_words() {
    // c.nop, then addi a0, a1, -1
    let mut machine = Machine::of_parcels(&[0x0001, 0x8513, 0xfff5]).with(&[(A1, 43)]);
    machine.cpu.run(&mut machine.ram, 2).unwrap();
    assert_eq!((machine.cpu.register(A0), machine.cpu.pc()), (42, CODE + 6));
}

#[test]
fn instruction_must_be_in_memory_as_a_whole() {
    let mut ram = Ram::new(0x100, 2);
    let trap = Cpu::new(0x102).step(&mut ram);
    assert_eq!(trap, Err(Trap::FetchFault { address: 0x102 }));
    // The last two bytes of memory: a short instruction runs, a long one lacks its second half.
    emulator::Bus::store16(&mut ram, 0x100, 0x0001).unwrap();
    assert_eq!(Cpu::new(0x100).step(&mut ram), Ok(()));
    emulator::Bus::store16(&mut ram, 0x100, 0x8513).unwrap();
    let trap = Cpu::new(0x100).step(&mut ram);
    assert_eq!(trap, Err(Trap::FetchFault { address: 0x102 }));
}

#[test]
fn environment_is_called_without_effect() {
    assert_eq!(Machine::new(&[0x0000_0073]).trap(), Trap::EnvironmentCall);
    assert_eq!(Machine::new(&[0x0010_0073]).trap(), Trap::Breakpoint);
    assert_eq!(Machine::of_parcels(&[0x9002]).trap(), Trap::Breakpoint);
}

#[test]
fn fences_do_nothing() {
    let mut machine = Machine::new(&[0x0ff0_000f, 0x0000_100f]);
    machine.cpu.run(&mut machine.ram, 2).unwrap();
    assert_eq!(machine.cpu.pc(), CODE + 8);
}

#[test]
fn counters_count_what_was_completed() {
    for (name, word, expected) in [
        ("rdcycle a0", 0xc000_2573, 3),
        ("rdinstret a0", 0xc020_2573, 3),
        ("csrr a0, mcycle", 0xb000_2573, 3),
        ("csrr a0, minstret", 0xb020_2573, 3),
        ("rdcycleh a0", 0xc800_2573, 0),
        ("rdinstreth a0", 0xc820_2573, 0),
    ] {
        // Three times addi zero, a1, 1
        let mut machine = Machine::new(&[0x0015_8013, 0x0015_8013, 0x0015_8013, word]);
        machine.cpu.set_register(A0, 99);
        machine.cpu.run(&mut machine.ram, 4).unwrap();
        assert_eq!(machine.cpu.register(A0), expected, "{name}");
    }
}

#[test]
fn what_is_not_there_is_illegal() {
    for (name, bits) in [
        ("zeroes", 0x0000_0000),
        ("ones", 0xffff_ffff),
        ("csrw mcycle, a1", 0xb005_9073),
        ("csrrwi a0, minstret, 0", 0xb020_5573),
        ("csrr a0, mstatus", 0x3000_2573),
        ("rdtime a0", 0xc010_2573),
        ("wfi", 0x1050_0073),
        ("mret", 0x3020_0073),
        ("ecall with a register", 0x0000_0573),
        ("slli by 32", 0x0205_9513),
        ("srai with another bit", 0x4205_d513),
        ("jalr with funct3 1", 0x0005_9067),
        ("branch with funct3 2", 0x00c5_a863),
        ("branch with funct3 3", 0x00c5_b863),
        ("load with funct3 3", 0x0045_b503),
        ("load with funct3 6", 0x0045_e503),
        ("load with funct3 7", 0x0045_f503),
        ("store with funct3 3", 0x00c5_b223),
        ("store with funct3 7", 0x00c5_f223),
        ("sub with funct3 1", 0x40c5_9533),
        ("operation with funct7 2", 0x04c5_8533),
        ("fence with funct3 2", 0x0000_200f),
        ("lr.w of the A extension", 0x1005_a52f),
        ("flw of the F extension", 0x0005_a507),
    ] {
        let trap = Machine::new(&[bits]).with(&[(A1, CODE)]).trap();
        // Zeroes are a short instruction, of which 16 bits are reported.
        let expected = if bits & 3 == 3 { bits } else { bits & 0xffff };
        assert_eq!(trap, Trap::IllegalInstruction { bits: expected }, "{name}");
    }
}

#[test]
fn run_stops_after_as_many_as_asked_for() {
    // jal zero, 0
    let mut machine = Machine::new(&[0x0000_006f]);
    machine.cpu.run(&mut machine.ram, 1_000).unwrap();
    assert_eq!((machine.cpu.pc(), machine.cpu.retired()), (CODE, 1_000));
}

proptest! {
    #[test]
    fn any_numbers_are_compared_as_in_rust(a1: u32, a2: u32) {
        check_branches(a1, a2);
        check_branches(a1, a1);
    }

    /// Whatever the bits and registers are, there is a result or a trap without effect, and `x0` is 0.
    #[test]
    fn any_bits_run_or_trap(bits: u32, values in proptest::array::uniform31(any::<u32>())) {
        let mut machine = Machine::new(&[bits]);
        for (number, value) in values.iter().enumerate() {
            // Half of the registers point into memory, so that loads and stores succeed too.
            let value = if value % 2 == 0 { CODE + value % 0x800 } else { *value };
            machine.cpu.set_register(number + 1, value);
        }
        let before = machine.state();
        if machine.step().is_err() {
            prop_assert_eq!(machine.state(), before);
        } else {
            prop_assert_eq!(machine.cpu.register(0), 0);
            prop_assert_eq!(machine.cpu.retired(), 1);
            prop_assert_eq!(machine.cpu.pc() % 2, 0);
        }
    }
}
