//! The life of one simulated meter: flash from its file, history, then the present.
//!
//! The meter lives on a thread of its own with a single-threaded runtime, as it does on a chip: sampling and HTTP take
//! turns. A restarted meter mounts its flash and goes on where its readings end; where it took an update, it says that it is
//! of the update's version.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    time::{Duration, Instant},
};

use device::{
    Board as _, Facts, Meter,
    continuation::Continued,
    http,
    slots::{Slots, Start},
    trial::{self, Trial},
};
use flash_store::{FlashStore, Format};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use nor_model::Nor;
use protocol::{
    DeviceId, StoreId,
    access_point::Password,
    event::{ResetReason, Version},
    firmware::PublicKey,
};
use rand::RngExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use crate::{
    Error,
    board::SimBoard,
    samples::{PORTIONS_A_SECOND, Samples},
    signal::{FrontEnd, Generator, Source},
    slots::SlotFlash,
};

/// Flash of a meter's store: 1.9 MB of the 4 MB chip.
pub const FLASH_BYTES: usize = 480 * 4096;
/// How long history may keep HTTP waiting.
const TURN: Duration = Duration::from_millis(20);
/// Above the sampling level the means of a whole interval are fed at once.
const MEANS_US: u64 = 10_000_000;
/// What an update for a simulated meter must be for.
pub const CHIP: &str = "sim";
/// The PC's clock is exact over a restart; what is left is rounding, in ms.
const CONTINUED_UNCERTAINTY_MS: u32 = 2;
/// A time before 2026-01-01 is refused, as by a firmware that was built then.
const BUILT_UTC_MS: i64 = 1_767_225_600_000;
/// Turns ratio that the meters' current transformers have by their labels: 100 A to 50 mA.
const CT_RATIO: u32 = 2_000;

/// One meter to simulate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The meter.
    pub id: DeviceId,
    /// File that holds the flash of its store.
    pub flash: PathBuf,
    /// File that holds its firmware slots.
    pub slots: PathBuf,
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
    /// Keys that it believes updates of; without one it takes unsigned updates.
    pub update_keys: Vec<PublicKey>,
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
    /// It answers on this port, and its access point has this password.
    Listening(u16, Option<Password>),
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
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(Error::Listen)?;
        let (mut reason, mut before) = (ResetReason::PowerOn, None);
        while let End::Restart = live(plan, news, &mut stop, &listener, reason, &mut before).await?
        {
            reason = ResetReason::Software;
        }
        Ok(())
    })
}

/// How a life ended.
enum End {
    Stopped,
    Restart,
}

/// A life that measured the present until its restart; the PC's clock goes on.
struct Before {
    boot: u32,
    uptime_us: u64,
    at: Instant,
}

impl Before {
    /// Says how a life whose uptime is 0 at `begun` continues this one.
    fn continued(&self, begun: Instant) -> Continued {
        let pause_us = begun.duration_since(self.at).as_micros() as u64;
        Continued {
            boot: self.boot,
            uptime_ms: (self.uptime_us + pause_us) / 1000,
            uncertainty_ms: CONTINUED_UNCERTAINTY_MS,
        }
    }
}

/// Lives from a start to the next; notes for that how long it lived.
async fn live(
    plan: &Plan,
    news: &mpsc::UnboundedSender<(DeviceId, News)>,
    stop: &mut watch::Receiver<bool>,
    listener: &TcpListener,
    reason: ResetReason,
    before: &mut Option<Before>,
) -> Result<End, Error> {
    let flash = SlotFlash::open(&plan.slots).map_err(|source| Error::Flash {
        path: plan.slots.clone(),
        source,
    })?;
    let slots_error = |error| Error::Slots(plan.id, error);
    let mut slots = Slots::open(flash, None).map_err(slots_error)?;
    if slots.start().map_err(slots_error)? == Start::Restart {
        return Ok(End::Restart);
    }
    let store = mount(plan)?;
    let password = store.password().copied();
    let port = listener.local_addr().map_err(Error::Listen)?.port();
    let board = SimBoard::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let continued: Option<Continued> = before.take().map(|before| {
        board.run_live();
        before.continued(Instant::now())
    });
    let facts = Facts {
        continued,
        ..facts(plan, version(&mut slots), reason)
    };
    let meter = Meter::start(store, facts).map_err(|error| Error::Start(plan.id, error))?;
    let life = Life {
        plan,
        meter: RefCell::new(meter),
        slots: RefCell::new(slots),
        trial: RefCell::new(Trial::new()),
        board,
        news,
        is_first: reason == ResetReason::PowerOn,
        is_continued: continued.is_some(),
    };
    if life.is_first {
        life.tell(News::Listening(port, password));
    }
    let end = tokio::select! {
        () = life.serve(listener) => End::Stopped,
        () = life.sample() => End::Stopped,
        _ = stop.wait_for(|stop| *stop) => End::Stopped,
        () = life.board.restarting() => End::Restart,
    };
    *before = life.board.live_uptime_us().map(|uptime_us| Before {
        boot: life.meter.borrow().boot(),
        uptime_us,
        at: Instant::now(),
    });
    Ok(end)
}

