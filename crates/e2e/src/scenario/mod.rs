//! The scenarios, one a file.

pub mod cuts;
pub mod kills;
pub mod replay;
pub mod restarts;
pub mod throughput;
pub mod updates;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use protocol::Reading;
use sim::signal::LoadProfile;

use crate::exported::Export;

/// How an export differs from what a meter's flash holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Readings of the flash that the export does not have.
    pub lost: u64,
    /// Readings that the export has more than once, or under a number that the flash does not have.
    pub doubled: u64,
    /// Readings that both have, with another power or register.
    pub altered: u64,
}

impl Difference {
    /// Compares the first channel of one meter's readings.
    ///
    /// # Errors
    /// When there is nothing to compare: an empty comparison would pass for a good one.
    pub fn between(flash: &BTreeMap<u64, Reading>, export: &Export, device: &str) -> Result<Self> {
        ensure!(!flash.is_empty(), "the flash holds no readings");
        let mut difference = Self {
            doubled: export.doubled,
            ..Self::default()
        };
        for (seq, reading) in flash {
            match export.rows.get(&(device.to_owned(), *seq)) {
                None => difference.lost += 1,
                Some(row) => {
                    let energy_wh = reading.registers[0].import_mj as f64 / 3_600_000.0;
                    let power_w = reading.active_power_mw(0).unwrap_or_default() as f64 / 1000.0;
                    let same = (row.energy_import_wh - energy_wh).abs() < 0.001
                        && (row.power_w - power_w).abs() < 0.001;
                    difference.altered += u64::from(!same);
                }
            }
        }
        let of_device = export.rows.keys().filter(|(id, _)| id == device);
        difference.doubled += of_device
            .filter(|(_, seq)| !flash.contains_key(seq))
            .count() as u64;
        Ok(difference)
    }

    /// Adds another comparison.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            altered: self.altered + other.altered,
        }
    }
}

/// Writes a seeded load profile of so many minutes into a directory and returns its path.
///
/// # Errors
/// What the file system says.
pub fn profile(directory: &Path, minutes: u32) -> Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("profile-{minutes}.txt"));
    fs::write(
        &path,
        LoadProfile::synthetic(20_260_101, minutes as usize).to_text(),
    )?;
    Ok(path)
}
