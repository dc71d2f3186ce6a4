//! Updates for several meters, side by side.

use std::{sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use collector::{client::UpdateProgress, firmware, meters::NearbyMeter, store::Push};
use firmware_package::Package;
use protocol::DeviceId;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Engine, OnProgress, VISITS_MAX};
use crate::exit::{Kind, Problem};

/// What is to be pushed.
#[derive(Debug)]
pub(crate) enum Update {
    /// This one.
    Package(Package),
    /// Of those that are kept the one of a version that is for the meter's chip.
    OfVersion(String, Vec<Package>),
}

/// What became of one meter's push.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its name; empty where it has none.
    pub(crate) name: String,
    /// What it took, or why not.
    pub(crate) ended: Result<Push>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Update {
    fn for_chip(&self, chip: &str) -> Result<&Package> {
        match self {
            Self::Package(package) => Ok(package),
            Self::OfVersion(version, packages) => packages
                .iter()
                .find(|package| {
                    let header = package.header();
                    header.chip == chip && header.version.as_str() == version
                })
                .with_context(|| {
                    let message = format!("no package {version} for {chip} is kept here");
                    let hint = "`ofmon firmware list --add FILE` keeps one";
                    Problem::new(Kind::NotFound, message, hint)
                }),
        }
    }
}

impl Engine {
    /// Hands an update to meters: those that are wanted, or all that are known and in range. One that fails stops no other.
    pub(crate) async fn push(
        &self,
        wanted: Option<&[DeviceId]>,
        update: Arc<Update>,
        on_progress: OnProgress,
    ) -> Result<Vec<Pushed>> {
        let _alone = self.visiting.lock().await;
        let in_range = self.in_range().await?;
        let devices = match wanted {
            Some(wanted) => wanted.to_vec(),
            None => self.known_of(&in_range).await?,
        };
        let at_once = Arc::new(Semaphore::new(VISITS_MAX));
        let mut pushes = JoinSet::new();
        for device in devices {
            let meter = in_range
                .iter()
                .find(|meter| meter.device == device)
                .cloned();
            let (engine, update) = (self.clone(), Arc::clone(&update));
            let (at_once, on_progress) = (Arc::clone(&at_once), Arc::clone(&on_progress));
            pushes.spawn(async move {
                let _turn = at_once.acquire().await;
                let begun = Instant::now();
                let ended = engine.push_one(device, meter, &update, &on_progress).await;
                let name = engine
                    .store
                    .run(move |store| store.device(device).map(|device| device.name))
                    .await;
                Pushed {
                    device,
                    name: name.unwrap_or_default(),
                    ended,
                    seconds: begun.elapsed().as_secs_f64(),
                }
            });
        }
        let mut pushed = pushes.join_all().await;
        pushed.sort_by_key(|pushed| pushed.device);
        Ok(pushed)
    }

    async fn push_one(
        &self,
        device: DeviceId,
        meter: Option<NearbyMeter>,
        update: &Update,
        on_progress: &OnProgress,
    ) -> Result<Push> {
        let session = self.session_at(device, meter).await?;
        let chip = session.info().await?.chip;
        let package = update.for_chip(&chip)?;
        let mut on_step =
            |progress: UpdateProgress| on_progress(device, progress.sent, progress.total);
        let pushed = firmware::push(&self.store, &session, package, &self.clock, &mut on_step);
        Ok(pushed.await?)
    }
}
