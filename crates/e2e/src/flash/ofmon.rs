//! The way of the firmware this project began from, on the same model: a record of 30 bytes, appended to a file of
//! LittleFS that is opened and closed each time, in files of one block; the oldest file goes when it is full.
//!
//! A file of one block is appended to by copying: LittleFS takes a fresh block, erases it, programs what was there and
//! what is new, and commits the directory. Replacing the file whole is the same work, so that is what is done here, after
//! reading what was there.

use anyhow::{Result, anyhow, ensure};
use littlefs::{Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};

use super::{life::READINGS_A_DAY, times::Times};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 30;
/// Records of a file: as many as a block takes.
const RECORDS_A_FILE: usize = SECTOR_BYTES / RECORD_BYTES;
/// Blocks that stay free, as in our store.
const FREE_BLOCKS: u32 = 16;

/// What records do to a flash.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Erases of all sectors for each record.
    pub erases_per_record: f64,
    /// Bytes programmed for each record.
    pub programmed_bytes_per_record: f64,
    /// Bytes that a record takes of the flash once it is full.
    pub bytes_per_record: f64,
    /// Erases of the hottest sector for each record.
    pub hottest_erases_per_record: f64,
    /// Time of a record.
    pub append: Times,
}

impl Outcome {
    /// Returns after how many years the hottest sector has been erased 100,000 times, at so many records a day.
    #[must_use]
    pub fn years_to_100k_erases(&self, records_a_day: f64) -> f64 {
        super::endurance::ERASES_MAX / (self.hottest_erases_per_record * records_a_day * 365.0)
    }
}

/// Writes records, one every 10 s, for so many days.
///
/// # Errors
/// What the file system says.
pub fn run(days: u64, sectors: usize) -> Result<Outcome> {
    let said = |error| anyhow!("LittleFS: {error:?}");
    let mut nor = Nor::new(sectors * SECTOR_BYTES);
    let region = Region {
        first_sector: 0,
        sectors: u32::try_from(sectors)?,
    };
    let mut files = Littlefs::format(&mut nor, region).map_err(said)?;
    nor.reset_counters();
    let path = |shard: usize| format!("/{shard:08}.bin");
    let mut append = Times::default();
    let records = usize::try_from(days * READINGS_A_DAY)?;
    let (mut oldest, mut held) = (0, 0);
    for record in 0..records {
        let (shard, index) = (record / RECORDS_A_FILE, record % RECORDS_A_FILE);
        let is_full = index == 0 && files.free_blocks(&mut nor).map_err(said)? <= FREE_BLOCKS;
        // To look for room is left out: it could be known.
        let before_ns = nor.counters().busy_ns;
        if is_full {
            files.remove(&mut nor, &path(oldest)).map_err(said)?;
            oldest += 1;
        }
        let mut content = [0; SECTOR_BYTES];
        if index > 0 {
            let length = files
                .read(&mut nor, &path(shard), 0, &mut content)
                .map_err(said)?;
            ensure!(
                length == index * RECORD_BYTES,
                "{length} bytes in record {record}"
            );
        }
        let end = (index + 1) * RECORD_BYTES;
        for (at, byte) in content[end - RECORD_BYTES..end].iter_mut().enumerate() {
            // Any values do: nothing is packed.
            *byte = (record.wrapping_mul(0x9e37_79b9) >> (at % 4 * 8)) as u8;
        }
        files
            .write(&mut nor, &path(shard), &content[..end])
            .map_err(said)?;
        append.take(nor.counters().busy_ns - before_ns);
        held = shard - oldest + 1;
    }
    let counters = nor.counters();
    let of = |count: f64| count / records as f64;
    Ok(Outcome {
        erases_per_record: of((counters.operations - counters.programs) as f64),
        programmed_bytes_per_record: of(counters.programmed_bytes as f64),
        bytes_per_record: (sectors * SECTOR_BYTES) as f64 / (held * RECORDS_A_FILE) as f64,
        hottest_erases_per_record: of(f64::from(counters.erases_max())),
        append,
    })
}
