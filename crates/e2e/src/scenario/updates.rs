//! A meter takes an update over its device API, restarts into it and confirms it; its readings stay.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{cutter::Cutter, simulated};
use anyhow::{Context, Result, ensure};
use collector::{
    WallClock,
    client::{Client, ClientError, Session},
    collect::collect,
    firmware::{self, PushError},
    store::{PushOutcome, SharedStore, Store},
};
use firmware_package::{Package, SecretKey};
use protocol::{
    Reading, Seq,
    block::Block,
    event::{ResetReason, What},
    messages::{Anchored, Clock, Info, Setup},
};

/// Token that the meter is set up with.
const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
/// Longest wait for a restart or a confirmation.
const PATIENCE: Duration = Duration::from_secs(60);
const IMAGE_BYTES: usize = 300_001;
const BYTES_MAX: u64 = 1 << 22;

/// What was seen.
#[derive(Debug)]
pub struct Outcome {
    /// What the meter said of each update that was none for it.
    pub refusals: Vec<(u16, String)>,
    /// Version before and after.
    pub versions: [String; 2],
    /// Readings that the meter had before the update, and those of them that it had after it, unaltered.
    pub readings: [usize; 2],
    /// Starts of the chip.
    pub starts: u32,
    /// What the event log says of firmware and starts, in order.
    pub told: Vec<What>,
    /// How the log links the two boots, and by how many ms that is off, beside what may be.
    pub continued: Continued,
}

/// A restart that the meter's uptime is said to have gone through.
#[derive(Clone, Copy, Debug)]
pub struct Continued {
    /// Distance of what it says from what this computer's clock says, in ms.
    pub error_ms: u64,
    /// What is stated of it and of this computer's look at both boots, in ms.
    pub stated_ms: u64,
}

/// Returns an update for `chip` with an image of so many bytes that no chip can run.
///
/// # Errors
/// When chip or version are none.
pub fn update(chip: &str, version: &str, image_bytes: usize) -> Result<Package> {
    let image: Vec<u8> = (0..image_bytes).map(|at| (at * 31 / 7) as u8).collect();
    Ok(Package::new(chip, version, "0.1.0", &image)?)
}

/// What was seen of an update over a connection that breaks.
#[derive(Debug)]
pub struct Resumed {
    /// What the meter said of each update that it does not believe.
    pub refusals: Vec<(u16, String)>,
    /// How often the connection broke, and how often it was to.
    pub cuts: [u64; 2],
    /// Bytes of the image, and bytes of requests that it took to bring them over.
    pub bytes: [u64; 2],
    /// What each visit saw of the push: right after it, after the confirmation, and once more.
    pub seen: [Option<PushOutcome>; 3],
    /// Version that runs at the end.
    pub version: String,
}

/// Lets a simulated meter with a key take a signed update over a connection that breaks at some places.
///
/// # Errors
/// When any part of the way fails.
pub async fn resumed(scratch: &Path, cuts: &[u64]) -> Result<Resumed> {
    let (key, stranger) = (SecretKey::generate()?, SecretKey::generate()?);
    let state = scratch.join("air");
    let data = scratch.join("data");
    simulated::with_keys(
        &state,
        Duration::from_hours(1),
        &[key.public()],
        async |entry| {
            Client::new(&entry.url)?.set_up(&setup()?).await?;
            let address = entry.url.trim_start_matches("http://").to_owned();
            let cutter = Cutter::start(address).await?;
            let session = Client::new(&cutter.url)?.session(entry.id, TOKEN);
            let store = SharedStore::new(Store::open(&data)?);
            let clock = WallClock::default();
            let package = update(&session.info().await?.chip, "9.9.9", IMAGE_BYTES)?;
            let mut refusals = Vec::new();
            for wrong in [package.clone(), package.clone().signed(&stranger)] {
                match firmware::push(&store, &session, &wrong, &clock, &mut |_| {}).await {
                    Err(PushError::Client(ClientError::Answered { status, code, .. })) => {
                        refusals.push((status, code));
                    }
                    other => anyhow::bail!("an update that is not believed ended with {other:?}"),
                }
            }
            let boot = session.info().await?.boot;
            let requested = cutter.requested();
            cutter.cut_requests_after(cuts.iter().copied());
            let signed = package.signed(&key);
            firmware::push(&store, &session, &signed, &clock, &mut |_| {}).await?;
            let bytes = [IMAGE_BYTES as u64, cutter.requested() - requested];
            let mut seen = [const { None }; 3];
            for (visit, seen) in seen.iter_mut().enumerate() {
                if visit == 1 {
                    restarted(&session, boot).await?;
                    confirmed(&session).await?;
                }
                let (collected, ended) = collect(&store, &session, &clock, &mut |_| {}).await;
                // The meter may restart in the middle of the first.
                if visit > 0 {
                    ended?;
                }
                *seen = collected
                    .firmware
                    .and_then(|firmware| firmware.push)
                    .map(|push| push.outcome);
            }
            Ok(Resumed {
                refusals,
                cuts: [cutter.cuts(), cuts.len() as u64],
                bytes,
                seen,
                version: session.firmware().await?.version.as_str().to_owned(),
            })
        },
    )
    .await
}