/// Returns the version of the update that runs, or that of this program where none was taken.
fn version(slots: &mut Slots<SlotFlash>) -> Version {
    let header = slots.header(slots.running()).ok().flatten();
    let update = header.and_then(|header| Version::try_from(header.version.as_str()).ok());
    let own = env!("CARGO_PKG_VERSION").try_into();
    update.unwrap_or_else(|| own.expect("a version is short"))
}

struct Life<'a> {
    plan: &'a Plan,
    meter: RefCell<Meter<Nor>>,
    slots: RefCell<Slots<SlotFlash>>,
    trial: RefCell<Trial>,
    board: SimBoard,
    news: &'a mpsc::UnboundedSender<(DeviceId, News)>,
    /// This life is the first since the program began: a restart is no news.
    is_first: bool,
    /// Its uptime runs with the wall clock already: what history lacks is not made up for.
    is_continued: bool,
}

impl Life<'_> {
    /// Passes news on; a receiver that is gone means that the fleet is ending.
    fn tell(&self, news: News) {
        let _ = self.news.send((self.plan.id, news));
    }

    /// Answers requests, as many side by side as a meter can; further connections wait.
    async fn serve(&self, listener: &TcpListener) {
        let crowd = http::Crowd::new();
        let api = http::Api {
            meter: &self.meter,
            slots: &self.slots,
            board: &self.board,
            crowd: &crowd,
        };
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < http::CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(connection(&api, stream)),
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
        let history_us = if self.is_continued {
            0
        } else {
            self.plan.history_us
        };
        let present_us = history_us.max(begun_us);
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
        let generators = channels.into_iter().map(generator).collect();
        let mut samples = Samples::new(generators, rate_hz, means_us);
        self.history_of_samples(begun_us, history_us, &mut samples)
            .await;
        if self.is_first {
            self.tell(News::Live(samples.total()));
        }
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
            self.try_firmware();
            self.yield_in_turn(&mut turn, from_us).await;
        }
    }

    async fn history_of_samples(&self, begun_us: u64, history_us: u64, samples: &mut Samples) {
        let start = Instant::now();
        let mut turn = start;
        while samples.uptime_us() < history_us {
            let uptime_us = samples.feed(&self.meter);
            self.board.advance_to(uptime_us);
            self.try_firmware();
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
            self.try_firmware();
        }
    }

    /// Confirms the firmware when it works; loopback is an access point that is always up.
    fn try_firmware(&self) {
        let now_ms = self.board.uptime_us() / 1000;
        let (mut meter, mut slots) = (self.meter.borrow_mut(), self.slots.borrow_mut());
        let mut trial = self.trial.borrow_mut();
        if trial.step(&mut meter, &mut slots, true, now_ms) == trial::Step::Restart {
            self.board.restart();
        }
    }
}

async fn connection(api: &http::Api<'_, SimBoard>, stream: TcpStream) {
    // An answer is written in pieces: by default the second would wait until the first is acknowledged, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers will be slow");
    }
    let mut buffer = vec![0; http::HTTP_BUFFER_BYTES];
    api.serve(stream, &mut buffer).await;
}

/// Mounts the flash of a meter; formats one that holds nothing yet, also where an earlier formatting was cut off.
fn mount(plan: &Plan) -> Result<FlashStore<Nor>, Error> {
    let flash = Nor::open(&plan.flash, FLASH_BYTES).map_err(|source| Error::Flash {
        path: plan.flash.clone(),
        source,
    })?;
    let fresh = Format {
        device: plan.id,
        store: StoreId(rand::rng().random()),
        channels: plan.channels.len() as u8,
        password: Some(Password::from_random(rand::rng().random())),
    };
    FlashStore::mount_or_format(flash, &fresh)
        .map_err(|error| Error::Mount(plan.flash.clone(), error))
}

fn facts(plan: &Plan, firmware: Version, reset_reason: ResetReason) -> Facts {
    Facts {
        reset_reason,
        continued: None,
        firmware,
        chip: CHIP.try_into().expect("a name is short"),
        update_keys: plan.update_keys.iter().copied().collect(),
        nonce_secret: rand::rng().random(),
        channels: plan
            .channels
            .iter()
            .map(|channel| channel.front_end.channel_config(plan.sample_rate_hz()))
            .collect(),
        ct_ratio: CT_RATIO,
        built_utc_ms: if plan.simulated_clock {
            0
        } else {
            BUILT_UTC_MS
        },
    }
}
