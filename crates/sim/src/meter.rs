//! The life of one simulated meter: flash from its file, history, then the present.
//!
//! The meter lives on a thread of its own with a single-threaded runtime, as it does on a chip: sampling and HTTP take
//! turns. A restarted meter mounts its flash and goes on where its readings end.

use std::{
    cell::RefCell,
    path::PathBuf,
    time::{Duration, Instant},
};

use device::{Board as _, Facts, Meter, http};
use flash_store::{FlashStore, Format, MountError};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use metering::Pair;
use nor_model::Nor;
use protocol::{DeviceId, StoreId, event::ResetReason};
use rand::RngExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use crate::{
    Error,
    board::SimBoard,
    signal::{FrontEnd, Generator, Source},
};

/// Flash of a meter's store: 1.9 MB of the 4 MB chip.
pub const FLASH_BYTES: usize = 480 * 4096;
/// Samples are fed in portions of about 100 ms, as a DMA buffer would.
const PORTIONS_A_SECOND: u32 = 10;
/// How long history may keep HTTP waiting.
const TURN: Duration = Duration::from_millis(20);
/// Above the sampling level the means of a whole interval are fed at once.
const MEANS_US: u64 = 10_000_000;
/// A time before 2026-01-01 is refused, as by a firmware that was built then.
const BUILT_UTC_MS: i64 = 1_767_225_600_000;

/// One meter to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The meter.
    pub id: DeviceId,
    /// File that holds its flash.
    pub flash: PathBuf,
    /// Its channels, 1 to 3, each with a voltage of its own; all are sampled at the rate of the first.
    pub channels: Vec<ChannelPlan>,
    /// History that must be there before the present begins, in µs.
    pub history_us: u64,
    /// Local time at which the present begins, in seconds since a Monday's midnight: gives households their rhythm.
    pub present_s: u64,
    /// Whether history is made of means instead of samples.
    pub fast_history: bool,
    /// Seconds of history in a second of time; 0 is as fast as it goes.
    pub speed: f64,
    /// Whether it takes a time that lies before it was built.
    pub simulated_clock: bool,
}

/// One channel of a meter.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    /// What flows through it.
    pub source: Source,
    /// What turns that into ADC codes.
    pub front_end: FrontEnd,
    /// Seed of its noise.
    pub seed: u64,
}

impl Plan {
    /// Returns how many pairs of voltage and current a channel samples a second; 0 without a channel.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        let first = self.channels.first();
        first.map_or(0, |channel| channel.source.sample_rate_hz())
    }
}

/// What a simulated meter tells while it lives.
#[derive(Debug)]
pub enum News {
    /// It answers on this port.
    Listening(u16),
    /// So many µs of its history are made.
    History(u64),
    /// The present began, after so many pairs of samples in this run of the program.
    Live(u64),
    /// It ended with an error.
    Failed(Error),
}

/// Runs a meter until `stop` turns true; call it on a thread of its own.
///
/// # Errors
/// A flash file that cannot be read or is no store, a port that cannot be had.
pub fn run(
    plan: &Plan,
    news: &mpsc::UnboundedSender<(DeviceId, News)>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let meter =
        Meter::start(mount(plan)?, facts(plan)).map_err(|error| Error::Start(plan.id, error))?;
    let life = Life {
        plan,
        meter: RefCell::new(meter),
        board: SimBoard::new(),
        news,
    };
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(Error::Listen)?;
        life.tell(News::Listening(
            listener.local_addr().map_err(Error::Listen)?.port(),
        ));
        tokio::select! {
            () = life.serve(listener) => {}
            () = life.sample() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        Ok(())
    })
}

struct Life<'a> {
    plan: &'a Plan,
    meter: RefCell<Meter<Nor>>,
    board: SimBoard,
    news: &'a mpsc::UnboundedSender<(DeviceId, News)>,
}

