//! Which block speaks for which numbers.
//!
//! Blocks of one history seldom overlap: one that covers others has replaced them. Where two overlap in part, or
//! contradict each other, each number is taken from one block only: the finer, then the larger, then the one that came
//! first.

use protocol::{Seq, block::Block};
use rusqlite::{Connection, OptionalExtension};

use super::{History, StoreError};

/// A history's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistoryRow {
    pub(super) id: i64,
    pub(super) history: History,
}

/// A block's row without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRow {
    pub(super) id: i64,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) boot: u32,
    /// End of the first reading.
    pub(super) uptime_ms: u64,
    pub(super) interval_ms: u64,
}

impl BlockRow {
    fn end(&self) -> u64 {
        self.first + self.count
    }

    /// Orders blocks by how much they are believed, best first.
    fn preference(&self) -> (u64, std::cmp::Reverse<u64>, i64) {
        (self.interval_ms, std::cmp::Reverse(self.count), self.id)
    }
}

/// The numbers `from..to` of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) row: BlockRow,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Piece {
    /// Returns the uptime at which reading `seq` of the block ends, in ms.
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
}

/// Returns the pieces of all blocks of readings, by number and without overlap.
pub(super) fn pieces(connection: &Connection, history: i64) -> Result<Vec<Piece>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT id, first, count, boot, uptime_ms, interval_ms FROM block INDEXED BY block_cover
         WHERE history = ?1 AND kind = 0 ORDER BY first, id",
    )?;
    let rows = query.query_map([history], |row| {
        Ok(BlockRow {
            id: row.get(0)?,
            first: row.get::<_, i64>(1)? as u64,
            count: row.get::<_, i64>(2)? as u64,
            boot: row.get(3)?,
            uptime_ms: row.get::<_, i64>(4)? as u64,
            interval_ms: row.get::<_, i64>(5)? as u64,
        })
    })?;
    let mut pieces = Vec::new();
    let mut cluster: Vec<BlockRow> = Vec::new();
    let mut cluster_end = 0;
    for row in rows {
        let row = row?;
        if row.first >= cluster_end {
            settle(&mut cluster, &mut pieces);
        }
        cluster_end = cluster_end.max(row.end());
        cluster.push(row);
    }
    settle(&mut cluster, &mut pieces);
    Ok(pieces)
}

/// Divides the numbers of blocks that overlap among them and empties `cluster`.
fn settle(cluster: &mut Vec<BlockRow>, pieces: &mut Vec<Piece>) {
    if let [row] = cluster[..] {
        pieces.push(whole(row));
        cluster.clear();
        return;
    }
    cluster.sort_by_key(BlockRow::preference);
    let begin = pieces.len();
    for row in cluster.drain(..) {
        let mut free = vec![(row.first, row.end())];
        for taken in &pieces[begin..] {
            free = free
                .into_iter()
                .flat_map(|(from, to)| [(from, to.min(taken.from)), (from.max(taken.to), to)])
                .filter(|(from, to)| from < to)
                .collect();
        }
        pieces.extend(free.into_iter().map(|(from, to)| Piece { row, from, to }));
    }
    pieces[begin..].sort_by_key(|piece| piece.from);
}

fn whole(row: BlockRow) -> Piece {
    Piece {
        row,
        from: row.first,
        to: row.end(),
    }
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
