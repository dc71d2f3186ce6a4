//! What keeps other web pages away from the engine, on every request.
//!
//! A page of another site may send requests to loopback, and may point its own name there (DNS rebinding) to read the
//! answers. So the `Host` must name this server itself, changes need a header that a foreign page cannot send without
//! being asked first, and nothing may show these pages in a frame.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method,
        header::{
            CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

/// Marks requests that change something.
const MARK: HeaderName = HeaderName::from_static("x-ofmon");

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// Refuses what may come from another site and seals the answer.
pub(super) async fn guard(
    State(listen): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match check(&listen, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(X_FRAME_OPTIONS, DENY);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    response
}

fn check(listen: &SocketAddr, request: &Request) -> Result<(), ApiError> {
    let named = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    if !named.is_some_and(|host| is_own_name(listen.ip(), host)) {
        return Err(ApiError::foreign_host());
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && request.headers().get(MARK).is_none_or(|mark| mark != "1") {
        return Err(ApiError::unmarked());
    }
    Ok(())
}

/// Tells whether a `Host` names a server that listens on `listen`; the port does not matter.
fn is_own_name(listen: IpAddr, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    // An address that is written out was not looked up, so nobody can have bent it.
    name.parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback() || address == listen || listen.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn own_names_pass() {
        for host in [
            "127.0.0.1:7373",
            "localhost",
            "LocalHost:80",
            "[::1]:7373",
            "[::1]",
            "127.0.0.2",
        ] {
            assert!(is_own_name(LOOPBACK, host), "{host}");
        }
    }

    #[test]
    fn names_of_others_do_not() {
        for host in [
            "",
            "example.org",
            "example.org:7373",
            "127.0.0.1.example.org",
            "localhost.example.org",
            "192.0.2.7",
            "::1",
            "[example.org]",
        ] {
            assert!(!is_own_name(LOOPBACK, host), "{host}");
        }
    }

    #[test]
    fn a_server_for_the_network_answers_to_addresses_only() {
        let everywhere = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        assert!(is_own_name(everywhere, "192.0.2.7:7373"));
        assert!(!is_own_name(everywhere, "meters.example.org:7373"));
        let one: IpAddr = "192.0.2.7".parse().unwrap();
        assert!(is_own_name(one, "192.0.2.7:7373") && !is_own_name(one, "192.0.2.8:7373"));
    }
}
