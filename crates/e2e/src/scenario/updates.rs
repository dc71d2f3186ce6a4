//! A meter takes an update over its device API, restarts into it and confirms it; its readings stay.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use collector::client::{Client, ClientError, Session};
use protocol::{
    Reading, Seq,
    block::Block,
    event::{ResetReason, What},
    firmware::Header,
    messages::{Info, Setup},
};
use sha2::{Digest, Sha256};

use crate::simulated;

/// Token that the meter is set up with.
const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
/// Longest wait for a restart or a confirmation.
const PATIENCE: Duration = Duration::from_secs(60);
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
}

/// Returns an update for `chip` with an image of so many bytes that no chip can run.
#[must_use]
pub fn update(chip: &str, version: &str, image_bytes: usize) -> Option<Vec<u8>> {
    let image: Vec<u8> = (0..image_bytes).map(|at| (at * 31 / 7) as u8).collect();
    let header = Header {
        product: "ofmon".try_into().ok()?,
        chip: chip.try_into().ok()?,
        version: version.parse().ok()?,
        minimum: "0.1.0".parse().ok()?,
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(&image).into(),
        signature: [0; 64],
    };
    Some([&header.to_bytes()[..], &image].concat())
}

/// Lets a simulated meter with a day of readings take an update.
///
/// # Errors
/// When any part of the way fails.
pub async fn run(scratch: &Path) -> Result<Outcome> {
    simulated::with_meter(scratch, Duration::from_hours(24), async |entry| {
        let client = Client::new(&entry.url)?;
        let setup = Setup {
            token: TOKEN.try_into().ok().context("a token")?,
            name: "Cellar".try_into().ok().context("a name")?,
        };
        client.set_up(&setup).await?;
        visit(&client.session(entry.id, TOKEN)).await
    })
    .await
}

async fn visit(session: &Session) -> Result<Outcome> {
    let before = session.info().await?;
    let held = readings(session).await?;
    let file = |chip, version| update(chip, version, 300_001).context("an update");
    let own = before.chip.as_str();
    let mut refusals = Vec::new();
    let mut altered = file(own, "9.9.9")?;
    altered[200_000] ^= 1;
    for wrong in [file("esp32c3", "9.9.9")?, file(own, "0.0.1")?, altered] {
        match session.update(wrong).await {
            Err(ClientError::Answered { status, code, .. }) => refusals.push((status, code)),
            other => anyhow::bail!("a wrong update was answered with {other:?}"),
        }
    }
    let same = session.info().await?;
    ensure!(
        (same.boot, &same.firmware) == (before.boot, &before.firmware),
        "it restarted"
    );
    session.update(file(own, "9.9.9")?).await?;
    let after = restarted(session, before.boot).await?;
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
    })
}

async fn readings(session: &Session) -> Result<BTreeMap<Seq, Reading>> {
    let mut readings = BTreeMap::new();
    let mut stream = session.blocks(Seq(0), BYTES_MAX).await?;
    while let Some(bytes) = stream.next().await? {
        let block = Block::parse(&bytes).ok().context("a block")?;
        readings.extend(block.readings().map(|reading| (reading.seq, reading)));
    }
    Ok(readings)
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
