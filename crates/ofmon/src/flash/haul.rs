//! What can be saved from a dump, by meter and history.

use std::collections::BTreeMap;

use anyhow::Result;
use collector::store::{History, PutBlock, Store, StoreError};
use flash_store::salvage::{Found, salvage};
use protocol::{
    DeviceId, StoreId,
    block::{Block, Kind},
    event::Event,
    reading::{RegisterSet, Tier},
};
use serde::Serialize;

use super::{
    dump::{Dump, readable},
    report::{tier_word, total_wh},
};

/// Blocks that one transaction takes.
const BATCH_BLOCKS: usize = 256;

/// What a dump holds of one history.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    /// Blocks by their first number, none twice.
    blocks: Vec<Vec<u8>>,
    events: BTreeMap<u64, Event>,
}

/// What was saved of one history.
#[derive(Debug, Serialize)]
pub(crate) struct HaulReport {
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its history.
    pub(crate) store_id: StoreId,
    /// First number saved.
    pub(crate) first_seq: u64,
    /// Number behind the last one saved.
    pub(crate) next_seq: u64,
    /// Numbers saved, each in the finest tier that there is.
    pub(crate) tiers: Vec<TierSaved>,
    /// Numbers between that are saved in no tier.
    pub(crate) lost: u64,
    /// Their energy as far as the registers around tell, all channels together.
    pub(crate) lost_import_wh: f64,
    /// Energy given.
    pub(crate) lost_export_wh: f64,
    /// Registers behind the last reading saved, all channels together.
    pub(crate) energy_import_wh: f64,
    /// Energy given.
    pub(crate) energy_export_wh: f64,
    /// Events saved.
    pub(crate) events: usize,
    /// Numbers whose readings the store did not hold before.
    pub(crate) readings_new: u64,
    /// Blocks and events that contradict what the store holds; its own are kept.
    pub(crate) conflicts: u64,
}

/// Numbers saved in a tier.
#[derive(Debug, Serialize)]
pub(crate) struct TierSaved {
    /// `full`, `minute` or `quarter`.
    pub(crate) tier: &'static str,
    /// How many numbers.
    pub(crate) numbers: u64,
}

/// Everything that a dump holds.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// By history.
    pub(crate) hauls: BTreeMap<History, Haul>,
    /// Sectors in which something is damaged.
    pub(crate) damaged_sectors: u32,
}

impl Salvaged {
    /// Walks through a dump.
    pub(crate) fn of(dump: &Dump) -> Result<Self> {
        let mut salvaged = Self::default();
        let mut flash = dump.clone();
        readable(salvage(&mut flash, &mut |found| salvaged.take(found)))?;
        for haul in salvaged.hauls.values_mut() {
            haul.blocks.sort_by_key(|bytes| first(bytes));
            haul.blocks.dedup();
        }
        // Events alone make no history that anybody could look at.
        salvaged.hauls.retain(|_, haul| !haul.blocks.is_empty());
        Ok(salvaged)
    }

    fn take(&mut self, found: &Found<'_>) {
        match *found {
            Found::Sector { damage, .. } => self.damaged_sectors += u32::from(damage.is_some()),
            Found::Block { bytes, .. } => {
                let Ok(block) = Block::parse(bytes) else {
                    return;
                };
                let history = History {
                    device: block.header().device,
                    store: block.header().store,
                };
                let haul = self.hauls.entry(history).or_default();
                haul.blocks.push(bytes.to_vec());
            }
            Found::Event { owner, event, .. } => {
                let history = History {
                    device: owner.device,
                    store: owner.store,
                };
                let haul = self.hauls.entry(history).or_default();
                haul.events.insert(event.number, event.clone());
            }
        }
    }
}

fn first(bytes: &[u8]) -> (u64, u64) {
    Block::parse(bytes).map_or((0, 0), |block| (block.range().start, block.range().end))
}

impl Haul {
    /// Puts all of it into a store, as a collection would, and says what it came to.
    pub(crate) fn put(
        &self,
        store: &mut Store,
        history: History,
        now_ms: i64,
    ) -> Result<HaulReport, StoreError> {
        let mut report = self.report(history);
        for batch in self.blocks.chunks(BATCH_BLOCKS) {
            // The meter may still hold what is damaged here: the cursor passes over nothing.
            let puts: Vec<PutBlock<'_>> = batch
                .iter()
                .map(|bytes| PutBlock {
                    bytes,
                    nothing_before: false,
                })
                .collect();
            match store.put_blocks(history, &puts, now_ms) {
                Ok(summary) => {
                    report.readings_new += summary.readings_new;
                    report.conflicts += summary.conflicts;
                }
                Err(StoreError::OutOfRange) => {
                    self.put_singly(store, history, &puts, now_ms, &mut report)?;
                }
                Err(error) => return Err(error),
            }
        }
        let events: Vec<Event> = self.events.values().cloned().collect();
        // The meter is asked for all of its events again: not all of them may be here.
        match store.put_events(history, &events, None) {
            Err(StoreError::EventChanged { .. } | StoreError::OutOfRange) => {
                for event in &events {
                    match store.put_events(history, std::slice::from_ref(event), None) {
                        Err(StoreError::EventChanged { .. } | StoreError::OutOfRange) => {
                            report.conflicts += 1;
                        }
                        result => result?,
                    }
                }
            }
            result => result?,
        }
        Ok(report)
    }

