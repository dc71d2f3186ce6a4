//! Figures of merit: bytes per reading, wear, and what reading costs.

use std::time::Instant;

use flash_store::FlashStore;
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{ChannelReading, Seq, block::Block, limits::BLOCK_BYTES_MAX};

use crate::{
    shared::Shared,
    truth::{PARAMS, format_on, mix, mount},
};

/// A household as a meter sees it: steps of load, noise on everything.
fn household(turn: u64, channel: u64) -> ChannelReading {
    let noise = |field: u64, span: u64| (mix(turn * 64 + channel * 8 + field) % span) as i32;
    let load = 150 + (mix(turn / 30 + channel * 977) % 2500) as i32;
    let (power, voltage) = (load + noise(1, 9), 2300 + noise(2, 21));
    ChannelReading {
        energy_quanta: power,
        reactive_power_var: load / 5 + noise(3, 5),
        voltage_dv: voltage as u16,
        current_ca: (power * 1000 / voltage) as u16,
        frequency_chz: (4998 + noise(4, 5)) as u16,
        ..ChannelReading::default()
    }
}

/// Appends readings of that many channels; returns the flash and the bytes of readings per reading.
fn bytes_per_reading(channels: u8, readings: u64) -> (Nor, f64) {
    let (mut store, _) = format_on(Nor::new(480 * SECTOR_BYTES), channels);
    let before = store.used_bytes();
    for turn in 0..readings {
        let reading: Vec<_> = (0..channels.into())
            .map(|channel| household(turn, channel))
            .collect();
        store
            .append(&PARAMS, (turn + 1) * 10_000, &reading)
            .unwrap();
    }
    assert_eq!(store.oldest(), Seq(0), "all are there");
    let bytes = f64::from(store.used_bytes() - before) / readings as f64;
    (store.into_flash(), bytes)
}

#[test]
fn a_reading_takes_at_most_24_bytes_on_flash() {
    let (nor, one) = bytes_per_reading(1, 50_000);
    let programmed = nor.counters().programmed_bytes as f64 / 50_000.0;
    let (_, three) = bytes_per_reading(3, 20_000);
    println!("bytes per reading: {one:.2} (programmed {programmed:.2}), three channels {three:.2}");
    assert!(one <= 24.0 && programmed <= 24.0);
    assert!(three <= 48.0);
}

#[test]
fn wear_is_even_over_the_ring() {
    let (mut store, _) = format_on(Nor::new(12 * SECTOR_BYTES), 1);
    for turn in 0..20_000u64 {
        store
            .append(&PARAMS, (turn + 1) * 10_000, &[household(turn, 0)])
            .unwrap();
    }
    let nor = store.into_flash();
    let erases = &nor.counters().erases[6..];
    println!("erases of the ring's sectors: {erases:?}");
    let (least, most) = (erases.iter().min().unwrap(), erases.iter().max().unwrap());
    assert!(most - least <= 1);
}

#[test]
fn a_block_in_the_middle_of_a_full_store_is_found_without_scanning_it() {
    let (nor, _) = bytes_per_reading(1, 100_000);
    let mut store = mount(nor);
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut most = 0;
    for from in (0..100_000).step_by(997) {
        let before = store.flash().counters().read_bytes;
        store.read_block(Seq(from), &mut buffer).unwrap().unwrap();
        most = most.max(store.flash().counters().read_bytes - before);
    }
    println!("bytes read for a block: at most {most}");
    assert!(most <= 3 * SECTOR_BYTES as u64, "{most}");
}

#[test]
fn reading_and_appending_are_quick() {
    let began = Instant::now();
    let (nor, _) = bytes_per_reading(1, 100_000);
    let appends = 100_000.0 / began.elapsed().as_secs_f64();
    let mut store = mount(nor);
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let (mut from, began) = (Seq(0), Instant::now());
    while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
        // The end is in the header: first number and count.
        let number =
            |at: usize| u64::from(u32::from_le_bytes(buffer[at..at + 4].try_into().unwrap()));
        from = Seq(number(24) + number(32));
        assert!(length > 0);
    }
    let reads = 100_000.0 / began.elapsed().as_secs_f64();
    println!("{appends:.0} appends/s, {reads:.0} readings/s read");
    assert_eq!(from, Seq(100_000));
    let last = store.read_block(Seq(99_999), &mut buffer).unwrap().unwrap();
    assert_eq!(Block::parse(&buffer[..last]).unwrap().range().end, 100_000);
}

#[test]
fn a_store_takes_less_than_a_kilobyte_of_memory() {
    let bytes = size_of::<FlashStore<Shared>>();
    println!("a store takes {bytes} bytes beside its flash driver");
    assert!(bytes <= 1024);
}
