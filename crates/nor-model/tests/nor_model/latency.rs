//! How long a chip would be busy, and what the counters tell of it.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use nor_model::{Fault, Latency, Nor, NorError, SECTOR_BYTES, Torn};

/// Returns the µs that something keeps a chip busy.
fn busy_us(latency: Latency, work: impl FnOnce(&mut Nor)) -> u64 {
    let mut nor = Nor::new(4 * SECTOR_BYTES);
    nor.set_latency(latency);
    work(&mut nor);
    nor.busy_us()
}

#[test]
fn a_program_takes_its_bytes_and_at_most_its_page() {
    let program =
        |latency, at, length| busy_us(latency, |nor| nor.write(at, &vec![0; length]).unwrap());
    let typical = Latency::default();
    assert_eq!(program(typical, 0, 4), 37, "30 + 3 × 2.5 = 37.5");
    assert_eq!(program(typical, 0, 256), 667, "30 + 255 × 2.5 = 667.5");
    assert_eq!(program(typical, 252, 8), 75, "two pages, 37.5 each");
    let slow = Latency::slow();
    assert_eq!(program(slow, 0, 4), 50 + 3 * 12);
    assert_eq!(program(slow, 0, 256), 3000, "50 + 255 × 12 is more");
    let fast_page = Latency {
        program_page_max_ns: 400_000,
        ..typical
    };
    assert_eq!(program(fast_page, 0, 256), 400);
}

#[test]
fn erases_and_reads_take_their_time() {
    let erase = |latency| busy_us(latency, |nor| nor.erase(0, 8192).unwrap());
    assert_eq!(erase(Latency::default()), 2 * 45_000);
    assert_eq!(erase(Latency::slow()), 2 * 400_000);
    let read = |length| {
        busy_us(Latency::default(), |nor| {
            nor.read(0, &mut vec![0; length]).unwrap();
        })
    };
    assert_eq!(read(4), 20);
    assert_eq!(read(1000), 20 + 100);
    assert_eq!(read(10_000), 20 + 1000);
}

#[test]
fn time_and_counts_sum_until_they_are_reset() {
    let mut nor = Nor::new(3 * SECTOR_BYTES);
    nor.erase(4096, 12288).unwrap();
    nor.erase(4096, 8192).unwrap();
    nor.read(0, &mut [0; 40]).unwrap();
    nor.read(8, &mut [0; 4]).unwrap();
    assert_eq!(nor.counters().reads, 2);
    assert_eq!(nor.counters().read_bytes, 44);
    assert_eq!(nor.counters().erases, [0, 2, 1]);
    assert_eq!(nor.counters().erases_max(), 2);
    assert_eq!(nor.counters().busy_ns, 3 * 45_000_000 + 2 * 20_000 + 4_400);
    assert_eq!(nor.busy_us(), 135_044);
    nor.set_latency(Latency::slow());
    nor.reset_counters();
    assert_eq!(nor.counters(), Nor::new(3 * SECTOR_BYTES).counters());
    nor.erase(0, 4096).unwrap();
    assert_eq!(nor.busy_us(), 400_000, "the latency stays");
}

#[test]
fn an_operation_that_is_cut_counts_whole_and_one_that_cannot_begin_not_at_all() {
    let mut nor = Nor::new(2 * SECTOR_BYTES);
    nor.cut_at(1, Torn::Random, 1);
    nor.write(0, &[0; 4]).unwrap();
    assert_eq!(nor.erase(0, 4096), Err(NorError::PowerOff));
    let counted = nor.counters().clone();
    assert_eq!(counted.busy_ns, 37_500 + 45_000_000);
    assert_eq!(counted.erases, [1, 0]);
    assert_eq!(counted.operations, 2);
    assert_eq!(nor.write(0, &[0; 4]), Err(NorError::PowerOff));
    assert_eq!(nor.read(0, &mut [0; 4]), Err(NorError::PowerOff));
    nor.power_on();
    nor.fail_writes(true);
    assert_eq!(nor.erase(0, 4096), Err(NorError::WriteFailed));
    nor.fail_writes(false);
    nor.break_sector(0, Fault::Refuses);
    assert_eq!(nor.write(0, &[0; 4]), Err(NorError::WriteFailed));
    assert_eq!(*nor.counters(), counted);
}
