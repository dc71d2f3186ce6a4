//! What a file system should hold, and what one does.

use std::collections::BTreeMap;

use littlefs::{Error, Littlefs, Region};
use nor_model::{Nor, SECTOR_BYTES};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The directory for files, beside the root.
pub(crate) const DIR: &str = "/segments";

/// One call that changes something.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(String, Vec<u8>),
    Remove(String),
    MakeDir(String),
}

impl Change {
    pub(crate) fn write(path: impl Into<String>, length: usize, seed: u64) -> Self {
        Self::Write(path.into(), content(length, seed))
    }

    pub(crate) fn remove(path: impl Into<String>) -> Self {
        Self::Remove(path.into())
    }

    pub(crate) fn apply(&self, fs: &mut Littlefs, nor: &mut Nor) -> Result<(), Error> {
        match self {
            Self::Write(path, bytes) => fs.write(nor, path, bytes),
            Self::Remove(path) => fs.remove(nor, path),
            Self::MakeDir(path) => fs.make_dir(nor, path),
        }
    }

    pub(crate) fn expect(&self, files: &mut Files) {
        match self {
            Self::Write(path, bytes) => drop(files.insert(path.clone(), bytes.clone())),
            Self::Remove(path) => drop(files.remove(path)),
            Self::MakeDir(_) => {}
        }
    }
}

/// Returns bytes that no other seed gives.
pub(crate) fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    (0..length).map(|_| random.random()).collect()
}

/// Returns a name as segments have them.
pub(crate) fn segment(number: u64) -> String {
    format!("{DIR}/{:016x}", number * 1440)
}

/// Makes a flash that has one sector before the region and one after it.
pub(crate) fn blank(sectors: u32) -> (Nor, Region) {
    let nor = Nor::new((sectors as usize + 2) * SECTOR_BYTES);
    let first_sector = 1;
    (
        nor,
        Region {
            first_sector,
            sectors,
        },
    )
}

/// Reads everything in the root and in [`DIR`].
pub(crate) fn read_all(fs: &mut Littlefs, nor: &mut Nor) -> Result<Files, Error> {
    let mut files = Files::new();
    for dir in ["/", DIR] {
        let mut found = Vec::new();
        let listed = fs.list(nor, dir, &mut |name, size| {
            found.push((name.to_owned(), size));
            found.len() < 10_000
        });
        match listed {
            Err(Error::Absent) if dir == DIR => continue,
            result => result?,
        }
        for (name, size) in found {
            let path = format!("{}/{name}", dir.trim_end_matches('/'));
            let mut bytes = vec![0; size as usize + 1];
            let length = fs.read(nor, &path, 0, &mut bytes)?;
            assert_eq!(length, size as usize, "{path} is as long as listed");
            bytes.truncate(length);
            assert!(
                files.insert(path.clone(), bytes).is_none(),
                "{path} is there twice"
            );
        }
    }
    Ok(files)
}
