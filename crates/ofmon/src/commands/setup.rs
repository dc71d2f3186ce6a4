//! `ofmon setup`: gives meters their access tokens, names and settings.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use collector::{
    label::Label,
    meters::NearbyMeter,
    secrets::Secret,
    setup::{ViewingCode, Wish},
    store::Store,
    sync::{self, Choice},
};
use protocol::messages::ChannelSettings;

use super::{
    account::{secret_of, secret_of_or_asked},
    setup_dialogue::{Answers, Dialogue},
    sim::parse_span,
};
use crate::{
    context::Context,
    engine::{Engine, SetUp, SetupOrder},
    exit::{self, Kind, Problem},
    output::{Column, table},
    stop,
    views::set_up::{Outcome, SetUpView},
};

/// The variable that holds the password of a meter's access point.
const AP_PASSWORD: &str = "OFMON_AP_PASSWORD";
/// The variable that holds a viewing code.
const CODE: &str = "OFMON_CODE";
/// Turns ratio of the current transformers that the boards are made for: 100 A to 50 mA.
const CT_RATIO_DEFAULT: u32 = 2_000;

const EXAMPLES: &str = "\
Examples:
  ofmon setup                                       asks step by step, on a terminal
  ofmon setup --local 020f6d000001 --name cellar    without a server: a token is made here
  ofmon setup --local --all                         all new meters in range, named like their access points
  ofmon setup 020f6d000001 --name cellar            with the ThingsBoard server of `ofmon login`
  ofmon setup 020f6d000001 --device 'Cellar north'  as this device, which is on the server already
  ofmon setup --local 020f6d000001 --interval 5s --channel 'Heat pump=1000'
                                                    with settings; one --channel for each that the meter has
  ofmon setup --local --label 'WIFI:T:WPA;S:OFMON-020F6D000001;P:…;;'
                                                    by the QR code on the meter's label

A meter is in range when this computer has joined its Wi-Fi, or is simulated (--sim). The password of its Wi-Fi is on its
label: give the text of the QR code by --label, or --password asks for it, or OFMON_AP_PASSWORD holds it.
The viewing code opens the meter's own page: a random one is made and shown once, --code asks for one (or OFMON_CODE
holds it), --no-code leaves the page closed. With --json no code is shown; it is kept like the token.

A meter takes one token at its set-up; `ofmon token` changes it later. Tokens, codes and passwords are kept in
secrets.json of the data directory, and nowhere else: keep a copy of that file. With --local, the device is
created on a server later, with the same token, by the first `ofmon sync`.

A set-up that breaks off leaves nothing half done: the same command finishes it. A meter of someone else, or one whose
token is lost, can be set up after its button was held for 10 s; nothing that comes over the network does that.";

/// Arguments of `setup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Setup {
    /// Meters in range by id, access point or name
    #[arg(value_name = "METER", conflicts_with = "all")]
    meters: Vec<String>,
    /// All meters in range that nobody else set up
    #[arg(long)]
    all: bool,
    /// Text of the QR code on the meter's label
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["meters", "all", "password"])]
    label: Option<String>,
    /// Asks for the password of the meter's Wi-Fi [env: OFMON_AP_PASSWORD]
    #[arg(long)]
    password: bool,
    /// Without a server: the token is made here
    #[arg(long)]
    local: bool,
    /// Device on the server that the meter is to be [default: the one that is called like its access point, or a new one]
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    device: Option<String>,
    /// Device profile of a new device on the server [default: the server's]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["local", "device"])]
    device_profile: Option<String>,
    /// Name of the meter, 1 to 48 bytes [default: that of its access point]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Interval of a reading, such as 10s or 1m [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    interval: Option<Duration>,
    /// Name of a channel and ratio of its current transformer (2000 for 100 A to 50 mA); once for each channel, in order
    #[arg(long = "channel", value_name = "NAME=RATIO", value_parser = parse_channel)]
    channels: Vec<ChannelSettings>,
    /// Asks for the code that opens the meter's own page [env: OFMON_CODE]
    #[arg(long, conflicts_with = "no_code")]
    code: bool,
    /// Leaves the meter's own page closed
    #[arg(long)]
    no_code: bool,
}

impl Setup {
    /// Sets meters up and says what became of each.
    pub(crate) async fn run(mut self, context: &Context) -> Result<()> {
        let label = self.label.as_deref().map(Label::parse);
        let label = label
            .transpose()
            .map_err(|error| Problem::usage(error.to_string(), "it is the text of the QR code"))?;
        let is_named = self.all || label.is_some() || !self.meters.is_empty();
        let can_ask = io::stdin().is_terminal() && io::stdout().is_terminal();
        if !is_named && (context.output.is_json() || !can_ask) {
            let hint = "name a meter, or all by --all; `ofmon scan` lists those in range";
            return Err(Problem::usage("no meter is named, and nobody to ask", hint).into());
        }
        if self.is_for_one() && (self.all || self.meters.len() > 1) {
            let hint = "set the meters up one by one";
            let message = "--name, --device, --channel and passwords are for one meter";
            return Err(Problem::usage(message, hint).into());
        }
        let engine = Engine::open(context)?;
        let in_range = stop::or_stopped(engine.in_range()).await?;
        let meters = match (&label, is_named) {
            _ if in_range.is_empty() => Vec::new(),
            (Some(label), _) => chosen(
                &engine.store().lock(),
                in_range,
                &[label.device.to_string()],
            )?,
            (None, true) if self.all => in_range,
            (None, true) => chosen(&engine.store().lock(), in_range, &self.meters)?,
            (None, false) => {
                let signed_in = sync::account(&engine.store().lock())?.is_some();
                let answers = Dialogue::on_terminal().ask(&in_range, signed_in)?;
                vec![self.take(answers, in_range)]
            }
        };
        if meters.is_empty() {
            let hint = "go nearer and join the meter's Wi-Fi, or name simulated ones by --sim DIR";
            return Err(Problem::new(Kind::Unreachable, "no meter is in range", hint).into());
        }
        let order = self.order(label.map(|label| label.password))?;
        let results = stop::or_stopped(self.set_up(&engine, &meters, &order)).await?;
        let views: Vec<SetUpView> = results
            .iter()
            .zip(&meters)
            .map(|(result, meter)| SetUpView::new(meter, result, !self.all))
            .collect();
        context
            .output
            .print(&views, |views| text(views, &results))?;
        let failed: Vec<Kind> = views.iter().filter_map(|view| view.kind).collect();
        exit::conclude(
            &failed,
            views.len(),
            "meters could not be set up",
            "it can be tried again at any time",
        )
    }

