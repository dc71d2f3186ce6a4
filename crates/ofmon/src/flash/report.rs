//! What lies in a dump, store by store.

use anyhow::Result;
use flash_store::{
    FlashStore,
    salvage::{
        Content, Damage, Found, Inspection, SettingsState, StorePlace, find_stores, salvage,
    },
};
use protocol::{
    DeviceId, Seq, StoreId,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
    reading::{RegisterSet, Tier},
};
use serde::Serialize;

use super::dump::{Dump, readable};
use crate::views::row::watt_hours;

/// A sector as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sector {
    /// Its place in the dump.
    pub(crate) number: u32,
    /// What it is.
    pub(crate) content: Content,
    /// What cannot be read in it.
    pub(crate) damage: Option<Damage>,
    /// Whether a store lists the segment in it; true for what is no segment.
    pub(crate) is_in_force: bool,
}

/// One store of a dump.
#[derive(Debug, Serialize)]
pub(crate) struct StoreReport {
    /// Where in the file it begins.
    pub(crate) offset_bytes: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its history.
    pub(crate) store_id: StoreId,
    /// Its channels.
    pub(crate) channels: u8,
    /// Why a meter would not start with it; null where it would.
    pub(crate) unusable: Option<String>,
    /// Sectors of identity, counters, events, journal and files.
    pub(crate) layout_sectors: Option<[u32; 5]>,
    /// What it says of itself; null where it is unusable.
    pub(crate) contents: Option<Contents>,
}

/// What a store says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct Contents {
    /// Number of the last start.
    pub(crate) boot: u32,
    /// Lowest number held.
    pub(crate) oldest_seq: u64,
    /// The number that the next reading gets.
    pub(crate) next_seq: u64,
    /// First number that no collector has acknowledged.
    pub(crate) acknowledged_seq: u64,
    /// Registers, one entry a channel.
    pub(crate) registers: Vec<RegisterReport>,
    /// Events; null where they cannot be read.
    pub(crate) events: Option<u64>,
    /// Bytes of the journal in use.
    pub(crate) journal_used_bytes: u32,
    /// Its size.
    pub(crate) journal_bytes: u32,
    /// Numbers in the journal that no segment holds.
    pub(crate) journal_waiting: u64,
    /// Segments of each tier that has some.
    pub(crate) tiers: Vec<TierReport>,
    /// Whether LittleFS can be read.
    pub(crate) files_readable: bool,
    /// Its blocks that are free.
    pub(crate) files_free_blocks: Option<u32>,
    /// Whether settings are `absent`, `there` or `damaged`; they are never shown.
    pub(crate) settings: &'static str,
    /// What is served as lost.
    pub(crate) lost: Vec<LostReport>,
    /// Number from which on nothing is served, since what lies there contradicts itself; null where all is served.
    pub(crate) contradicts_from_seq: Option<u64>,
    /// Numbers that never existed, since power was cut while they were written.
    pub(crate) never_existed: u64,
}

/// Registers of a channel.
#[derive(Debug, Serialize)]
pub(crate) struct RegisterReport {
    /// The channel, from 1.
    pub(crate) channel: usize,
    /// Energy taken.
    pub(crate) energy_import_wh: f64,
    /// Energy given.
    pub(crate) energy_export_wh: f64,
}

/// The segments of a tier.
#[derive(Debug, Serialize)]
pub(crate) struct TierReport {
    /// `full`, `minute` or `quarter`.
    pub(crate) tier: &'static str,
    /// How many.
    pub(crate) segments: u32,
    /// Of these, how many cannot be read.
    pub(crate) unreadable: u32,
    /// First number that they account for.
    pub(crate) first_seq: u64,
    /// Number behind the last one.
    pub(crate) next_seq: u64,
    /// Their readings.
    pub(crate) readings: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Numbers that were there and cannot be read.
#[derive(Debug, Serialize)]
pub(crate) struct LostReport {
    /// The first one.
    pub(crate) first_seq: u64,
    /// How many.
    pub(crate) count: u64,
    /// Their energy, all channels together, as far as registers around tell.
    pub(crate) energy_import_wh: f64,
    /// Energy given.
    pub(crate) energy_export_wh: f64,
}

/// Returns the word for a tier.
pub(crate) fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Full => "full",
        Tier::Minute => "minute",
        Tier::Quarter => "quarter",
    }
}

/// Returns the energy of all channels together in Wh, import and export.
pub(crate) fn total_wh(registers: &RegisterSet) -> (f64, f64) {
    let sum = |of: fn(&protocol::Registers) -> u64| {
        registers.iter().map(of).fold(0u64, u64::saturating_add)
    };
    (
        watt_hours(sum(|channel| channel.import_mj)),
        watt_hours(sum(|channel| channel.export_mj)),
    )
}

/// Looks at everything: the stores, their places, and each sector.
pub(crate) fn inspect(dump: &Dump) -> Result<(Vec<StoreReport>, Vec<StorePlace>, Vec<Sector>)> {
    let mut flash = dump.clone();
    let places = readable(find_stores(&mut flash))?.to_vec();
    let mut sectors = Vec::with_capacity(dump.sectors());
    readable(salvage(&mut flash, &mut |found| {
        if let Found::Sector {
            sector,
            content,
            damage,
        } = *found
        {
            sectors.push(Sector {
                number: sector,
                content,
                damage,
                is_in_force: true,
            });
        }
    }))?;
    let mut reports = Vec::new();
    for place in &places {
        mark_identity(place, &mut sectors);
        reports.push(look(dump, place, &mut sectors)?);
    }
    Ok((reports, places, sectors))
}

