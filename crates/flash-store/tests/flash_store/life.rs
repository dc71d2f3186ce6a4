//! A meter's long life: journal, segments, coarser segments, and what goes at last.

use flash_store::{FlashStore, Format, RunParams};
use littlefs::{Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, DeviceId, Flags, Registers, Seq, StoreId,
    block::{Block, Kind},
    event::What,
    limits::BLOCK_BYTES_MAX,
    reading::Tier,
};

/// What a meter records every 10 s.
pub const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1000,
    calibration: 3,
};
const QUANTUM_MJ: u64 = 10_000;

/// A store, and everything that it was told.
pub struct Life {
    pub store: FlashStore<Nor>,
    channels: u8,
    /// Registers of all channels before each number, and behind the last.
    registers: Vec<Vec<Registers>>,
    uptime_ms: u64,
    /// Free blocks of the files, the fewest seen.
    pub free_blocks_min: u32,
}

/// What a store serves of its numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Numbers of each tier.
    pub numbers: [u64; 3],
    /// Readings of each tier.
    pub readings: [u64; 3],
    pub blocks: [u64; 3],
    pub lost: u64,
    pub never_existed: u64,
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// A household's power at 10 s: levels that stay for minutes, some noise, and an hour of feeding in at noon.
pub fn household(index: u64, channel: u8) -> ChannelReading {
    let draw = |field: u64| mix(index * 16 + field + 1_000_003 * u64::from(channel));
    let level = 100 + (mix(index / 40 + 977 * u64::from(channel)) % 2_000) as i32;
    let noise = (draw(0) % 9) as i32 - 4;
    let power = if index % 8_640 > 8_280 { -level } else { level } + noise;
    ChannelReading {
        energy_quanta: power,
        reactive_power_var: power / 10 + (draw(1) % 5) as i32,
        voltage_dv: 2_300 + (draw(2) % 9) as u16,
        current_ca: (power.unsigned_abs() * 100 / 230) as u16,
        frequency_chz: 4_998 + (draw(3) % 5) as u16,
        coverage_permille: 1000,
        flags: Flags(0),
    }
}

impl Life {
    pub fn begin(sectors: usize, channels: u8) -> Self {
        let format = Format {
            device: DeviceId([1, 2, 3, 4, 5, 6]),
            store: StoreId(77),
            channels,
            password: None,
        };
        let nor = Nor::new(sectors * SECTOR_BYTES);
        let mut store = FlashStore::format(nor, &format).unwrap();
        store.start_boot().unwrap();
        Self {
            store,
            channels,
            registers: vec![vec![Registers::default(); channels.into()]],
            uptime_ms: 0,
            free_blocks_min: u32::MAX,
        }
    }

    /// Returns how many readings there were.
    pub fn count(&self) -> u64 {
        self.registers.len() as u64 - 1
    }

    /// Appends so many readings of a household.
    pub fn go_on(&mut self, readings: u64) {
        for _ in 0..readings {
            self.append();
            self.store.maintain().unwrap();
        }
    }

    /// Appends the next reading of a household.
    pub fn append(&mut self) {
        let index = self.count();
        let reading: Vec<_> = (0..self.channels)
            .map(|channel| household(index, channel))
            .collect();
        self.uptime_ms += u64::from(PARAMS.interval_ms);
        let seq = self
            .store
            .append(&PARAMS, self.uptime_ms, &reading)
            .unwrap();
        assert_eq!(seq, Seq(index));
        let before = &self.registers[self.registers.len() - 1];
        let after = (before.iter().zip(&reading))
            .map(|(before, channel)| before.advanced(channel.energy_quanta, QUANTUM_MJ));
        let after = after.collect();
        self.registers.push(after);
    }

    /// Starts anew, with the event that tells so.
    pub fn restart(&mut self) {
        let boot = self.store.start_boot().unwrap();
        self.uptime_ms = 0;
        let what = What::ConfigChanged { version: boot };
        self.store.event_append(boot, 0, what).unwrap();
    }

    /// Mounts the store anew.
    pub fn remount(self) -> Self {
        let nor = self.store.into_flash();
        let store = FlashStore::mount(nor).map_err(|(error, _)| error).unwrap();
        Self { store, ..self }
    }

    /// Counts the free blocks of the files.
    pub fn look_at_free_blocks(&mut self) -> u32 {
        let (mut nor, mut files) = self.files();
        let free = files.free_blocks(&mut nor).unwrap();
        self.free_blocks_min = self.free_blocks_min.min(free);
        free
    }

    /// Lists the segments: name and bytes.
    pub fn segments(&self) -> Vec<(String, u32)> {
        let mut segments = Vec::new();
        let (mut nor, mut files) = self.files();
        for directory in ["/full", "/minutes", "/quarters"] {
            let mut take = |name: &str, bytes| {
                segments.push((name.to_owned(), bytes));
                true
            };
            files.list(&mut nor, directory, &mut take).unwrap();
        }
        segments.sort();
        segments
    }

