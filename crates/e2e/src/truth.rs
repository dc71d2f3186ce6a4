//! What the flash of a meter and a load profile say.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow};
use flash_store::FlashStore;
use nor_model::Nor;
use protocol::{
    Reading, Seq,
    block::{Block, Kind},
    event::What,
    limits::BLOCK_BYTES_MAX,
};

/// Everything that the flash of a meter holds.
#[derive(Clone, Debug, Default)]
pub struct FlashContent {
    /// Readings by sequence number.
    pub readings: BTreeMap<u64, Reading>,
    /// Numbers under which no reading ever existed.
    pub never_existed: u64,
    /// Numbers whose readings are gone.
    pub lost: u64,
    /// What its log tells, oldest first.
    pub events: Vec<What>,
}

/// Reads a copy of a flash file, so that a meter that runs on it is not disturbed.
///
/// # Errors
/// When it holds no store or the store cannot be read.
pub fn read_flash(path: &Path) -> Result<FlashContent> {
    let copy = tempfile::NamedTempFile::new()?;
    fs::copy(path, copy.path())?;
    content(Nor::open(copy.path(), fs::metadata(path)?.len() as usize)?)
}

/// Reads a flash that nobody else uses.
///
/// # Errors
/// When it holds no store or the store cannot be read.
pub fn content(flash: Nor) -> Result<FlashContent> {
    let mut store = FlashStore::mount(flash)
        .map_err(|(error, _)| anyhow!("the flash does not mount: {error:?}"))?;
    let mut content = FlashContent::default();
    let mut buffer = vec![0; BLOCK_BYTES_MAX];
    let mut from = store.oldest();
    while from < store.next() {
        let length = store
            .read_block(from, &mut buffer)
            .map_err(|error| anyhow!("{error:?}"))?;
        let block = Block::parse(&buffer[..length.context("a block is missing")?])?;
        match block.kind() {
            Kind::Readings => content
                .readings
                .extend(block.readings().map(|reading| (reading.seq.0, reading))),
            Kind::NeverExisted => content.never_existed += block.range().count() as u64,
            Kind::Lost => content.lost += block.range().count() as u64,
        }
        from = Seq(block.range().end);
    }
    let told = store.events(0, &mut |event| {
        content.events.push(event.what.clone());
        true
    });
    told.map_err(|error| anyhow!("{error:?}"))?;
    Ok(content)
}
