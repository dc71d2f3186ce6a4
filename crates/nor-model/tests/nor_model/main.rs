//! What a store may rely on, and what it must expect.

mod faults;
mod latency;
mod measures;
mod snapshots;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use nor_model::{Fault, Nor, NorError, SECTOR_BYTES, Torn};

fn read(nor: &mut Nor, at: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    nor.read(at, &mut bytes).unwrap();
    bytes
}

#[test]
fn programming_clears_bits_and_counts_those_it_cannot_set() {
    let mut nor = Nor::new(SECTOR_BYTES);
    nor.write(0, &[0xf0, 0xff, 0, 1]).unwrap();
    assert_eq!(nor.counters().violations, 0);
    nor.write(0, &[0xcc, 0xff, 0, 1]).unwrap();
    assert_eq!(read(&mut nor, 0, 4), [0xc0, 0xff, 0, 1]);
    assert_eq!(nor.counters().violations, 1);
    assert_eq!(nor.counters().reprogrammed_bytes, 3);
    nor.erase(0, SECTOR_BYTES as u32).unwrap();
    assert_eq!(read(&mut nor, 0, 4), [0xff; 4]);
    assert_eq!(nor.counters().erases, [1]);
}

#[test]
fn a_long_write_is_one_operation_a_page() {
    let mut nor = Nor::new(SECTOR_BYTES);
    nor.write(252, &[0; 264]).unwrap();
    assert_eq!(nor.counters().programs, 3);
    assert_eq!(nor.counters().programmed_bytes, 264);
}

#[test]
fn a_cut_leaves_what_its_kind_says_and_everything_fails_until_power_is_back() {
    for torn in Torn::ALL {
        let mut nor = Nor::new(SECTOR_BYTES);
        nor.cut_at(1, torn, 7);
        nor.write(0, &[0; 4]).unwrap();
        assert_eq!(nor.write(4, &[0x0f; 64]), Err(NorError::PowerOff));
        assert_eq!(nor.read(0, &mut [0; 4]), Err(NorError::PowerOff));
        assert_eq!(nor.write(128, &[0; 4]), Err(NorError::PowerOff));
        assert_eq!(nor.erase(0, 4096), Err(NorError::PowerOff));
        nor.power_on();
        assert_eq!(read(&mut nor, 0, 4), [0; 4]);
        assert_eq!(read(&mut nor, 68, 64), [0xff; 64], "nothing else is hit");
        let left = read(&mut nor, 4, 64);
        match torn {
            Torn::Untouched => assert_eq!(left, [0xff; 64]),
            Torn::Complete => assert_eq!(left, [0x0f; 64]),
            Torn::Random => assert_ne!(left, [0x0f; 64]),
        }
    }
}

#[test]
fn a_torn_program_never_sets_a_bit() {
    for seed in 0..200 {
        let mut nor = Nor::from_bytes(vec![0x55; SECTOR_BYTES]);
        nor.cut_at(0, Torn::Random, seed);
        assert_eq!(nor.write(0, &[0x11; 64]), Err(NorError::PowerOff));
        assert!(nor.bytes().iter().all(|byte| byte & !0x55 == 0));
    }
}

#[test]
fn a_torn_erase_hits_its_sector_only_and_differs_by_seed() {
    let left = |seed| {
        let mut nor = Nor::from_bytes(vec![0x55; 3 * SECTOR_BYTES]);
        nor.cut_at(0, Torn::Random, seed);
        assert_eq!(nor.erase(4096, 8192), Err(NorError::PowerOff));
        assert!(nor.bytes()[..4096].iter().all(|&byte| byte == 0x55));
        assert!(nor.bytes()[8192..].iter().all(|&byte| byte == 0x55));
        nor.bytes()[4096..8192].to_vec()
    };
    assert_eq!(left(1), left(1));
    let distinct: std::collections::BTreeSet<_> = (0..16).map(left).collect();
    assert!(distinct.len() > 8);
}

