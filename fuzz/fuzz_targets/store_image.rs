//! Any image whatever: it is no store, or a store that serves nothing but whole blocks, in bounded work.
//!
//! The image of a store that has lived for a while is changed in two ways. **Ageing** flips bits and erases sectors:
//! what is served then must be what was measured, whatever else is lost. **Forging** writes bytes and files and makes
//! the checksums right: then anything may be served that is a block, but nothing may panic or run on.
#![no_main]

use std::{collections::HashSet, sync::OnceLock};

use arbitrary::{Arbitrary, Unstructured};
use flash_store::{FlashStore, Format, RunParams};
use libfuzzer_sys::fuzz_target;
use littlefs::{Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, DeviceId, Flags, Registers, Seq, StoreId,
    block::{Block, CRC, Kind},
    event::What,
    limits::BLOCK_BYTES_MAX,
};

const SECTORS: usize = 60;
/// Enough of such wild ones for all tiers.
const READINGS: u64 = 4_500;
const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1000,
    calibration: 3,
};
/// Read calls that one call of the store may take: some calls of the files, each bounded by itself.
const READS_PER_CALL_MAX: u64 = 400_000;
/// Numbers at the end that damage can make look like torn writes: four of the longest entries.
const TORN_READINGS_MAX: u64 = 40;

#[derive(Arbitrary, Debug)]
enum Ageing {
    Flip { at: u32, mask: u8 },
    FlipMany { sector: u8, count: u8, seed: u64 },
    Erase(u8),
}

#[derive(Arbitrary, Debug)]
enum Forging<'a> {
    Fill {
        at: u32,
        length: u16,
        byte: u8,
    },
    Write {
        at: u32,
        bytes: &'a [u8],
    },
    CopySector {
        from: u8,
        to: u8,
    },
    /// Makes the checksum of a header, a segment or an identity right.
    SealSector(u8),
    /// Makes the checksum of an entry right.
    SealEntry {
        at: u32,
    },
    /// Writes a file.
    File {
        name: Name,
        content: &'a [u8],
    },
    /// Gives the content of one segment to another, whatever its name.
    CopyFile {
        from: u8,
        to: Name,
    },
    Ageing(Ageing),
}

