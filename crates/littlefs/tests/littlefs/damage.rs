//! Damaged and forged images: an answer or an error, soon.

use std::collections::BTreeMap;

use littlefs::{Error, Littlefs, Region};
use nor_model::{Fault, Nor, SECTOR_BYTES};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::model::{Change, DIR, blank, content, segment};

/// Bytes read by all calls on an image together; honest ones take a tenth.
const READ_BYTES_MAX: u64 = 400_000_000;

/// Every content that a path ever had.
type Histories = BTreeMap<String, Vec<Vec<u8>>>;

fn store() -> (Vec<u8>, Region, Histories) {
    let (mut nor, region) = blank(60);
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    fs.make_dir(&mut nor, DIR).unwrap();
    let mut histories = Histories::new();
    for round in 0..3 {
        for number in 0..45 {
            let length = [4096, 100, 600, 30][number as usize % 4];
            let bytes = content(length, number * 10 + round);
            fs.write(&mut nor, &segment(number), &bytes).unwrap();
            histories.entry(segment(number)).or_default().push(bytes);
        }
        let bytes = content(200, round);
        fs.write(&mut nor, "/settings", &bytes).unwrap();
        histories.entry("/settings".into()).or_default().push(bytes);
    }
    (nor.bytes().to_vec(), region, histories)
}

/// Does every call; returns the files that could be read.
fn use_all(nor: &mut Nor, region: Region) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let Ok(mut fs) = Littlefs::mount(nor, region) else {
        return files;
    };
    for dir in ["/", DIR] {
        let mut found = Vec::new();
        let _ = fs.list(nor, dir, &mut |name, size| {
            found.push((format!("{}/{name}", dir.trim_end_matches('/')), size));
            found.len() < 200
        });
        for (path, size) in found {
            let mut bytes = vec![0; (size as usize).min(10_000)];
            if let Ok(length) = fs.read(nor, &path, 0, &mut bytes) {
                bytes.truncate(length);
                files.push((path.clone(), bytes));
            }
            let _ = fs.size(nor, &path);
            let _ = fs.read(nor, &path, size / 2, &mut [0; 50]);
        }
    }
    let _ = fs.free_blocks(nor);
    let _ = fs.write(nor, &segment(3), &content(4096, 1));
    let _ = fs.write(nor, &segment(1000), &content(100, 1));
    let _ = fs.remove(nor, &segment(5));
    let _ = fs.make_dir(nor, "/another");
    assert!(
        nor.counters().read_bytes < READ_BYTES_MAX,
        "the calls end soon"
    );
    files
}

#[test]
fn flipped_bits_hit_what_they_hit() {
    let (image, region, histories) = store();
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let (mut whole, mut changed) = (0, 0);
    for round in 0..300 {
        let mut nor = Nor::from_bytes(image.clone());
        let flips = 1 + round % 4;
        for _ in 0..flips {
            let at = random.random_range(SECTOR_BYTES..image.len() - SECTOR_BYTES);
            nor.flip(at, 1 << random.random_range(0..8u8)).unwrap();
        }
        for (path, bytes) in use_all(&mut nor, region) {
            let history = histories
                .get(&path)
                .unwrap_or_else(|| panic!("{path} was never written"));
            let differs = |old: &&Vec<u8>| {
                let bits = old
                    .iter()
                    .zip(&bytes)
                    .map(|(a, b)| (a ^ b).count_ones())
                    .sum::<u32>();
                if old.len() == bytes.len() {
                    bits
                } else {
                    u32::MAX
                }
            };
            let bits = history.iter().map(|old| differs(&old)).min().unwrap();
            assert!(bits <= flips, "{path} differs in {bits} bits");
            whole += u32::from(bits == 0);
            changed += u32::from(bits > 0);
        }
    }
    assert!(
        whole > 300 * 40 && changed > 20,
        "{whole} whole, {changed} with a flipped bit"
    );
}

#[test]
fn dead_sectors_are_left_alone() {
    let (image, region, histories) = store();
    for sector in 3..61 {
        let mut nor = Nor::from_bytes(image.clone());
        nor.break_sector(sector, Fault::Refuses);
        let mut fs = Littlefs::mount(&mut nor, region).unwrap();
        for number in 100..104 {
            let bytes = content(4096, number);
            fs.write(&mut nor, &segment(number), &bytes).unwrap();
        }
        let mut fs = Littlefs::mount(&mut nor, region).unwrap();
        let mut bytes = vec![0; 4096];
        for number in 100..104 {
            assert_eq!(fs.read(&mut nor, &segment(number), 0, &mut bytes), Ok(4096));
            assert_eq!(bytes, content(4096, number));
        }
        for (path, history) in &histories {
            let length = fs.read(&mut nor, path, 0, &mut bytes).unwrap();
            assert_eq!(bytes[..length], history[2]);
        }
    }
}

