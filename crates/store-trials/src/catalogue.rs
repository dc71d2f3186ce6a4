//! All scenarios.

use flash_store::RunParams;
use nor_model::{Nor, SECTOR_BYTES};

use crate::{
    formatting::Formatting,
    operation::{NEXT, Op, PARAMS, SECTORS_MIN, Values},
    scenario::{
        Happening::{self, *},
        Scenario,
    },
};

/// Readings of another kind.
const OTHER: RunParams = RunParams {
    interval_ms: 60_000,
    power_unit_mw: 100,
    calibration: 4,
};

/// Readings that no minute can merge.
const SLOW: RunParams = RunParams {
    interval_ms: 60_000,
    ..PARAMS
};

const FIRST: Scenario = Scenario {
    name: "fresh store",
    sectors: SECTORS_MIN,
    channels: 1,
    values: Values::Wild,
    stream: everything,
    until: Operation,
    times: 1,
    behind: 25,
    prepare: None,
};

/// One channel, in the middle of something.
const SMALL: Scenario = Scenario { behind: 5, ..FIRST };

/// Three channels, so that everything is full soon.
const WILD: Scenario = Scenario {
    channels: 3,
    behind: 1,
    ..FIRST
};

/// A household on a flash with some more room.
const HOUSEHOLD: Scenario = Scenario {
    sectors: 64,
    values: Values::Household,
    behind: 1,
    ..FIRST
};

/// What is tried.
pub const SCENARIOS: &[Scenario] = &[
    FIRST,
    Scenario {
        name: "fresh store of three channels",
        channels: 3,
        ..FIRST
    },
    trial(SMALL, "runs change", changing_runs, Operation, 40),
    trial(SMALL, "a run ends", readings, Operation, 35),
    trial(SMALL, "counters turn", counting, CountersTurned, 1),
    trial(SMALL, "counters turn again", counting, CountersTurned, 5),
    trial(SMALL, "settings", settings, Operation, 50),
    trial(SMALL, "settings erase", settings, FilesErased, 9),
    trial(WILD, "first segment", readings, Sealed, 1),
    SEGMENT,
    trial(WILD, "segment of many boots", many_boots, Sealed, 4),
    trial(HOUSEHOLD, "segment of a household", readings, Sealed, 2),
    trial(WILD, "journal turns", readings, JournalTurned, 1),
    trial(WILD, "journal turns again", many_boots, JournalTurned, 20),
    trial(WILD, "first minutes", readings, Minutes, 1),
    trial(WILD, "minutes", readings, Minutes, 4),
    trial(WILD, "minutes of many boots", many_boots, Minutes, 2),
    trial(HOUSEHOLD, "minutes of a household", readings, Minutes, 1),
    trial(WILD, "first quarters", readings, Quarters, 1),
    trial(WILD, "quarters", readings, Quarters, 3),
    trial(
        WILD,
        "quarters of slow readings",
        slow_readings,
        Quarters,
        1,
    ),
    trial(WILD, "loss of slow readings", slow_readings, Lost, 1),
    trial(WILD, "first loss", readings, Lost, 1),
    trial(WILD, "loss", readings, Lost, 3),
    trial(WILD, "loss of many boots", many_boots, Lost, 2),
    trial(WILD, "loss among events", events_and_readings, Lost, 4),
    trial(WILD, "collected segments go", collected, Collected, 1),
    trial(WILD, "collected segments go again", collected, Collected, 6),
    trial(ERASED, "segments are erased", erasing, Collected, 1),
    trial(ERASED, "segments are erased again", erasing, Collected, 3),
    trial(ERASED, "all is erased", erasing_all, Collected, 2),
    trial(
        ERASED,
        "the journal is erased",
        erasing_journal,
        Operation,
        60,
    ),
    trial(SMALL, "events turn", events, EventsTurned, 1),
    trial(SMALL, "events turn again", events, EventsTurned, 2),
    trial(SMALL, "events are packed", events, EventsPacked, 1),
    trial(
        SMALL,
        "events are packed again",
        events_and_readings,
        EventsPacked,
        3,
    ),
    identity("first identity is damaged", damage_first_identity),
    identity("second identity is damaged", damage_second_identity),
    identity("second identity is erased", erase_second_identity),
];

const SEGMENT: Scenario = trial(WILD, "segment", readings, Sealed, 5);

/// Room for several segments at once, which are removed by the upkeep behind the next readings.
const ERASED: Scenario = Scenario {
    sectors: 80,
    behind: 4,
    ..WILD
};

