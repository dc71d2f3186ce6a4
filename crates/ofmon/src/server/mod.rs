//! `ofmon serve`: the web page and the HTTP API that it uses, on loopback.
//!
//! | module | answers |
//! |---|---|
//! | [`status`] | who answers, in which zone, from which data |
//! | [`devices`] | meters, their power and energy |
//! | [`nearby`] | which meters are in range |
//! | [`setups`] | setting a meter up |
//! | [`collections`] | collecting, and how far it is |
//! | [`page`] | the embedded web page |
//! | [`guard`] | what keeps other sites out, on every request |
//! | [`error`] | failures as answers |
//!
//! The server is the one writer of its data directory as long as it runs: page, API and collections share its store.

mod collections;
mod devices;
mod error;
mod guard;
mod jobs;
mod nearby;
mod page;
mod setups;
mod status;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse as _, routing};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use crate::{
    context::Context,
    engine::Engine,
    exit::{Kind, Problem},
};
use error::ApiError;
use jobs::Jobs;

/// Largest body of a request; the largest list of meters that can be collected fits.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long requests that are under way may take when the program ends.
const GRACE: Duration = Duration::from_secs(2);

/// What all requests share.
#[derive(Clone, Debug)]
struct App {
    context: Context,
    engine: Engine,
    jobs: Arc<Jobs>,
}

/// A server that has its port.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes a port; 0 takes a free one.
    pub(crate) async fn bind(listen: SocketAddr) -> Result<Self> {
        let taken = || {
            let hint =
                "another `ofmon serve` may be running; `--listen 127.0.0.1:0` takes a free port";
            Problem::new(
                Kind::Failed,
                format!("{listen} cannot be listened on"),
                hint,
            )
        };
        let listener = TcpListener::bind(listen).await.with_context(taken)?;
        let address = listener.local_addr().with_context(taken)?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "whoever reaches this address can read all data and collect: there is no login");
        }
        Ok(Self { listener, address })
    }

    /// Returns the address of the page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves until `stop` is ready; requests that are under way then have a moment to get their answers.
    pub(crate) async fn run(
        self,
        context: Context,
        engine: Engine,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let app = App {
            context,
            engine,
            jobs: Arc::default(),
        };
        let (end, ended) = oneshot::channel::<()>();
        let serving = axum::serve(self.listener, router(app, self.address))
            .with_graceful_shutdown(async { drop(ended.await) })
            .into_future();
        let mut serving = pin!(serving);
        tokio::select! {
            result = &mut serving => return result.context("the server failed"),
            () = stop => drop(end),
        }
        // A client that never finishes its request must not keep the program.
        match timeout(GRACE, serving).await {
            Ok(result) => result.context("the server failed"),
            Err(_elapsed) => Ok(()),
        }
    }
}

fn router(app: App, listen: SocketAddr) -> Router {
    let api = Router::new()
        .route("/status", routing::get(status::status))
        .route("/devices", routing::get(devices::list))
        .route("/devices/{id}", routing::get(devices::one))
        .route("/devices/{id}/events", routing::get(devices::events))
        .route("/devices/{id}/latest", routing::get(devices::latest))
        .route("/devices/{id}/power", routing::get(devices::power))
        .route("/devices/{id}/energy", routing::get(devices::energy))
        .route("/nearby", routing::get(nearby::list))
        .route("/setup", routing::post(setups::set_up))
        .route("/collect", routing::post(collections::begin))
        .route("/jobs/{id}", routing::get(collections::job))
        .method_not_allowed_fallback(async || ApiError::no_such_method().into_response())
        .fallback(async || ApiError::no_such_path().into_response())
        .with_state(app);
    Router::new()
        .nest("/api/v1", api)
        .route(
            "/api",
            routing::any(async || ApiError::no_such_path().into_response()),
        )
        .route(
            "/api/{*rest}",
            routing::any(async || ApiError::no_such_path().into_response()),
        )
        .fallback_service(routing::get(page::file))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(listen, guard::guard))
}
