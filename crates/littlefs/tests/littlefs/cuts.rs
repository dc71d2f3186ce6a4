//! Power is cut at every operation.

use littlefs::{Error, Littlefs, Region};
use nor_model::{Nor, Torn};

use crate::{
    model::{Change, Files, blank, read_all},
    scenarios::{self, Scenario},
};

/// Changes after which a scenario is mounted anew; from there each point is reached again.
const MOUNT_EVERY: usize = 6;

/// What a run came to.
#[derive(Debug, Default)]
struct Tally {
    points: u64,
    failures: Vec<String>,
    violations: u64,
    reprogrammed_bytes: u64,
}

/// A place in a scenario: what lies on the flash, and what should.
struct Place {
    image: Vec<u8>,
    files: Files,
    first: usize,
}

#[test]
fn file_is_as_before_or_after_whatever_operation_was_cut() {
    let mut all = Vec::new();
    for scenario in scenarios::all(2) {
        let tally = cut_everywhere(&scenario, 2);
        println!("{}: {} points", scenario.name, tally.points);
        assert_eq!((tally.violations, tally.reprogrammed_bytes), (0, 0));
        all.extend(tally.failures);
    }
    assert!(
        all.is_empty(),
        "{} failures: {:#?}",
        all.len(),
        &all[..all.len().min(20)]
    );
}

