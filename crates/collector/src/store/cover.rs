//! Which block speaks for which numbers.
//!
//! Blocks of one history seldom overlap: one that covers others has replaced them. Where some overlap in part, or
//! contradict each other, each number is taken from one block only: the finer, then the larger, then the one that came
//! first. So a block stops speaking only where one that is believed more begins, and speaks again only where that ends.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range};

use protocol::{
    Reading, Seq,
    block::{Block, Kind},
    reading::{RegisterSet, Tier},
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{History, StoreError, parts};

/// A history's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistoryRow {
    pub(super) id: i64,
    pub(super) history: History,
}

/// Orders blocks by how much they tell, best first: finer readings, coarser ones, numbers that never existed, lost ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u8);

impl Rank {
    const LOST: Self = Self(4);

    pub(super) fn of(block: &Block<'_>) -> Self {
        Self::of_columns(block.kind() as u8, block.tier() as u8)
    }

    pub(super) fn of_columns(kind: u8, tier: u8) -> Self {
        const READINGS: u8 = Kind::Readings as u8;
        const NEVER_EXISTED: u8 = Kind::NeverExisted as u8;
        match kind {
            READINGS => Self(tier.min(Tier::Quarter as u8)),
            NEVER_EXISTED => Self(3),
            _ => Self::LOST,
        }
    }

    /// Tells whether there are readings in blocks of this rank.
    pub(super) fn is_readings(self) -> bool {
        self.0 <= Tier::Quarter as u8
    }
}

/// A block's row without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRow {
    pub(super) id: i64,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) rank: Rank,
    tier: Tier,
    pub(super) boot: u32,
    /// End of the first number's interval.
    pub(super) uptime_ms: u64,
    /// Of one number.
    pub(super) interval_ms: u64,
}

const COLUMNS: &str = "id, first, count, kind, tier, boot, uptime_ms, interval_ms";

impl BlockRow {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let tier = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            first: row.get::<_, i64>(1)? as u64,
            count: row.get::<_, i64>(2)? as u64,
            rank: Rank::of_columns(row.get(3)?, tier),
            tier: Tier::of(tier).unwrap_or(Tier::Quarter),
            boot: row.get(5)?,
            uptime_ms: row.get::<_, i64>(6)? as u64,
            interval_ms: row.get::<_, i64>(7)? as u64,
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.count
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.first..self.end()
    }

    /// Returns how long a coarse reading of the block may be, in ms; 0 at full resolution.
    pub(super) fn coarse_ms_max(&self) -> u64 {
        match self.tier {
            Tier::Full => 0,
            // One number may be longer than a merged reading.
            tier => u64::from(tier.span_ms()).max(self.interval_ms),
        }
    }

    /// Orders blocks by how much they are believed, best first.
    fn preference(&self) -> (Rank, u64, Reverse<u64>, i64) {
        (self.rank, self.interval_ms, Reverse(self.count), self.id)
    }
}

/// The numbers `from..to` of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) row: BlockRow,
    pub(super) from: u64,
    pub(super) to: u64,
    /// The block that ends at `from` and took what is before from this one.
    before: Option<i64>,
    /// The block that begins at `to` and took what is behind from this one.
    after: Option<i64>,
}

impl Piece {
    /// Returns the uptime at which the interval of number `seq` of the block ends, in ms.
    pub(super) fn end_uptime_ms(&self, seq: u64) -> u64 {
        self.row.uptime_ms + (seq - self.row.first) * self.row.interval_ms
    }

    /// Returns the uptimes at which the piece begins and ends, in ms.
    pub(super) fn uptimes_ms(&self) -> (u64, u64) {
        let first_end = self.end_uptime_ms(self.from);
        (
            first_end.saturating_sub(self.row.interval_ms),
            self.end_uptime_ms(self.to - 1),
        )
    }

