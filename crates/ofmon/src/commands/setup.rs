//! `ofmon setup`: gives meters their access tokens and names, once.

use anyhow::Result;
use clap::Args;
use collector::{meters::NearbyMeter, setup::SetupError, store::Store};
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    context::Context,
    engine::{Engine, SetUp},
    exit::{self, Ending, ErrorBody, Kind, Problem},
    output::{Column, table},
    stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon setup --local 020f6d000001 --name cellar    without a server: a token is made here
  ofmon setup --local --all                         all new meters in range, named like their access points
  ofmon setup 020f6d000001 --name cellar            with the ThingsBoard server of `ofmon login`

A meter takes one token in its life (a factory reset at the meter begins another). The token is kept in
secrets.json of the data directory, and nowhere else: keep a copy of that file. With --local, the device is
created on a server later, with the same token, by the first `ofmon sync`.";

/// Arguments of `setup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Setup {
    /// Meters in range by id, access point or name
    #[arg(
        value_name = "METER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    meters: Vec<String>,
    /// All meters in range that nobody else set up
    #[arg(long)]
    all: bool,
    /// Without a server
    #[arg(long)]
    local: bool,
    /// Name of the meter, 1 to 48 bytes [default: that of its access point]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// What became of one meter.
#[derive(Serialize)]
struct SetUpView {
    id: DeviceId,
    ssid: String,
    name: String,
    result: Outcome,
    error: Option<ErrorBody>,
    #[serde(skip)]
    kind: Option<Kind>,
}

/// What became of one meter, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It has its token now.
    SetUp,
    /// It had it before.
    AlreadyOurs,
    /// Someone else set it up, and it was not named.
    NotOurs,
    /// It has none, or not ours.
    Failed,
}

impl Setup {
    /// Sets meters up and says what became of each.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if self.name.is_some() && (self.all || self.meters.len() > 1) {
            return Err(
                Problem::usage("--name names one meter", "set the meters up one by one").into(),
            );
        }
        let engine = Engine::open(context)?;
        let in_range = engine.in_range()?;
        let meters = match self.all {
            true => in_range,
            false => chosen(&engine.store().lock(), in_range, &self.meters)?,
        };
        if meters.is_empty() {
            let hint = "go nearer, or name simulated ones by --sim DIR";
            return Err(Problem::new(Kind::Unreachable, "no meter is in range", hint).into());
        }
        let views = stop::or_stopped(self.set_up(&engine, &meters)).await?;
        context.output.print(&views, |views| text(views))?;
        let failed: Vec<Kind> = views.iter().filter_map(|view| view.kind).collect();
        exit::conclude(
            &failed,
            views.len(),
            "meters could not be set up",
            "it can be tried again at any time",
        )
    }

    async fn set_up(&self, engine: &Engine, meters: &[NearbyMeter]) -> Result<Vec<SetUpView>> {
        let server = match self.local {
            true => None,
            false => Some(engine.server().await?),
        };
        let mut views = Vec::new();
        for meter in meters {
            let name = self.name.as_deref().unwrap_or(&meter.ssid);
            let result = engine.set_up(meter, name, server.as_ref()).await;
            views.push(self.view(meter, result));
        }
        Ok(views)
    }

    fn view(&self, meter: &NearbyMeter, result: Result<SetUp>) -> SetUpView {
        let mut view = SetUpView {
            id: meter.device,
            ssid: meter.ssid.clone(),
            name: String::new(),
            result: Outcome::NotOurs,
            error: None,
            kind: None,
        };
        match result {
            Ok(done) => {
                view.result = if done.was_ours {
                    Outcome::AlreadyOurs
                } else {
                    Outcome::SetUp
                };
                view.name = done.name;
            }
            Err(error) if self.all && is_of_someone_else(&error) => {}
            Err(error) => {
                let ending = Ending::of(&error);
                (view.result, view.kind, view.error) =
                    (Outcome::Failed, Some(ending.kind), Some(ending.body()));
            }
        }
        view
    }
}

fn is_of_someone_else(error: &anyhow::Error) -> bool {
    let setup = match error.downcast_ref() {
        Some(collector::Error::Setup(setup)) => Some(setup),
        _ => None,
    };
    matches!(setup, Some(SetupError::AlreadySetUp))
}

/// Finds the meters that are meant among those in range.
fn chosen(
    store: &Store,
    in_range: Vec<NearbyMeter>,
    wanted: &[String],
) -> Result<Vec<NearbyMeter>> {
    let names = store.devices()?;
    let mut found: Vec<NearbyMeter> = Vec::new();
    for text in wanted {
        let id = text.parse().ok();
        let is_named = |meter: &NearbyMeter| {
            names
                .iter()
                .any(|known| known.id == meter.device && known.name.eq_ignore_ascii_case(text))
        };
        let meant = |meter: &&NearbyMeter| {
            Some(meter.device) == id || meter.ssid.eq_ignore_ascii_case(text) || is_named(meter)
        };
        let Some(meter) = in_range.iter().find(meant) else {
            let hint = "`ofmon scan` lists the meters that are";
            return Err(Problem::new(
                Kind::Unreachable,
                format!("no meter {text:?} is in range"),
                hint,
            )
            .into());
        };
        if !found.contains(meter) {
            found.push(meter.clone());
        }
    }
    Ok(found)
}

fn text(views: &[SetUpView]) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("access point"),
        Column::Text("name"),
        Column::Text("result"),
    ];
    let row = |view: &SetUpView| {
        let result = match (view.result, &view.error) {
            (Outcome::SetUp, _) => "set up",
            (Outcome::AlreadyOurs, _) => "was yours already",
            (Outcome::NotOurs, _) => "left alone: set up by someone else",
            (Outcome::Failed, error) => error
                .as_ref()
                .map_or("failed", |error| error.message.as_str()),
        };
        vec![
            view.id.to_string(),
            view.ssid.clone(),
            view.name.clone(),
            result.to_owned(),
        ]
    };
    table(&columns, views.iter().map(row))
}