fn look(dump: &Dump, place: &StorePlace, sectors: &mut [Sector]) -> Result<StoreReport> {
    let layout = place.layout().map(|layout| {
        [
            layout.first_counter_sector(),
            layout.counter_sectors,
            layout.event_sectors,
            layout.journal_sectors,
            layout.file_sectors,
        ]
    });
    let mut report = StoreReport {
        offset_bytes: dump.offset_of(place.first_sector),
        bytes: u64::from(place.sectors) * super::dump::SECTOR_BYTES as u64,
        device: place.owner.device,
        store_id: place.owner.store,
        channels: place.channels,
        unusable: None,
        layout_sectors: layout,
        contents: None,
    };
    let Some(part) = dump.part(place.first_sector, place.sectors) else {
        report.unusable = Some("the dump ends before the store does".to_owned());
        return Ok(report);
    };
    match FlashStore::mount(part) {
        Ok(mut store) => {
            let inspection = readable(store.inspect())?;
            mark_replaced(&inspection, place, sectors);
            report.contents = Some(contents(&mut store, &inspection));
        }
        Err((error, _)) => report.unusable = Some(error.to_string()),
    }
    Ok(report)
}

/// Notes which copies of a store's identity are not there.
fn mark_identity(place: &StorePlace, sectors: &mut [Sector]) {
    for sector in sectors {
        let is_copy = (place.first_sector..place.first_sector + 2).contains(&sector.number);
        if is_copy && !matches!(sector.content, Content::Identity { .. }) {
            sector.damage = Some(Damage::Header);
        }
    }
}

/// Notes which segments of a store's sectors it no longer lists.
fn mark_replaced(inspection: &Inspection, place: &StorePlace, sectors: &mut [Sector]) {
    for sector in sectors {
        let Content::Segment {
            tier,
            base,
            count,
            store,
        } = sector.content
        else {
            continue;
        };
        let is_listed = inspection
            .segments
            .iter()
            .any(|segment| (segment.tier, segment.base, segment.count) == (tier, base, count));
        if store == place.owner.store && !is_listed {
            sector.is_in_force = false;
        }
    }
}

fn contents(store: &mut FlashStore<Dump>, inspection: &Inspection) -> Contents {
    let gaps = Gaps::of(store);
    let mut events = 0;
    let visited = store.events(0, &mut |_| {
        events += 1;
        true
    });
    let registers = store.registers();
    let registers = registers
        .iter()
        .enumerate()
        .map(|(index, registers)| RegisterReport {
            channel: index + 1,
            energy_import_wh: watt_hours(registers.import_mj),
            energy_export_wh: watt_hours(registers.export_mj),
        });
    Contents {
        boot: store.boot(),
        oldest_seq: store.oldest().0,
        next_seq: store.next().0,
        acknowledged_seq: store.acknowledged().0,
        registers: registers.collect(),
        events: visited.is_ok().then_some(events),
        journal_used_bytes: inspection.journal.used_bytes,
        journal_bytes: inspection.journal.total_bytes,
        journal_waiting: inspection.journal.waiting,
        tiers: Tier::ALL
            .iter()
            .filter_map(|tier| tier_report(inspection, *tier))
            .collect(),
        files_readable: store.has_files(),
        files_free_blocks: inspection.free_blocks,
        settings: match inspection.settings {
            SettingsState::Absent => "absent",
            SettingsState::There => "there",
            SettingsState::Damaged => "damaged",
        },
        lost: gaps.lost,
        contradicts_from_seq: gaps.contradicts_from_seq,
        never_existed: gaps.never_existed,
    }
}

fn tier_report(inspection: &Inspection, tier: Tier) -> Option<TierReport> {
    let of_tier = || {
        inspection
            .segments
            .iter()
            .filter(move |segment| segment.tier == tier)
    };
    let contents = || of_tier().filter_map(|segment| segment.content);
    let last = of_tier().next_back()?;
    let segments = of_tier().count();
    Some(TierReport {
        tier: tier_word(tier),
        segments: segments as u32,
        unreadable: (segments - contents().count()) as u32,
        first_seq: of_tier().next()?.base,
        next_seq: last.base + u64::from(last.count),
        readings: contents().map(|content| u64::from(content.readings)).sum(),
        bytes: contents().map(|content| u64::from(content.bytes)).sum(),
    })
}

/// What a collector would not get.
#[derive(Default)]
struct Gaps {
    lost: Vec<LostReport>,
    never_existed: u64,
    contradicts_from_seq: Option<u64>,
}

impl Gaps {
    /// Reads everything as a collector would.
    fn of(store: &mut FlashStore<Dump>) -> Self {
        let mut buffer = vec![0; BLOCK_BYTES_MAX];
        let (mut gaps, mut from) = (Self::default(), store.oldest());
        loop {
            let bytes = match store.read_block(from, &mut buffer) {
                Ok(None) => return gaps,
                Ok(Some(length)) => &buffer[..length],
                Err(_) => &[],
            };
            let block = Block::parse(bytes).ok();
            let Some(block) = block.filter(|block| block.range().end > from.0) else {
                gaps.contradicts_from_seq = Some(from.0);
                return gaps;
            };
            gaps.take(&block);
            from = Seq(block.range().end);
        }
    }

    fn take(&mut self, block: &Block<'_>) {
        let range = block.range();
        let count = range.end - range.start;
        match block.kind() {
            Kind::Readings => {}
            Kind::NeverExisted => self.never_existed += count,
            Kind::Lost => {
                let energy = block.lost_energy().unwrap_or_default();
                let (energy_import_wh, energy_export_wh) = total_wh(&energy);
                self.lost.push(LostReport {
                    first_seq: range.start,
                    count,
                    energy_import_wh,
                    energy_export_wh,
                });
            }
        }
    }
}