    /// Cuts the piece to `range`, which it overlaps.
    pub(super) fn narrow(&mut self, range: &Range<u64>) {
        if self.from < range.start {
            (self.from, self.before) = (range.start, None);
        }
        if self.to > range.end {
            (self.to, self.after) = (range.end, None);
        }
    }

    /// Decodes the readings of the piece; a coarse one that it holds in part stands for that part.
    pub(super) fn decode(
        &self,
        connection: &Connection,
        history: History,
    ) -> Result<Vec<Reading>, StoreError> {
        let bytes = block_bytes(connection, self.row.id)?;
        let block = parse_stored(history, self.row.first, &bytes)?;
        let mut readings: Vec<Reading> = block
            .readings()
            .skip_while(|reading| parts::end(reading) <= self.from)
            .take_while(|reading| reading.seq.0 < self.to)
            .collect();
        let own = (self.from, self.to);
        if let Some(first) = readings.first_mut()
            && first.seq.0 < self.from
        {
            let at_from = registers_behind(connection, self.before)?;
            *first = parts::part(
                first,
                own,
                at_from,
                self.registers_at_end(connection, first)?,
            );
        }
        if let Some(last) = readings.last_mut()
            && parts::end(last) > self.to
        {
            *last = parts::part(last, own, None, self.registers_at_end(connection, last)?);
        }
        Ok(readings)
    }

    /// Returns the registers at the end of the piece where the reading that holds it goes on and they are known.
    fn registers_at_end(
        &self,
        connection: &Connection,
        reading: &Reading,
    ) -> Result<Option<RegisterSet>, StoreError> {
        let is_cut = parts::end(reading) > self.to;
        registers_before(connection, self.after.filter(|_| is_cut))
    }
}

/// Returns the registers behind a block, `None` where there is none or it is damaged.
fn registers_behind(
    connection: &Connection,
    block: Option<i64>,
) -> Result<Option<RegisterSet>, StoreError> {
    let Some(id) = block else { return Ok(None) };
    let bytes = block_bytes(connection, id)?;
    let last = Block::parse(&bytes)
        .ok()
        .and_then(|block| block.readings().last());
    Ok(last.map(|reading| reading.registers))
}

/// Returns the registers before a block, `None` where there is none or it is damaged.
fn registers_before(
    connection: &Connection,
    block: Option<i64>,
) -> Result<Option<RegisterSet>, StoreError> {
    let Some(id) = block else { return Ok(None) };
    let bytes = block_bytes(connection, id)?;
    let block = Block::parse(&bytes).ok();
    Ok(block.map(|block| block.header().registers.clone()))
}

/// What is held of a history.
#[derive(Debug, Default)]
pub(super) struct Cover {
    /// The pieces of all blocks of readings, by number and without overlap.
    pub(super) pieces: Vec<Piece>,
    /// Numbers that the meter lost and of which nothing is held.
    pub(super) lost: u64,
}

/// Returns who speaks for which numbers of a history.
pub(super) fn cover(connection: &Connection, history: i64) -> Result<Cover, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM block INDEXED BY block_cover WHERE history = ?1 ORDER BY first, id"
    ))?;
    let rows = query.query_map([history], BlockRow::of)?;
    let mut cover = Cover::default();
    let mut cluster: Vec<BlockRow> = Vec::new();
    let mut cluster_end = 0;
    for row in rows {
        let row = row?;
        if row.first >= cluster_end {
            settle(&mut cluster, &mut cover);
        }
        cluster_end = cluster_end.max(row.end());
        cluster.push(row);
    }
    settle(&mut cluster, &mut cover);
    Ok(cover)
}