#[test]
fn flash_that_takes_nothing_is_told_and_loses_nothing() {
    let (image, region, _) = store();
    let mut nor = Nor::from_bytes(image.clone());
    let mut fs = Littlefs::mount(&mut nor, region).unwrap();
    nor.fail_writes(true);
    for change in [
        Change::write("/settings", 300, 1),
        Change::write("/new", 4096, 1),
        Change::remove(segment(7)),
    ] {
        assert!(matches!(
            change.apply(&mut fs, &mut nor),
            Err(Error::Flash(_))
        ));
    }
    assert_eq!(nor.bytes(), image);
    nor.fail_writes(false);
    fs.write(&mut nor, "/new", &[1; 10]).unwrap();
    assert_eq!(fs.size(&mut nor, "/new"), Ok(Some(10)));
}

#[test]
fn random_blocks_are_no_littlefs() {
    let mut random = Pcg64Mcg::seed_from_u64(2);
    for _ in 0..200 {
        let (nor, region) = blank(8);
        let mut bytes = nor.bytes().to_vec();
        bytes.iter_mut().for_each(|byte| *byte = random.random());
        let magic: bool = random.random();
        if magic {
            bytes[SECTOR_BYTES + 8..][..8].copy_from_slice(b"littlefs");
        }
        let mut nor = Nor::from_bytes(bytes);
        let expected = if magic {
            Error::Corrupt
        } else {
            Error::NotLittlefs
        };
        assert_eq!(Littlefs::mount(&mut nor, region).err(), Some(expected));
    }
}

/// A metadata block that was made by hand, with checksums that hold.
struct Forge {
    bytes: Vec<u8>,
    tag: u32,
}

impl Forge {
    fn new(revision: u32) -> Self {
        let bytes = revision.to_le_bytes().to_vec();
        Self {
            bytes,
            tag: u32::MAX,
        }
    }

    fn tag(&mut self, kind: u32, id: u32, about: &[u8]) {
        let tag = kind << 20 | id << 10 | about.len() as u32;
        self.bytes.extend((tag ^ self.tag).to_be_bytes());
        self.bytes.extend(about);
        self.tag = tag;
    }

    fn finish(mut self) -> Vec<u8> {
        let tag: u32 = 0x500 << 20 | 0x3FF << 10 | 4;
        self.bytes.extend((tag ^ self.tag).to_be_bytes());
        let checksum = self
            .bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
        let step = |crc: u32, bit: u8| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1 ^ u32::from(bit)));
        let checksum = checksum.fold(u32::MAX, step);
        self.bytes.extend(checksum.to_le_bytes());
        self.bytes.resize(SECTOR_BYTES, 0xFF);
        self.bytes
    }

    fn superblock(&mut self, blocks: u32) {
        self.tag(0x401, 0, b"");
        self.tag(0x0FF, 0, b"littlefs");
        let fields = [
            0x0002_0001,
            SECTOR_BYTES as u32,
            blocks,
            255,
            i32::MAX as u32,
            1022,
        ];
        self.tag(0x201, 0, fields.map(u32::to_le_bytes).as_flattened());
    }
}

fn pair(first: u32, second: u32) -> [u8; 8] {
    let pair = [first.to_le_bytes(), second.to_le_bytes()];
    pair.as_flattened().try_into().unwrap()
}

/// Makes a flash of 16 blocks, each two of them with the same forged content.
fn forged(blocks: [Forge; 8]) -> (Nor, Region) {
    let (nor, region) = blank(16);
    let mut bytes = nor.bytes().to_vec();
    for (index, block) in blocks.into_iter().enumerate() {
        let block = block.finish();
        for copy in 0..2 {
            let at = (1 + 2 * index + copy) * SECTOR_BYTES;
            bytes[at..at + SECTOR_BYTES].copy_from_slice(&block);
        }
    }
    (Nor::from_bytes(bytes), region)
}

fn root_with(entries: impl FnOnce(&mut Forge)) -> (Nor, Region) {
    let mut blocks = [(); 8].map(|()| Forge::new(1));
    blocks[0].superblock(16);
    entries(&mut blocks[0]);
    forged(blocks)
}

