//! What commands and server do: open store and secrets, look for meters, set them up, visit them.
//!
//! An engine is the one writer of its data directory. Several meters are visited side by side; each has the store only
//! for the moment of one transaction.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use collector::{
    WallClock,
    client::{Client, ClientError, Session},
    collect::{self, Collected},
    meters::NearbyMeter,
    secrets::{Secret, Secrets},
    setup,
    store::{SharedStore, Store},
    sync::{self, Report, ServerTotals},
    thingsboard::{Server, ServerAddress, Timeouts},
};
use protocol::DeviceId;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
};

use crate::{
    air::{self, Known},
    context::Context,
    exit::{Kind, Problem},
    queries,
    views::device::NearbyView,
};

/// Meters that are visited at the same time.
const VISITS_MAX: usize = 8;

/// Is told the meter, how many readings came, and how many there are to come.
pub(crate) type OnProgress = Arc<dyn Fn(DeviceId, u64, u64) + Send + Sync>;

/// Everything that a collector does.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    store: SharedStore,
    /// Held across a set-up, so that two of them do not mix up their tokens.
    secrets: Arc<Mutex<Secrets>>,
    /// One round of visits at a time: a meter has little time for two visitors.
    visiting: Arc<Mutex<()>>,
    air: Option<PathBuf>,
    clock: WallClock,
}

/// One visit at a meter.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The meter.
    pub(crate) device: DeviceId,
    /// Its name; empty where it has none.
    pub(crate) name: String,
    /// What came, also when the visit broke off.
    pub(crate) collected: Collected,
    /// How the visit ended.
    pub(crate) ended: Result<()>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// What became of a meter that was to be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetUp {
    /// Whether its token was known here before.
    pub(crate) was_ours: bool,
    /// Its name now.
    pub(crate) name: String,
}

impl Engine {
    /// Opens the data directory of a context for writing; makes what is missing.
    pub(crate) fn open(context: &Context) -> Result<Self> {
        let store = context.store_to_write()?;
        let secrets = Secrets::open(store.directory())?;
        Ok(Self {
            store: SharedStore::new(store),
            secrets: Arc::new(Mutex::new(secrets)),
            visiting: Arc::default(),
            air: context.air().map(ToOwned::to_owned),
            clock: context.clock()?,
        })
    }