#[derive(Arbitrary, Debug)]
enum Name {
    Segment { base: u32, count: u32, tier: u8 },
    Events { base: u32, count: u32 },
    Settings,
    Lost,
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Aged(Vec<Ageing>),
    Forged(Vec<Forging<'a>>),
    /// Bytes over and over.
    Raw(&'a [u8]),
}

/// Blocks of the store that nothing was done to: unpacking them again would tell nothing.
static KNOWN: OnceLock<HashSet<Vec<u8>>> = OnceLock::new();

/// A store that has lived, and the registers before each of its numbers and behind the last.
struct Base {
    nor: Nor,
    readings: Vec<ChannelReading>,
    registers: Vec<Registers>,
    first_file_sector: u32,
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Values that pack badly, so that a store is full soon.
fn channel(number: u64) -> ChannelReading {
    let draw = |field: u64| mix(number * 31 + field * 1_000_003);
    ChannelReading {
        energy_quanta: (draw(1) >> 40) as i32 - (1 << 23),
        reactive_power_var: draw(2) as i32,
        voltage_dv: draw(3) as u16,
        current_ca: draw(4) as u16,
        frequency_chz: draw(5) as u16,
        coverage_permille: (draw(6) % 1001) as u16,
        flags: Flags(draw(7) as u16),
    }
}

fn base() -> Base {
    let format = Format {
        device: DeviceId([1, 2, 3, 4, 5, 6]),
        store: StoreId(77),
        channels: 1,
        password: None,
    };
    let nor = Nor::new(SECTORS * SECTOR_BYTES);
    let mut store = FlashStore::format(nor, &format).expect("it formats");
    store.config_write(&[5; 300]).expect("it writes");
    let (mut readings, mut registers) = (Vec::new(), vec![Registers::default()]);
    let mut uptime_ms = 0;
    for number in 0..READINGS {
        if number % 700 == 0 {
            let boot = store.start_boot().expect("it starts");
            let what = What::ConfigChanged { version: boot };
            uptime_ms = 0;
            store.event_append(boot, 0, what).expect("it logs");
        }
        if number % 6 == 0 {
            let what = What::Anchor {
                utc_ms: number as i64,
                uncertainty_ms: 5,
            };
            let boot = store.boot();
            store.event_append(boot, uptime_ms, what).expect("it logs");
        }
        uptime_ms += 10_000;
        let reading = channel(number);
        store
            .append(&PARAMS, uptime_ms, &[reading])
            .expect("it appends");
        store.maintain().expect("it maintains");
        readings.push(reading);
        registers.push(store.registers()[0]);
    }
    assert_eq!(store.next(), Seq(READINGS));
    let first_file_sector = store.layout().first_file_sector();
    Base {
        nor: store.into_flash(),
        readings,
        registers,
        first_file_sector,
    }
}

fuzz_target!(|bytes: &[u8]| {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    // A flash is not for several threads; its bytes and what was measured are.
    static TRUTH: OnceLock<(Vec<ChannelReading>, Vec<Registers>, u32)> = OnceLock::new();
    let (readings, registers, first_file_sector) = TRUTH.get_or_init(|| {
        let base = base();
        BASE.get_or_init(|| base.nor.bytes());
        (base.readings, base.registers, base.first_file_sector)
    });
    let image = BASE.get().expect("made with the truth");
    KNOWN.get_or_init(|| known_blocks(image, readings, registers));
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    match input {
        Input::Aged(changes) => {
            let mut nor = Nor::from_bytes(image.clone());
            changes.iter().for_each(|change| age(&mut nor, change));
            exercise(nor, Some((readings, registers)));
        }
        Input::Forged(changes) => {
            let mut nor = Nor::from_bytes(image.clone());
            for change in &changes {
                forge(&mut nor, change, *first_file_sector);
            }
            exercise(nor, None);
        }
        Input::Raw(pattern) if !pattern.is_empty() => {
            let bytes = pattern.iter().copied().cycle().take(image.len()).collect();
            exercise(Nor::from_bytes(bytes), None);
        }
        Input::Raw(_) => {}
    }
});

fn age(nor: &mut Nor, change: &Ageing) {
    let sectors = |sector: &u8| usize::from(*sector) % SECTORS * SECTOR_BYTES;
    match change {
        Ageing::Flip { at, mask } => {
            let at = *at as usize % (SECTORS * SECTOR_BYTES);
            nor.flip(at, *mask).expect("it is in memory");
        }
        Ageing::FlipMany {
            sector,
            count,
            seed,
        } => {
            let from = sectors(sector);
            let range = from..from + SECTOR_BYTES;
            nor.flip_random(range, (*count).into(), *seed)
                .expect("it is in memory");
        }
        Ageing::Erase(sector) => {
            let from = sectors(sector);
            set(nor, from, &[0xff; SECTOR_BYTES]);
        }
    }
}

/// Writes what no flash would take: any byte anywhere.
fn set(nor: &mut Nor, from: usize, bytes: &[u8]) {
    let capacity = SECTORS * SECTOR_BYTES;
    let length = bytes.len().min(capacity - from);
    let mut old = nor.bytes();
    for (offset, &byte) in bytes[..length].iter().enumerate() {
        let at = from + offset;
        if old[at] != byte {
            nor.flip(at, old[at] ^ byte).expect("it is in memory");
            old[at] = byte;
        }
    }
}

fn forge(nor: &mut Nor, change: &Forging<'_>, first_file_sector: u32) {
    let capacity = SECTORS * SECTOR_BYTES;
    match change {
        Forging::Fill { at, length, byte } => {
            set(nor, *at as usize % capacity, &vec![*byte; (*length).into()]);
        }
        Forging::Write { at, bytes } => set(nor, *at as usize % capacity, bytes),
        Forging::CopySector { from, to } => {
            let [from, to] = [from, to].map(|sector| usize::from(*sector) % SECTORS * SECTOR_BYTES);
            let bytes = nor.bytes()[from..from + SECTOR_BYTES].to_vec();
            set(nor, to, &bytes);
        }
        Forging::SealSector(sector) => {
            let at = usize::from(*sector) % SECTORS * SECTOR_BYTES;
            let bytes = nor.bytes()[at..at + SECTOR_BYTES].to_vec();
            let end = match &bytes[..4] {
                b"OFMI" => 56,
                b"OFMS" => {
                    let opening = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]) % 129);
                    40 + opening.next_multiple_of(4)
                }
                b"OFSG" => {
                    usize::from(u16::from_le_bytes([bytes[8], bytes[9]]) % 4_097).saturating_sub(4)
                }
                _ => return,
            };
            set(nor, at + end, &CRC.checksum(&bytes[..end]).to_le_bytes());
        }
        Forging::SealEntry { at } => {
            let at = *at as usize % (capacity - 300) & !3;
            let bytes = nor.bytes()[at..at + 140].to_vec();
            let length = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]) & 0xfff) % 129;
            let end = (2 + length).next_multiple_of(4);
            set(nor, at + end, &CRC.checksum(&bytes[..end]).to_le_bytes());
        }
        Forging::File { name, content } => {
            let content = &content[..content.len().min(4_096)];
            write_file(nor, first_file_sector, &path(name), content);
        }
        Forging::CopyFile { from, to } => {
            let sectors = SECTORS as u32 - first_file_sector;
            let sector = first_file_sector + u32::from(*from) % sectors;
            let at = sector as usize * SECTOR_BYTES;
            let bytes = nor.bytes()[at..at + SECTOR_BYTES].to_vec();
            let stated = usize::from(u16::from_le_bytes([bytes[8], bytes[9]])).min(SECTOR_BYTES);
            write_file(nor, first_file_sector, &path(to), &bytes[..stated]);
        }
        Forging::Ageing(change) => age(nor, change),
    }
}

