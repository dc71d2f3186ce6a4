//! Loads and stores.

use emulator::{Bus, Trap};
use proptest::prelude::*;

use crate::machine::{A0, A1, A2, CODE, Machine};

const DATA: u32 = CODE + 0x100;

const LB: u32 = 0xfff5_8503; // lb a0, -1(a1)
const LH: u32 = 0xffe5_9503; // lh a0, -2(a1)
const LW: u32 = 0x0045_a503; // lw a0, 4(a1)
const LBU: u32 = 0xfff5_c503; // lbu a0, -1(a1)
const LHU: u32 = 0xffe5_d503; // lhu a0, -2(a1)
const SB: u32 = 0xfec5_8fa3; // sb a2, -1(a1)
const SH: u32 = 0xfec5_9f23; // sh a2, -2(a1)
const SW: u32 = 0x00c5_a223; // sw a2, 4(a1)

fn loaded(word: u32, memory: u32) -> u32 {
    // The address that the offset leads to DATA.
    let base = match word {
        LB | LBU => DATA + 1,
        LH | LHU => DATA + 2,
        _ => DATA - 4,
    };
    let mut machine = Machine::new(&[word]).with(&[(A1, base)]);
    machine.ram.store32(DATA, memory).unwrap();
    machine.step().unwrap();
    machine.cpu.register(A0)
}

#[test]
fn loads_extend_by_sign_or_by_zero() {
    let cases = [
        (LB, 0x1234_5680, 0xffff_ff80),
        (LB, 0xffff_ff7f, 0x7f),
        (LBU, 0xffff_ff80, 0x80),
        (LH, 0x1234_8000, 0xffff_8000),
        (LH, 0xffff_7fff, 0x7fff),
        (LHU, 0xffff_8000, 0x8000),
        (LW, 0x8000_0001, 0x8000_0001),
    ];
    for (word, memory, expected) in cases {
        assert_eq!(loaded(word, memory), expected, "{word:#x} of {memory:#x}");
    }
}

#[test]
fn stores_leave_what_is_beside_them() {
    for (word, base, expected) in [
        (SB, DATA + 2, 0x4444_dd44),
        (SH, DATA + 4, 0xccdd_4444),
        (SW, DATA - 4, 0xaabb_ccdd),
    ] {
        let mut machine = Machine::new(&[word]).with(&[(A1, base), (A2, 0xaabb_ccdd)]);
        for address in [DATA - 4, DATA, DATA + 4] {
            machine.ram.store32(address, 0x4444_4444).unwrap();
        }
        machine.step().unwrap();
        assert_eq!(machine.ram.load32(DATA - 4), Ok(0x4444_4444));
        assert_eq!(machine.ram.load32(DATA), Ok(expected), "{word:#x}");
        assert_eq!(machine.ram.load32(DATA + 4), Ok(0x4444_4444));
    }
}

#[test]
fn misaligned_accesses_trap() {
    for (word, offset, size) in [
        (LH, -2, 2),
        (LHU, -2, 2),
        (LW, 4, 4),
        (SH, -2, 2),
        (SW, 4, 4),
    ] {
        for by in 1..size {
            let base = DATA + by;
            let address = base.wrapping_add_signed(offset);
            let trap = Machine::new(&[word]).with(&[(A1, base)]).trap();
            let expected = if matches!(word, SH | SW) {
                Trap::StoreMisaligned { address }
            } else {
                Trap::LoadMisaligned { address }
            };
            assert_eq!(trap, expected);
        }
    }
}

#[test]
fn accesses_outside_memory_trap() {
    for (word, base, address) in [(LB, 1, 0), (LBU, 1, 0), (LH, 2, 0), (LHU, 2, 0)] {
        let trap = Machine::new(&[word]).with(&[(A1, base)]).trap();
        assert_eq!(trap, Trap::LoadFault { address });
    }
    // The offset leads over the end of the address space.
    let trap = Machine::new(&[LW]).with(&[(A1, 0xffff_fffc)]).trap();
    assert_eq!(trap, Trap::LoadFault { address: 0 });
    for (word, base) in [(SB, 1), (SH, 2), (SW, 0xffff_fffc)] {
        let trap = Machine::new(&[word]).with(&[(A1, base)]).trap();
        assert_eq!(trap, Trap::StoreFault { address: 0 });
    }
}

#[test]
fn compressed_load_reads_the_same_word() {
    // c.lw a0, 4(a1)
    let mut machine = Machine::of_parcels(&[0x41c8]).with(&[(A1, DATA - 4)]);
    machine.ram.store32(DATA, 0x8765_4321).unwrap();
    machine.step().unwrap();
    assert_eq!(machine.cpu.register(A0), 0x8765_4321);
    assert_eq!(machine.cpu.pc(), CODE + 2);
}

proptest! {
    #[test]
    fn any_word_comes_back(value: u32) {
        let mut machine = Machine::new(&[SW, LW]).with(&[(A1, DATA), (A2, value)]);
        machine.step().unwrap();
        machine.step().unwrap();
        prop_assert_eq!(machine.cpu.register(A0), value);
        prop_assert_eq!(loaded(LB, value), value as i8 as u32);
        prop_assert_eq!(loaded(LBU, value), value % 256);
        prop_assert_eq!(loaded(LH, value), value as i16 as u32);
        prop_assert_eq!(loaded(LHU, value), value % 65_536);
    }
}
