//! Emulated chips as a fleet: the real program runs the real image, and is collected like any other meters.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::{
    emulated,
    exported::Export,
    program::{self, Collector},
};
use sim::{
    registry::{self, MeterEntry},
    signal::{FrontEnd, LoadProfile},
};

use super::IMAGE;

const SEED: u64 = 7;
const CHIPS: usize = 2;
/// Time in which the chips' history is made and they answer.
const PATIENCE: Duration = Duration::from_secs(240);
const MINUTES: usize = 60;

/// `ofmon sim --firmware`, killed when it goes out of scope.
struct Fleet(Child);

impl Fleet {
    fn start(state: &Path, profile: &Path, history: &str) -> Result<Self> {
        let (devices, seed) = (CHIPS.to_string(), SEED.to_string());
        let list = state.join(registry::FILE);
        if list.exists() {
            std::fs::remove_file(list)?;
        }
        let child = Command::new(program::binary()?)
            .args(["sim", "--json", "--devices", &devices, "--seed", &seed])
            .args(["--history", history, "--state"])
            .arg(state)
            .arg("--replay")
            .arg(profile)
            .arg("--firmware")
            .arg(emulated::image(IMAGE)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let mut fleet = Self(child);
        let begun = Instant::now();
        while registry::read(state)?.len() < CHIPS {
            let ended = fleet.0.try_wait()?;
            ensure!(ended.is_none(), "ofmon sim has ended with {ended:?}");
            ensure!(
                begun.elapsed() < PATIENCE,
                "the chips do not answer after {PATIENCE:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(fleet)
    }

    /// Ends the program as Ctrl-C does.
    fn end(mut self) -> Result<()> {
        let id = self.0.id().to_string();
        ensure!(Command::new("kill").args(["-INT", &id]).status()?.success());
        let status = self.0.wait()?;
        ensure!(status.success(), "ofmon sim ended with {status}");
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn export(collector: &Collector) -> Result<Export> {
    collector.text(&["collect", "--all"])?;
    Export::parse(&collector.text(&["export"])?)
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn two_chips_are_collected_like_meters_and_go_on_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    let (state, profile) = (
        scratch.path().join("chips"),
        scratch.path().join("load.csv"),
    );
    // The household's load of an hour, so that a second sooner or later says little.
    std::fs::create_dir(&state).unwrap();
    let load = LoadProfile::synthetic(5, MINUTES);
    std::fs::write(&profile, load.to_text()).unwrap();
    let source = sim::signal::Source::read(&profile, None).unwrap();

    let fleet = Fleet::start(&state, &profile, "5m").unwrap();
    let entries = registry::read(&state).unwrap();
    assert!(
        entries.iter().all(|entry| entry.password.len() == 16),
        "a label lacks its password"
    );
    let collector = Collector::new(&scratch.path().join("data"), &state);
    collector.set_up_all().unwrap();
    let before = export(&collector).unwrap();
    fleet.end().unwrap();
    assert_eq!(before.doubled, 0);
    for (index, entry) in entries.iter().enumerate() {
        let rows = rows(&before, entry);
        assert!(rows.len() >= 29, "{} readings in 300 s", rows.len());
        // The circuit of a chip is as far off as its seed says, and nobody has calibrated it.
        let parts = FrontEnd::esp32c3(100.0, SEED + index as u64);
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        // Readings come every 10 s of uptime; their numbers begin with 0 at the first.
        let end_us = |seq: u64| (seq + 1) * 10_000_000;
        let flowed_wh = source.energy_wh(end_us(first.seq), end_us(last.seq));
        let expected_wh = flowed_wh * parts.voltage_gain * parts.current_gain;
        let counted_wh = last.energy_import_wh - first.energy_import_wh;
        let error_percent = (counted_wh / expected_wh - 1.0) * 100.0;
        println!(
            "{}: {} readings, {counted_wh:.2} Wh of {expected_wh:.2} Wh, {error_percent:+.2} %",
            entry.id,
            rows.len()
        );
        assert!(error_percent.abs() < 3.0);
    }

    let fleet = Fleet::start(&state, &profile, "1m").unwrap();
    assert!(
        registry::read(&state)
            .unwrap()
            .iter()
            .zip(&entries)
            .all(|(now, then)| now.id == then.id)
    );
    let after = export(&collector).unwrap();
    fleet.end().unwrap();
    assert_eq!(after.doubled, 0);
    for entry in &entries {
        let (before, after) = (rows(&before, entry), rows(&after, entry));
        assert!(after.len() >= before.len() + 5, "{} readings", after.len());
        for (then, now) in before.iter().zip(&after) {
            assert_eq!(
                (then.seq, then.energy_import_wh),
                (now.seq, now.energy_import_wh)
            );
        }
        for pair in after.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1);
            assert!(pair[1].energy_import_wh >= pair[0].energy_import_wh);
        }
    }
}

/// Returns the readings of a chip in their order.
fn rows<'a>(export: &'a Export, entry: &MeterEntry) -> Vec<&'a e2e::exported::Row> {
    let id = entry.id.to_string();
    export
        .rows
        .values()
        .filter(|row| row.device == id)
        .collect()
}