fn path(name: &Name) -> String {
    match name {
        Name::Segment { base, count, tier } => {
            let directory = ["full", "minutes", "quarters"][usize::from(*tier) % 3];
            format!("/{directory}/{base:015x}-{count:x}")
        }
        Name::Events { base, count } => format!("/events/{base:015x}-{count:x}"),
        Name::Settings => "/settings".into(),
        Name::Lost => "/lost".into(),
    }
}

fn write_file(nor: &mut Nor, first_sector: u32, path: &str, content: &[u8]) {
    let region = Region {
        first_sector,
        sectors: SECTORS as u32 - first_sector,
    };
    if let Ok(mut files) = Littlefs::mount(nor, region) {
        let _ = files.write(nor, path, content);
    }
}

/// Uses everything that a store has; `truth` is what was measured, and the registers before and behind.
fn exercise(mut nor: Nor, truth: Option<(&[ChannelReading], &[Registers])>) {
    nor.reset_counters();
    let Ok(mut store) = FlashStore::mount(nor) else {
        return;
    };
    assert_eq!(
        store.flash().counters().operations,
        0,
        "mounting writes nothing"
    );
    check_reads(&store, 4 * READS_PER_CALL_MAX);
    read_everything(&mut store, truth);
    let channels = vec![ChannelReading::default(); store.registers().len()];
    let boot = store.start_boot().unwrap_or(1);
    for turn in 0..20u64 {
        let reads = store.flash().counters().reads;
        let _ = store.append(&PARAMS, turn * 10_000, &channels);
        let _ = store.maintain();
        let _ = store.event_append(boot, turn, What::SetUp);
        check_reads(&store, reads + 60 * READS_PER_CALL_MAX);
    }
    let _ = store.config_write(&[7; 300]);
    let _ = store.acknowledge(store.next());
    read_everything(&mut store, None);
    let before = (store.next(), store.registers(), store.boot());
    if let Ok(store) = FlashStore::mount(store.into_flash()) {
        assert_eq!(before, (store.next(), store.registers(), store.boot()));
    }
}

fn check_reads(store: &FlashStore<Nor>, reads_max: u64) {
    let reads = store.flash().counters().reads;
    assert!(reads <= reads_max, "{reads} reads, {reads_max} expected");
}

fn read_everything(store: &mut FlashStore<Nor>, truth: Option<(&[ChannelReading], &[Registers])>) {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    for _ in 0..4 * SECTORS * 400 {
        let reads = store.flash().counters().reads;
        let Ok(Some(length)) = store.read_block(from, &mut buffer) else {
            break;
        };
        check_reads(store, reads + READS_PER_CALL_MAX);
        if KNOWN
            .get()
            .is_some_and(|known| known.contains(&buffer[..length]))
        {
            // First number and count.
            let [first, count] = [24, 32].map(|at| u32_at(&buffer, at));
            from = Seq(u64::from(first) + u64::from(count));
            continue;
        }
        let block = Block::parse(&buffer[..length]).expect("what is served is a block");
        let range = block.range();
        assert!(range.contains(&from.0), "reading gets on");
        if let Some((readings, registers)) = truth {
            check_block(&block, readings, registers, store.next().0);
        } else {
            assert!(block.readings().count() <= 10_000_000);
        }
        from = Seq(range.end);
    }
    let mut last = None;
    let _ = store.events(0, &mut |event| {
        assert!(last < Some(event.number), "events come in order");
        last = Some(event.number);
        true
    });
    let _ = store.config_read(&mut buffer);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Checks all blocks of the store that nothing was done to.
fn known_blocks(
    image: &[u8],
    readings: &[ChannelReading],
    registers: &[Registers],
) -> HashSet<Vec<u8>> {
    let mounted = FlashStore::mount(Nor::from_bytes(image.to_vec()));
    let mut store = mounted.map_err(|(error, _)| error).expect("it mounts");
    let mut known = HashSet::new();
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    while let Some(length) = store.read_block(from, &mut buffer).expect("it reads") {
        let block = Block::parse(&buffer[..length]).expect("a block is a block");
        check_block(&block, readings, registers, READINGS);
        from = Seq(block.range().end);
        known.insert(buffer[..length].to_vec());
    }
    known
}

fn check_block(block: &Block<'_>, readings: &[ChannelReading], registers: &[Registers], next: u64) {
    let before = |number: u64| registers[number as usize];
    if block.kind() == Kind::NeverExisted {
        let range = block.range();
        let is_at_end = range.start + TORN_READINGS_MAX >= READINGS || range.end > READINGS;
        assert!(is_at_end, "{range:?} of {next} were acknowledged");
    }
    for reading in block.readings() {
        let (first, end) = (reading.seq.0, reading.seq.0 + u64::from(reading.span));
        assert!(end <= READINGS, "nothing is made up");
        assert_eq!(
            reading.registers[0],
            before(end),
            "registers are as they were"
        );
        if reading.span == 1 && reading.extremes.is_empty() {
            assert_eq!(reading.channels[0], readings[first as usize]);
        }
    }
}
