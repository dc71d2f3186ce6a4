//! The device API from the collector's side: authenticated, bounded, distrustful.
//!
//! [`Client`] talks to an address; anyone may ask `info` there. With a meter's token it becomes a [`Session`], whose
//! requests and answers carry MACs: what does not come from that meter is an error, whatever it says. Blocks come as a
//! [`BlockStream`], one at a time, each checked before it is handed out.
//!
//! | module | holds |
//! |---|---|
//! | `error` | what can go wrong, and whose fault it is |
//! | `live` | live values as server-sent events |
//! | `session` | signed requests, verified answers |
//! | `stream` | frames of a block stream |
//! | `update` | updates, gone on with where the connection broke |

mod error;
mod live;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod update;

use std::time::Duration;

use protocol::{
    DeviceId,
    authentication::Nonce,
    limits::JSON_BYTES_MAX,
    messages::{ErrorAnswer, Info, Setup},
};
use reqwest::{Method, Response, header::HeaderMap, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};

pub use error::ClientError;
pub use live::LiveStream;
pub use session::Session;
pub use stream::BlockStream;
pub use update::UpdateProgress;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest silence in an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest exchange of JSON.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest upload of an update: a meter erases and writes its flash meanwhile.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(600);
/// A meter closes a silent connection after 10 s; one that is about to be closed must not be used.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// Reaches whatever answers at an address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// An answer that ended within the limit.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Prepares to talk to `http://HOST:PORT`; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Local`] where this machine cannot make connections at all.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(Some(IDLE_TIMEOUT))?,
            base: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Returns the same client without a limit to silence: while it takes a long body, a meter says nothing.
    fn patient(&self) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(None)?,
            base: self.base.clone(),
        })
    }

    /// Asks who answers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn info(&self) -> Result<Info, ClientError> {
        let answer = self.plain(Method::GET, "/api/v1/info", Vec::new()).await?;
        answer.success()
    }

    /// Gives a fresh meter its token and name.
    ///
    /// # Errors
    /// [`ClientError::Answered`] with code `already_set_up` where it has one.
    pub async fn set_up(&self, setup: &Setup) -> Result<(), ClientError> {
        let body = to_json(setup);
        let answer = self.plain(Method::POST, "/api/v1/setup", body).await?;
        answer.success::<serde::de::IgnoredAny>().map(drop)
    }

    /// Makes a session with the meter whose token this is.
    #[must_use]
    pub fn session(&self, device: DeviceId, token: &str) -> Session {
        Session::new(self.clone(), device, token)
    }

    async fn plain(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .body(body);
        in_time(async { read(request.send().await.map_err(ClientError::unreachable)?).await }).await
    }
}

/// Makes what sends requests.
fn http(idle: Option<Duration>) -> Result<reqwest::Client, ClientError> {
    // Another part of the program may have chosen before; meters are not reached over TLS anyway.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_TIMEOUT)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tls_certs_only([]);
    if let Some(idle) = idle {
        builder = builder.read_timeout(idle);
    }
    builder.build().map_err(ClientError::Local)
}

/// Ends an exchange that goes on for too long, however lively.
async fn in_time<T>(
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    within(EXCHANGE_TIMEOUT, exchange).await
}

async fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let done = tokio::time::timeout(limit, exchange).await;
    done.map_err(|_| ClientError::TooSlow)?
}

/// Reads an answer up to the limit.
async fn read(mut response: Response) -> Result<Answer, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ClientError::unreachable)? {
        if body.len() + chunk.len() > JSON_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

impl Answer {
    /// Reads the JSON of a success, or what the refusal says.
    pub(crate) fn success<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        if self.status == 200 {
            return serde_json::from_slice(&self.body).map_err(ClientError::NotAMeter);
        }
        match serde_json::from_slice::<ErrorAnswer>(&self.body) {
            Ok(answer) => Err(ClientError::Answered {
                status: self.status,
                code: printable(&answer.error.code),
                message: printable(&answer.error.message),
            }),
            Err(error) => Err(ClientError::NotAMeter(error)),
        }
    }

    /// Returns a header that parses.
    pub(crate) fn header<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        header(&self.headers, name)
    }
}

/// Leaves out what would steer a terminal: anyone may have written this.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn next_nonce(headers: &HeaderMap) -> Option<Nonce> {
    header(headers, protocol::authentication::NONCE_HEADER)
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("messages have string keys and no failing parts")
}