    fn is_for_one(&self) -> bool {
        self.name.is_some() || self.device.is_some() || !self.channels.is_empty() || self.password
    }

    /// Takes what was answered in place of arguments; returns the meter that is meant.
    fn take(&mut self, answers: Answers, mut in_range: Vec<NearbyMeter>) -> NearbyMeter {
        self.local = answers.is_local;
        self.name = Some(answers.name);
        self.interval = Some(answers.interval);
        self.channels = answers.channels;
        self.no_code |= !answers.has_code;
        in_range.swap_remove(answers.meter)
    }

    /// Makes the order of arguments, environment and what is asked for.
    fn order(&self, labelled: Option<Secret>) -> Result<SetupOrder> {
        let password = match labelled {
            Some(password) => Some(password),
            None if self.password => Some(secret_of_or_asked(
                AP_PASSWORD,
                "Password of the meter's Wi-Fi: ",
            )?),
            None => secret_of(AP_PASSWORD)?,
        };
        let code = match (self.no_code, self.code) {
            (true, _) => ViewingCode::Closed,
            (false, true) => ViewingCode::Given(secret_of_or_asked(CODE, "Viewing code: ")?),
            (false, false) => secret_of(CODE)?.map_or(ViewingCode::Random, ViewingCode::Given),
        };
        let interval_ms = self.interval.map(|interval| interval.as_millis());
        Ok(SetupOrder {
            wish: Wish {
                name: self.name.clone(),
                token: None,
                // One that is too long is refused as one that no meter takes.
                interval_ms: interval_ms.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
                channels: self.channels.clone(),
                code,
                password,
            },
            choice: Choice {
                device: self.device.clone(),
                profile: self.device_profile.clone(),
            },
        })
    }

    async fn set_up(
        &self,
        engine: &Engine,
        meters: &[NearbyMeter],
        order: &SetupOrder,
    ) -> Result<Vec<Result<SetUp>>> {
        let server = match self.local {
            true => None,
            false => Some(engine.server().await?),
        };
        let mut results = Vec::new();
        for meter in meters {
            results.push(engine.set_up(meter, order.clone(), server.as_ref()).await);
        }
        Ok(results)
    }
}

/// Reads `NAME=RATIO`, or `NAME` for the usual ratio.
pub(crate) fn parse_channel(text: &str) -> Result<ChannelSettings, String> {
    let (name, ratio) = match text.rsplit_once('=') {
        Some((name, ratio)) => (name, ratio.trim().parse().ok()),
        None => (text, Some(CT_RATIO_DEFAULT)),
    };
    let name = name.trim();
    Ok(ChannelSettings {
        name: name
            .try_into()
            .map_err(|_| "a channel's name has 24 bytes at the most")?,
        ct_ratio: ratio
            .ok_or("the ratio of a current transformer is a whole number, such as 2000")?,
    })
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

fn text(views: &[SetUpView], results: &[Result<SetUp>]) -> String {
    let columns = [
        Column::Text("meter"),
        Column::Text("access point"),
        Column::Text("name"),
        Column::Text("reading"),
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
        let reading: Vec<String> = view
            .reading
            .iter()
            .map(|channel| {
                let (watts, volts) = (channel.power_w, channel.voltage_v);
                format!("{watts:.0} W, {volts:.1} V, {:.2} A", channel.current_a)
            })
            .collect();
        vec![
            view.id.to_string(),
            view.ssid.clone(),
            view.name.clone(),
            reading.join("; "),
            result.to_owned(),
        ]
    };
    let mut text = table(&columns, views.iter().map(row));
    for view in views {
        let hint = view.error.as_ref().map_or("", |error| error.hint);
        for warning in &view.warnings {
            text.push_str(&format!("\n{}: {warning}", view.id));
        }
        if !hint.is_empty() {
            text.push_str(&format!("\n{}: {hint}", view.id));
        }
    }
    // The one place where a code is shown.
    for (view, result) in views.iter().zip(results) {
        if let Ok(SetUp {
            code: Some(code), ..
        }) = result
        {
            let code = code.reveal();
            text.push_str(&format!(
                "\nViewing code of {}: {code}  (shown this once)",
                view.id
            ));
        }
    }
    text
}
