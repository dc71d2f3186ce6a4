//! What the calls cost a flash, with bounds: reads for listings, bytes and erases for writes, and where erases go.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use littlefs::{Littlefs, Region};
use nor_model::{Nor, NorError};

use crate::model::{DIR, blank, content, segment};

/// Microseconds of a read call, and of each byte of it.
const READ_US: f64 = 60.0;
const READ_BYTE_US: f64 = 0.05;
/// As many as leave 16 blocks free beside those of the directory, which holds 33 names a pair of blocks.
const SEGMENTS: u64 = 430;
const SECTORS: u32 = 480;

/// A flash that counts calls of `read`.
struct Counting {
    nor: Nor,
    reads: u64,
}

impl Counting {
    /// Returns calls, bytes and milliseconds of the reads that `body` takes.
    fn reads_of(&mut self, body: impl FnOnce(&mut Self)) -> (u64, u64, f64) {
        let (calls, bytes) = (self.reads, self.nor.counters().read_bytes);
        body(self);
        let calls = self.reads - calls;
        let bytes = self.nor.counters().read_bytes - bytes;
        let time_ms = (calls as f64 * READ_US + bytes as f64 * READ_BYTE_US) / 1e3;
        (calls, bytes, time_ms)
    }
}

impl ErrorType for Counting {
    type Error = NorError;
}

impl ReadNorFlash for Counting {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.reads += 1;
        self.nor.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.nor.capacity()
    }
}

impl NorFlash for Counting {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.nor.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        self.nor.write(offset, bytes)
    }
}

/// Makes a store that has run for a while: it is full, and its oldest segments were replaced twice over.
fn worn_store(rounds: u64) -> (Counting, Region, Littlefs, u64) {
    let (nor, region) = blank(SECTORS);
    let mut flash = Counting { nor, reads: 0 };
    let mut fs = Littlefs::format(&mut flash, region).unwrap();
    fs.make_dir(&mut flash, DIR).unwrap();
    let bytes = content(4096, 1);
    for number in 0..SEGMENTS {
        fs.write(&mut flash, &segment(number), &bytes).unwrap();
    }
    for number in SEGMENTS..SEGMENTS + rounds {
        fs.remove(&mut flash, &segment(number - SEGMENTS)).unwrap();
        fs.write(&mut flash, &segment(number), &bytes).unwrap();
    }
    (flash, region, fs, SEGMENTS + rounds)
}

#[test]
fn full_store_is_mounted_and_listed_in_a_tenth_of_a_second() {
    for rounds in [0, 300] {
        let (mut flash, region, _, next) = worn_store(rounds);
        let mount = flash.reads_of(|flash| assert!(Littlefs::mount(flash, region).is_ok()));
        let mut fs = Littlefs::mount(&mut flash, region).unwrap();
        let mut files = 0;
        let list = flash.reads_of(|flash| {
            fs.list(flash, DIR, &mut |_, size| {
                files += u64::from(size == 4096);
                true
            })
            .unwrap();
        });
        assert_eq!(files, SEGMENTS);
        let mut buffer = vec![0; 4096];
        let path = segment(next - 100);
        let read = flash.reads_of(|flash| {
            assert_eq!(fs.read(flash, &path, 0, &mut buffer), Ok(4096));
        });
        let free = flash.reads_of(|flash| {
            println!("{} blocks are free", fs.free_blocks(flash).unwrap());
        });
        flash.nor.reset_counters();
        let write = flash.reads_of(|flash| fs.write(flash, &segment(next), &buffer).unwrap());
        let counters = flash.nor.counters();
        println!(
            "after {rounds} replaced: mount {mount:?}, list {list:?}, read {read:?}, free {free:?}, write {write:?} \
             with {} bytes programmed and {} erases",
            counters.programmed_bytes,
            counters.erases.iter().sum::<u32>()
        );
        assert!(mount.2 + list.2 < 100.0, "mount and list in 100 ms");
        assert!(read.2 < 15.0, "a file is read in 15 ms");
    }
}

#[test]
#[ignore = "takes a minute"]
fn erases_are_spread_over_the_sectors() {
    let (mut flash, _, mut fs, next) = worn_store(0);
    flash.nor.reset_counters();
    let bytes = content(4096, 2);
    let (mut reads_max, mut reads) = (0, 0);
    for number in next..next + 20_000 {
        let write = flash.reads_of(|flash| {
            fs.remove(flash, &segment(number - SEGMENTS)).unwrap();
            fs.write(flash, &segment(number), &bytes).unwrap();
        });
        reads_max = reads_max.max(write.0);
        reads += write.0;
    }
    report("segments", &flash.nor, 20_000);
    println!(
        "reads of a cycle: mean {}, at most {reads_max}",
        reads / 20_000
    );
    flash.nor.reset_counters();
    for round in 0..20_000 {
        fs.write(&mut flash, "/settings", &content(200, round))
            .unwrap();
    }
    report("settings", &flash.nor, 20_000);
    for number in next + 20_000 - SEGMENTS..next + 20_000 - 200 {
        fs.remove(&mut flash, &segment(number)).unwrap();
    }
    flash.nor.reset_counters();
    for round in 0..20_000 {
        fs.write(&mut flash, "/settings", &content(200, round))
            .unwrap();
    }
    report("settings, half empty", &flash.nor, 20_000);
}

fn report(what: &str, nor: &Nor, cycles: u64) {
    let counters = nor.counters();
    let all: u32 = counters.erases.iter().sum();
    let mut sorted: Vec<_> = counters
        .erases
        .iter()
        .enumerate()
        .map(|(sector, &erases)| (erases, sector))
        .collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    println!(
        "{what}: {cycles} cycles, {all} erases, hottest {:?}, {} bytes programmed a cycle, {} violations, {} reprogrammed",
        &sorted[..6],
        counters.programmed_bytes / cycles,
        counters.violations,
        counters.reprogrammed_bytes
    );
    assert_eq!((counters.violations, counters.reprogrammed_bytes), (0, 0));
}
