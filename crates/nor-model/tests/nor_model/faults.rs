//! Faulty sectors and flipped bits.

use std::collections::BTreeSet;

use embedded_storage::nor_flash::NorFlash;
use nor_model::{Fault, Nor, NorError, SECTOR_BYTES, Torn};

const WEAK: Fault = Fault::Weak { seed: 5 };

/// Makes two sectors, the first of which is programmed with 0x55 and then fails.
fn broken(fault: Fault) -> Nor {
    let mut nor = Nor::new(2 * SECTOR_BYTES);
    nor.write(0, &[0x55; SECTOR_BYTES]).unwrap();
    nor.break_sector(0, fault);
    nor.reset_counters();
    nor
}

#[test]
fn a_sector_that_refuses_says_so_and_counts_nothing() {
    let mut nor = broken(Fault::Refuses);
    assert_eq!(nor.write(0, &[0; 4]), Err(NorError::WriteFailed));
    assert_eq!(nor.erase(0, 4096), Err(NorError::WriteFailed));
    assert_eq!(nor.bytes()[..4096], [0x55; 4096]);
    let untouched = Nor::new(2 * SECTOR_BYTES);
    assert_eq!(nor.counters(), untouched.counters());
    nor.write(4096, &[0; 4]).unwrap();
    assert_eq!(nor.bytes()[4096..4100], [0; 4]);
}

#[test]
fn a_silent_sector_says_it_worked_and_keeps_what_it_had() {
    let mut nor = broken(Fault::Silent);
    nor.write(0, &[0; 300]).unwrap();
    nor.erase(0, 8192).unwrap();
    assert_eq!(nor.bytes()[..4096], [0x55; 4096]);
    assert_eq!(nor.counters().programs, 2);
    assert_eq!(nor.counters().erases, [1, 1]);
    for torn in Torn::ALL {
        nor.cut_at(0, torn, 3);
        assert_eq!(nor.erase(0, 4096), Err(NorError::PowerOff));
        assert_eq!(nor.bytes()[..4096], [0x55; 4096], "{torn:?}");
        nor.power_on();
    }
}

#[test]
fn a_weak_sector_keeps_some_bits_set_always_the_same() {
    let mut nor = broken(WEAK);
    nor.erase(0, 4096).unwrap();
    assert_eq!(nor.bytes()[..4096], [0xff; 4096], "erases work");
    nor.write(0, &[0; SECTOR_BYTES]).unwrap();
    let weak = nor.bytes()[..4096].to_vec();
    let cells: u32 = weak.iter().map(|byte| byte.count_ones()).sum();
    assert!((200..=312).contains(&cells), "one in 128 is 256: {cells}");
    // Other lengths and another order reach the same cells.
    nor.erase(0, 4096).unwrap();
    for at in (0..SECTOR_BYTES as u32).step_by(32).rev() {
        nor.write(at, &[0; 32]).unwrap();
    }
    assert_eq!(nor.bytes()[..4096], weak);
    // A cell that already holds a 0 has nothing to take.
    let mut late = broken(WEAK);
    late.write(0, &[0; SECTOR_BYTES]).unwrap();
    let expected: Vec<u8> = weak.iter().map(|byte| byte & 0x55).collect();
    assert_eq!(late.bytes()[..4096], expected);

    let mut other = Nor::new(SECTOR_BYTES);
    other.break_sector(0, Fault::Weak { seed: 6 });
    other.write(0, &[0; SECTOR_BYTES]).unwrap();
    assert_ne!(other.bytes(), weak);
}

#[test]
fn a_torn_program_of_a_weak_sector_leaves_its_weak_cells_set() {
    let mut whole = Nor::new(SECTOR_BYTES);
    whole.break_sector(0, WEAK);
    whole.write(0, &[0; 256]).unwrap();
    for seed in 0..100 {
        let mut nor = Nor::new(SECTOR_BYTES);
        nor.break_sector(0, WEAK);
        nor.cut_at(0, Torn::Random, seed);
        assert_eq!(nor.write(0, &[0; 256]), Err(NorError::PowerOff));
        let (torn, whole) = (nor.bytes(), whole.bytes());
        assert!(
            torn.iter()
                .zip(whole)
                .all(|(torn, weak)| torn & weak == weak)
        );
    }
}

#[test]
fn drawn_flips_are_as_many_as_asked_within_their_range_and_told() {
    let (from, to) = (4000, 4200);
    for (count, seed) in [(0, 1), (1, 1), (7, 2), (1600, 3)] {
        let mut nor = Nor::from_bytes(vec![0x3c; 2 * SECTOR_BYTES]);
        let offsets = nor.flip_random(from..to, count, seed).unwrap();
        assert_eq!(offsets.len(), count);
        let bytes = nor.bytes();
        let flipped: u32 = bytes.iter().map(|byte| (byte ^ 0x3c).count_ones()).sum();
        assert_eq!(flipped as usize, count, "no bit twice");
        let changed = |at: &usize| bytes[*at] != 0x3c;
        let told: BTreeSet<usize> = offsets.into_iter().collect();
        assert!((0..bytes.len()).filter(changed).eq(told.iter().copied()));
        assert!(told.iter().all(|at| (from..to).contains(at)));
    }
}

#[test]
fn drawn_flips_differ_by_seed_only() {
    let flips = |seed| {
        let mut nor = Nor::new(SECTOR_BYTES);
        nor.flip_random(0..SECTOR_BYTES, 3, seed).unwrap();
        nor.bytes()
    };
    assert_eq!(flips(1), flips(1));
    let distinct: BTreeSet<_> = (0..16).map(flips).collect();
    assert_eq!(distinct.len(), 16);
}
