//! Panics and overflows of the stack are recorded, and the meter goes on; how much of the stack a meter uses.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use collector::client::{Session, UpdateProgress};
use e2e::emulated::{self, Emulated};
use emulator::{CLOCK_HZ, Reset};
use object::{Object as _, ObjectSection as _};
use protocol::{
    Seq,
    event::{ResetReason, What},
};
use tokio::sync::Notify;

use super::{IMAGE, fresh, over_api, seconds, set_up};

/// An image that fails 25 s after its start, as pins tell it.
const FAILS: &str = "OFMON_FIRMWARE_C3_FAULT_LATER";
const OVERFLOW_PIN: u32 = 6;
const PANIC_PIN: u32 = 7;

/// Returns the reasons of all starts in the meter's log.
async fn starts(session: &Session) -> Result<Vec<ResetReason>> {
    let mut starts = Vec::new();
    let mut from = 0;
    loop {
        let page = session.events(from).await?;
        let Some(last) = page.events.last() else {
            return Ok(starts);
        };
        from = last.number + 1;
        starts.extend(page.events.iter().filter_map(|event| match event.what {
            What::Started { reason, .. } => Some(reason),
            _ => None,
        }));
    }
}

/// Holds what the third boot says of the second against virtual time.
fn continues(meter: &mut Emulated, printed: &str) {
    /// From the panic's look at the clock to the reset: printing, and what the serial port takes to send it.
    const LAST_WORDS_MS: u64 = 100;
    let ms = |cycles: u64| cycles / (CLOCK_HZ / 1_000);
    let asked_ms = ms(meter.machine.now());
    let uptime_ms = meter
        .serve(|served| {
            over_api(&served, async |client, _| {
                Ok(client.info().await?.uptime_ms)
            })
        })
        .unwrap();
    let answered_ms = ms(meter.machine.now());
    let (told_ms, uncertainty_ms) = meter
        .serve(|served| over_api(&served, async |_, session| continued(session).await))
        .unwrap();
    let panicked = printed.split("panic at ").nth(1).unwrap();
    let panic_ms: u64 = panicked.split(' ').next().unwrap().parse().unwrap();
    let reset_ms = ms(meter.machine.counters().resets[2].0);
    // The second boot's uptime at the third's begin, at the least and at the most.
    let least_ms = asked_ms - uptime_ms - reset_ms + panic_ms;
    let most_ms = answered_ms - uptime_ms - reset_ms + panic_ms + LAST_WORDS_MS;
    println!("{told_ms} ± {uncertainty_ms} ms, truly {least_ms} to {most_ms} ms");
    assert!(most_ms - least_ms < 1_000, "too coarse a look");
    assert!(told_ms + uncertainty_ms >= least_ms && told_ms <= most_ms + uncertainty_ms);
    assert!(uncertainty_ms < 100);
}

/// Returns what the log says of how the third boot continues the second.
async fn continued(session: &Session) -> Result<(u64, u64)> {
    let mut from = 0;
    loop {
        let page = session.events(from).await?;
        let last = page.events.last().context("the boots are not linked")?;
        from = last.number + 1;
        for event in &page.events {
            if let What::Continued {
                uptime_ms,
                uncertainty_ms,
            } = event.what
            {
                anyhow::ensure!(event.boot == 3, "{event:?}");
                return Ok((uptime_ms, uncertainty_ms.into()));
            }
        }
    }
}

