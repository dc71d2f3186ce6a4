//! What is done while power is cut.

use crate::model::{Change, DIR, content, segment};

/// A file system, what is done to it first, and what is done to it under cuts.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) sectors: u32,
    pub(crate) before: Vec<Change>,
    pub(crate) changes: Vec<Change>,
}

/// Returns them all; `scale` 1 for every test run, more for a long one.
pub(crate) fn all(scale: u64) -> Vec<Scenario> {
    vec![
        sizes(scale),
        growing(scale),
        full(scale),
        settings(scale),
        retention(scale),
    ]
}

fn dir() -> Change {
    Change::MakeDir(DIR.into())
}

/// Files of all sizes come, are replaced by others of other sizes, and go.
fn sizes(scale: u64) -> Scenario {
    let mut changes = vec![dir()];
    let lengths = [40, 400, 4096, 0, 512, 513, 9000];
    for round in 0..2 * scale {
        for (number, _) in lengths.iter().enumerate() {
            let length = lengths[(number + 3 * round as usize) % lengths.len()];
            let path = format!("{DIR}/file-{number}");
            changes.push(Change::write(path, length, round * 100 + number as u64));
        }
        let number = round % lengths.len() as u64;
        changes.push(Change::write(format!("/set-{number}"), 400, round));
        changes.push(Change::remove(format!("{DIR}/file-{number}")));
    }
    let before = vec![
        Change::write("/other", 4096, 7),
        Change::write("/set", 40, 8),
    ];
    Scenario {
        name: "sizes",
        sectors: 40,
        before,
        changes,
    }
}

/// A directory of small files outgrows its blocks.
fn growing(scale: u64) -> Scenario {
    let small = |number| Change::Write(segment(number), content(100, number));
    let before = vec![dir(), Change::write("/set", 200, 1)];
    let before = before.into_iter().chain((0..16).map(small)).collect();
    Scenario {
        name: "growing",
        sectors: 32,
        before,
        changes: (16..16 + 24 * scale).map(small).collect(),
    }
}

/// Nearly no block is free; a file goes for each that comes.
fn full(scale: u64) -> Scenario {
    let block = |number| Change::Write(segment(number), content(4096, number));
    let before = [dir()].into_iter().chain((0..16).map(block)).collect();
    let changes = (16..16 + 10 * scale)
        .flat_map(|number| [Change::remove(segment(number - 16)), block(number)])
        .collect();
    Scenario {
        name: "full",
        sectors: 24,
        before,
        changes,
    }
}

/// One file is replaced until its directory is compacted and moved.
fn settings(scale: u64) -> Scenario {
    let changes = (0..40 * scale)
        .map(|round| Change::write("/settings", 350 + round as usize % 50, round))
        .collect();
    Scenario {
        name: "settings",
        sectors: 12,
        before: vec![Change::write("/other", 700, 3)],
        changes,
    }
}

/// Segments come and the oldest go, in a directory of several blocks, some replaced by a shorter one.
fn retention(scale: u64) -> Scenario {
    let block = |number| Change::Write(segment(number), content(4000, number));
    let before = [dir()].into_iter().chain((0..44).map(block)).collect();
    let changes = (44..44 + 6 * scale).flat_map(|number| {
        let shorter = Change::write(segment(number - 20), 300, number);
        [Change::remove(segment(number - 44)), shorter, block(number)]
    });
    Scenario {
        name: "retention",
        sectors: 60,
        before,
        changes: changes.collect(),
    }
}
