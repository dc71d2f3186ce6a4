//! What is got out of a flash that is damaged, and that nothing of it is wrong.

mod places;

use std::{collections::BTreeMap, ops::Range, sync::OnceLock};

use flash_store::{
    FlashStore, Format, RunParams,
    salvage::{Content, Damage, Found, Owner, SettingsState, find_stores, salvage},
};
use nor_model::{Nor, SECTOR_BYTES};
use proptest::prelude::*;
use protocol::{
    ChannelReading, DeviceId, Flags, Reading, Registers, Seq, StoreId,
    block::{Block, Kind},
    event::What,
    limits::BLOCK_BYTES_MAX,
    reading::Tier,
};

const INTERVAL_MS: u32 = 10_000;
const PARAMS: RunParams = RunParams {
    interval_ms: INTERVAL_MS,
    power_unit_mw: 1000,
    calibration: 3,
};
const OWNER: Owner = Owner {
    device: DeviceId([1, 2, 3, 4, 5, 6]),
    store: StoreId(77),
};
const SECTORS: usize = 64;
const READINGS: u64 = 90_000;
const TOKEN: &[u8] = b"a token that nobody may see";

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// A household's power: levels that stay for minutes, some noise, and an hour of feeding in every day.
fn channel(index: u64) -> ChannelReading {
    let level = 100 + (mix(index / 40) % 2_000) as i32;
    let noise = (mix(index) % 9) as i32 - 4;
    let power = if index % 8_640 > 8_280 { -level } else { level } + noise;
    ChannelReading {
        energy_quanta: power,
        reactive_power_var: power / 10 + (mix(index * 3) % 5) as i32,
        voltage_dv: 2_300 + (mix(index * 7) % 9) as u16,
        current_ca: (power.unsigned_abs() * 100 / 230) as u16,
        frequency_chz: 4_998 + (mix(index * 11) % 5) as u16,
        coverage_permille: 1000,
        flags: Flags(0),
    }
}

/// Registers before each number.
fn registers() -> &'static [Registers] {
    static REGISTERS: OnceLock<Vec<Registers>> = OnceLock::new();
    REGISTERS.get_or_init(|| {
        let mut all = vec![Registers::default()];
        for index in 0..READINGS {
            let last = all[all.len() - 1];
            all.push(last.advanced(channel(index).energy_quanta, PARAMS.quantum_mj()));
        }
        all
    })
}

/// A store in which three tiers and the journal hold readings.
fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| filled(OWNER, SECTORS, READINGS))
}

fn filled(owner: Owner, sectors: usize, readings: u64) -> Vec<u8> {
    let format = Format {
        device: owner.device,
        store: owner.store,
        channels: 1,
        password: None,
    };
    let mut store = FlashStore::format(Nor::new(sectors * SECTOR_BYTES), &format).unwrap();
    store.config_write(TOKEN).unwrap();
    for boot in 0..3 {
        store.start_boot().unwrap();
        for index in readings * boot / 3..readings * (boot + 1) / 3 {
            store
                .append(&PARAMS, uptime_ms(index), &[channel(index)])
                .unwrap();
            if index % 50 == 0 {
                let what = What::Anchor {
                    utc_ms: index as i64,
                    uncertainty_ms: 7,
                };
                store
                    .event_append(store.boot(), uptime_ms(index), what)
                    .unwrap();
            }
            store.maintain().unwrap();
        }
    }
    store.into_flash().bytes()
}

/// Uptime goes on over the starts, which is as good as any other.
fn uptime_ms(index: u64) -> u64 {
    (index + 1) * u64::from(INTERVAL_MS)
}

/// What a walk found.
#[derive(Default)]
struct Saved {
    /// Blocks by the sector in which they lay.
    blocks: BTreeMap<u32, Vec<Vec<u8>>>,
    events: BTreeMap<u64, (Owner, What)>,
    contents: Vec<(Content, Option<Damage>)>,
}

impl Saved {
    fn of(bytes: Vec<u8>) -> Self {
        let mut saved = Self::default();
        salvage(&mut Nor::from_bytes(bytes), &mut |found| match *found {
            Found::Block { sector, bytes } => {
                saved.blocks.entry(sector).or_default().push(bytes.to_vec());
            }
            Found::Event { owner, event, .. } => {
                saved
                    .events
                    .insert(event.number, (owner, event.what.clone()));
            }
            Found::Sector {
                sector,
                content,
                damage,
            } => {
                assert_eq!(sector as usize, saved.contents.len());
                saved.contents.push((content, damage));
            }
        })
        .unwrap();
        saved
    }