/// Lets a meter fail in its second boot and go on in a third; returns what it printed of the failure.
fn failed(pin: u32, reason: ResetReason) -> String {
    let mut meter = fresh(FAILS).unwrap();
    meter.run_until_reachable().unwrap();
    meter
        .serve(|served| over_api(&served, async |client, _| set_up(client).await))
        .unwrap();
    // Nobody pulls a pin low: it goes on.
    meter.run(seconds(45)).unwrap();
    assert_eq!(meter.machine.counters().resets.len(), 1);
    meter.restart();
    meter.run(seconds(24)).unwrap();
    let before = meter.content().unwrap().readings;
    assert!(before.len() >= 6, "{} readings", before.len());
    meter.forget_console();
    meter.machine.set_pin(pin, false);
    meter.host.power_on();
    let is_back = meter
        .run_until(seconds(30), |meter| {
            meter.console().contains("sampling since")
        })
        .unwrap();
    assert!(is_back, "{}", meter.console());
    meter.machine.set_pin(pin, true);
    let printed = meter.console().to_owned();
    // Past the time of the failure.
    meter.run(seconds(40)).unwrap();
    let resets: Vec<_> = meter
        .machine
        .counters()
        .resets
        .iter()
        .map(|(_, reset)| *reset)
        .collect();
    assert!(
        matches!(
            resets[..],
            [
                Reset::PowerOn,
                Reset::PowerOn,
                Reset::SoftwareSystem | Reset::SoftwareCpu
            ]
        ),
        "{resets:?}"
    );
    continues(&mut meter, &printed);
    let starts = meter
        .serve(|served| over_api(&served, async |_, session| starts(session).await))
        .unwrap();
    assert_eq!(starts, [ResetReason::PowerOn, ResetReason::PowerOn, reason]);
    let after = meter.content().unwrap();
    for (seq, reading) in &before {
        assert_eq!(after.readings.get(seq), Some(reading));
    }
    assert_eq!(after.lost, 0);
    assert!(after.readings.len() >= before.len() + 3);
    let last = after.readings.values().last().unwrap();
    assert_eq!(last.boot, 3);
    printed
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn panic_is_recorded_and_the_meter_goes_on() {
    let printed = failed(PANIC_PIN, ResetReason::Panic);
    assert!(printed.contains("panic at 25"), "{printed}");
    assert!(printed.contains("this image is made to panic"), "{printed}");
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn full_stack_is_found_by_its_guard_and_the_meter_goes_on() {
    let printed = failed(OVERFLOW_PIN, ResetReason::StackOverflow);
    assert!(printed.contains("stack's guard value"), "{printed}");
}

/// Returns the bytes of the main stack of the program that lies beside a merged image.
fn stack_bytes(variable: &str) -> Result<u64> {
    let merged = emulated::image(variable)?;
    let elf = fs::read(
        merged
            .parent()
            .unwrap_or(Path::new(""))
            .join("firmware.elf"),
    )?;
    let program = object::read::elf::ElfFile32::<object::LittleEndian>::parse(&elf[..])?;
    let stack = program.section_by_name(".stack").context("no stack")?;
    Ok(stack.size())
}

/// Returns what the budget of the chip allows of its stack.
fn stack_used_bytes_max() -> Result<u64> {
    let budget = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/budgets/esp32c3.toml");
    let text = fs::read_to_string(budget)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("stack_used_bytes_max = "));
    Ok(line.context("the budget lacks it")?.parse()?)
}

/// The mark holds the most that was ever used, from making the store on: so does this look at it once, at the end.
#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn stack_stays_within_its_budget() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let free = |meter: &mut Emulated| {
        meter
            .serve(|served| over_api(&served, async |_, session| Ok(session.health().await?)))
            .unwrap()
            .stack_free_bytes
            .unwrap()
    };
    meter
        .serve(|served| {
            over_api(&served, async |client, _| set_up(client).await)?;
            served.pass(seconds(600))?;
            over_api(&served, async |_, session| {
                let mut blocks = session.blocks(Seq(0), u64::MAX).await?;
                let mut count = 0;
                while blocks.next().await?.is_some() {
                    count += 1;
                }
                assert!(count > 0);
                // A signature that is verified, and most of an image; not all, so that there is no restart.
                let file = super::updates::update(IMAGE, "9.9.9")?;
                let enough = Notify::new();
                let mut tell = |progress: UpdateProgress| {
                    if progress.sent > progress.total / 2 {
                        enough.notify_one();
                    }
                };
                tokio::select! {
                    ended = session.update(&file, &mut tell) => anyhow::bail!("{ended:?}"),
                    () = enough.notified() => {}
                }
                assert!(session.firmware().await?.upload.is_some());
                starts(session).await?;
                Ok(())
            })
        })
        .unwrap();
    let made = free(&mut meter);
    // A store that is mounted takes another path than one that is made.
    meter.restart();
    meter.run_until_reachable().unwrap();
    meter.run(seconds(60)).unwrap();
    let mounted = free(&mut meter);
    let all = stack_bytes(IMAGE).unwrap();
    let used = all - u64::from(made.min(mounted));
    println!("{used} of {all} bytes of the stack used; made {made}, mounted {mounted} free");
    assert!(made.min(mounted) > 0);
    assert!(used <= stack_used_bytes_max().unwrap(), "{used} bytes");
}
