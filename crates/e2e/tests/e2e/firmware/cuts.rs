//! Power cuts at operations of the flash, in the life of a real image.

use std::{collections::BTreeMap, time::Duration};

use emulator::Stop;
use nor_model::Torn;
use protocol::messages::Config;

use super::{IMAGE, fresh, over_api, seconds, set_up};

const CUTS: u64 = 200;
/// Readings come once a second, so that there are many between two cuts.
const INTERVAL: Duration = Duration::from_secs(1);
/// From the end of an interval to its reading on flash: the window that closes behind it, the round that takes the samples,
/// and a segment that is being written.
const LATE_MAX: Duration = Duration::from_millis(2_200);
/// Longest life of a boot that no cut ends.
const LIFE_MAX: Duration = Duration::from_secs(12);

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn two_hundred_power_cuts_at_flash_operations_take_no_reading() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    meter
        .serve(|served| {
            over_api(&served, async |client, session| {
                set_up(client).await?;
                let config = session.config().await?;
                let changed = Config {
                    interval_ms: INTERVAL.as_millis() as u32,
                    ..config
                };
                Ok(session.change_config(&changed).await?)
            })
        })
        .unwrap();
    meter.restart();
    meter.run(seconds(5)).unwrap();
    let mut seen = BTreeMap::new();
    let (mut cuts, mut turn) = (0, 0_u64);
    while cuts < CUTS {
        // Starts alone take some ten operations, a reading one.
        let operation = turn * 7 % 23;
        let torn = Torn::ALL[(turn % 3) as usize];
        meter.machine.flash_mut().cut_at(operation, torn, turn);
        turn += 1;
        let stop = meter.run(LIFE_MAX).unwrap();
        cuts += u64::from(stop == Stop::PowerCut);
        let lived = meter.now();
        meter.restart();
        let content = meter.content().unwrap();
        assert_eq!(content.lost, 0, "after {cuts} cuts");
        for (seq, reading) in &seen {
            assert_eq!(
                content.readings.get(seq),
                Some(reading),
                "after {cuts} cuts"
            );
        }
        // Every interval that ended long enough before the cut has its reading.
        let new: Vec<_> = content
            .readings
            .iter()
            .filter(|(seq, _)| !seen.contains_key(*seq))
            .map(|(_, reading)| reading)
            .collect();
        let last_end = new.iter().map(|reading| reading.uptime_ms).max();
        let due = lived.saturating_sub(LATE_MAX).as_millis() as u64 / 1_000;
        assert!(
            due <= 1 || last_end.unwrap_or(0) >= due * 1_000,
            "cut {cuts} at {lived:?}: the last reading ends at {last_end:?}"
        );
        for pair in new.windows(2) {
            assert_eq!(pair[1].uptime_ms - pair[0].uptime_ms, 1_000, "cut {cuts}");
        }
        seen = content.readings;
    }
    assert!(seen.len() as u64 >= CUTS, "{} readings", seen.len());
    let mut before: Option<&protocol::Reading> = None;
    for reading in seen.values() {
        let register = |reading: &protocol::Reading| reading.registers[0].import_mj;
        if let Some(before) = before {
            let quanta = reading.channels[0].energy_quanta as u64;
            assert_eq!(register(reading) - register(before), quanta * 1_000);
        }
        before = Some(reading);
    }
    println!(
        "{cuts} cuts in {turn} lives, {} readings, none lost",
        seen.len()
    );
}
