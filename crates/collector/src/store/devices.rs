//! The meters that are known, and how much is held of each.

use protocol::{DeviceId, Seq, StoreId};
use rusqlite::OptionalExtension;

use super::{
    Resolved, Store, StoreError,
    readings::{self, Placed, snapshot},
};

/// A meter as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The meter.
    pub id: DeviceId,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its newest history, `None` before the first collection.
    pub store: Option<StoreId>,
    /// Numbers for which readings are held, fine or coarse, over all histories.
    pub readings: u64,
    /// Numbers that the meter says it lost and for which no reading is held, over all histories.
    pub lost: u64,
    /// Lowest number held of the newest history.
    pub oldest: Option<Seq>,
    /// First number not held of the newest history.
    pub next: Seq,
    /// The newest reading.
    pub latest: Option<Resolved>,
    /// End of the last complete collection in ms of UTC.
    pub last_collected_ms: Option<i64>,
    /// Pairs of blocks that contradict each other.
    pub conflicts: u64,
}

/// What the store takes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreBytes {
    /// Bytes of the database without its write-ahead log.
    pub database_bytes: u64,
    /// Bytes of the blocks in it.
    pub block_bytes: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// Numbers that their readings stand for; those in two blocks count twice.
    pub readings: u64,
}

impl Store {
    /// Notes a meter that was met, so that it is listed before its first collection; an empty name changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_device(&mut self, device: DeviceId, name: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO device (device, name) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET name = excluded.name WHERE excluded.name <> ''",
            )?
            .execute((device.0, name))?;
        Ok(())
    }

    /// Notes that a meter was collected to the end.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_collected(&mut self, device: DeviceId, now_ms: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE device SET last_collected_ms = ?2 WHERE device = ?1")?
            .execute((device.0, now_ms))?;
        Ok(())
    }

    /// Returns all meters, by id.
    ///
    /// # Errors
    /// When the database fails or a newest block is damaged.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        let _snapshot = snapshot(&self.connection)?;
        let mut query = self
            .connection
            .prepare_cached("SELECT device FROM device ORDER BY device")?;
        let ids: Vec<[u8; 6]> = query
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        ids.into_iter()
            .map(|id| self.device(DeviceId(id)))
            .collect()
    }

    /// Returns one meter.
    ///
    /// # Errors
    /// [`StoreError::UnknownDevice`]; else as [`devices`](Self::devices).
    pub fn device(&self, id: DeviceId) -> Result<Device, StoreError> {
        let _snapshot = snapshot(&self.connection)?;
        let mut query = self
            .connection
            .prepare_cached("SELECT name, last_collected_ms FROM device WHERE device = ?1")?;
        let row = query
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (name, last_collected_ms) = row.ok_or(StoreError::UnknownDevice(id))?;
        let histories = Placed::load(&self.connection, id)?;
        let readings = histories
            .iter()
            .flat_map(|placed| &placed.pieces)
            .map(|piece| piece.to - piece.from)
            .sum();
        let newest = histories.last();
        let next = match newest {
            Some(placed) => self.cursor(placed.row.history)?,
            None => Seq(0),
        };
        Ok(Device {
            id,
            name,
            store: newest.map(|placed| placed.row.history.store),
            readings,
            lost: histories.iter().map(|placed| placed.lost).sum(),
            oldest: newest.and_then(|placed| Some(Seq(placed.pieces.first()?.from))),
            next,
            latest: readings::latest(&self.connection, &histories)?,
            last_collected_ms,
            conflicts: self.conflicts(id)?,
        })
    }

    fn conflicts(&self, id: DeviceId) -> Result<u64, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT count(*) FROM conflict
             JOIN history ON history.id = conflict.history JOIN device ON device.id = history.device
             WHERE device.device = ?1",
        )?;
        let count: i64 = query.query_row([id.0], |row| row.get(0))?;
        Ok(count as u64)
    }

    /// Returns what the store takes on the disk.
    ///
    /// # Errors
    /// When the database fails.
    pub fn bytes(&self) -> Result<StoreBytes, StoreError> {
        let pragma = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let database_bytes = pragma("page_count")? * pragma("page_size")?;
        let sums = self.connection.query_row(
            "SELECT count(*), ifnull(sum(length(bytes)), 0), ifnull(sum(count) FILTER (WHERE kind = 0), 0) FROM block",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )?;
        Ok(StoreBytes {
            database_bytes: database_bytes as u64,
            blocks: sums.0 as u64,
            block_bytes: sums.1 as u64,
            readings: sums.2 as u64,
        })
    }
}