    /// Puts blocks of which one is out of the range that a store takes; that one is left out.
    fn put_singly(
        &self,
        store: &mut Store,
        history: History,
        puts: &[PutBlock<'_>],
        now_ms: i64,
        report: &mut HaulReport,
    ) -> Result<(), StoreError> {
        for put in puts {
            match store.put_blocks(history, &[*put], now_ms) {
                Ok(summary) => {
                    report.readings_new += summary.readings_new;
                    report.conflicts += summary.conflicts;
                }
                Err(StoreError::OutOfRange) => report.conflicts += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says what is there, before any store has taken it.
    pub(crate) fn report(&self, history: History) -> HaulReport {
        let blocks: Vec<Block<'_>> = self
            .blocks
            .iter()
            .filter_map(|bytes| Block::parse(bytes).ok())
            .collect();
        let mut covered = Vec::new();
        let mut tiers = Vec::new();
        for tier in Tier::ALL {
            let of_tier = blocks
                .iter()
                .filter(|block| block.kind() == Kind::Readings && block.tier() == tier)
                .map(Block::range);
            let before = total(&covered);
            covered.extend(of_tier.map(|range| (range.start, range.end)));
            unite(&mut covered);
            let numbers = total(&covered) - before;
            if numbers > 0 {
                tiers.push(TierSaved {
                    tier: tier_word(tier),
                    numbers,
                });
            }
        }
        let (first_seq, next_seq) = (
            covered.first().map_or(0, |range| range.0),
            covered.last().map_or(0, |range| range.1),
        );
        covered.extend(
            blocks
                .iter()
                .filter(|block| block.kind() == Kind::NeverExisted)
                .map(|block| {
                    (
                        block.range().start.max(first_seq),
                        block.range().end.min(next_seq),
                    )
                })
                .filter(|range| range.0 < range.1),
        );
        unite(&mut covered);
        let lost = next_seq - first_seq - total(&covered);
        let (last, lost_energy) = registers(&blocks, next_seq);
        let ((lost_import_wh, lost_export_wh), (energy_import_wh, energy_export_wh)) =
            (total_wh(&lost_energy), total_wh(&last));
        HaulReport {
            device: history.device,
            store_id: history.store,
            first_seq,
            next_seq,
            tiers,
            lost,
            lost_import_wh,
            lost_export_wh,
            energy_import_wh,
            energy_export_wh,
            events: self.events.len(),
            readings_new: 0,
            conflicts: 0,
        }
    }
}

/// Returns the registers behind the last reading, and by how much they advanced where no reading is saved.
fn registers(blocks: &[Block<'_>], next_seq: u64) -> (RegisterSet, RegisterSet) {
    let mut end: Option<(u64, RegisterSet)> = None;
    let mut lost = RegisterSet::new();
    let mut last = RegisterSet::new();
    for block in blocks.iter().filter(|block| block.kind() != Kind::Lost) {
        let range = block.range();
        let begin = &block.header().registers;
        if let Some((number, registers)) = &end
            && range.start > *number
        {
            lost.resize_default(begin.len()).ok();
            for ((lost, begin), end) in lost.iter_mut().zip(begin).zip(registers) {
                let advanced_mj = begin.import_mj.saturating_sub(end.import_mj);
                lost.import_mj = lost.import_mj.saturating_add(advanced_mj);
                let advanced_mj = begin.export_mj.saturating_sub(end.export_mj);
                lost.export_mj = lost.export_mj.saturating_add(advanced_mj);
            }
        }
        if end.as_ref().is_none_or(|(number, _)| range.end > *number) {
            let behind = block.readings().last();
            let registers = behind.map_or_else(|| begin.clone(), |reading| reading.registers);
            if range.end == next_seq {
                last.clone_from(&registers);
            }
            end = Some((range.end, registers));
        }
    }
    (last, lost)
}

/// Joins ranges that touch or overlap, and sorts them.
fn unite(ranges: &mut Vec<(u64, u64)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let joins = next.0 <= before.1;
        if joins {
            before.1 = before.1.max(next.1);
        }
        joins
    });
}

fn total(ranges: &[(u64, u64)]) -> u64 {
    ranges.iter().map(|range| range.1 - range.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_unite_where_they_touch_and_count_once() {
        let mut ranges = vec![(5, 9), (0, 2), (2, 3), (6, 7), (12, 13)];
        unite(&mut ranges);
        assert_eq!(ranges, [(0, 3), (5, 9), (12, 13)]);
        assert_eq!(total(&ranges), 8);
    }
}
