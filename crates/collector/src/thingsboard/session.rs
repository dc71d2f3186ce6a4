//! Signing in, and tokens that run out.
//!
//! A password is exchanged once for a pair of tokens and then forgotten. The access token lives for hours; it is renewed
//! by the refresh token shortly before its end, and also when the server refuses it earlier. Lifetimes are measured from
//! receipt, so that a wrong clock on either side does no harm.

use std::{
    fmt,
    sync::Mutex as PlainMutex,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{
    Client, Method, RequestBuilder,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    ServerAddress, ServerError, Timeouts,
    transport::{self, Answer},
};

/// An access token is renewed this long before its end, or in the last fifth of a shorter life.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);

const AUTHORIZATION: HeaderName = HeaderName::from_static("x-authorization");

/// One server, with the session of a user where there is one.
pub struct Server {
    pub(super) client: Client,
    address: ServerAddress,
    /// Held during renewal, so that several requests renew once.
    session: Mutex<Option<Session>>,
    /// The refresh token that is good now; readable while a renewal is under way.
    refresh: PlainMutex<Option<Zeroizing<String>>>,
}

struct Session {
    /// Complete value of the header; marked sensitive.
    bearer: HeaderValue,
    renew_at: Option<Instant>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Renewal<'a> {
    refresh_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    token: Zeroizing<String>,
    refresh_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct User {
    authority: String,
}

#[derive(Deserialize)]
struct Lifetime {
    iat: u64,
    exp: u64,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Prepares to talk to a server; sends nothing yet.
    ///
    /// # Errors
    /// When the system offers no way to check certificates.
    pub fn new(address: ServerAddress, timeouts: Timeouts) -> Result<Self, ServerError> {
        Ok(Self {
            client: transport::client(&address, timeouts)?,
            address,
            session: Mutex::new(None),
            refresh: PlainMutex::new(None),
        })
    }

    /// Returns the server's address.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Signs a user in.
    ///
    /// # Errors
    /// [`ServerError::WrongPassword`], [`ServerError::SecondFactor`], or that the server cannot be reached.
    pub async fn login(&self, user: &str, password: &str) -> Result<(), ServerError> {
        let mut session = self.session.lock().await;
        let request = self
            .request(Method::POST, &["api", "auth", "login"])
            .json(&Credentials {
                username: user,
                password,
            });
        let answer = transport::send(request).await?;
        let pair: Pair = answer.json("signing in").map_err(|error| match error {
            ServerError::SignInAgain => ServerError::WrongPassword,
            other => other,
        })?;
        // A first token without a refresh token is one that only serves to give the second factor.
        if pair.refresh_token.is_none() {
            return Err(ServerError::SecondFactor);
        }
        *session = Some(self.adopt(pair)?);
        Ok(())
    }

    /// Makes sure that the session holds and that its user may see devices.
    ///
    /// # Errors
    /// [`ServerError::SignInAgain`], [`ServerError::Forbidden`] for users other than a tenant's administrator, or that the
    /// server cannot be reached.
    pub async fn check(&self) -> Result<(), ServerError> {
        let answer = self
            .authorized(|| self.request(Method::GET, &["api", "auth", "user"]))
            .await?;
        let user: User = answer.json("who is signed in")?;
        match user.authority.as_str() {
            "TENANT_ADMIN" => Ok(()),
            _ => Err(ServerError::Forbidden),
        }
    }

    /// Goes on with the session of an earlier run.
    pub fn resume(&self, refresh_token: &str) {
        *self.lock_refresh() = Some(Zeroizing::new(refresh_token.to_owned()));
    }

    /// Returns the refresh token that is good now, to be kept as a secret.
    #[must_use]
    pub fn refresh_token(&self) -> Option<Zeroizing<String>> {
        self.lock_refresh().clone()
    }

    /// Sends a request of the signed-in user; renews the session when it ran out.
    pub(super) async fn authorized(
        &self,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, ServerError> {
        let bearer = self.bearer(None).await?;
        let answer = transport::send(build().header(AUTHORIZATION, bearer.clone())).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Ended early: by a restart of the server, an administrator, or another clock.
        let bearer = self.bearer(Some(&bearer)).await?;
        transport::send(build().header(AUTHORIZATION, bearer)).await
    }

    /// Begins a request to a path; each segment is escaped.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.client.request(method, self.address.join(segments))
    }

    /// Returns a token that should be good; never the one that was `refused`.
    async fn bearer(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue, ServerError> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            let is_due = session.renew_at.is_some_and(|at| Instant::now() >= at);
            if !is_due && refused != Some(&session.bearer) {
                return Ok(session.bearer.clone());
            }
        }
        let refresh_token = self.refresh_token().ok_or(ServerError::SignInAgain)?;
        let request = self
            .request(Method::POST, &["api", "auth", "token"])
            .json(&Renewal {
                refresh_token: &refresh_token,
            });
        let pair: Pair = transport::send(request)
            .await?
            .json("renewing the session")?;
        let renewed = self.adopt(pair)?;
        let bearer = renewed.bearer.clone();
        *session = Some(renewed);
        Ok(bearer)
    }

    fn adopt(&self, pair: Pair) -> Result<Session, ServerError> {
        let text = Zeroizing::new(format!("Bearer {}", *pair.token));
        let mut bearer = HeaderValue::from_str(&text).map_err(|_| ServerError::UnexpectedForm {
            request: "signing in",
        })?;
        bearer.set_sensitive(true);
        if pair.refresh_token.is_some() {
            *self.lock_refresh() = pair.refresh_token;
        }
        let lifetime = lifetime(&pair.token);
        let renew_at = lifetime.map(|life| Instant::now() + life - RENEWAL_MARGIN.min(life / 5));
        Ok(Session { bearer, renew_at })
    }

    fn lock_refresh(&self) -> std::sync::MutexGuard<'_, Option<Zeroizing<String>>> {
        self.refresh
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads how long a JSON Web Token lives; `None` where it does not say, and then only a refusal ends it.
fn lifetime(token: &str) -> Option<Duration> {
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?)
        .ok()?;
    let Lifetime { iat, exp } = serde_json::from_slice(&payload).ok()?;
    // A life of many years would overflow the computation of its end.
    Some(Duration::from_secs(exp.checked_sub(iat)?.min(365 * 86_400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_come_from_the_token_and_nonsense_has_none() {
        let token = |payload: &str| format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let lived = lifetime(&token(r#"{"iat":100,"exp":9100,"sub":"x"}"#));
        assert_eq!(lived, Some(Duration::from_secs(9000)));
        for nonsense in [
            token(r#"{"iat":100}"#),
            token(r#"{"iat":100,"exp":50}"#),
            token("["),
            "x".to_owned(),
            "a.!.c".to_owned(),
        ] {
            assert_eq!(lifetime(&nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        let address = ServerAddress::parse("http://127.0.0.1:1").expect("an address");
        let server = Server::new(address, Timeouts::default()).expect("a client");
        server.resume("SECRET");
        assert!(!format!("{server:?}").contains("SECRET"));
        let kept = server.refresh_token().map(|token| token.to_string());
        assert_eq!(kept.as_deref(), Some("SECRET"));
    }
}
