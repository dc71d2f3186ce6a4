//! One request, one bounded answer.

use std::time::Duration;

use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
    redirect::Policy,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{ServerAddress, ServerError};

/// Largest answer that is read, in bytes; a page of devices and a window of timestamps fit several times.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Characters of a server's message that are quoted.
const MESSAGE_CHARS_MAX: usize = 200;

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the start of a request to the end of its answer. ThingsBoard itself gives up after 30 s.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(40),
        }
    }
}

/// A status with a body that ended within the limit.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    is_html: bool,
    body: Vec<u8>,
}

/// The form of the user API's refusals.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Makes the client for one server: no proxy, no redirects, no repetition behind our back.
pub(super) fn client(address: &ServerAddress, timeouts: Timeouts) -> Result<Client, ServerError> {
    // Another part of the program may have chosen before; which provider it is does not matter.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("ofmon/", env!("CARGO_PKG_VERSION")));
    let builder = if address.is_encrypted() {
        builder
    } else {
        // A system without root certificates can still talk to its own machine.
        builder.tls_certs_only([])
    };
    builder.build().map_err(ServerError::Client)
}

/// Sends a request and reads its answer, whatever the status.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, ServerError> {
    let failed = |error: reqwest::Error| ServerError::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(ServerError::Redirected {
            status: status.as_u16(),
        });
    }
    let is_html = is_html(response.headers());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ServerError::TooLong {
                limit_bytes: ANSWER_BYTES_MAX,
            });
        }
        body.extend_from_slice(&chunk);
    }
    let is_html = is_html || body.trim_ascii_start().first() == Some(&b'<');
    Ok(Answer {
        status,
        is_html,
        body,
    })
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
}

impl Answer {
    /// Reads the JSON of a success.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        request: &'static str,
    ) -> Result<T, ServerError> {
        self.expect_success()?;
        if let Ok(value) = serde_json::from_slice(&self.body) {
            return Ok(value);
        }
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_ok();
        Err(if is_json {
            ServerError::UnexpectedForm { request }
        } else {
            self.not_thingsboard()
        })
    }

    /// Accepts a success without content, and nothing else.
    pub(super) fn empty(&self) -> Result<(), ServerError> {
        self.expect_success()?;
        if self.body.is_empty() {
            Ok(())
        } else {
            Err(self.not_thingsboard())
        }
    }

    /// Tells what a status other than success means in the user API.
    fn expect_success(&self) -> Result<(), ServerError> {
        let status = self.status.as_u16();
        match status {
            200..=299 if self.is_html => Err(self.not_thingsboard()),
            200..=299 => Ok(()),
            408 | 429 | 502..=504 => Err(ServerError::Unavailable { status }),
            // 511 is the captive portal that says so.
            511 => Err(self.not_thingsboard()),
            _ if self.is_html => Err(self.not_thingsboard()),
            401 => Err(ServerError::SignInAgain),
            403 => Err(ServerError::Forbidden),
            404 => Err(ServerError::NotFound),
            413 => Err(ServerError::TooLarge),
            400 | 402..=499 => Err(ServerError::Refused {
                status,
                message: self.message(),
            }),
            500.. => Err(ServerError::Overloaded { status }),
            _ => Err(self.not_thingsboard()),
        }
    }

    fn not_thingsboard(&self) -> ServerError {
        ServerError::NotThingsBoard {
            status: self.status.as_u16(),
        }
    }

    /// Returns what the server said, on one line and cut short.
    fn message(&self) -> String {
        let coded = serde_json::from_slice::<Refusal>(&self.body);
        let said = match coded {
            Ok(refusal) => refusal.message,
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let said: String = said
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MESSAGE_CHARS_MAX)
            .collect();
        if said.trim().is_empty() {
            "it did not say why".to_owned()
        } else {
            said.trim().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            is_html: body.starts_with('<'),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_web_page_is_not_taken_for_success() {
        let page = answer(200, "<html>sign in</html>");
        assert!(matches!(
            page.empty(),
            Err(ServerError::NotThingsBoard { status: 200 })
        ));
        assert!(matches!(
            page.json::<Vec<u8>>("test"),
            Err(ServerError::NotThingsBoard { status: 200 })
        ));
        let text = answer(200, "welcome");
        assert!(matches!(
            text.empty(),
            Err(ServerError::NotThingsBoard { .. })
        ));
        assert!(matches!(
            text.json::<Vec<u8>>("test"),
            Err(ServerError::NotThingsBoard { .. })
        ));
    }

    #[test]
    fn a_page_of_a_proxy_before_a_dead_server_means_later() {
        let page = answer(502, "<html>bad gateway</html>");
        assert!(matches!(
            page.empty(),
            Err(ServerError::Unavailable { status: 502 })
        ));
    }

    #[test]
    fn json_of_another_form_is_told_apart_and_not_quoted() {
        let error = answer(200, r#"{"token":["SECRET"]}"#)
            .json::<Vec<u8>>("signing in")
            .expect_err("an object is no list");
        assert!(matches!(error, ServerError::UnexpectedForm { .. }));
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }

    #[test]
    fn refusals_are_quoted_on_one_line_and_cut() {
        let long = format!(r#"{{"message":"no\n{}","errorCode":31}}"#, "x".repeat(5000));
        match answer(400, &long).empty() {
            Err(ServerError::Refused { message, .. }) => {
                assert!(message.starts_with("no x"), "{message}");
                assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX);
            }
            other => panic!("{other:?}"),
        }
    }
}
