//! `POST /api/v1/setup`

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use collector::{
    secrets::Secret,
    setup::{ViewingCode, Wish},
    sync::Choice,
};
use protocol::{DeviceId, messages::ChannelSettings};
use serde::Deserialize;

use super::{App, error::ApiError};
use crate::{
    engine::{Engine, SetupOrder},
    exit::{Kind, Problem},
    views::set_up::SetUpView,
};

/// How a meter is to be set up; what is left out is as `ofmon setup` has it, but for the viewing code: none is made here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    device: DeviceId,
    /// Without a server.
    #[serde(default)]
    local: bool,
    password: Option<Secret>,
    server_device: Option<String>,
    device_profile: Option<String>,
    name: Option<String>,
    interval_ms: Option<u32>,
    #[serde(default)]
    channels: Vec<ChannelSettings>,
    /// A viewing code, empty for none; absent leaves the page as it is.
    code: Option<Secret>,
}

/// Sets a meter up and answers with what became of it.
pub(super) async fn set_up(
    State(app): State<App>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<SetUpView>, ApiError> {
    // What does not parse may hold a secret: it is not quoted.
    let Json(order) = order.map_err(|rejection| ApiError::unreadable(rejection.status()))?;
    // A browser that goes away does not leave a meter half set up.
    let work = tokio::spawn(async move { run(&app.engine, order).await });
    let done = work.await.map_err(|_| {
        Problem::new(
            Kind::Failed,
            "the set-up was given up",
            "it can be tried again",
        )
    })?;
    Ok(Json(done?))
}

async fn run(engine: &Engine, order: Order) -> anyhow::Result<SetUpView> {
    let in_range = engine.in_range().await?;
    let found = in_range
        .into_iter()
        .find(|meter| meter.device == order.device);
    let meter = found.ok_or_else(|| {
        let message = format!("meter {} is not in range", order.device);
        Problem::new(Kind::Unreachable, message, "go nearer and join its Wi-Fi")
    })?;
    let server = match order.local {
        true => None,
        false => Some(engine.server().await?),
    };
    let code = match order.code {
        None => ViewingCode::Leave,
        Some(code) if code.reveal().is_empty() => ViewingCode::Closed,
        Some(code) => ViewingCode::Given(code),
    };
    let order = SetupOrder {
        wish: Wish {
            name: order.name,
            token: None,
            interval_ms: order.interval_ms,
            channels: order.channels,
            code,
            password: order.password,
        },
        choice: Choice {
            device: order.server_device,
            profile: order.device_profile,
        },
    };
    let done = engine.set_up(&meter, order, server.as_ref()).await?;
    Ok(SetUpView::new(&meter, &Ok(done), true))
}