    /// Reads from the store where blocking is allowed.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.store.run(|store| read(store)).await
    }

    /// Returns the store.
    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Returns the meters in range.
    pub(crate) fn in_range(&self) -> Result<Vec<NearbyMeter>> {
        air::in_range(self.air.as_deref())
    }

    /// Returns the meters in range with what is known of them.
    pub(crate) async fn nearby(&self) -> Result<Vec<NearbyView>> {
        let devices = self.store.run(|store| store.devices()).await?;
        let known = Known::new(&*self.secrets.lock().await, devices);
        air::look(self.in_range()?, &known).await
    }

    /// Gives a meter its token and name; with a server, the token that its device has there, or a device with its token.
    pub(crate) async fn set_up(
        &self,
        meter: &NearbyMeter,
        name: &str,
        server: Option<&Server>,
    ) -> Result<SetUp> {
        let client = Client::new(&meter.url)?;
        let info = client.info().await?;
        if info.device != meter.device {
            return Err(ClientError::OtherMeter {
                expected: meter.device,
                found: info.device,
            }
            .into());
        }
        let mut secrets = self.secrets.lock().await;
        let was_ours = info.set_up && secrets.token(meter.device).is_some();
        let token = match server {
            Some(server) if !info.set_up => sync::token_on_server(server, meter.device).await?,
            _ => None,
        };
        setup::set_up(&client, name, token, &mut secrets).await?;
        // A meter that had its name keeps it.
        let name = if info.set_up {
            info.name.as_str().to_owned()
        } else {
            name.to_owned()
        };
        let (device, noted) = (meter.device, name.clone());
        self.store
            .run(move |store| store.note_device(device, &noted))
            .await?;
        if let Some(server) = server {
            sync::link(&self.store, &secrets, server, device).await?;
        }
        Ok(SetUp { was_ours, name })
    }

    /// Logs in at a server and remembers it in place of any other.
    pub(crate) async fn login(
        &self,
        address: ServerAddress,
        user: &str,
        password: &Secret,
    ) -> Result<Server> {
        let mut secrets = self.secrets.lock().await;
        Ok(sync::login(
            &self.store,
            &mut secrets,
            address,
            user,
            password,
            Timeouts::default(),
        )
        .await?)
    }

    /// Forgets the server.
    pub(crate) async fn logout(&self) -> Result<()> {
        let mut secrets = self.secrets.lock().await;
        Ok(sync::logout(&mut self.store.lock(), &mut secrets)?)
    }

    /// Goes on with the session at the server; fails where nobody is logged in.
    pub(crate) async fn server(&self) -> Result<Server> {
        let secrets = self.secrets.lock().await;
        Ok(sync::connect(
            &self.store.lock(),
            &secrets,
            Timeouts::default(),
        )?)
    }

    /// Returns the meters whose tokens are known.
    pub(crate) async fn own_devices(&self) -> Vec<DeviceId> {
        self.secrets.lock().await.devices().collect()
    }

    /// Sends to the server what it lacks of some meters.
    pub(crate) async fn sync(
        &self,
        server: &Server,
        devices: &[DeviceId],
        on_progress: OnProgress,
    ) -> Result<Report> {
        let mut secrets = self.secrets.lock().await;
        let mut on_step =
            |progress: sync::Progress| on_progress(progress.device, progress.done, progress.total);
        let options = sync::Options::default();
        Ok(sync::sync(
            &self.store,
            &mut secrets,
            server,
            devices,
            &options,
            &mut on_step,
        )
        .await?)
    }

    /// Reads back what the server has of a meter.
    pub(crate) async fn totals(&self, server: &Server, device: DeviceId) -> Result<ServerTotals> {
        Ok(sync::totals(&self.store, server, device).await?)
    }

    /// Visits meters: those that are wanted, or all that are known and in range. Returns the visits by id of the meter.
    ///
    /// # Errors
    /// When no visit could be tried; what became of each visit is told by it.
    pub(crate) async fn collect(
        &self,
        wanted: Option<&[DeviceId]>,
        on_progress: OnProgress,
    ) -> Result<Vec<Visit>> {
        let _alone = self.visiting.lock().await;
        let in_range = self.in_range()?;
        let devices = match wanted {
            Some(wanted) => wanted.to_vec(),
            None => self.known_of(&in_range).await?,
        };
        let at_once = Arc::new(Semaphore::new(VISITS_MAX));
        let mut visits = JoinSet::new();
        for device in devices {
            let meter = in_range
                .iter()
                .find(|meter| meter.device == device)
                .cloned();
            let (engine, at_once, on_progress) =
                (self.clone(), Arc::clone(&at_once), Arc::clone(&on_progress));
            visits.spawn(async move {
                let _turn = at_once.acquire().await;
                engine.visit(device, meter, &on_progress).await
            });
        }
        let mut visits = visits.join_all().await;
        visits.sort_by_key(|visit| visit.device);
        Ok(visits)
    }

    async fn known_of(&self, in_range: &[NearbyMeter]) -> Result<Vec<DeviceId>> {
        let secrets = self.secrets.lock().await;
        let all = in_range.iter().map(|meter| meter.device);
        let known: Vec<DeviceId> = all
            .filter(|device| secrets.token(*device).is_some())
            .collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let hint = match in_range {
            [] => {
                "go nearer, or name simulated ones by --sim DIR; `ofmon scan` lists what is in range"
            }
            _ => "`ofmon scan` lists what is in range, `ofmon setup` makes meters yours",
        };
        Err(Problem::new(
            Kind::Unreachable,
            "no meter that is known is in range",
            hint,
        )
        .into())
    }

    async fn visit(
        &self,
        device: DeviceId,
        meter: Option<NearbyMeter>,
        on_progress: &OnProgress,
    ) -> Visit {
        let begun = Instant::now();
        let mut collected = Collected::default();
        let ended = self
            .collect_one(device, meter, on_progress, &mut collected)
            .await;
        let name = self
            .store
            .run(move |store| store.device(device).map(|device| device.name))
            .await;
        if let Err(error) = &ended {
            tracing::info!(%device, error = format!("{error:#}"), "a visit broke off");
        }
        Visit {
            device,
            name: name.unwrap_or_default(),
            collected,
            ended,
            seconds: begun.elapsed().as_secs_f64(),
        }
    }

    async fn collect_one(
        &self,
        device: DeviceId,
        meter: Option<NearbyMeter>,
        on_progress: &OnProgress,
        collected: &mut Collected,
    ) -> Result<()> {
        let session = self.session_at(device, meter).await?;
        let mut on_step =
            |progress: collect::Progress| on_progress(device, progress.done, progress.total);
        let (came, ended) =
            collect::collect(&self.store, &session, &self.clock, &mut on_step).await;
        *collected = came;
        Ok(ended?)
    }

    /// Begins a session with a meter that is known and in range; it needs the engine no longer.
    pub(crate) async fn session(&self, device: DeviceId) -> Result<Session> {
        let in_range = self.in_range()?;
        let meter = in_range.into_iter().find(|meter| meter.device == device);
        self.session_at(device, meter).await
    }

    async fn session_at(&self, device: DeviceId, meter: Option<NearbyMeter>) -> Result<Session> {
        let token: Option<Secret> = self.secrets.lock().await.token(device).cloned();
        let token = token.with_context(|| {
            Problem::new(
                Kind::Refused,
                "the token of the meter is not known here",
                "`ofmon setup` makes meters yours",
            )
        })?;
        let meter = meter.with_context(|| {
            Problem::new(
                Kind::Unreachable,
                "the meter is not in range",
                "`ofmon scan` lists what is",
            )
        })?;
        Ok(Client::new(&meter.url)?.session(device, token.reveal()))
    }

    /// Returns the clock of the collector.
    pub(crate) fn clock(&self) -> WallClock {
        self.clock
    }

    /// Finds meters by id or name among those that are known.
    pub(crate) fn find(&self, wanted: &[String]) -> Result<Vec<DeviceId>> {
        queries::find(&self.store.lock(), wanted)
    }
}
