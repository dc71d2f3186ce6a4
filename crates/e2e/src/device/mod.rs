//! What a meter takes from strangers, slow clients and crowds: report section `device`.
//!
//! Each abuse opens connections and does something bad on them. While they stay open, and again when they are gone, somebody
//! with the token asks a question: the time until its answer is the recovery. Readings must go on and stay as they were.

mod abuse;
mod visitor;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use collector::client::{Client, Session};
use protocol::{
    DeviceId, Seq,
    messages::{Info, Setup},
};

use crate::{
    report::{Figures, rounded},
    scenario::updates::readings,
    simulated,
};
use visitor::Visitor;

/// Token that a simulated meter is set up with.
const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
/// Live values that are looked at between the abuses.
const LIVE_EVENTS: u32 = 3;

/// From the end of an interval to its reading, at most.
const SLACK: Duration = Duration::from_secs(5);

/// What the abuses did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kinds of abuse.
    pub abuses: usize,
    /// Requests and pieces of them that were bad.
    pub bad_requests: usize,
    /// The longest time until a good request was answered, while an abuse went on or behind it, and the abuse's name.
    pub recovery_max: (Duration, &'static str),
    /// Connections of fifty at once whose good request was answered.
    pub fifty_answered: usize,
    /// Answers to bad requests with another status than they ask for.
    pub wrong_answers: Vec<String>,
    /// Readings of before that were not there or not the same afterwards.
    pub readings_lost: usize,
    /// Readings that were made meanwhile.
    pub readings_new: usize,
    /// Restarts.
    pub restarts: u32,
    /// Samples that were lost meanwhile.
    pub samples_lost: u32,
    /// Live values that came, authentic.
    pub live_events: u32,
}

/// Does everything bad to the meter at `url`, which has its token; `now` is the time as the meter feels it.
///
/// # Errors
/// When a good request is not answered at all.
pub fn run(
    url: &str,
    device: DeviceId,
    token: &str,
    now: &dyn Fn() -> Duration,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let session = Client::new(url)?.session(device, token);
    let (before, held, health) = runtime.block_on(async {
        let before = session.info().await?;
        let held = readings(&session).await?;
        anyhow::Ok((before, held, session.health().await?))
    })?;
    let visitor = Visitor::new(url, device, token, now);
    let mut outcome = Outcome::default();
    for abuse in abuse::ABUSES {
        let named = || format!("abuse `{}`", abuse.name);
        let connections = (abuse.begin)(&visitor, &mut outcome).with_context(named)?;
        let meanwhile = visitor.answered().with_context(named)?;
        drop(connections);
        let behind = visitor.answered().with_context(named)?;
        let longest = (meanwhile.max(behind), abuse.name);
        outcome.recovery_max = outcome.recovery_max.max(longest);
        outcome.abuses += 1;
    }
    runtime.block_on(async {
        outcome.live_events = looked(&session).await?;
        let after = measured_on(&session, before.next, now).await?;
        let held_after = readings(&session).await?;
        outcome.restarts = after.boot - before.boot;
        outcome.readings_new = held_after.len().saturating_sub(held.len());
        let lost = held
            .iter()
            .filter(|(seq, reading)| held_after.get(seq) != Some(reading));
        outcome.readings_lost = lost.count();
        outcome.samples_lost = session.health().await?.samples_lost - health.samples_lost;
        anyhow::Ok(())
    })?;
    Ok(outcome)
}

/// Waits for a reading of the time of the abuses; returns what the meter says then, also where none comes.
async fn measured_on(session: &Session, next: Seq, now: &dyn Fn() -> Duration) -> Result<Info> {
    let begun = now();
    loop {
        let info = session.info().await?;
        let patience = Duration::from_millis(info.interval_ms.into()) + SLACK;
        if info.next > next || now() - begun > patience {
            return Ok(info);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Looks at live values for a moment; returns how many came.
async fn looked(session: &Session) -> Result<u32> {
    let mut stream = session.live_stream().await?;
    let mut last_ms = None;
    for _ in 0..LIVE_EVENTS {
        let live = stream.next().await?.context("the stream ended")?;
        ensure!(Some(live.uptime_ms) > last_ms, "a window came twice");
        last_ms = Some(live.uptime_ms);
    }
    Ok(LIVE_EVENTS)
}

/// Sets a simulated meter up that has an hour of readings, and does everything bad to it.
///
/// # Errors
/// Those of [`run`], and when the meter cannot run.
pub async fn simulated(scratch: &Path) -> Result<Outcome> {
    simulated::with_meter(scratch, Duration::from_hours(1), async |entry| {
        let setup = Setup {
            token: TOKEN.try_into().ok().context("a token")?,
            name: "Cellar".try_into().ok().context("a name")?,
            ..Setup::default()
        };
        Client::new(&entry.url)?.set_up(&setup).await?;
        let begun = std::time::Instant::now();
        let abused = move || run(&entry.url, entry.id, TOKEN, &|| begun.elapsed());
        tokio::task::spawn_blocking(abused).await?
    })
    .await
}

/// Measures all of it and writes the keys.
///
/// # Errors
/// When the meter cannot run or a good request is not answered at all.
pub(crate) async fn measure(figures: &mut Figures<'_>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let outcome = simulated(scratch.path()).await?;
    let (recovery, abuse) = outcome.recovery_max;
    println!("longest recovery: {abuse}");
    figures.set(
        "recovery_ms_max",
        rounded(recovery.as_secs_f64() * 1_000.0, 1),
    )?;
    figures.set("abuses", outcome.abuses)?;
    figures.set("bad_requests", outcome.bad_requests)?;
    figures.set("wrong_answers", outcome.wrong_answers.len())?;
    figures.set("connections_50_answered", outcome.fifty_answered)?;
    figures.set("readings_lost", outcome.readings_lost)?;
    figures.set("restarts", outcome.restarts)?;
    figures.set("live_events", outcome.live_events)
}
