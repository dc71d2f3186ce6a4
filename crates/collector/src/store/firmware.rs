//! Updates that meters took, and what became of them.

use protocol::{DeviceId, StoreId};
use rusqlite::{OptionalExtension as _, Row, TransactionBehavior};

use super::{Store, StoreError};

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// Nobody has seen yet.
    OnTrial,
    /// The meter runs it and stays with it.
    Confirmed,
    /// It did not prove itself: the meter went back to the firmware before.
    Left,
    /// Another update was pushed before anyone saw.
    Replaced,
}

impl PushOutcome {
    const ALL: [Self; 4] = [Self::OnTrial, Self::Confirmed, Self::Left, Self::Replaced];

    /// Returns a stable word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OnTrial => "on_trial",
            Self::Confirmed => "confirmed",
            Self::Left => "left",
            Self::Replaced => "replaced",
        }
    }
}

/// An update that a meter took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The meter.
    pub device: DeviceId,
    /// Its history then.
    pub store: StoreId,
    /// Version of the update.
    pub version: String,
    /// SHA-256 of its image.
    pub image_hash: [u8; 32],
    /// Version that ran before.
    pub before: String,
    /// Boot in which it was taken.
    pub boot: u32,
    /// Number of the first event that can tell of it.
    pub event: u64,
    /// When it was pushed, in ms of UTC.
    pub pushed_ms: i64,
    /// What became of it.
    pub outcome: PushOutcome,
}

const COLUMNS: &str = "device.device, push.store, push.version, push.image_hash, push.before, push.boot, push.event, push.pushed_ms, push.outcome";

impl Store {
    /// Notes that a meter took an update; it replaces one of which nobody has seen what became.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`], and when the database fails.
    pub fn note_push(&mut self, push: &Push) -> Result<(), StoreError> {
        let event = i64::try_from(push.event).map_err(|_| StoreError::OutOfRange)?;
        self.note_device(push.device, "")?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "UPDATE firmware_push SET outcome = ?2
             WHERE outcome = ?3 AND device = (SELECT id FROM device WHERE device = ?1)",
            (
                push.device.0,
                PushOutcome::Replaced as u8,
                PushOutcome::OnTrial as u8,
            ),
        )?;
        transaction.execute(
            "INSERT INTO firmware_push (device, store, version, image_hash, before, boot, event, pushed_ms, outcome)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM device WHERE device = ?1",
            (
                push.device.0,
                push.store.0.to_be_bytes(),
                &push.version,
                push.image_hash,
                &push.before,
                push.boot,
                event,
                push.pushed_ms,
                push.outcome as u8,
            ),
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Returns the last update that a meter took from here.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_push(&self, device: DeviceId) -> Result<Option<Push>, StoreError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM firmware_push AS push JOIN device ON device.id = push.device
             WHERE device.device = ?1 ORDER BY push.id DESC LIMIT 1"
        ))?;
        Ok(query.query_row([device.0], read).optional()?)
    }

    /// Notes what became of the last update that a meter took.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_outcome(
        &mut self,
        device: DeviceId,
        outcome: PushOutcome,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE firmware_push SET outcome = ?2 WHERE id =
             (SELECT max(push.id) FROM firmware_push AS push JOIN device ON device.id = push.device
              WHERE device.device = ?1)",
            (device.0, outcome as u8),
        )?;
        Ok(())
    }

    /// Notes which firmware a meter runs.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_firmware(&mut self, device: DeviceId, version: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE device SET firmware = ?2 WHERE device = ?1",
            (device.0, version),
        )?;
        Ok(())
    }

    /// Returns which firmware a meter said it runs; empty where it was not visited.
    ///
    /// # Errors
    /// When the database fails.
    pub fn firmware(&self, device: DeviceId) -> Result<String, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT firmware FROM device WHERE device = ?1")?;
        let version = query.query_row([device.0], |row| row.get(0)).optional()?;
        Ok(version.unwrap_or_default())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Push> {
    let outcome: u8 = row.get(8)?;
    Ok(Push {
        device: DeviceId(row.get(0)?),
        store: StoreId(u64::from_be_bytes(row.get(1)?)),
        version: row.get(2)?,
        image_hash: row.get(3)?,
        before: row.get(4)?,
        boot: row.get(5)?,
        event: row.get::<_, i64>(6)? as u64,
        pushed_ms: row.get(7)?,
        // The schema holds it below 4.
        outcome: PushOutcome::ALL[usize::from(outcome) % PushOutcome::ALL.len()],
    })
}