/// Divides the numbers of blocks that overlap among them and empties `cluster`.
fn settle(cluster: &mut Vec<BlockRow>, cover: &mut Cover) {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut speak = |row: BlockRow, from, to| match pieces.last_mut() {
        Some(last) if last.row.id == row.id && last.to == from => last.to = to,
        _ => pieces.push(Piece {
            row,
            from,
            to,
            before: None,
            after: None,
        }),
    };
    if let [row] = cluster[..] {
        speak(row, row.first, row.end());
    } else {
        cluster.sort_by_key(BlockRow::preference);
        let places = cluster.iter().enumerate();
        let mut edges: Vec<(u64, usize)> = places
            .flat_map(|(place, row)| [(row.first, place), (row.end(), place)])
            .collect();
        edges.sort_unstable();
        let mut open = BTreeSet::new();
        let mut at = 0;
        for (edge, place) in edges {
            if let Some(&best) = open.first()
                && at < edge
            {
                speak(cluster[best], at, edge);
            }
            at = edge;
            if !open.remove(&place) {
                open.insert(place);
            }
        }
    }
    cluster.clear();
    for index in 1..pieces.len() {
        let (left, right) = (pieces[index - 1], pieces[index]);
        if left.to == right.from && left.row.rank.is_readings() && right.row.rank.is_readings() {
            let ends = left.to == left.row.end();
            let begins = right.from == right.row.first;
            pieces[index].before = ends.then_some(left.row.id);
            pieces[index - 1].after = begins.then_some(right.row.id);
        }
    }
    for piece in pieces {
        if piece.row.rank.is_readings() {
            cover.pieces.push(piece);
        } else if piece.row.rank == Rank::LOST {
            cover.lost += piece.to - piece.from;
        }
    }
}

/// Returns the blocks that overlap a range, by first number; none of them has more than `count_max` numbers.
pub(super) fn overlapping(
    connection: &Connection,
    history: i64,
    count_max: u64,
    range: &Range<u64>,
) -> Result<Vec<BlockRow>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM block
         WHERE history = ?1 AND first > ?2 AND first < ?4 AND first + count > ?3 ORDER BY first, id"
    ))?;
    // No block that begins before this reaches into the range.
    let lowest = range.start as i64 - count_max as i64;
    let key = (history, lowest, range.start as i64, range.end as i64);
    let rows = query.query_map(key, BlockRow::of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns how many numbers of `range` the blocks of `rows`, which are in order of their first numbers, do not hold.
pub(super) fn uncovered<'a>(range: &Range<u64>, rows: impl Iterator<Item = &'a BlockRow>) -> u64 {
    let mut at = range.start;
    let mut count = 0;
    for row in rows {
        count += row.first.clamp(at, range.end) - at;
        at = at.max(row.end().min(range.end));
    }
    count + (range.end - at)
}

/// Returns all histories of a meter, oldest first.
pub(super) fn histories(
    connection: &Connection,
    device: protocol::DeviceId,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT history.id, history.store FROM history JOIN device ON device.id = history.device
         WHERE device.device = ?1 ORDER BY history.id",
    )?;
    let rows = query.query_map([device.0], |row| {
        let store = protocol::StoreId(u64::from_be_bytes(row.get(1)?));
        Ok(HistoryRow {
            id: row.get(0)?,
            history: History { device, store },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the row number of a history, `None` where it is not known.
pub(super) fn history_id(
    connection: &Connection,
    history: History,
) -> Result<Option<i64>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT history.id FROM history JOIN device ON device.id = history.device
         WHERE device.device = ?1 AND history.store = ?2",
    )?;
    let key = (history.device.0, history.store.0.to_be_bytes());
    Ok(query.query_row(key, |row| row.get(0)).optional()?)
}

/// Returns the bytes of a block.
pub(super) fn block_bytes(connection: &Connection, id: i64) -> Result<Vec<u8>, StoreError> {
    let mut query = connection.prepare_cached("SELECT bytes FROM block WHERE id = ?1")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Parses a stored block; one that does not parse was damaged on disk.
pub(super) fn parse_stored(
    history: History,
    first: u64,
    bytes: &[u8],
) -> Result<Block<'_>, StoreError> {
    Block::parse(bytes).map_err(|source| StoreError::Damaged {
        history,
        first: Seq(first),
        source,
    })
}
