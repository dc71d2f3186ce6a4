//! The guest of `guests/store`, compiled for the chip, against the same life on the PC.

use std::time::Instant;

use emulator::{Ended, live_on};
use nor_model::{Nor, SECTOR_BYTES, Torn};
use store_trials::shared::Shared;

#[path = "../../guests/store/src/life.rs"]
mod life;

/// Names the guest, an ELF file built for riscv32imc-unknown-none-elf.
const GUEST: &str = "OFMON_STORE_GUEST";
/// Identity, counters, events and journal lie before.
const FIRST_FILE_SECTOR: usize = 26;
/// Lives in a row, each cut at another operation.
const LIVES: u64 = 12;
/// Operations on the flash in a life that nothing cuts: fewer.
const OPERATIONS: u64 = 3_000;

fn on_the_pc(flash: &Shared) -> Ended {
    match life::live(flash.clone()) {
        Ok(next) => Ended::Whole { next },
        Err(life::Stopped) => Ended::Stopped,
    }
}

#[test]
#[ignore = "needs the guest, built for the chip and named by OFMON_STORE_GUEST"]
fn chip_leaves_the_same_flash_as_the_pc_whatever_cuts_it() {
    let path = std::env::var_os(GUEST).expect("OFMON_STORE_GUEST names the guest");
    let elf = std::fs::read(path).unwrap();
    let started = Instant::now();
    let fresh = || Nor::new(life::SECTORS as usize * SECTOR_BYTES);
    let (mut chip, pc) = (fresh(), Shared::new(fresh()));
    let mut stopped = 0;
    for turn in 0..LIVES {
        // Every fourth life comes to its end.
        if turn % 4 != 3 {
            let at = turn * 619 % OPERATIONS;
            let torn = Torn::ALL[turn as usize % 3];
            chip.cut_at(at, torn, turn);
            pc.with(|flash| flash.cut_at(at, torn, turn));
        }
        let ended = live_on(&elf, &mut chip).unwrap();
        assert_eq!(ended, on_the_pc(&pc), "life {turn}");
        assert!(
            chip.bytes() == pc.with(|flash| flash.bytes()),
            "flash after life {turn}"
        );
        stopped += u64::from(ended == Ended::Stopped);
        chip.power_on();
        pc.with(Nor::power_on);
    }
    println!(
        "{LIVES} lives, {stopped} of them cut, in {:?}",
        started.elapsed()
    );
    assert!(stopped >= LIVES * 2 / 3, "{stopped} lives were cut");
}

/// What the chip is compared with must be a life: it fills segments and merges some.
#[test]
fn life_on_the_pc_writes_segments_and_goes_on() {
    let flash = Shared::new(Nor::new(life::SECTORS as usize * SECTOR_BYTES));
    assert_eq!(on_the_pc(&flash), Ended::Whole { next: 2_600 });
    let of_files = |flash: &mut Nor| {
        flash.counters().erases[FIRST_FILE_SECTOR..]
            .iter()
            .sum::<u32>()
    };
    let erases = flash.with(of_files);
    assert!(erases > 10, "{erases} sectors of files were erased");
    assert_eq!(on_the_pc(&flash), Ended::Whole { next: 5_200 });
}
