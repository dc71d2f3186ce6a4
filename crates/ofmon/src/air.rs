//! Which meters are in range, and what is known of them.

use std::path::Path;

use anyhow::Result;
use collector::{
    client::Client,
    meters::{self, NearbyMeter},
    secrets::Secrets,
    store::Device,
};
use protocol::DeviceId;
use tokio::task::JoinSet;

use crate::views::device::NearbyView;

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

/// Returns the meters in range; without simulated ones there is no other way to look for them yet.
pub(crate) fn in_range(air: Option<&Path>) -> Result<Vec<NearbyMeter>> {
    match air {
        Some(air) => Ok(meters::scan(air)?),
        None => Ok(Vec::new()),
    }
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