fn setup() -> Result<Setup> {
    Ok(Setup {
        token: TOKEN.try_into().ok().context("a token")?,
        name: "Cellar".try_into().ok().context("a name")?,
        ..Setup::default()
    })
}

/// Lets a simulated meter with a day of readings take an update.
///
/// # Errors
/// When any part of the way fails.
pub async fn run(scratch: &Path) -> Result<Outcome> {
    simulated::with_meter(scratch, Duration::from_hours(24), async |entry| {
        let client = Client::new(&entry.url)?;
        client.set_up(&setup()?).await?;
        visit(&client.session(entry.id, TOKEN)).await
    })
    .await
}

async fn visit(session: &Session) -> Result<Outcome> {
    let before = session.info().await?;
    let held = readings(session).await?;
    let file = |chip, version| update(chip, version, IMAGE_BYTES);
    let own = before.chip.as_str();
    let mut refusals = Vec::new();
    for wrong in [file("esp32c3", "9.9.9")?, file(own, "0.0.1")?] {
        match session.update(&wrong, &mut |_| {}).await {
            Err(ClientError::Answered { status, code, .. }) => refusals.push((status, code)),
            other => anyhow::bail!("a wrong update was answered with {other:?}"),
        }
    }
    let same = session.info().await?;
    ensure!(
        (same.boot, &same.firmware) == (before.boot, &before.firmware),
        "it restarted"
    );
    let exact = WallClock {
        uncertainty_ms: 0,
        ..WallClock::default()
    };
    let looks = session.set_clock(&exact).await?;
    session.update(&file(own, "9.9.9")?, &mut |_| {}).await?;
    let after = restarted(session, before.boot).await?;
    let continued = continued(session, [looks, session.set_clock(&exact).await?]).await?;
    ensure!(
        after.store == before.store && after.set_up,
        "it forgot what it was: {after:?}"
    );
    let starts = confirmed(session).await?;
    let still = readings(session).await?;
    let kept = held
        .iter()
        .filter(|(seq, reading)| still.get(seq) == Some(reading));
    Ok(Outcome {
        refusals,
        versions: [before, after].map(|info| info.firmware.as_str().to_owned()),
        readings: [held.len(), kept.count()],
        starts,
        told: told(session).await?,
        continued,
    })
}

pub(crate) async fn readings(session: &Session) -> Result<BTreeMap<Seq, Reading>> {
    let mut readings = BTreeMap::new();
    let mut stream = session.blocks(Seq(0), BYTES_MAX).await?;
    while let Some(bytes) = stream.next().await? {
        let block = Block::parse(&bytes).ok().context("a block")?;
        readings.extend(block.readings().map(|reading| (reading.seq, reading)));
    }
    Ok(readings)
}

/// Compares the link between two boots with a look at the clock in each.
async fn continued(session: &Session, looks: [(Clock, Anchored); 2]) -> Result<Continued> {
    let [(first, before), (second, after)] = looks;
    let (mut from, mut link) = (0, None);
    loop {
        let page = session.events(from).await?;
        let Some(last) = page.events.last() else {
            break;
        };
        from = last.number + 1;
        link = page
            .events
            .iter()
            .fold(link, |link, event| match event.what {
                What::Continued {
                    uptime_ms,
                    uncertainty_ms,
                } if event.boot == after.boot => Some((uptime_ms, uncertainty_ms)),
                _ => link,
            });
    }
    let (uptime_ms, uncertainty_ms) = link.context("the boots are not linked")?;
    let counted_ms = (uptime_ms + after.uptime_ms) as i64 - before.uptime_ms as i64;
    let stated_ms = uncertainty_ms + first.uncertainty_ms + second.uncertainty_ms;
    Ok(Continued {
        error_ms: counted_ms.abs_diff(second.utc_ms - first.utc_ms),
        stated_ms: stated_ms.into(),
    })
}

/// Waits for another boot.
async fn restarted(session: &Session, boot: u32) -> Result<Info> {
    let wait = async {
        loop {
            match session.info().await {
                Ok(info) if info.boot > boot => return info,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let info = tokio::time::timeout(PATIENCE, wait).await;
    info.context("the meter did not restart")
}

/// Waits until the firmware is confirmed; returns how often the chip started.
async fn confirmed(session: &Session) -> Result<u32> {
    let wait = async {
        loop {
            let health = session.health().await?;
            if health.firmware_confirmed {
                return Ok(health.starts);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let starts = tokio::time::timeout(PATIENCE, wait).await;
    starts.context("the firmware was not confirmed")?
}

async fn told(session: &Session) -> Result<Vec<What>> {
    let mut told = Vec::new();
    let mut from = 0;
    loop {
        let page = session.events(from).await?;
        let Some(last) = page.events.last() else {
            return Ok(told);
        };
        from = last.number + 1;
        told.extend(
            page.events
                .into_iter()
                .map(|event| event.what)
                .filter(|what| {
                    matches!(
                        what,
                        What::FirmwareTaken { .. }
                            | What::FirmwareConfirmed { .. }
                            | What::FirmwareLeft { .. }
                            | What::Started {
                                reason: ResetReason::Software,
                                ..
                            }
                    )
                }),
        );
    }
}
