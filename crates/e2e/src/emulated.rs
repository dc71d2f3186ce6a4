//! A meter whose image runs in the emulator, in this process.

use std::{
    env,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use device::flash_map;
use emulator::{CLOCK_HZ, Machine, Parts, Rom, Stop, adc::Feed, network::Host};
use nor_model::{Latency, Nor};

use crate::truth::{self, FlashContent};

/// Address of every emulated chip.
pub const MAC: [u8; 6] = [0x02, 0x0f, 0x6d, 0x0e, 0x00, 0x01];
/// Port of the meter's HTTP server.
const HTTP: u16 = 80;
/// Virtual time between two looks at what the program under test asks for.
const STEP_MS: u64 = 2;
/// Names the mask ROM.
const ROM: &str = "OFMON_ROM";

/// A chip with its flash, what it measures, and a client on its network.
pub struct Emulated {
    /// The chip.
    pub machine: Machine,
    /// The other end of its network.
    pub host: Host,
    url: String,
    /// What it printed so far.
    console: String,
}

/// What a job is told that runs beside an emulated meter.
#[derive(Debug)]
pub struct Served {
    /// Where the meter answers.
    pub url: String,
    now_us: Arc<AtomicU64>,
    ask: mpsc::Sender<(Duration, mpsc::Sender<()>)>,
}

impl Served {
    /// Returns the virtual time, at most a step ago.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now_us.load(Ordering::Relaxed))
    }

    /// Lets virtual time pass as fast as it goes.
    ///
    /// # Errors
    /// When the meter has ended.
    pub fn pass(&self, time: Duration) -> Result<()> {
        let (done, waits) = mpsc::channel();
        self.ask
            .send((time, done))
            .ok()
            .context("the meter has ended")?;
        waits.recv().context("the meter has ended")
    }
}

/// Returns the image that a variable names.
///
/// # Errors
/// When it is not set; `./x test firmware` sets it.
pub fn image(variable: &str) -> Result<PathBuf> {
    let path = env::var_os(variable).with_context(|| format!("{variable} names no image"))?;
    Ok(path.into())
}

/// Makes a flash of 4 MB with an image at its beginning.
///
/// # Errors
/// When the image cannot be read or is longer.
pub fn flash(image: &Path) -> Result<Nor> {
    let mut bytes =
        std::fs::read(image).with_context(|| format!("{} cannot be read", image.display()))?;
    let chip_bytes = flash_map::CHIP_BYTES as usize;
    ensure!(
        bytes.len() <= chip_bytes,
        "the image is longer than the flash"
    );
    bytes.resize(chip_bytes, 0xff);
    Ok(Nor::from_bytes(bytes))
}

impl Emulated {
    /// Switches a chip on.
    ///
    /// # Errors
    /// When the mask ROM cannot be read or this computer has no port left.
    pub fn new(flash: Nor, feed: Feed) -> Result<Self> {
        let rom = image(ROM)?;
        let rom = Rom::load(&std::fs::read(&rom)?)
            .with_context(|| format!("{} is no mask ROM", rom.display()))?;
        let machine = Machine::new(Parts {
            rom,
            flash,
            latency: Latency::default(),
            mac: MAC,
            seed: 1,
            feed,
        });
        let mut host = Host::new(1);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        host.forward(listener, HTTP)?;
        Ok(Self {
            machine,
            host,
            url,
            console: String::new(),
        })
    }

    /// Runs until so much virtual time has passed; a planned power cut ends it, and [`Self::restart`] gives power back.
    ///
    /// # Errors
    /// When the chip does what a chip must not.
    pub fn run(&mut self, time: Duration) -> Result<Stop> {
        let cycles = time.as_micros() as u64 * (CLOCK_HZ / 1_000_000);
        let until = self.machine.now() + cycles;
        loop {
            let stop = self.host.run(&mut self.machine, until);
            let sent = self.machine.take_sent();
            self.console.push_str(&String::from_utf8_lossy(&sent));
            match stop {
                Stop::Reached | Stop::PowerCut => return Ok(stop),
                Stop::At { .. } => {}
                Stop::Idle => bail!("the chip waits for nothing; it printed:\n{}", self.console),
                Stop::Fault(fault) => {
                    bail!(
                        "{fault} (last exception {:x?}); it printed:\n{}",
                        self.machine.last_trap(),
                        self.console
                    )
                }
            }
        }
    }

    /// Runs until something is true, at most so long; returns whether it is.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub fn run_until(
        &mut self,
        time_max: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Result<bool> {
        const STEP: Duration = Duration::from_millis(10);
        for _ in 0..time_max.as_millis() / STEP.as_millis() {
            if is_so(self) {
                return Ok(true);
            }
            if self.run(STEP)? == Stop::PowerCut {
                return Ok(false);
            }
        }
        Ok(is_so(self))
    }

    /// Runs until the meter has given this computer an address, so that its network is there.
    ///
    /// # Errors
    /// Those of [`Self::run`], and when it does not within 20 s.
    pub fn run_until_reachable(&mut self) -> Result<()> {
        let is_there = self.run_until(Duration::from_secs(20), |meter| {
            meter.host.lease().is_some()
        })?;
        ensure!(is_there, "no address came; it printed:\n{}", self.console);
        Ok(())
    }

    /// Takes the power and gives it back.
    pub fn restart(&mut self) {
        self.host.restart(&mut self.machine);
    }

    /// Returns the uptime of the chip's power.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.machine.now() / (CLOCK_HZ / 1_000_000))
    }

    /// Returns what the chip has printed.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Forgets what the chip has printed.
    pub fn forget_console(&mut self) {
        self.console.clear();
    }

    /// Reads what the store on its flash holds, as it lies.
    ///
    /// # Errors
    /// When it holds no store.
    pub fn content(&self) -> Result<FlashContent> {
        let bytes = self.machine.flash().bytes();
        truth::content(Nor::from_bytes(bytes[flash_map::STORE as usize..].to_vec()))
    }

    /// Runs a job beside the meter, whose time passes as the job's does.
    ///
    /// # Errors
    /// Those of [`Self::run`] and of the job.
    pub fn serve<R: Send>(&mut self, job: impl FnOnce(Served) -> Result<R> + Send) -> Result<R> {
        let step = Duration::from_millis(STEP_MS);
        let (ask, asked) = mpsc::channel();
        let now_us = Arc::new(AtomicU64::new(self.now().as_micros() as u64));
        let served = Served {
            url: self.url.clone(),
            now_us: now_us.clone(),
            ask,
        };
        thread::scope(|scope| {
            let job = scope.spawn(move || job(served));
            let mut due = Instant::now();
            while !job.is_finished() {
                if let Ok((time, done)) = asked.try_recv() {
                    self.go_on(time)?;
                    // Who asked may have given up.
                    let _ = done.send(());
                    due = Instant::now();
                }
                self.go_on(step)?;
                now_us.store(self.now().as_micros() as u64, Ordering::Relaxed);
                due += step;
                match due.checked_duration_since(Instant::now()) {
                    Some(early) => thread::sleep(early),
                    None => due = Instant::now(),
                }
            }
            job.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs for a time, through power cuts.
    fn go_on(&mut self, time: Duration) -> Result<()> {
        if self.run(time)? == Stop::PowerCut {
            self.restart();
        }
        Ok(())
    }
}
