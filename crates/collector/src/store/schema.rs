//! The schema and its versions.
//!
//! `user_version` counts the migrations that were applied; each runs in a transaction of its own together with the
//! count, so a crash leaves the version before or after. `application_id` tells our databases from others.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Applied in order; the n-th brings the schema to version n. Released ones never change.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_store.sql"),
    include_str!("migrations/0002_sync.sql"),
    include_str!("migrations/0003_coarse.sql"),
    include_str!("migrations/0004_firmware.sql"),
];

/// `OFMN` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x4f46_4d4e;

/// How long a writer waits for a reader's checkpoint and the like, in ms.
const BUSY_TIMEOUT_MS: u64 = 5_000;

fn known() -> u32 {
    MIGRATIONS.len() as u32
}

/// Checks, configures and migrates a database that was opened for writing.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    let version = checked_version(connection)?;
    if version == 0 {
        // Blocks of 1 to 2 KB leave a fifth of a 4 KB page unused, and a twelfth of an 8 KB one.
        connection.pragma_update(None, "page_size", 8192)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The meter may forget what was acknowledged: a commit must survive a power cut here, which NORMAL does not promise.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index as u32 + 1)?;
        transaction.commit()?;
        tracing::debug!(version = index + 1, "migrated the store");
    }
    Ok(())
}

/// Checks a database that was opened for reading.
pub(super) fn check_for_reading(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    match checked_version(connection)? {
        found if found < known() => Err(StoreError::TooOld {
            found,
            known: known(),
        }),
        _ => Ok(()),
    }
}

/// Returns the version of a database that may be used; touches nothing.
fn checked_version(connection: &Connection) -> Result<u32, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id")?;
    let version = pragma("user_version")?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, tables, version) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, _, 0..) => match version as u32 {
            found if found > known() => Err(StoreError::TooNew {
                found,
                known: known(),
            }),
            found => Ok(found),
        },
        _ => Err(StoreError::Foreign),
    }
}
