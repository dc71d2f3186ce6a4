//! Copies of a flash.

use embedded_storage::nor_flash::NorFlash;
use nor_model::{Counters, Fault, Latency, Nor, NorError, SECTOR_BYTES, Torn};

use crate::read;

#[test]
fn a_snapshot_and_its_origin_go_their_own_ways() {
    let mut nor = Nor::new(3 * SECTOR_BYTES);
    nor.write(4092, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let saved = nor.snapshot();
    let bytes = saved.bytes();
    nor.erase(0, 4096).unwrap();
    nor.write(8192, &[9; 4]).unwrap();
    nor.flip(5000, 1).unwrap();
    assert_eq!(saved.bytes(), bytes);
    let mut again = saved.snapshot();
    again.write(0, &[0; 4]).unwrap();
    assert_eq!(read(&mut again, 4092, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(read(&mut nor, 4092, 8), [255, 255, 255, 255, 5, 6, 7, 8]);
    assert_eq!(saved.bytes(), bytes);
}

#[test]
fn a_snapshot_has_the_chip_but_not_the_moment() {
    let mut nor = Nor::new(2 * SECTOR_BYTES);
    nor.set_latency(Latency::slow());
    nor.break_sector(1, Fault::Refuses);
    nor.write(0, &[1; 4]).unwrap();
    nor.fail_writes(true);
    nor.cut_at(0, Torn::Untouched, 0);
    let mut copy = nor.snapshot();
    assert_eq!(
        copy.counters(),
        &Counters {
            erases: vec![0; 2],
            ..Counters::default()
        }
    );
    copy.erase(0, 4096).unwrap();
    assert_eq!(copy.busy_us(), 400_000);
    assert_eq!(copy.write(4096, &[0; 4]), Err(NorError::WriteFailed));

    nor.fail_writes(false);
    assert_eq!(nor.erase(0, 4096), Err(NorError::PowerOff));
    assert!(!nor.is_powered());
    assert!(nor.snapshot().is_powered());
}

#[test]
fn a_snapshot_of_a_file_leaves_the_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meter.flash");
    let mut nor = Nor::open(&path, 2 * SECTOR_BYTES).unwrap();
    nor.write(0, &[1; 4]).unwrap();
    let mut copy = nor.snapshot();
    copy.write(4, &[2; 4]).unwrap();
    assert_eq!(read(&mut copy, 0, 8), [1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(std::fs::read(&path).unwrap(), nor.bytes());
    drop(nor);
    assert!(
        Nor::open(&path, 2 * SECTOR_BYTES).is_ok(),
        "it holds no lock"
    );
}
