//! Which meters are in range, and what is known of them.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use collector::{
    WallClock,
    client::Client,
    meters::{self, NearbyMeter},
    secrets::Secrets,
    store::Device,
};
use protocol::DeviceId;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    exit::{Kind, Problem},
    views::device::NearbyView,
};

/// Name of the file that says how far the time of simulated meters is from this computer's.
const CLOCK_FILE: &str = "clock.json";
/// Largest such file that is read, in bytes.
const CLOCK_BYTES_MAX: u64 = 4_096;

/// What that file says.
#[derive(Deserialize, Serialize)]
struct SimulatedClock {
    offset_ms: i64,
}

/// What is known of meters before any of them is asked.
#[derive(Debug)]
pub(crate) struct Known {
    tokens: Vec<DeviceId>,
    devices: Vec<Device>,
}

impl Known {
    /// Takes what the data directory says.
    pub(crate) fn new(secrets: &Secrets, devices: Vec<Device>) -> Self {
        Self {
            tokens: secrets.devices().collect(),
            devices,
        }
    }
}

/// Returns the meters in range: simulated ones, or the one whose Wi-Fi this machine has joined.
pub(crate) async fn in_range(air: Option<&Path>) -> Result<Vec<NearbyMeter>> {
    match air {
        Some(air) => Ok(meters::scan(air)?),
        None => Ok(meters::joined(meters::ACCESS_POINT_URL)
            .await
            .into_iter()
            .collect()),
    }
}

/// Returns the clock of a directory of simulated meters: this computer's, shifted where the meters live in another time.
pub(crate) fn clock(air: &Path) -> Result<WallClock> {
    let path = air.join(CLOCK_FILE);
    let wrong = || {
        Problem::new(
            Kind::Corrupt,
            format!("{} is no clock of simulated meters", path.display()),
            "",
        )
    };
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WallClock::default()),
        Ok(metadata) if metadata.len() > CLOCK_BYTES_MAX => return Err(wrong().into()),
        _ => {}
    }
    let text = fs::read(&path).with_context(wrong)?;
    let clock: SimulatedClock = serde_json::from_slice(&text).with_context(wrong)?;
    Ok(WallClock {
        offset_ms: clock.offset_ms,
        ..WallClock::default()
    })
}

/// Tells whether the simulated meters of a directory live in another time.
pub(crate) fn has_clock(air: &Path) -> bool {
    air.join(CLOCK_FILE).exists()
}

/// Notes that simulated meters live in another time: `offset_ms` is added to this computer's clock.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn shift_clock(air: &Path, offset_ms: i64) -> Result<()> {
    let path = air.join(CLOCK_FILE);
    let cannot = || {
        Problem::new(
            Kind::Storage,
            format!("{} cannot be written", path.display()),
            "",
        )
    };
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, serde_json::to_vec(&SimulatedClock { offset_ms })?).with_context(cannot)?;
    fs::rename(fresh, &path).with_context(cannot)
}

/// Asks the meters in range who they are.
pub(crate) async fn look(in_range: Vec<NearbyMeter>, known: &Known) -> Result<Vec<NearbyView>> {
    let mut asked = JoinSet::new();
    for meter in in_range {
        asked.spawn(async move {
            let set_up = set_up(&meter).await;
            (meter, set_up)
        });
    }
    let mut nearby: Vec<NearbyView> = asked
        .join_all()
        .await
        .into_iter()
        .map(|(meter, set_up)| view(meter, set_up, known))
        .collect();
    nearby.sort_by_key(|meter| meter.id);
    Ok(nearby)
}

/// Asks a meter whether it is set up; `None` where it, or another than it, answers or nobody does.
async fn set_up(meter: &NearbyMeter) -> Option<bool> {
    let answer = async { Client::new(&meter.url)?.info().await };
    match answer.await {
        Ok(info) if info.device == meter.device => Some(info.set_up),
        Ok(info) => {
            tracing::warn!(expected = %meter.device, found = %info.device, "another meter answers");
            None
        }
        Err(error) => {
            tracing::info!(device = %meter.device, error = format!("{:#}", anyhow::Error::new(error)), "a meter in range does not answer");
            None
        }
    }
}

fn view(meter: NearbyMeter, set_up: Option<bool>, known: &Known) -> NearbyView {
    let device = known
        .devices
        .iter()
        .find(|device| device.id == meter.device);
    NearbyView {
        id: meter.device,
        name: device
            .map(|device| device.name.clone())
            .filter(|name| !name.is_empty()),
        known: known.tokens.contains(&meter.device),
        set_up,
        last_collected_ms: device.and_then(|device| device.last_collected_ms),
        ssid: meter.ssid,
    }
}