#[test]
#[ignore = "takes minutes"]
fn file_is_as_before_or_after_in_long_scenarios_and_many_seeds() {
    let mut failures = Vec::new();
    for scenario in scenarios::all(6) {
        let tally = cut_everywhere(&scenario, 8);
        println!(
            "{}: {} points, {} failures, {} violations, {} bytes programmed twice",
            scenario.name,
            tally.points,
            tally.failures.len(),
            tally.violations,
            tally.reprogrammed_bytes
        );
        failures.extend(tally.failures);
    }
    assert!(
        failures.is_empty(),
        "{} failures: {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
}

#[test]
fn format_that_was_cut_can_be_done_again() {
    for old in [false, true] {
        let (mut nor, region) = blank(16);
        if old {
            let mut fs = Littlefs::format(&mut nor, region).unwrap();
            fs.write(&mut nor, "/old", &[1; 900]).unwrap();
        }
        let image = nor.bytes().to_vec();
        nor.reset_counters();
        Littlefs::format(&mut nor, region).unwrap();
        let operations = nor.counters().operations;
        assert!(operations >= 4);
        for (point, torn) in (0..operations).flat_map(|point| Torn::ALL.map(|torn| (point, torn))) {
            let mut nor = Nor::from_bytes(image.clone());
            nor.cut_at(point, torn, point);
            assert!(Littlefs::format(&mut nor, region).is_err());
            nor.power_on();
            if let Ok(mut fs) = Littlefs::mount(&mut nor, region) {
                let files = read_all(&mut fs, &mut nor).unwrap();
                assert!(files.is_empty() || old && files["/old"] == [1; 900]);
            }
            let mut fs = Littlefs::format(&mut nor, region).unwrap();
            fs.write(&mut nor, "/new", &[2; 40]).unwrap();
            let mut fs = Littlefs::mount(&mut nor, region).unwrap();
            assert_eq!(read_all(&mut fs, &mut nor).unwrap()["/new"], [2; 40]);
        }
    }
}

fn cut_everywhere(scenario: &Scenario, seeds: u64) -> Tally {
    let (mut nor, region) = blank(scenario.sectors);
    let mut files = Files::new();
    let mut fs = Littlefs::format(&mut nor, region).unwrap();
    for change in &scenario.before {
        change.apply(&mut fs, &mut nor).unwrap();
        change.expect(&mut files);
    }
    let mut tally = Tally::default();
    for first in (0..scenario.changes.len()).step_by(MOUNT_EVERY) {
        let place = Place {
            image: nor.bytes().to_vec(),
            files: files.clone(),
            first,
        };
        let last = (first + MOUNT_EVERY).min(scenario.changes.len());
        nor.reset_counters();
        let mut fs = Littlefs::mount(&mut nor, region).unwrap();
        for change in &scenario.changes[first..last] {
            change
                .apply(&mut fs, &mut nor)
                .unwrap_or_else(|error| panic!("{} {error}", scenario.name));
            change.expect(&mut files);
        }
        tally.violations += nor.counters().violations;
        tally.reprogrammed_bytes += nor.counters().reprogrammed_bytes;
        for point in 0..nor.counters().operations {
            for torn in Torn::ALL {
                let seeds = if torn == Torn::Random { seeds } else { 1 };
                for seed in 0..seeds {
                    cut_once(scenario, region, &place, (point, torn, seed), &mut tally);
                }
            }
        }
    }
    tally
}

fn cut_once(
    scenario: &Scenario,
    region: Region,
    place: &Place,
    (point, torn, seed): (u64, Torn, u64),
    tally: &mut Tally,
) {
    let draw = seed * 1_000_003 + point;
    let mut nor = Nor::from_bytes(place.image.clone());
    let mut files = place.files.clone();
    let mut fs = Littlefs::mount(&mut nor, region).unwrap();
    nor.cut_at(point, torn, draw);
    let left = &scenario.changes[place.first..];
    let mut cut = None;
    for change in left {
        if change.apply(&mut fs, &mut nor).is_err() {
            cut = Some(change);
            break;
        }
        change.expect(&mut files);
    }
    tally.points += 1;
    let checked = match cut {
        // The engine wrote around the cut operation, as around a bad block, and had nothing left to do.
        None => Err("the cut was not noticed".to_owned()),
        Some(change) => survive(region, &mut nor, files, change, draw),
    };
    tally.violations += nor.counters().violations;
    tally.reprogrammed_bytes += nor.counters().reprogrammed_bytes;
    if let Err(what) = checked {
        let (name, change) = (scenario.name, place.first);
        tally.failures.push(format!(
            "{name}, from change {change}, operation {point}, {torn:?} {seed}: {what}"
        ));
    }
}

/// Power comes back, what is there is looked at, and the next write is cut too.
fn survive(
    region: Region,
    nor: &mut Nor,
    mut files: Files,
    change: &Change,
    draw: u64,
) -> Result<(), String> {
    nor.power_on();
    let mut fs = mount(nor, region)?;
    settle(&mut fs, nor, &mut files, change)?;
    let next = Change::write("/after", [40, 400, 4096][draw as usize % 3], draw);
    nor.cut_at(draw % 7, Torn::ALL[draw as usize / 7 % 3], draw + 1);
    let written = next.apply(&mut fs, nor);
    nor.power_on();
    if written.is_ok() {
        next.expect(&mut files);
    }
    let mut fs = mount(nor, region)?;
    settle(&mut fs, nor, &mut files, &next)?;
    let last = Change::write("/last", 40, draw);
    last.apply(&mut fs, nor).or_else(|error| {
        if error == Error::NoSpace {
            Ok(())
        } else {
            Err(format!("the last write: {error}"))
        }
    })?;
    if nor.is_powered() {
        let mut again = mount(nor, region)?;
        settle(&mut again, nor, &mut files, &last)?;
    }
    Ok(())
}

fn mount(nor: &mut Nor, region: Region) -> Result<Littlefs, String> {
    let operations = nor.counters().operations;
    let fs = Littlefs::mount(nor, region).map_err(|error| format!("the mount: {error}"))?;
    if nor.counters().operations != operations {
        return Err("a mount wrote".into());
    }
    Ok(fs)
}

/// Compares with what was before `change` and after it; from there on, what is found counts.
fn settle(
    fs: &mut Littlefs,
    nor: &mut Nor,
    files: &mut Files,
    change: &Change,
) -> Result<(), String> {
    let found = read_all(fs, nor).map_err(|error| format!("reading all: {error}"))?;
    let mut after = files.clone();
    change.expect(&mut after);
    if found != *files && found != after {
        let differs = |path: &&String| {
            found.get(*path) != files.get(*path) && found.get(*path) != after.get(*path)
        };
        let all: Vec<_> = found.keys().chain(files.keys()).filter(differs).collect();
        let kind = match change {
            Change::Write(path, _) | Change::Remove(path) | Change::MakeDir(path) => path,
        };
        return Err(format!(
            "neither before nor after the change of {kind}: {all:?}"
        ));
    }
    *files = found;
    Ok(())
}
