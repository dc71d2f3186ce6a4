//! What commands and server do: open store and secrets, look for meters, set them up, visit them.
//!
//! An engine is the one writer of its data directory. Several meters are visited side by side; each has the store only
//! for the moment of one transaction.

pub(crate) mod push;

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use collector::{
    WallClock,
    client::{Client, ClientError, Session},
    collect::{self, Collected},
    meters::NearbyMeter,
    secrets::{Secret, Secrets},
    setup::{self, Checked, Wish},
    store::{SharedStore, Store},
    sync::{self, Choice, Report, ServerTotals},
    thingsboard::{Server, ServerAddress, Timeouts},
    tokens,
};
use protocol::DeviceId;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
};

use crate::{
    air::{self, Known},
    context::Context,
    exit::{Ending, Kind, Problem},
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
    /// Whether the meter got another token.
    pub(crate) token_changed: bool,
    /// How the visit ended.
    pub(crate) ended: Result<()>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// How a meter is to be set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetupOrder {
    /// What it is told.
    pub(crate) wish: Wish,
    /// Which device on the server it is to be.
    pub(crate) choice: Choice,
}

/// What became of a meter that was to be set up.
#[derive(Clone, Debug)]
pub(crate) struct SetUp {
    /// Whether its token was known here before.
    pub(crate) was_ours: bool,
    /// Its name now.
    pub(crate) name: String,
    /// The code of its own page, where it got one.
    pub(crate) code: Option<Secret>,
    /// What it shows.
    pub(crate) checked: Checked,
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
    pub(crate) async fn in_range(&self) -> Result<Vec<NearbyMeter>> {
        air::in_range(self.air.as_deref()).await
    }

    /// Returns the meters in range with what is known of them.
    pub(crate) async fn nearby(&self) -> Result<Vec<NearbyView>> {
        let devices = self.store.run(|store| store.devices()).await?;
        let known = Known::new(&*self.secrets.lock().await, devices);
        air::look(self.in_range().await?, &known).await
    }

    /// Sets a meter up: joins its Wi-Fi, gives it token, name and settings, tells it the time and reads what it measures.
    ///
    /// With a server, the token is the one that its device has there, or a device is made with its token. Every step can
    /// break off; the same order then finishes what is left (see `collector::setup`).
    pub(crate) async fn set_up(
        &self,
        meter: &NearbyMeter,
        mut order: SetupOrder,
        server: Option<&Server>,
    ) -> Result<SetUp> {
        let mut secrets = self.secrets.lock().await;
        let known = secrets.password(meter.device);
        order.wish.password = match &order.wish.password {
            Some(password) => meter.join(Some(password))?,
            // One of an earlier round: it may be of before the meter's flash was erased.
            None => meter.join(None)?.or(known.cloned()),
        };
        let device = meter.device;
        let client = Client::new(&meter.url)?;
        let info = client.info().await?;
        if info.device != device {
            return Err(ClientError::OtherMeter {
                expected: device,
                found: info.device,
            }
            .into());
        }
        if let Some(server) = server {
            let token = sync::choose(&self.store, &secrets, server, device, &order.choice).await?;
            // The token of a meter that is set up is its own, unless another device was chosen for it.
            let counts = !info.set_up || order.choice.device.is_some();
            order.wish.token = token.filter(|_| counts);
        }
        let done = setup::set_up(&client, &info, &order.wish, &mut secrets).await?;
        let noted = done.name.clone();
        self.store
            .run(move |store| store.note_device(device, &noted))
            .await?;
        let checked = setup::check(&done.session, &self.clock).await?;
        if let Some(server) = server {
            sync::link(&self.store, &secrets, server, device).await?;
        }
        Ok(SetUp {
            was_ours: done.was_ours,
            name: done.name,
            code: done.code,
            checked,
        })
    }

    /// Makes another token for a meter; with a server, its device there gets it too. Returns whether the meter has it
    /// already: one that is not in range or does not answer gets it with the next visit.
    pub(crate) async fn change_token(
        &self,
        device: DeviceId,
        server: Option<&Server>,
    ) -> Result<bool> {
        let token = setup::random_token()?;
        let mut secrets = self.secrets.lock().await;
        sync::change_token(&self.store, &mut secrets, server, device, &token).await?;
        drop(secrets);
        let in_range = self.in_range().await?;
        let Some(meter) = in_range.into_iter().find(|meter| meter.device == device) else {
            return Ok(false);
        };
        match self.settled(device, &meter).await {
            Ok(settled) => settled.declined.map_or(Ok(true), |error| Err(error.into())),
            // It is listed and does not answer, or went out of range meanwhile: the next visit goes on from there.
            Err(error) if Ending::of(&error).kind == Kind::Unreachable => Ok(false),
            Err(error) => Err(error),
        }
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
        let in_range = self.in_range().await?;
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
        let mut token_changed = false;
        let ended = async {
            let (meter, _) = self.own(device, meter).await?;
            let settled = self.settled(device, &meter).await?;
            token_changed = settled.changed;
            let mut on_step =
                |progress: collect::Progress| on_progress(device, progress.done, progress.total);
            let (came, ended) =
                collect::collect(&self.store, &settled.session, &self.clock, &mut on_step).await;
            collected = came;
            Ok(ended?)
        }
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
            token_changed,
            ended,
            seconds: begun.elapsed().as_secs_f64(),
        }
    }

    /// Begins a session with a meter that is known and in range; it needs the engine no longer.
    pub(crate) async fn session(&self, device: DeviceId) -> Result<Session> {
        let in_range = self.in_range().await?;
        let meter = in_range.into_iter().find(|meter| meter.device == device);
        self.session_at(device, meter).await
    }

    /// Begins a session with a meter that is known, where it was found in range.
    async fn session_at(&self, device: DeviceId, meter: Option<NearbyMeter>) -> Result<Session> {
        let (meter, _) = self.own(device, meter).await?;
        Ok(self.settled(device, &meter).await?.session)
    }

    /// Makes sure that a meter has the token that it is to have, before anything else is asked of it.
    async fn settled(&self, device: DeviceId, meter: &NearbyMeter) -> Result<tokens::Settled> {
        let client = Client::new(&meter.url)?;
        let (_, token) = self.own(device, Some(meter.clone())).await?;
        // Nothing is asked of most meters, so that nobody waits for the secrets of one that is slow.
        let mut secrets = self.secrets.lock().await;
        Ok(tokens::settle(&client, device, &token, &mut secrets).await?)
    }

    /// Returns where a meter is and its token.
    async fn own(
        &self,
        device: DeviceId,
        meter: Option<NearbyMeter>,
    ) -> Result<(NearbyMeter, Secret)> {
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
        Ok((meter, token))
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