#[test]
fn honest_forgery_is_read() {
    let (mut nor, region) = root_with(|root| {
        root.tag(0x401, 1, b"");
        root.tag(0x001, 1, b"file");
        root.tag(0x201, 1, b"content");
    });
    let mut fs = Littlefs::mount(&mut nor, region).unwrap();
    let mut buffer = [0; 20];
    assert_eq!(fs.read(&mut nor, "/file", 0, &mut buffer), Ok(7));
    assert_eq!(&buffer[..7], b"content");
    fs.write(&mut nor, "/other", b"x").unwrap();
    assert_eq!(fs.size(&mut nor, "/file"), Ok(Some(7)));
}

#[test]
fn circles_end() {
    let circles: [fn(&mut Forge); 7] = [
        |root| root.tag(0x600, 0x3FF, &pair(0, 1)),
        |root| root.tag(0x601, 0x3FF, &pair(0, 1)),
        |root| {
            root.tag(0x401, 1, b"");
            root.tag(0x002, 1, b"segments");
            root.tag(0x200, 1, &pair(0, 1));
        },
        |root| {
            root.tag(0x401, 1, b"");
            root.tag(0x001, 1, b"huge");
            root.tag(0x202, 1, &[4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F]);
        },
        |root| {
            root.tag(0x401, 1, b"");
            root.tag(0x001, 1, b"outside");
            root.tag(0x202, 1, &[200, 0, 0, 0, 0, 0x20, 0, 0]);
        },
        |root| root.tag(0x600, 0x3FF, &pair(99, 4)),
        |root| root.tag(0x7FF, 0x3FF, &[0xFF; 12]),
    ];
    for circle in circles {
        let (mut nor, region) = root_with(circle);
        use_all(&mut nor, region);
    }
    // A directory beside the list of all, whose chain runs in a circle.
    let mut blocks = [(); 8].map(|()| Forge::new(1));
    blocks[0].superblock(16);
    blocks[0].tag(0x401, 1, b"");
    blocks[0].tag(0x002, 1, b"segments");
    blocks[0].tag(0x200, 1, &pair(4, 5));
    blocks[2].tag(0x601, 0x3FF, &pair(6, 7));
    blocks[3].tag(0x601, 0x3FF, &pair(4, 5));
    let (mut nor, region) = forged(blocks);
    let mut fs = Littlefs::mount(&mut nor, region).unwrap();
    let mut names = |_: &str, _: u32| true;
    assert_eq!(fs.list(&mut nor, DIR, &mut names), Err(Error::Corrupt));
    assert_eq!(fs.size(&mut nor, &segment(1)), Err(Error::Corrupt));
    assert_eq!(fs.write(&mut nor, &segment(1), b"x"), Err(Error::Corrupt));
}

#[test]
fn forged_tags_of_all_kinds_neither_panic_nor_hang() {
    let rounds = if cfg!(debug_assertions) {
        2000
    } else {
        200_000
    };
    const KINDS: [u32; 16] = [
        0x001, 0x002, 0x0FF, 0x200, 0x201, 0x202, 0x300, 0x401, 0x4FF, 0x500, 0x5FF, 0x600, 0x601,
        0x7FF, 0x101, 0x102,
    ];
    let from = std::env::var("ROUND").map_or(0, |x| x.parse().unwrap());
    for round in from..rounds {
        if from > 0 || std::env::var("SHOW").is_ok() {
            eprintln!("{round}");
        }
        let mut random = Pcg64Mcg::seed_from_u64(round);
        let mut blocks = [(); 8].map(|()| Forge::new(1));
        blocks[0].superblock(16);
        for block in &mut blocks[..] {
            for _ in 0..random.random_range(0..20) {
                let kind = KINDS[random.random_range(0..KINDS.len())];
                let id = [0, 1, 2, 3, 0x3FF][random.random_range(0..5usize)];
                let first = random.random_range(0..18u32);
                let about = match random.random_range(0..6u8) {
                    0 => b"segments".to_vec(),
                    1 => vec![0x61; random.random_range(0..200)],
                    2 => pair(first, random.random()).to_vec(),
                    3 => (0..12).map(|_| random.random()).collect(),
                    _ => pair(first, first ^ 1).to_vec(),
                };
                block.tag(kind, id, &about);
            }
        }
        let (mut nor, region) = forged(blocks);
        use_all(&mut nor, region);
    }
}