const fn trial(
    base: Scenario,
    name: &'static str,
    stream: fn(u64) -> Op,
    until: Happening,
    times: u32,
) -> Scenario {
    Scenario {
        name,
        stream,
        until,
        times,
        ..base
    }
}

const fn identity(name: &'static str, prepare: fn(&mut Nor)) -> Scenario {
    Scenario {
        name,
        times: 20,
        prepare: Some(prepare),
        ..SMALL
    }
}

/// Formatting that is cut.
pub const FORMATS: &[Formatting] = &[
    Formatting {
        name: "formatting an erased flash",
        before: None,
    },
    Formatting {
        name: "formatting a store with segments",
        before: Some(&SEGMENT),
    },
];

fn everything(index: u64) -> Op {
    const ALL: [Op; 12] = [
        Op::Boot,
        Op::Started,
        Op::Config(300),
        NEXT,
        NEXT,
        Op::Acknowledge(100),
        Op::Event,
        Op::Config(512),
        NEXT,
        Op::Calibrated,
        Op::Config(0),
        NEXT,
    ];
    ALL[(index % ALL.len() as u64) as usize]
}

fn readings(index: u64) -> Op {
    match index {
        0 => Op::Boot,
        _ => NEXT,
    }
}

fn slow_readings(index: u64) -> Op {
    match index {
        0 => Op::Boot,
        _ => Op::Append(SLOW, 60_000),
    }
}

fn changing_runs(index: u64) -> Op {
    const ALL: [Op; 8] = [
        NEXT,
        Op::Append(OTHER, 60_000),
        Op::Append(OTHER, 60_000),
        Op::Append(OTHER, 90_000),
        Op::Boot,
        Op::Append(PARAMS, 10_000),
        NEXT,
        Op::Append(PARAMS, 25_000),
    ];
    ALL[(index % ALL.len() as u64) as usize]
}

/// Power goes every few minutes, and now and then something is missing.
fn many_boots(index: u64) -> Op {
    match index % 29 {
        0 => Op::Boot,
        1 => Op::Started,
        17 => Op::Append(PARAMS, 40_000),
        _ => NEXT,
    }
}

fn counting(index: u64) -> Op {
    match index % 3 {
        0 => Op::Boot,
        1 => NEXT,
        _ => Op::Acknowledge(100),
    }
}

fn settings(index: u64) -> Op {
    const LENGTHS: [usize; 6] = [512, 500, 0, 77, 512, 508];
    match index % 7 {
        6 => NEXT,
        turn => Op::Config(LENGTHS[turn as usize]),
    }
}

fn collected(index: u64) -> Op {
    match index {
        0 => Op::Boot,
        _ if index.is_multiple_of(101) => Op::Acknowledge(90),
        _ => NEXT,
    }
}

fn erasing(index: u64) -> Op {
    match index {
        0 => Op::Boot,
        _ if index.is_multiple_of(1_201) => Op::Erase(70),
        _ => NEXT,
    }
}

/// What is erased in segments goes with the upkeep behind the next readings.
fn erasing_all(index: u64) -> Op {
    match index {
        0 => Op::Boot,
        _ if index.is_multiple_of(801) => Op::Erase(100),
        _ => NEXT,
    }
}

fn erasing_journal(index: u64) -> Op {
    match index % 13 {
        0 => Op::Boot,
        7 => Op::Erase(50),
        11 => Op::Erase(90),
        _ => NEXT,
    }
}

fn events(index: u64) -> Op {
    match index % 31 {
        0 => Op::Boot,
        1 => Op::Started,
        2 | 20 => NEXT,
        3 if index.is_multiple_of(3) => Op::Calibrated,
        _ => Op::Event,
    }
}

fn events_and_readings(index: u64) -> Op {
    match index % 41 {
        0 => Op::Boot,
        1 => Op::Started,
        2..9 => Op::Event,
        _ => NEXT,
    }
}

fn damage_first_identity(nor: &mut Nor) {
    damage(nor, 0);
}

fn damage_second_identity(nor: &mut Nor) {
    damage(nor, SECTOR_BYTES);
}

fn damage(nor: &mut Nor, at: usize) {
    nor.flip(at + 20, 4).expect("a flash in memory takes it");
}

fn erase_second_identity(nor: &mut Nor) {
    use embedded_storage::nor_flash::NorFlash;
    let at = SECTOR_BYTES as u32;
    nor.erase(at, 2 * at).expect("a sound flash erases");
    nor.reset_counters();
}
