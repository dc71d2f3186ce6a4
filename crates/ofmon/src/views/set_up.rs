//! What became of meters that were to be set up.

use collector::{
    meters::NearbyMeter,
    setup::{Checked, SetupError, Warning},
};
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    engine::SetUp,
    exit::{Ending, ErrorBody, Kind},
};

/// What became of one meter.
#[derive(Debug, Serialize)]
pub(crate) struct SetUpView {
    /// The meter.
    pub(crate) id: DeviceId,
    /// Name of its access point.
    pub(crate) ssid: String,
    /// Its name; empty where it was not set up.
    pub(crate) name: String,
    /// What became of it, in a word.
    pub(crate) result: Outcome,
    /// Whether it was told the time.
    pub(crate) clock_set: bool,
    /// What each channel measures; empty where nothing was read.
    pub(crate) reading: Vec<ChannelView>,
    /// What a person should look at.
    pub(crate) warnings: Vec<String>,
    /// Why it was not set up; null where it was.
    pub(crate) error: Option<ErrorBody>,
    /// The kind of failure.
    #[serde(skip)]
    pub(crate) kind: Option<Kind>,
}

/// What became of one meter, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It has its token now.
    SetUp,
    /// It had it before.
    AlreadyOurs,
    /// Someone else set it up, and it was not named.
    NotOurs,
    /// It has none, or not ours, or it could not be finished.
    Failed,
}

/// What a channel measures at the moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ChannelView {
    /// Counted from 1.
    pub(crate) channel: usize,
    /// Active power, positive is import.
    pub(crate) power_w: f64,
    /// RMS voltage.
    pub(crate) voltage_v: f64,
    /// RMS current.
    pub(crate) current_a: f64,
}

impl SetUpView {
    /// Tells what became of a meter; one of someone else is left alone where it was not `named`.
    pub(crate) fn new(meter: &NearbyMeter, result: &anyhow::Result<SetUp>, named: bool) -> Self {
        let mut view = Self {
            id: meter.device,
            ssid: meter.ssid.clone(),
            name: String::new(),
            result: Outcome::NotOurs,
            clock_set: false,
            reading: Vec::new(),
            warnings: Vec::new(),
            error: None,
            kind: None,
        };
        match result {
            Ok(done) => {
                view.result = match done.was_ours {
                    true => Outcome::AlreadyOurs,
                    false => Outcome::SetUp,
                };
                view.name.clone_from(&done.name);
                view.clock_set = done.checked.clock.is_some();
                view.reading = channels(&done.checked);
                view.warnings = done
                    .checked
                    .warnings
                    .iter()
                    .map(Warning::to_string)
                    .collect();
            }
            Err(error) if !named && is_of_someone_else(error) => {}
            Err(error) => {
                let ending = Ending::of(error);
                (view.result, view.kind, view.error) =
                    (Outcome::Failed, Some(ending.kind), Some(ending.body()));
            }
        }
        view
    }
}

fn channels(checked: &Checked) -> Vec<ChannelView> {
    let channels = (1..).zip(&checked.live.channels);
    let view = |(channel, values): (usize, &protocol::messages::LiveChannel)| ChannelView {
        channel,
        power_w: values.active_power_mw as f64 / 1e3,
        voltage_v: f64::from(values.voltage_mv) / 1e3,
        current_a: f64::from(values.current_ma) / 1e3,
    };
    channels.map(view).collect()
}

fn is_of_someone_else(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(collector::Error::Setup(SetupError::AlreadySetUp))
    )
}
