//! The guest of `guests/metering`, compiled for the chip.

use std::time::Instant;

use emulator::{Reference, metering_cost, metering_reference};

/// Names the guest, an ELF file built for riscv32imc-unknown-none-elf.
const GUEST: &str = "OFMON_METERING_GUEST";

#[test]
#[ignore = "needs the guest, built for the chip and named by OFMON_METERING_GUEST"]
fn chip_measures_the_same_bits_as_the_pc() {
    let path = std::env::var_os(GUEST).expect("OFMON_METERING_GUEST names the guest");
    let elf = std::fs::read(path).unwrap();
    let started = Instant::now();
    let cost = metering_cost(&elf).unwrap();
    println!("{cost:#?}\nin {:?}", started.elapsed());
    let Reference { pairs, checksum } = metering_reference();
    assert_eq!((cost.pairs, cost.checksum), (pairs, checksum));
    // Less would mean that pairs were not looked at; more, that the chip has no time for anything else.
    assert!((10.0..2_000.0).contains(&cost.instructions_per_pair));
    let mean_call = cost.instructions_per_pair * 200.0;
    assert!(cost.instructions_per_call_max as f64 >= mean_call);
}

/// What the signal gave when the arithmetic was last changed on purpose; every target must give it.
#[test]
fn pc_measures_the_signal_to_the_same_bits_as_ever() {
    let golden = Reference {
        pairs: 52_000,
        checksum: 2_930_160_725,
    };
    assert_eq!(metering_reference(), golden);
}
