//! The server's state and its life: listening, answering, stopping.
//!
//! Connections are served here and not by the web framework's own loop, because a fault must be able to close a
//! connection in place of an answer: a handler marks its response with [`CloseConnection`], and the loop drops the
//! connection instead of sending it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;
use uuid::Uuid;

use crate::accounts::{Accounts, Lifetimes};
use crate::faults::FaultBox;
use crate::journal::Journal;
use crate::registry::Registry;
use crate::routes;

/// Connections that are served at the same time; more wait.
const CONNECTIONS_MAX: usize = 512;

/// Time that a client has to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; only loopback is accepted, and port 0 picks a free one.
    pub listen: SocketAddr,
    /// Seconds that an access token lives.
    pub access_token_lifetime_s: u64,
    /// Seconds that a refresh token lives.
    pub refresh_token_lifetime_s: u64,
    /// Time after which a telemetry post of an empty array, which the server never answers otherwise, gets its 503.
    pub request_timeout: Duration,
    /// Largest body of the device API in bytes.
    pub device_body_bytes_max: usize,
    /// Largest body of the user API in bytes.
    pub user_body_bytes_max: usize,
    /// Data points that are kept in memory; what comes beyond is acknowledged by the device API and dropped.
    pub points_max: usize,
    /// The version that the server claims to be.
    pub version: String,
}

impl Default for Options {
    /// Returns the defaults of a ThingsBoard 4.3 on a free loopback port.
    fn default() -> Options {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            access_token_lifetime_s: 9000,
            refresh_token_lifetime_s: 604_800,
            request_timeout: Duration::from_secs(30),
            device_body_bytes_max: 52_428_800,
            user_body_bytes_max: 16_777_216,
            points_max: 20_000_000,
            version: "4.3.1.3".to_owned(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is reachable from other machines, which a server with known passwords must not be.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no random bytes for the signing key.
    #[error("cannot get random bytes")]
    Random(#[source] getrandom::Error),
}

/// Marks a response that is not sent; the connection is closed in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseConnection;

/// Everything that handlers share.
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) tenant: Uuid,
    pub(crate) accounts: Accounts,
    pub(crate) faults: FaultBox,
    pub(crate) journal: Journal,
    registry: Mutex<Registry>,
}

impl Server {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lives of tokens that are issued now.
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        let access_s = self
            .faults
            .get()
            .access_token_lifetime_s
            .unwrap_or(self.options.access_token_lifetime_s);
        Lifetimes {
            access_s,
            refresh_s: self.options.refresh_token_lifetime_s,
        }
    }
}

/// A running server; it stops when this is dropped.
pub struct Double {
    pub(crate) server: Arc<Server>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Double {
    /// Starts an empty server with the three demo users.
    ///
    /// # Errors
    /// See [`StartError`].
    ///
    /// # Panics
    /// When called outside a tokio run time.
    pub async fn start(options: Options) -> Result<Double, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        let in_vain = |source| StartError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(in_vain)?;
        let address = listener.local_addr().map_err(in_vain)?;
        let mut key = [0; 64];
        getrandom::fill(&mut key).map_err(StartError::Random)?;
        let tenant = Uuid::new_v4();
        let server = Arc::new(Server {
            tenant,
            accounts: Accounts::new(tenant, &key),
            faults: FaultBox::default(),
            journal: Journal::default(),
            registry: Mutex::new(Registry::new(options.points_max)),
            options,
        });
        let serving = tokio::spawn(serve(listener, routes::router(Arc::clone(&server))));
        Ok(Double {
            server,
            address,
            serving,
        })
    }

    /// Returns the base URL, `http://127.0.0.1:PORT` without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops at once: open connections are cut, the port is free afterwards, all data is gone.
    pub async fn stop(mut self) {
        self.serving.abort();
        // The only outcome is the cancellation that was just asked for.
        let _cancelled = (&mut self.serving).await;
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, router: Router) {
    // Dropping the set with this task cuts all connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, router.clone()));
                }
                // Out of file handles, most likely: a moment later there may be some again.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let answered: Result<Response, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            let Ok(response) = answered;
            match response.extensions().get::<CloseConnection>() {
                Some(CloseConnection) => {
                    Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
                }
                None => Ok(response),
            }
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    // A connection that ends badly is its client's business; the server goes on.
    let _ended = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