impl Life<'_> {
    /// Passes news on; a receiver that is gone means that the fleet is ending.
    fn tell(&self, news: News) {
        let _ = self.news.send((self.plan.id, news));
    }

    /// Answers requests, as many side by side as a meter can; further connections wait.
    async fn serve(&self, listener: TcpListener) {
        let router = http::router(&self.meter, &self.board);
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < http::CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(connection(&router, stream)),
                    Err(error) => tracing::warn!(%error, "a connection could not be taken"),
                },
                Some(()) = connections.next() => {}
            }
        }
    }

    /// Makes history, then measures the present.
    async fn sample(&self) {
        let interval_us = u64::from(self.meter.borrow().interval_ms()) * 1000;
        let begun_us = self.meter.borrow().next().0 * interval_us;
        let present_us = self.plan.history_us.max(begun_us);
        let plans = self.plan.channels.iter().cloned();
        let channels: Vec<ChannelPlan> = plans
            .map(|plan| ChannelPlan {
                source: plan.source.with_present(present_us, self.plan.present_s),
                ..plan
            })
            .collect();
        let rate_hz = self.plan.sample_rate_hz();
        let history_us = present_us - begun_us;
        let mut means_us = 0;
        if self.plan.fast_history {
            self.history_of_means(&channels, begun_us, history_us, &mut means_us)
                .await;
        }
        let generator = |plan: ChannelPlan| {
            let ChannelPlan {
                source,
                front_end,
                seed,
            } = plan;
            Generator::new(source, front_end, rate_hz, seed).at(begun_us + means_us)
        };
        let mut samples = Samples {
            generators: channels.into_iter().map(generator).collect(),
            pairs: vec![Pair::default(); (rate_hz / PORTIONS_A_SECOND) as usize],
            rate_hz,
            begun_us: means_us,
            fed: 0,
        };
        self.history_of_samples(begun_us, history_us, &mut samples)
            .await;
        self.tell(News::Live(samples.fed * samples.generators.len() as u64));
        self.board.run_live();
        self.present(&mut samples).await;
    }

    async fn history_of_means(
        &self,
        channels: &[ChannelPlan],
        begun_us: u64,
        history_us: u64,
        uptime_us: &mut u64,
    ) {
        let mut turn = Instant::now();
        while *uptime_us + MEANS_US <= history_us {
            let from_us = begun_us + *uptime_us;
            let end_us = *uptime_us + MEANS_US;
            for (index, channel) in channels.iter().enumerate() {
                let source = &channel.source;
                let window = source.mean_window(from_us, from_us + MEANS_US, end_us);
                let mut meter = self.meter.borrow_mut();
                meter.push_window(index, *uptime_us, window);
            }
            *uptime_us = end_us;
            self.board.advance_to(end_us);
            self.yield_in_turn(&mut turn, from_us).await;
        }
    }

    async fn history_of_samples(&self, begun_us: u64, history_us: u64, samples: &mut Samples) {
        let start = Instant::now();
        let mut turn = start;
        while samples.uptime_us() < history_us {
            let uptime_us = samples.feed(&self.meter);
            self.board.advance_to(uptime_us);
            if self.plan.speed > 0.0 {
                let due =
                    start + Duration::from_micros((uptime_us as f64 / self.plan.speed) as u64);
                tokio::time::sleep_until(due.into()).await;
            }
            self.yield_in_turn(&mut turn, begun_us + uptime_us).await;
        }
    }

    /// Lets HTTP have its turn, and tells how far history is.
    async fn yield_in_turn(&self, turn: &mut Instant, done_us: u64) {
        if turn.elapsed() >= TURN {
            self.tell(News::History(done_us));
            tokio::task::yield_now().await;
            *turn = Instant::now();
        }
    }

    async fn present(&self, samples: &mut Samples) {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / PORTIONS_A_SECOND);
        loop {
            tick.tick().await;
            while samples.portion_end_us() <= self.board.uptime_us() {
                samples.feed(&self.meter);
            }
        }
    }
}

/// The samples of a meter and how far they have come in this boot.
struct Samples {
    /// One a channel.
    generators: Vec<Generator>,
    /// One portion of one channel.
    pairs: Vec<Pair>,
    rate_hz: u32,
    /// Uptime before the first sample.
    begun_us: u64,
    /// Pairs of each channel so far.
    fed: u64,
}

impl Samples {
    /// Measures a portion of each channel and returns the uptime at its end.
    fn feed(&mut self, meter: &RefCell<Meter<Nor>>) -> u64 {
        self.fed += self.pairs.len() as u64;
        let uptime_us = self.uptime_us();
        for (channel, generator) in self.generators.iter_mut().enumerate() {
            generator.fill(&mut self.pairs);
            let mut meter = meter.borrow_mut();
            meter.push_samples(channel, &self.pairs, uptime_us);
        }
        uptime_us
    }

    /// Uptime at the end of the samples so far.
    fn uptime_us(&self) -> u64 {
        self.uptime_after(self.fed)
    }

    /// Uptime at the end of the next portion.
    fn portion_end_us(&self) -> u64 {
        self.uptime_after(self.fed + self.pairs.len() as u64)
    }

    /// Counted anew from the first sample, so that a rate that does not divide a second gains no error.
    fn uptime_after(&self, pairs: u64) -> u64 {
        self.begun_us + (u128::from(pairs) * 1_000_000 / u128::from(self.rate_hz)) as u64
    }
}

async fn connection(router: &http::DeviceRouter<'_, SimBoard>, stream: TcpStream) {
    // An answer is written in pieces: by default the second would wait until the first is acknowledged, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers will be slow");
    }
    let mut buffer = vec![0; http::HTTP_BUFFER_BYTES];
    let server = picoserve::Server::new_tokio(router, &http::CONFIG, &mut buffer);
    if let Err(error) = server.serve(stream).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Mounts the flash of a meter; formats one that holds nothing yet, also where an earlier formatting was cut off.
fn mount(plan: &Plan) -> Result<FlashStore<Nor>, Error> {
    let flash = Nor::open(&plan.flash, FLASH_BYTES).map_err(|source| Error::Flash {
        path: plan.flash.clone(),
        source,
    })?;
    match FlashStore::mount(flash) {
        Ok(store) => Ok(store),
        Err((MountError::Unformatted, flash)) => {
            let format = Format {
                device: plan.id,
                store: StoreId(rand::rng().random()),
                channels: plan.channels.len() as u8,
            };
            FlashStore::format(flash, &format).map_err(|error| Error::Format(plan.id, error))
        }
        Err((error, _)) => Err(Error::Mount(plan.flash.clone(), error)),
    }
}

fn facts(plan: &Plan) -> Facts {
    Facts {
        reset_reason: ResetReason::PowerOn,
        firmware: env!("CARGO_PKG_VERSION")
            .try_into()
            .expect("a version is short"),
        nonce_secret: rand::rng().random(),
        channels: plan
            .channels
            .iter()
            .map(|channel| channel.front_end.channel_config(plan.sample_rate_hz()))
            .collect(),
        built_utc_ms: if plan.simulated_clock {
            0
        } else {
            BUILT_UTC_MS
        },
    }
}
