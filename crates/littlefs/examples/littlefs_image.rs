//! Makes and shows images of a flash with a LittleFS, to compare with other implementations of it.
//!
//! `littlefs_image make IMAGE OFFSET BLOCKS` makes one; `littlefs_image show IMAGE OFFSET BLOCKS` prints path, size and
//! Adler-32 of each file in the root and in the directories of a store and of `make`; both as `tests/open_image.py` prints them.

use std::{env, error, fs, path::Path};

use littlefs::{Error, Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};

const SIZES: [usize; 10] = [0, 1, 40, 400, 512, 513, 4095, 4096, 4097, 20_000];

fn main() -> Result<(), Box<dyn error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, image, offset, blocks] = arguments.as_slice() else {
        return Err("usage: littlefs_image make|show IMAGE OFFSET BLOCKS".into());
    };
    let region = Region {
        first_sector: offset.parse::<u32>()? / SECTOR_BYTES as u32,
        sectors: blocks.parse()?,
    };
    let image = Path::new(image);
    if what == "make" {
        let sectors = (region.first_sector + region.sectors) as usize;
        let mut nor = Nor::new(sectors * SECTOR_BYTES);
        make(&mut nor, region)?;
        fs::write(image, nor.bytes())?;
    }
    let mut nor = Nor::from_bytes(fs::read(image)?);
    Ok(show(&mut nor, region)?)
}

fn make(nor: &mut Nor, region: Region) -> Result<(), Error> {
    let mut files = Littlefs::format(nor, region)?;
    files.make_dir(nor, "/segments")?;
    files.make_dir(nor, "/segments/deeper")?;
    for (number, size) in SIZES.into_iter().enumerate() {
        files.write(
            nor,
            &format!("/segments/{number:016x}"),
            &content(size, number),
        )?;
    }
    for round in 0..3 {
        for number in 0..200 {
            let path = format!("/segments/deeper/{number:016x}");
            files.write(nor, &path, &content(30 + round, number))?;
        }
    }
    files.write(nor, "/settings", &content(200, 3))?;
    files.remove(nor, "/segments/0000000000000004")
}

fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + seed * 17 + index / 251) as u8)
        .collect()
}

fn show(nor: &mut Nor, region: Region) -> Result<(), Error> {
    let mut files = Littlefs::mount(nor, region)?;
    for dir in [
        "/",
        "/events",
        "/full",
        "/minutes",
        "/quarters",
        "/segments",
        "/segments/deeper",
    ] {
        let mut found = Vec::new();
        let listed = files.list(nor, dir, &mut |name, size| {
            found.push((format!("{}/{name}", dir.trim_end_matches('/')), size));
            true
        });
        match listed {
            Err(Error::Absent) => continue,
            listed => listed?,
        }
        for (path, size) in found {
            let mut bytes = vec![0; size as usize];
            files.read(nor, &path, 0, &mut bytes)?;
            println!("{path} {size} {:08x}", adler32(&bytes));
        }
    }
    Ok(())
}

/// Adler-32 (RFC 1950). The CRC-32 of what ends with its own CRC-32 is always the same.
fn adler32(bytes: &[u8]) -> u32 {
    let step = |(a, b): (u32, u32), &byte: &u8| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    };
    let (a, b) = bytes.iter().fold((1, 0), step);
    b << 16 | a
}
