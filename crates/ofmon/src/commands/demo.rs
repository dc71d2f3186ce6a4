//! `ofmon demo`: everything at once, with simulated meters.
//!
//! Simulation, collection and web page run in this one process, by the same code as the single commands.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use collector::{WallClock, thingsboard::Server};
use jiff::tz::TimeZone;
use protocol::DeviceId;
use sim::fleet::{self, Load, Options, Progress};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::{account, demo_report as report, sync};
use crate::{
    context::Context,
    engine::{Engine, SetupOrder},
    exit::{Kind, Problem},
    moment,
    progress::{Bars, Joint},
    server, stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon demo                     a page with three meters and two weeks of history, until Ctrl-C
  ofmon demo --once              only a table of what came, then the end
  ofmon demo --data /tmp/demo    keeps everything there; the next time the meters go on
  OFMON_PASSWORD=… ofmon demo --sync-to http://127.0.0.1:8080 --user tenant@thingsboard.org
                                 uploads too, and reads back what the server has

The history is made above the sampling level, of 10 s means, because two weeks of samples take long.
Once it is there, the meters go on by samples.";

/// Names of the demo's meters, by the households that flow through them.
const NAMES: [&str; 3] = ["House", "Flat", "Workshop"];
/// Length of the history.
const HISTORY: Duration = Duration::from_secs(14 * 86_400);
/// How often the meters are visited while the page is shown.
const VISIT_EVERY: Duration = Duration::from_secs(15);

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Prints a table of what came, and ends
    #[arg(long)]
    once: bool,
    /// Port of the page on loopback; 0 takes a free one
    #[arg(
        long,
        value_name = "N",
        default_value_t = 7373,
        conflicts_with = "once"
    )]
    port: u16,
    /// Sends everything to this ThingsBoard server too; the password is asked for, or taken from OFMON_PASSWORD
    #[arg(long, value_name = "URL", requires = "user")]
    sync_to: Option<String>,
    /// User on that server
    #[arg(long, value_name = "NAME", requires = "sync_to")]
    user: Option<String>,
}

/// Where a demo keeps its data.
struct Place {
    data: PathBuf,
    air: PathBuf,
    /// Removes it at the end, where nobody named a directory.
    _temporary: Option<TempDir>,
}

impl Place {
    fn new(named: Option<&Path>) -> Result<Self> {
        if let Some(data) = named {
            return Ok(Self {
                data: data.to_owned(),
                air: data.join("simulation"),
                _temporary: None,
            });
        }
        let cannot = || {
            Problem::new(
                Kind::Storage,
                "no temporary directory can be made",
                "name a directory by --data",
            )
        };
        let temporary = tempfile::Builder::new()
            .prefix("ofmon-demo-")
            .tempdir()
            .with_context(cannot)?;
        let data = temporary.path().to_owned();
        Ok(Self {
            air: data.join("simulation"),
            data,
            _temporary: Some(temporary),
        })
    }
}

impl Demo {
    /// Runs the demonstration.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let login = match (&self.sync_to, &self.user) {
            (Some(url), Some(user)) => {
                Some((account::address(url)?, user.clone(), account::password()?))
            }
            _ => None,
        };
        let place = Place::new(context.data_argument())?;
        let context = &context.moved_to(&place.data, &place.air);
        let options = options(&place.air, context.zone());
        let (end_meters, ended) = oneshot::channel::<()>();
        let (news_sender, news) = mpsc::unbounded_channel();
        let until_ended = async {
            let _ = ended.await;
        };
        // Whoever listened may be gone by the end.
        let mut meters = pin!(fleet::run(&options, until_ended, |progress| drop(
            news_sender.send(progress)
        )));
        let result = {
            let mut rest = pin!(async {
                let begun = Instant::now();
                let engine = Engine::open(context)?;
                let server = match login {
                    Some((address, user, password)) => {
                        Some(engine.login(address, &user, &password).await?)
                    }
                    None => None,
                };
                self.show(context, &engine, server.as_ref(), news, begun)
                    .await
            });
            tokio::select! {
                result = &mut rest => result,
                result = &mut meters => {
                    result?;
                    return Err(Problem::new(Kind::Failed, "the simulated meters ended early", "").into());
                }
            }
        };
        drop(end_meters);
        meters.await?;
        result
    }

    /// Does what follows the meters' start.
    async fn show(
        &self,
        context: &Context,
        engine: &Engine,
        server: Option<&Server>,
        news: mpsc::UnboundedReceiver<Progress>,
        begun: Instant,
    ) -> Result<()> {
        let prepared = stop::or_stopped(prepare(context, engine, server, news, begun)).await;
        if self.once {
            let report = prepared?;
            report::print(context, &report)?;
            return sync::conclude(&report.synced);
        }
        let report = match prepared {
            // Ctrl-C is how a demonstration ends, also before it came to the page.
            Err(error) if crate::exit::Ending::of(&error).kind == Kind::Interrupted => {
                return Ok(());
            }
            other => other?,
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let page = server::Server::bind(listen).await?;
        let report = report.with_url(page.url());
        let stop = stop::asked();
        report::print(context, &report)?;
        tokio::select! {
            result = page.run(context.clone(), engine.clone(), stop) => result,
            () = visit_now_and_then(engine) => Ok(()),
        }
    }
}

fn options(air: &Path, zone: &TimeZone) -> Options {
    Options {
        devices: NAMES.len(),
        channels: 1,
        state: air.to_owned(),
        load: Load::Recipes,
        history: HISTORY,
        present_s: moment::seconds_since_monday(WallClock::default().now_ms(), zone),
        fast_history: true,
        speed: 0.0,
        simulated_clock: false,
        update_keys: Vec::new(),
        seed: 1,
    }
}

/// Waits for the history, then sets up, collects and sends.
async fn prepare(
    context: &Context,
    engine: &Engine,
    server: Option<&Server>,
    mut news: mpsc::UnboundedReceiver<Progress>,
    begun: Instant,
) -> Result<report::Report> {
    context.output.text("Three simulated meters, two weeks of history each, made of 10 s means: above the sampling level.")?;
    let mut history = Joint::begin(context.output, "history", "s", NAMES.len());
    loop {
        match news.recv().await {
            Some(Progress::History {
                device,
                done,
                total,
            }) => history.set(device, done.as_secs(), total.as_secs()),
            Some(Progress::Live { .. }) | None => break,
            Some(Progress::Ready(_)) => {}
        }
    }
    drop(history);
    let mut devices: Vec<DeviceId> = Vec::new();
    for (meter, name) in engine.in_range().await?.iter().zip(NAMES) {
        let mut order = SetupOrder::default();
        order.wish.name = Some(name.to_owned());
        engine.set_up(meter, order, None).await?;
        devices.push(meter.device);
    }
    let bars = Bars::new(context.output, "readings");
    let on_progress = Arc::new(move |device, done, total| bars.set(device, done, total));
    let visits = engine.collect(Some(&devices), on_progress).await?;
    let mut report = report::Report::new(engine, visits).await?;
    if let Some(server) = server {
        report.synced = sync::sync(context, engine, server, &devices).await?;
        for device in devices {
            report.add_totals(device, engine.totals(server, device).await?);
        }
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Keeps the page up to date: what passers-by do, only more often.
async fn visit_now_and_then(engine: &Engine) {
    loop {
        tokio::time::sleep(VISIT_EVERY).await;
        if let Err(error) = engine.collect(None, Arc::new(|_, _, _| {})).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the meters could not be collected"
            );
        }
    }
}
