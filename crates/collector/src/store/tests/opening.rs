//! Who may open what, and what a full disk leaves.

use super::*;
use crate::Kind;

#[test]
fn a_second_writer_hears_who_holds_the_store() {
    let (directory, store) = store();
    let error = Store::open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Storage);
    let StoreError::Locked { process, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*process, Some(std::process::id()));
    assert!(error.to_string().contains(&std::process::id().to_string()));
    drop(store);
    Store::open(directory.path()).unwrap();
}

#[test]
fn readers_read_beside_the_writer() {
    let (directory, mut store) = store();
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert!(reader.devices().unwrap().is_empty());
    store.put_block(HISTORY, &block(0, 20), 1).unwrap();
    assert_eq!(numbers(&reader).len(), 20);
    let mut readings = reader.readings(DEVICE, Span::All).unwrap();
    readings.next().unwrap().unwrap();
    // The block that the reader stands on goes away meanwhile.
    store.put_block(HISTORY, &block(0, 40), 2).unwrap();
    assert_eq!(readings.filter(Result::is_ok).count(), 19);
    assert_eq!(numbers(&reader).len(), 40);
}

#[test]
fn a_reader_changes_nothing() {
    let (directory, store) = store();
    drop(store);
    let mut reader = Store::open_read_only(directory.path()).unwrap();
    let error = reader.put_block(HISTORY, &block(0, 20), 1).unwrap_err();
    assert_eq!(error.kind(), Kind::Storage);
}

#[test]
fn where_there_is_no_store_a_reader_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let error = Store::open_read_only(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_store_of_a_newer_version_is_left_untouched() {
    let (directory, store) = store();
    store
        .connection
        .pragma_update(None, "user_version", 999)
        .unwrap();
    drop(store);
    let path = directory.path().join(DATABASE_FILE);
    let before = std::fs::read(&path).unwrap();
    for opened in [
        Store::open(directory.path()),
        Store::open_read_only(directory.path()),
    ] {
        let error = opened.unwrap_err();
        assert!(
            matches!(error, StoreError::TooNew { found: 999, .. }),
            "{error}"
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn other_files_are_left_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE_FILE);
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    assert!(matches!(
        Store::open(directory.path()),
        Err(StoreError::Foreign)
    ));
    std::fs::write(&path, "no database at all, but long enough to be looked at").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(
        Store::open(directory.path()).unwrap_err().kind(),
        Kind::Corrupt
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn an_older_store_is_migrated_by_a_writer_only() {
    let directory = tempfile::tempdir().unwrap();
    // What a crash between making the file and the first migration leaves.
    Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    std::fs::write(directory.path().join(DATABASE_FILE), "").unwrap();
    assert!(matches!(
        Store::open_read_only(directory.path()),
        Err(StoreError::TooOld { found: 0, .. })
    ));
    let mut store = Store::open(directory.path()).unwrap();
    store.put_block(HISTORY, &block(0, 3), 1).unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(numbers(&store), [0, 1, 2]);
}

#[test]
fn a_full_disk_is_an_error_that_changes_nothing() {
    let (_directory, mut store) = store();
    store.put_block(HISTORY, &block(0, 100), 1).unwrap();
    let pages: i64 = store
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    // This answers with the new limit, so it is a query.
    let limit = format!("PRAGMA max_page_count = {}", pages + 2);
    store
        .connection
        .query_row(&limit, [], |row| row.get::<_, i64>(0))
        .unwrap();
    let error = put_until_full(&mut store);
    assert!(matches!(error, StoreError::DiskFull), "{error}");
    assert_eq!(error.kind(), Kind::Storage);
    let at = store.cursor(HISTORY).unwrap().0;
    assert_eq!(held(&store), expected(0..at));
    let check: String = store
        .connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    store
        .connection
        .query_row("PRAGMA max_page_count = 100000", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap();
    store.put_block(HISTORY, &block(at, at + 100), 2).unwrap();
    assert_eq!(held(&store), expected(0..at + 100));
}

fn put_until_full(store: &mut Store) -> StoreError {
    for first in (100..10_000).step_by(100) {
        if let Err(error) = store.put_block(HISTORY, &block(first, first + 100), 1) {
            return error;
        }
    }
    panic!("the disk never filled up");
}

#[test]
fn settings_are_kept() {
    let (directory, mut store) = store();
    assert_eq!(store.setting("server").unwrap(), None);
    store.set_setting("server", "a").unwrap();
    store.set_setting("server", "b").unwrap();
    drop(store);
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(reader.setting("server").unwrap().as_deref(), Some("b"));
}

#[test]
fn a_store_of_the_second_version_keeps_its_blocks_and_windows() {
    let directory = tempfile::tempdir().unwrap();
    let old = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    for migration in &schema::MIGRATIONS[..2] {
        old.execute_batch(migration).unwrap();
    }
    old.pragma_update(None, "application_id", schema::APPLICATION_ID)
        .unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    old.execute_batch(
        "INSERT INTO device (id, device) VALUES (1, x'020000000001');
         INSERT INTO history (id, device, store, cursor, count_max) VALUES (1, 1, x'000000000000004d', 60, 60);
         INSERT INTO sync_target VALUES (1, 'http://127.0.0.1');
         INSERT INTO sync_window VALUES (1, 1, 0, 60, 1, 600, 1, 10000, 600000, 10000, 0, 60, 1);",
    )
    .unwrap();
    old.execute(
        "INSERT INTO block VALUES (1, 1, 0, 60, 0, 1, 10000, 10000, 5, ?1)",
        [block(0, 60)],
    )
    .unwrap();
    old.close().unwrap();
    assert!(matches!(
        Store::open_read_only(directory.path()),
        Err(StoreError::TooOld { found: 2, .. })
    ));
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(held(&store), expected(0..60));
    assert_eq!(store.cursor(HISTORY).unwrap(), Seq(60));
    let span: i64 = store
        .connection
        .query_row("SELECT span FROM sync_window", [], |row| row.get(0))
        .unwrap();
    assert_eq!(span, 1);
}
