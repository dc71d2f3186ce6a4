//! Operations on registers and immediates.

use proptest::prelude::*;

use crate::machine::{A1, CODE, Machine, result};

/// An instruction from `a1` and `a2` to `a0`, and what it computes.
type Operation = (&'static str, u32, fn(u32, u32) -> u32);

const REGISTERS: [Operation; 18] = [
    ("add", 0x00c5_8533, |a, b| {
        (u64::from(a) + u64::from(b)) as u32
    }),
    ("sub", 0x40c5_8533, |a, b| {
        (i64::from(a) - i64::from(b)) as u32
    }),
    ("sll", 0x00c5_9533, |a, b| a.wrapping_shl(b)),
    ("slt", 0x00c5_a533, |a, b| (signed(a) < signed(b)).into()),
    ("sltu", 0x00c5_b533, |a, b| (a < b).into()),
    ("xor", 0x00c5_c533, |a, b| a ^ b),
    ("srl", 0x00c5_d533, |a, b| a.wrapping_shr(b)),
    ("sra", 0x40c5_d533, |a, b| {
        signed(a).div_euclid(1 << (b % 32)) as u32
    }),
    ("or", 0x00c5_e533, |a, b| a | b),
    ("and", 0x00c5_f533, |a, b| a & b),
    ("mul", 0x02c5_8533, |a, b| (signed(a) * signed(b)) as u32),
    ("mulh", 0x02c5_9533, |a, b| {
        (signed(a) * signed(b)).div_euclid(1 << 32) as u32
    }),
    ("mulhsu", 0x02c5_a533, |a, b| {
        (signed(a) * i64::from(b)).div_euclid(1 << 32) as u32
    }),
    ("mulhu", 0x02c5_b533, |a, b| {
        ((u128::from(a) * u128::from(b)) >> 32) as u32
    }),
    // In 64 bits the smallest number by -1 does not overflow, and its lower half is what the manual asks for.
    ("div", 0x02c5_c533, |a, b| {
        signed(a).checked_div(signed(b)).unwrap_or(-1) as u32
    }),
    ("divu", 0x02c5_d533, |a, b| {
        a.checked_div(b).unwrap_or(u32::MAX)
    }),
    ("rem", 0x02c5_e533, |a, b| {
        signed(a).checked_rem(signed(b)).unwrap_or(signed(a)) as u32
    }),
    ("remu", 0x02c5_f533, |a, b| if b == 0 { a } else { a % b }),
];

const IMMEDIATES: [Operation; 13] = [
    ("addi -1", 0xfff5_8513, |a, _| a.wrapping_sub(1)),
    ("addi 2047", 0x7ff5_8513, |a, _| a.wrapping_add(2047)),
    ("slti -1", 0xfff5_a513, |a, _| (signed(a) < -1).into()),
    ("sltiu -1", 0xfff5_b513, |a, _| (a != u32::MAX).into()),
    ("sltiu 1", 0x0015_b513, |a, _| (a == 0).into()),
    ("xori -1", 0xfff5_c513, |a, _| !a),
    ("ori -2048", 0x8005_e513, |a, _| a | 0xffff_f800),
    ("andi 255", 0x0ff5_f513, |a, _| a % 256),
    ("slli 31", 0x01f5_9513, |a, _| a % 2 * 0x8000_0000),
    ("slli 0", 0x0005_9513, |a, _| a),
    ("srli 31", 0x01f5_d513, |a, _| a / 0x8000_0000),
    ("srai 31", 0x41f5_d513, |a, _| {
        if signed(a) < 0 { u32::MAX } else { 0 }
    }),
    ("srai 7", 0x4075_d513, |a, _| {
        signed(a).div_euclid(128) as u32
    }),
];

fn signed(value: u32) -> i64 {
    i64::from(value as i32)
}

const EDGES: [u32; 12] = [
    0,
    1,
    2,
    31,
    32,
    33,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffe0,
    0xffff_fffe,
    0xffff_ffff,
];

fn check(a1: u32, a2: u32) {
    for (name, word, expected) in REGISTERS.into_iter().chain(IMMEDIATES) {
        let (found, expected) = (result(word, a1, a2), expected(a1, a2));
        assert_eq!(found, expected, "{name} of {a1:#x} and {a2:#x}");
    }
}

#[test]
fn edges_are_as_the_manual_has_them() {
    for a1 in EDGES {
        for a2 in EDGES {
            check(a1, a2);
        }
    }
}

#[test]
fn divisions_without_a_quotient_do_not_trap() {
    const MIN: u32 = 0x8000_0000;
    let cases = [
        ("div by 0", 0x02c5_c533, 7, 0, u32::MAX),
        ("divu by 0", 0x02c5_d533, 7, 0, u32::MAX),
        ("rem by 0", 0x02c5_e533, 0xffff_fff9, 0, 0xffff_fff9),
        ("remu by 0", 0x02c5_f533, 7, 0, 7),
        ("div of the smallest by -1", 0x02c5_c533, MIN, u32::MAX, MIN),
        ("rem of the smallest by -1", 0x02c5_e533, MIN, u32::MAX, 0),
        ("div towards 0", 0x02c5_c533, 0xffff_fff9, 2, 0xffff_fffd),
        (
            "rem has the dividend's sign",
            0x02c5_e533,
            0xffff_fff9,
            2,
            u32::MAX,
        ),
    ];
    for (name, word, a1, a2, expected) in cases {
        assert_eq!(result(word, a1, a2), expected, "{name}");
    }
}

#[test]
fn upper_immediates_are_added_to_the_program_counter_or_not() {
    assert_eq!(result(0x8000_0537, 0, 0), 0x8000_0000, "lui a0, 0x80000");
    assert_eq!(result(0xffff_f517, 0, 0), CODE - 0x1000, "auipc a0, -1");
}

#[test]
fn register_zero_stays_zero() {
    // addi zero, a1, 1
    let mut machine = Machine::new(&[0x0015_8013]).with(&[(A1, 41), (0, 7)]);
    machine.step().unwrap();
    assert_eq!(machine.cpu.register(0), 0);
}

proptest! {
    #[test]
    fn any_numbers_are_computed_as_in_rust(a1: u32, a2: u32, small in 0_u32..64) {
        check(a1, a2);
        // Divisors of the size of the dividend give little else than 0 and 1.
        check(a1, small);
        check(a1, small.wrapping_neg());
    }
}