    /// Returns the finest tier in which each number is saved, after comparing every reading with what was measured.
    fn checked(&self) -> BTreeMap<u64, Tier> {
        let mut tiers = BTreeMap::new();
        for bytes in self.blocks.values().flatten() {
            let block = Block::parse(bytes).unwrap();
            assert_eq!(
                (block.header().device, block.header().store),
                (OWNER.device, OWNER.store)
            );
            assert_ne!(block.kind(), Kind::Lost, "nothing was lost on this flash");
            for reading in block.readings() {
                assert_true(&reading);
                for number in numbers(&reading) {
                    let tier = tiers.entry(number).or_insert(block.tier());
                    *tier = (*tier).min(block.tier());
                }
            }
        }
        tiers
    }
}

fn numbers(reading: &Reading) -> Range<u64> {
    reading.seq.0..reading.seq.0 + u64::from(reading.span)
}

/// Asserts that a reading says what was measured.
fn assert_true(reading: &Reading) {
    let numbers = numbers(reading);
    assert_eq!(reading.uptime_ms, uptime_ms(numbers.end - 1));
    assert_eq!(reading.registers[0], registers()[numbers.end as usize]);
    if reading.span == 1 && reading.extremes.is_empty() {
        assert_eq!(reading.channels[0], channel(numbers.start));
    } else {
        let sum: i32 = numbers.map(|number| channel(number).energy_quanta).sum();
        assert_eq!(reading.channels[0].energy_quanta, sum);
    }
}

/// Returns the tier of each number that a meter would serve.
fn served(bytes: &[u8]) -> BTreeMap<u64, Tier> {
    let mut store = FlashStore::mount(Nor::from_bytes(bytes.to_vec()))
        .map_err(|(error, _)| error)
        .unwrap();
    let (mut from, mut tiers) = (store.oldest(), BTreeMap::new());
    let mut buffer = [0; BLOCK_BYTES_MAX];
    while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
        let block = Block::parse(&buffer[..length]).unwrap();
        if block.kind() == Kind::Readings {
            tiers.extend(block.range().map(|number| (number, block.tier())));
        }
        from = Seq(block.range().end);
    }
    tiers
}

#[test]
fn everything_that_a_meter_serves_is_saved_as_fine_or_finer() {
    let (saved, served) = (Saved::of(image().to_vec()), served(image()));
    let tiers = saved.checked();
    for tier in Tier::ALL {
        assert!(
            served.values().any(|of| *of == tier),
            "{tier:?} is not in the test"
        );
    }
    let worse = served
        .iter()
        .find(|(number, tier)| tiers.get(number).is_none_or(|of| of > tier));
    assert_eq!(worse, None);
    assert_eq!(tiers.keys().last(), Some(&(READINGS - 1)));
    let damaged = saved.contents.iter().filter(|(_, damage)| damage.is_some());
    assert_eq!(damaged.count(), 0);
    assert!(saved.events.len() > 1_000, "{}", saved.events.len());
    assert!(saved.events.values().all(|(owner, _)| *owner == OWNER));
    assert!(
        saved
            .contents
            .iter()
            .any(|(content, _)| *content == Content::EventFile)
    );
}

#[test]
fn a_store_says_of_itself_what_lies_in_it() {
    let mut store = FlashStore::mount(Nor::from_bytes(image().to_vec()))
        .map_err(|(error, _)| error)
        .unwrap();
    let inspection = store.inspect().unwrap();
    let served = served(image());
    let mut numbers = 0;
    for segment in &inspection.segments {
        let content = segment.content.unwrap();
        assert_eq!(content.numbers, segment.count);
        assert!((1..=4096).contains(&content.bytes), "{segment:?}");
        assert_eq!(served[&segment.base], segment.tier);
        assert_eq!(
            content.readings == content.numbers,
            segment.tier == Tier::Full
        );
        numbers += u64::from(segment.count);
    }
    assert_eq!(numbers + inspection.journal.waiting, served.len() as u64);
    assert_eq!(inspection.settings, SettingsState::There);
    assert!(inspection.free_blocks >= Some(16), "{inspection:?}");
}