/// Programs all of a page to 0, or erases a sector that is 0, with cuts of many seeds; returns what each left.
fn torn(erase: bool) -> Vec<Vec<u8>> {
    let cut = |seed| {
        let mut nor = Nor::from_bytes(vec![if erase { 0 } else { 0xff }; SECTOR_BYTES]);
        nor.cut_at(0, Torn::Random, seed);
        let cut = match erase {
            true => nor.erase(0, SECTOR_BYTES as u32),
            false => nor.write(0, &[0; 256]),
        };
        assert_eq!(cut, Err(NorError::PowerOff));
        nor.bytes()[..if erase { SECTOR_BYTES } else { 256 }].to_vec()
    };
    (0..400).map(cut).collect()
}

#[test]
fn a_torn_operation_can_leave_old_bytes_or_noise_behind_its_finished_beginning() {
    for erase in [false, true] {
        let (old, new) = if erase { (0, 0xff) } else { (0xff, 0) };
        let (mut only_old, mut some_noise, mut only_noise) = (0, 0, 0);
        for left in torn(erase) {
            let finished = left.iter().take_while(|&&byte| byte == new).count();
            let rest = &left[finished..];
            if finished < 16 || rest.len() < 16 {
                continue;
            }
            let noise = rest.iter().filter(|&&byte| byte != old).count();
            match noise {
                0 => only_old += 1,
                1..=4 => some_noise += 1,
                _ if noise * 10 > rest.len() * 9 => only_noise += 1,
                _ => panic!("{noise} bytes of noise in {}", rest.len()),
            }
        }
        for count in [only_old, some_noise, only_noise] {
            assert!(count > 20, "{only_old} {some_noise} {only_noise}");
        }
    }
}

#[test]
fn a_torn_erase_can_leave_any_value() {
    let left = torn(true).concat();
    let values: std::collections::BTreeSet<u8> = left.into_iter().collect();
    assert_eq!(values.len(), 256);
}

#[test]
fn a_dead_flash_keeps_what_it_holds() {
    let mut nor = Nor::new(2 * SECTOR_BYTES);
    nor.write(0, &[1; 4]).unwrap();
    nor.fail_writes(true);
    assert_eq!(nor.write(4, &[0; 4]), Err(NorError::WriteFailed));
    assert_eq!(nor.erase(0, 4096), Err(NorError::WriteFailed));
    assert_eq!(read(&mut nor, 0, 8), [1, 1, 1, 1, 255, 255, 255, 255]);
    nor.fail_writes(false);
    nor.break_sector(0, Fault::Refuses);
    assert_eq!(nor.write(4, &[0; 4]), Err(NorError::WriteFailed));
    assert_eq!(nor.write(4096, &[0; 4]), Ok(()));
}

#[test]
fn alignment_and_bounds_are_held() {
    let mut nor = Nor::new(SECTOR_BYTES);
    assert_eq!(nor.write(2, &[0; 4]), Err(NorError::NotAligned));
    assert_eq!(nor.write(0, &[0; 3]), Err(NorError::NotAligned));
    assert_eq!(nor.erase(0, 100), Err(NorError::NotAligned));
    assert_eq!(nor.write(4096, &[0; 4]), Err(NorError::OutOfBounds));
    assert_eq!(nor.read(4096, &mut [0; 4]), Err(NorError::OutOfBounds));
}

#[test]
fn a_file_holds_each_operation_at_once_and_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meter.flash");
    let mut nor = Nor::open(&path, 2 * SECTOR_BYTES).unwrap();
    nor.write(8, &[1, 2, 3, 4]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), nor.bytes());
    let second = Nor::open(&path, 2 * SECTOR_BYTES).unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::WouldBlock);
    drop(nor);
    let mut again = Nor::open(&path, 2 * SECTOR_BYTES).unwrap();
    assert_eq!(read(&mut again, 8, 4), [1, 2, 3, 4]);
    drop(again);
    let other = Nor::open(&path, SECTOR_BYTES).unwrap_err();
    assert_eq!(other.kind(), std::io::ErrorKind::InvalidData);
}
