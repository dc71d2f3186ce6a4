//! A writer that is killed at any moment leaves a store that holds at least what it said was stored.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use collector::store::Store;

use crate::meter::{HISTORY, block, numbers};

/// Names the data directory to the writing process.
const DIRECTORY: &str = "OFMON_TEST_KILL_DIRECTORY";
/// Rounds of writing and killing.
const ROUNDS: u64 = 25;

/// Writes until it is killed, and says after each block up to where it is stored. Does nothing on its own.
#[test]
fn writer() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let mut store = Store::open(directory.as_ref()).unwrap();
    let mut first = store.cursor(HISTORY).unwrap().0;
    loop {
        // Some grow before they are done, as a journal's do.
        for end in [first + 7, first + 20] {
            let cursor = store
                .put_block(HISTORY, &block(first, end), 1)
                .unwrap()
                .cursor;
            println!("stored {cursor}");
        }
        first += 20;
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_called_stored() {
    let directory = tempfile::tempdir().unwrap();
    let mut called_stored = 0;
    for round in 0..ROUNDS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let cursors = lines
                .map_while(Result::ok)
                .filter_map(|line| line.split_once("stored ")?.1.trim().parse::<u64>().ok());
            cursors.last()
        });
        // SIGKILL at a moment that differs from round to round.
        std::thread::sleep(Duration::from_millis(20 + round * 13 % 90));
        writer.kill().unwrap();
        writer.wait().unwrap();
        called_stored = reader
            .join()
            .unwrap()
            .unwrap_or(called_stored)
            .max(called_stored);
        // The lock died with its owner.
        let store = Store::open(directory.path()).unwrap();
        let cursor = store.cursor(HISTORY).unwrap().0;
        assert!(
            cursor >= called_stored,
            "{cursor} of {called_stored} in round {round}"
        );
        assert_eq!(numbers(&store), (0..cursor).collect::<Vec<_>>());
    }
    assert!(called_stored > 0, "the writers never came to write");
}