    fn files(&self) -> (Nor, Littlefs) {
        let layout = self.store.layout();
        let region = Region {
            first_sector: layout.first_file_sector(),
            sectors: layout.file_sectors,
        };
        let mut nor = self.store.flash().snapshot();
        let files = Littlefs::mount(&mut nor, region).unwrap();
        (nor, files)
    }

    /// Reads everything that is held and checks every reading.
    pub fn check(&mut self) -> Served {
        let mut buffer = [0; BLOCK_BYTES_MAX];
        let mut from = self.store.oldest();
        let mut served = Served::default();
        let mut last_tier = Tier::Quarter;
        while let Some(length) = self.store.read_block(from, &mut buffer).unwrap() {
            let block = Block::parse(&buffer[..length]).unwrap();
            let range = block.range();
            assert!(range.contains(&from.0), "{range:?} holds {from:?}");
            match block.kind() {
                Kind::Readings => {
                    let tier = block.tier();
                    assert!(tier <= last_tier, "older readings are as coarse or coarser");
                    last_tier = tier;
                    self.check_readings(&block, &mut served);
                }
                Kind::Lost => served.lost += range.end - range.start,
                Kind::NeverExisted => served.never_existed += range.end - range.start,
            }
            from = Seq(range.end);
        }
        assert_eq!(from, self.store.next());
        assert_eq!(
            self.store.registers().as_slice(),
            self.registers[self.registers.len() - 1]
        );
        served
    }

    fn check_readings(&self, block: &Block<'_>, served: &mut Served) {
        let tier = block.tier();
        let before = &self.registers[block.header().first.0 as usize];
        assert_eq!(block.header().registers.as_slice(), before);
        for reading in block.readings() {
            let (first, end) = (reading.seq.0, reading.seq.0 + u64::from(reading.span));
            assert_eq!(
                reading.registers.as_slice(),
                self.registers[end as usize],
                "energy of {first} to {end} is exact"
            );
            for channel in 0..self.channels {
                let truth = (first..end).map(|index| household(index, channel));
                match reading.extremes.get(usize::from(channel)) {
                    None => assert_eq!(
                        truth.clone().next(),
                        Some(reading.channels[usize::from(channel)])
                    ),
                    Some(extremes) => {
                        let powers = truth.map(|channel| channel.energy_quanta);
                        assert_eq!(powers.clone().min(), Some(extremes.power_min));
                        assert_eq!(powers.max(), Some(extremes.power_max));
                    }
                }
            }
            served.numbers[tier as usize] += u64::from(reading.span);
            served.readings[tier as usize] += 1;
        }
        served.blocks[tier as usize] += 1;
    }
}

#[test]
fn energy_and_extremes_stay_exact_through_all_tiers() {
    let mut life = Life::begin(80, 1);
    for _ in 0..3 {
        life.go_on(40_000);
        life.restart();
        life.look_at_free_blocks();
        let served = life.check();
        assert_eq!((served.lost, served.never_existed), (0, 0));
        assert_eq!(served.numbers.iter().sum::<u64>(), life.count());
        life = life.remount();
        assert_eq!(life.check(), served, "a mount changes nothing");
    }
    let served = life.check();
    println!("{served:?}, {} blocks free", life.free_blocks_min);
    assert!(served.numbers.iter().all(|&numbers| numbers > 5_000));
    // Three blocks of quarters, and the last of them need not be full.
    assert!(
        served.readings[2] >= 450 * (served.blocks[2] - 1),
        "{served:?}"
    );
    assert!(life.free_blocks_min >= 16);
}

#[test]
fn twenty_starts_a_day_share_segments() {
    let mut life = Life::begin(80, 1);
    for _ in 0..100 {
        life.restart();
        life.go_on(432);
    }
    let served = life.check();
    let segments = life.segments();
    println!("{served:?} in {} segments", segments.len());
    assert_eq!(served.numbers, [43_200, 0, 0]);
    // 1,850 readings fill a block where power stays.
    assert!(segments.len() <= 43_200 / 1_500, "{}", segments.len());
}

#[test]
fn segments_are_full_blocks_that_follow_one_another() {
    let mut life = Life::begin(80, 3);
    life.go_on(12_000);
    let segments = life.segments();
    assert!(segments.len() >= 10, "{}", segments.len());
    let mut end = 0;
    for (name, bytes) in &segments {
        let mut parts = name
            .split('-')
            .map(|part| u64::from_str_radix(part, 16).unwrap());
        let (base, count) = (parts.next(), parts.next().unwrap());
        assert_eq!((base, parts.next()), (Some(end), None));
        assert!(*bytes > 3_900, "{name} has {bytes} bytes");
        end += count;
    }
    assert!(end > 10_000);
}