#[test]
fn damage_costs_what_it_hits_and_what_is_saved_is_true() {
    let whole = Saved::of(image().to_vec());
    for seed in 0..40u64 {
        let mut flash = Nor::from_bytes(image().to_vec());
        let mut bytes = if seed % 2 == 0 {
            flash
                .flip_random(0..SECTORS * SECTOR_BYTES, 1 << (seed % 8), seed)
                .unwrap();
            flash.bytes()
        } else {
            image().to_vec()
        };
        for hit in 0..seed % 5 {
            let at = mix(seed * 100 + hit) as usize % bytes.len();
            let end = (at + mix(seed + hit) as usize % 9_000).min(bytes.len());
            let value = mix(hit * 31 + seed);
            for (index, byte) in bytes[at..end].iter_mut().enumerate() {
                *byte = match value % 3 {
                    0 => 0xff,
                    1 => 0,
                    _ => mix(value + index as u64) as u8,
                };
            }
        }
        let saved = Saved::of(bytes.clone());
        let tiers = saved.checked();
        for (sector, blocks) in &whole.blocks {
            let at = *sector as usize * SECTOR_BYTES..(*sector as usize + 1) * SECTOR_BYTES;
            if bytes[at.clone()] == image()[at] {
                assert_eq!(
                    saved.blocks.get(sector),
                    Some(blocks),
                    "sector {sector}, seed {seed}"
                );
            }
        }
        assert!(!tiers.is_empty());
    }
}

#[test]
fn a_flipped_bit_in_the_journal_costs_one_run_at_most_in_a_header_too() {
    // Without the files, which have nothing to do with it and take most of the time.
    let image = &image()[..26 * SECTOR_BYTES];
    let whole = Saved::of(image.to_vec());
    let numbers_in = |saved: &Saved, sector: u32| -> usize {
        let blocks = saved.blocks.get(&sector).into_iter().flatten();
        blocks
            .map(|bytes| Block::parse(bytes).unwrap().readings().count())
            .sum()
    };
    let is_journal = |sector: &u32| whole.contents[*sector as usize].0 == Content::Journal;
    let journal: Vec<u32> = (0..26).filter(is_journal).collect();
    assert_eq!(journal.len(), 16);
    let mut costs = 0;
    for (turn, sector) in journal.iter().enumerate() {
        for offset in (turn..SECTOR_BYTES - 4).step_by(97) {
            let mut bytes = image.to_vec();
            bytes[*sector as usize * SECTOR_BYTES + offset] ^= 1 << (offset % 8);
            let saved = Saved::of(bytes);
            let lost = numbers_in(&whole, *sector) - numbers_in(&saved, *sector);
            assert!(lost <= 32, "{lost} at {offset} of sector {sector}");
            costs += lost;
            // The last entry of a sector cannot be told from a torn write, as long as the next sector is not looked at.
            if lost > 1 {
                assert!(
                    saved.contents[*sector as usize].1.is_some(),
                    "{offset} of {sector}"
                );
            }
        }
    }
    assert!(costs > 5_000, "{costs}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Bytes that no store wrote, with what a store begins with strewn among them.
    #[test]
    fn any_bytes_are_walked_through(
        seed: u64,
        plants in prop::collection::vec((0usize..6 * SECTOR_BYTES - 64, 0usize..7, any::<u16>()), 0..40),
    ) {
        let mut bytes: Vec<u8> = (0..6 * SECTOR_BYTES as u64).map(|at| mix(seed ^ at) as u8).collect();
        for (at, what, length) in plants {
            let at = if length % 2 == 0 { at / SECTOR_BYTES * SECTOR_BYTES } else { at };
            let magic = [&b"OFMI"[..], b"OFMS", b"OFSG", b"OFEV", b"OB", b"\x11\x10", b"\x06\x20"][what];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            bytes[at + 4] = 1;
            bytes[at + 5] = (length % 5) as u8;
            bytes[at + 8..at + 10].copy_from_slice(&(length % 4_200).to_le_bytes());
        }
        let mut flash = Nor::from_bytes(bytes);
        find_stores(&mut flash).unwrap();
        let mut sectors = 0;
        salvage(&mut flash, &mut |found| match found {
            Found::Sector { .. } => sectors += 1,
            other => panic!("{other:?}"),
        }).unwrap();
        prop_assert_eq!(sectors, 6);
    }

    /// A true image with any bytes of it changed: what comes out is true, or nothing comes.
    #[test]
    fn changed_bytes_give_no_wrong_reading(
        changes in prop::collection::vec((0usize..SECTORS * SECTOR_BYTES, any::<u8>(), 1usize..400), 1..60),
    ) {
        let mut bytes = image().to_vec();
        for (at, value, length) in changes {
            let end = (at + length).min(bytes.len());
            for (index, byte) in bytes[at..end].iter_mut().enumerate() {
                *byte ^= mix(u64::from(value) + index as u64) as u8;
            }
        }
        Saved::of(bytes).checked();
    }
}
