//! How soon the chip measures and answers, how much it works for that, and how fast the emulator runs it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use emulator::{
    CLOCK_HZ,
    adc::{Feed, Load},
};
use sim::signal::{FrontEnd, Kind, Recipe, Source};

use crate::{
    emulated::{self, Emulated},
    report::{Figures, rounded},
};

/// The image with the emulator's network card in place of Wi-Fi, which the emulator has not.
const IMAGE: &str = "OFMON_FIRMWARE_C3";
/// How long the chip's work is counted. It measures one channel, a client has its address, and nobody asks for anything.
const COUNTED: Duration = Duration::from_secs(120);
/// Pairs that the firmware samples a second.
const RATE_HZ: u32 = 2_000;
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_micros(500);

/// Switches a chip on, again, and lets it work.
pub(super) fn measure(figures: &mut Figures<'_>) -> Result<()> {
    let load = Load {
        source: Source::Recipe(Recipe::new(Kind::House, 3).beginning_at(19 * 3600)),
        front_end: FrontEnd {
            skew_us: 250.0,
            ..FrontEnd::esp32c3(100.0, 3)
        },
        seed: 3,
    };
    let flash = emulated::flash(&emulated::image(IMAGE)?)?;
    let mut meter = Emulated::new(flash, Feed::signal(0, 1, load))?;
    let first = answers(&mut meter)?;
    meter.restart();
    let second = answers(&mut meter)?;
    // The longest of both starts; only the first one makes the store.
    let sampling = sampling_since(&meter, 2)?;
    figures.set("boot_to_sampling_ms", ms(sampling))?;
    figures.set("boot_to_http_ms", ms(second))?;
    figures.set("first_boot_to_http_ms", ms(first))?;

    let before = meter.machine.counters().clone();
    let begun = Instant::now();
    meter.run(COUNTED)?;
    let took_s = begun.elapsed().as_secs_f64();
    let after = meter.machine.counters();
    let busy_s = (after.busy - before.busy) as f64 / CLOCK_HZ as f64;
    let instructions = (after.instructions - before.instructions) as f64;
    let share = busy_s / COUNTED.as_secs_f64();
    figures.set("metering_cpu_percent", rounded(share * 100.0, 2))?;
    figures.set("emulator_realtime_factor", rounded(busy_s / took_s, 2))?;
    figures.set(
        "emulator_million_instructions_per_s",
        rounded(instructions / took_s / 1e6, 1),
    )
}

/// Runs until the meter answers a request for `info`; returns the time since the power came.
fn answers(meter: &mut Emulated) -> Result<Duration> {
    meter.run_until_reachable()?;
    let connection = meter
        .host
        .connect(80)
        .ok()
        .context("the client has no address")?;
    let mut is_asked = false;
    while meter.now() < PATIENCE {
        meter.run(STEP)?;
        let socket = meter.host.socket(connection);
        if !is_asked && socket.may_send() {
            let request = b"GET /api/v1/info HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n";
            ensure!(
                socket.send_slice(request).ok() == Some(request.len()),
                "the request is not taken"
            );
            is_asked = true;
        }
        if socket.can_recv() {
            let mut status = [0; 12];
            let length = socket.recv_slice(&mut status).unwrap_or(0);
            ensure!(
                &status[..length] == b"HTTP/1.1 200",
                "the meter answers {:?}",
                String::from_utf8_lossy(&status[..length])
            );
            let now = meter.now();
            meter.host.drop_connection(connection);
            return Ok(now);
        }
    }
    anyhow::bail!("no answer; the meter printed:\n{}", meter.console())
}

/// Returns the longest time from the power to the first sample, of so many starts.
fn sampling_since(meter: &Emulated, starts: usize) -> Result<Duration> {
    // What runs at another rate draws random numbers. A start of sampling at an earlier time than the one before it belongs
    // to another start of the chip; others follow a gap.
    let mut first = Vec::new();
    let mut before = u64::MAX;
    for begin in meter.machine.feed().begins() {
        if begin.rate_hz == RATE_HZ {
            if begin.cycle < before {
                first.push(begin.cycle);
            }
            before = begin.cycle;
        }
    }
    ensure!(first.len() == starts, "sampling began at {first:?}");
    let latest = first.into_iter().max().unwrap_or(u64::MAX);
    Ok(Duration::from_micros(latest / (CLOCK_HZ / 1_000_000)))
}

fn ms(time: Duration) -> serde_json::Value {
    rounded(time.as_secs_f64() * 1e3, 1)
}
