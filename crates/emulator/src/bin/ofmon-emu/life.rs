//! The life of the chip: power, console, pace, end.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use emulator::{
    CLOCK_HZ,
    life::{self, Birth, Event, Life, Pace, Pacer},
};
use nor_model::{Nor, Torn};

use super::{
    load,
    options::{Console, Run, Speed},
};

/// Virtual time between two looks at the console.
const STEP: Duration = Duration::from_millis(10);

/// Runs the image to the end that the command line names.
pub fn live(run: &Run) -> anyhow::Result<()> {
    let flash = match &run.flash {
        Some(path) => life::open_flash(path, &run.image)?,
        None => Nor::from_bytes(life::read_image(&run.image)?),
    };
    let mut life = Life::new(Birth {
        rom: life::read_rom(&run.rom)?,
        flash,
        mac: run.mac.0,
        seed: run.seed,
        feed: load::feed(run)?,
    });
    if let Some(net) = run.net {
        let address = life
            .serve(net.0)
            .with_context(|| format!("port {} of this computer cannot be taken", net.0))?;
        eprintln!("the meter's pages: http://{address}");
    }
    if let Some(operation) = run.cut_at {
        life.machine
            .flash_mut()
            .cut_at(operation - 1, Torn::Random, run.seed);
    }
    let ended = go_on(&mut life, run);
    let counters = life.machine.counters();
    let seconds = |cycles: u64| cycles as f64 / CLOCK_HZ as f64;
    eprintln!(
        "{:.3} s busy, {:.3} s idle, {} M instructions, {} resets",
        seconds(counters.busy),
        seconds(counters.idle),
        counters.instructions / 1_000_000,
        counters.resets.len()
    );
    ended
}

fn go_on(life: &mut Life, run: &Run) -> anyhow::Result<()> {
    let mut left = match run.seconds {
        Some(seconds) => {
            Duration::try_from_secs_f64(seconds).context("--for is a time from 0 s on")?
        }
        None => Duration::MAX,
    };
    let mut pacer = Pacer::new();
    while !left.is_zero() {
        let step = life.step(STEP.min(left));
        show_console(life, run.console)?;
        let step = step.with_context(|| {
            let ms = life.machine.now() / (CLOCK_HZ / 1_000);
            format!("{ms} ms after power came")
        })?;
        left = left.saturating_sub(step.passed);
        let ms = step.uptime.as_millis();
        match step.event {
            Some(Event::PowerCut) => {
                eprintln!("power is cut {ms} ms after it came, and comes back");
            }
            Some(Event::Address) => {
                eprintln!("an address from the meter {ms} ms after power came");
            }
            None => {}
        }
        let pace = match run.speed {
            Speed(Some(speed)) => Pace::Times(speed),
            Speed(None) if life.host.forwarded() > 0 => Pace::Times(1.0),
            Speed(None) => Pace::Max,
        };
        pacer.keep(step.passed, pace);
    }
    Ok(())
}

fn show_console(life: &mut Life, console: Console) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let machine = &mut life.machine;
    let (uart, usb) = (machine.take_sent(), machine.take_sent_by_usb());
    if console != Console::Usb {
        out.write_all(&uart)?;
    }
    if console != Console::Uart {
        out.write_all(&usb)?;
    }
    out.flush()
}
