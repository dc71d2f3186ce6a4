//! Blocks as they came, in SQLite, and everything that is derived from them.
//!
//! One process writes at a time: [`Store::open`] takes a lock that dies with its owner; [`Store::open_read_only`] reads
//! beside it without one. A **history** is one life of a meter's flash, (device, store id); sequence numbers count within
//! it; a coarse reading stands for several in a row. Blocks are immutable. A block replaces those of its rank or a lower one
//! that it covers, so journal blocks give way to segments and coarse readings to fine ones; where blocks overlap in part,
//! readings are told apart by number when they are read: the finer block wins, then the larger.
//!
//! Times are not stored. Each query places readings by the [time line](crate::time_line) of what is known at that moment.
//! Tokens and passwords are never in here, see [`secrets`](crate::secrets).

mod agree;
mod blocks;
mod cover;
mod devices;
mod displace;
mod energy;
mod error;
mod events;
mod firmware;
mod lock;
pub(crate) mod parts;
mod power;
mod readings;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{DeviceId, StoreId};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

pub use blocks::{PutBlock, PutSummary};
pub use devices::{Device, StoreBytes};
pub use energy::{BARS_MAX, Bar, Period};
pub use error::StoreError;
pub use firmware::{Push, PushOutcome};
pub use power::{POINTS_MAX, PowerSeries};
pub use readings::{Readings, Resolved, Span};

use lock::DataLock;

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "ofmon.db";

/// Names one life of a meter's flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct History {
    /// The meter.
    pub device: DeviceId,
    /// Its store.
    pub store: StoreId,
}

/// Holds the database open.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    directory: PathBuf,
    /// Released when the store is dropped or the process dies.
    _lock: Option<DataLock>,
}

impl Store {
    /// Opens the store for writing; makes directory and database where there are none and migrates older ones.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process writes; [`StoreError::TooNew`] and [`StoreError::Foreign`] for a
    /// database that this version must not touch.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|source| StoreError::Directory {
            path: directory.to_owned(),
            source,
        })?;
        let lock = DataLock::take(directory)?;
        let mut connection = Connection::open(directory.join(DATABASE_FILE))?;
        schema::prepare(&mut connection)?;
        Ok(Self {
            connection,
            directory: directory.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Opens the store for reading, beside a writer or without one.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none yet; [`StoreError::TooOld`] where a writer must migrate it first.
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(DATABASE_FILE);
        if !path.exists() {
            return Err(StoreError::Missing { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        schema::check_for_reading(&connection)?;
        Ok(Self {
            connection,
            directory: directory.to_owned(),
            _lock: None,
        })
    }

    /// Returns the data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns a setting.
    ///
    /// # Errors
    /// When the database fails.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Keeps a setting; never a secret.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_setting(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
            .execute([name, value])?;
        Ok(())
    }
}

/// A store that several tasks share; locked for the moment of one operation only.
#[derive(Clone, Debug)]
pub struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    /// Shares a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// Locks the store; not to be held across an await.
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere leaves the database consistent: its transaction was rolled back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the store where blocking is allowed.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> T {
        let shared = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut shared.lock())).await;
        match done {
            Ok(value) => value,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}
