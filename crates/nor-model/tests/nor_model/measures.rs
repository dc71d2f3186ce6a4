//! What the model itself costs. The figures are printed; how long a PC takes decides no test.

use std::time::Instant;

use embedded_storage::nor_flash::NorFlash;
use nor_model::{Nor, SECTOR_BYTES};

const CAPACITY_BYTES: usize = 2 << 20;

/// Programs 16 bytes after 16 bytes, round and round, and erases each sector before its first.
fn program(nor: &mut Nor, programs: u32) {
    for program in 0..programs {
        let at = program * 16 % CAPACITY_BYTES as u32;
        if at.is_multiple_of(SECTOR_BYTES as u32) {
            nor.erase(at, at + SECTOR_BYTES as u32).unwrap();
        }
        nor.write(at, &[program as u8; 16]).unwrap();
    }
}

#[test]
fn a_million_small_programs() {
    let mut nor = Nor::new(CAPACITY_BYTES);
    let start = Instant::now();
    program(&mut nor, 1_000_000);
    println!("1,000,000 programs: {:?}", start.elapsed());
    assert_eq!(nor.counters().programs, 1_000_000);
    assert_eq!(nor.counters().violations, 0);
    assert_eq!(nor.counters().reprogrammed_bytes, 0);
}

#[test]
fn ten_thousand_snapshots() {
    let mut nor = Nor::new(CAPACITY_BYTES);
    program(&mut nor, 131_072);
    let start = Instant::now();
    for turn in 0..10_000 {
        let mut copy = nor.snapshot();
        copy.write(turn * 16 % CAPACITY_BYTES as u32, &[0; 16])
            .unwrap();
        assert_eq!(copy.counters().programs, 1);
    }
    println!("a snapshot and a program: {:?}", start.elapsed() / 10_000);
}
