//! Figures of merit: bytes, wear, time by the model of a chip, and memory.

use allocation_counter::measure;
use flash_store::FlashStore;
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{Seq, block::Block, limits::BLOCK_BYTES_MAX};
use store_trials::operation::{PARAMS, format_store, wild_channel};

use crate::life::Life;

/// A flash as meters have it.
const SECTORS: usize = 464;

/// Returns a store that is full of segments, and how many readings there were; they are long, so that this is soon.
fn full_store() -> (FlashStore<Nor>, u64) {
    let mut store = format_store(Nor::new(SECTORS * SECTOR_BYTES), 3);
    store.start_boot().unwrap();
    for turn in 0.. {
        let reading = [0, 1, 2].map(|channel| wild_channel(turn, channel));
        store
            .append(&PARAMS, (turn + 1) * 10_000, &reading)
            .unwrap();
        store.maintain().unwrap();
        if store.used_bytes() >= 400 * SECTOR_BYTES as u32 {
            return (store, turn + 1);
        }
    }
    unreachable!("a flash is full some time")
}

#[test]
fn a_reading_programs_at_most_28_bytes_and_wears_sectors_evenly() {
    let mut life = Life::begin(80, 1);
    let erases_before = life.store.flash().counters().erases.clone();
    life.go_on(100_000);
    let counters = life.store.flash().counters();
    let programmed = counters.programmed_bytes as f64 / 100_000.0;
    let raw: Vec<_> = (counters.erases.iter().zip(erases_before).take(26))
        .map(|(now, before)| now - before)
        .collect();
    println!("{programmed:.2} bytes a reading, erases of the raw sectors {raw:?}");
    assert!(programmed <= 28.0);
    let journal = &raw[10..26];
    assert!(journal.iter().max().unwrap() - journal.iter().min().unwrap() <= 1);
    // LittleFS pads what it programs and programs over nothing.
    assert_eq!(counters.violations, 0);
}

#[test]
fn a_full_store_mounts_and_finds_a_block_in_time() {
    let (store, readings) = full_store();
    let mut nor = store.into_flash();
    nor.reset_counters();
    let mut store = FlashStore::mount(nor).map_err(|(error, _)| error).unwrap();
    let counters = store.flash().counters();
    assert_eq!(counters.operations, 0, "mounting writes nothing");
    let mount_ms = store.flash().busy_us() as f64 / 1e3;
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut read_ms_max = 0.0f64;
    for from in (store.oldest().0..readings).step_by(97) {
        let before_us = store.flash().busy_us();
        let length = store.read_block(Seq(from), &mut buffer).unwrap().unwrap();
        let read_ms = (store.flash().busy_us() - before_us) as f64 / 1e3;
        read_ms_max = read_ms_max.max(read_ms);
        assert!(
            Block::parse(&buffer[..length])
                .unwrap()
                .range()
                .contains(&from)
        );
    }
    println!("mount {mount_ms:.1} ms, a block at most {read_ms_max:.1} ms");
    assert!(mount_ms <= 200.0 && read_ms_max <= 60.0);
}

#[test]
fn appending_takes_at_most_2_ms_where_no_sector_is_opened() {
    let mut life = Life::begin(80, 1);
    life.go_on(60_000);
    let (mut appends_us, mut upkeep_us_max) = (Vec::new(), 0);
    for _ in 0..20_000 {
        let counters = life.store.flash().counters();
        let (busy_us, erases) = (
            life.store.flash().busy_us(),
            counters.erases.iter().sum::<u32>(),
        );
        life.append();
        let flash = life.store.flash();
        if flash.counters().erases.iter().sum::<u32>() == erases {
            appends_us.push(flash.busy_us() - busy_us);
        }
        let busy_us = life.store.flash().busy_us();
        life.store.maintain().unwrap();
        upkeep_us_max = upkeep_us_max.max(life.store.flash().busy_us() - busy_us);
    }
    appends_us.sort_unstable();
    let p99_us = appends_us[appends_us.len() * 99 / 100];
    let max_us = appends_us[appends_us.len() - 1];
    println!("append p99 {p99_us} µs, max {max_us} µs; upkeep max {upkeep_us_max} µs");
    assert!(appends_us.len() > 19_000);
    assert!(p99_us <= 2_000 && upkeep_us_max <= 3_000_000);
}

#[test]
fn memory_is_taken_at_mount_and_bounded() {
    let (store, _) = full_store();
    let fixed = size_of::<FlashStore<Nor>>() - size_of::<Nor>();
    let nor = store.into_flash().snapshot();
    let mut mounted = None;
    let mount = measure(|| mounted = FlashStore::mount(nor).ok());
    assert!(mounted.is_some());
    println!("{fixed} bytes, and {} taken at mount", mount.bytes_current);
    assert!(fixed <= 3_000, "{fixed}");
    assert!(mount.bytes_max <= 56_000, "{mount:?}");
    assert_eq!(
        mount.bytes_max, mount.bytes_current as u64,
        "nothing is taken for a while"
    );
}
