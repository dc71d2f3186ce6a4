//! Which addresses of servers are accepted.
//!
//! A device's token and a user's password travel to this address, so it is `https`. Plain `http` is accepted only where
//! it is written out and the host is an address of this machine or of a private network. User names and passwords have
//! no place in an address, because addresses are shown and logged.

use std::{fmt, net::IpAddr};

use reqwest::Url;

/// Longest address in bytes.
const ADDRESS_BYTES_MAX: usize = 512;

/// Address of a server: scheme, host, port and the path under which it lives, mostly `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress(Url);

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is no address at all.
    #[error("this is no server address; one looks like https://thingsboard.example.org")]
    Malformed,
    /// The scheme is neither `https` nor `http`.
    #[error("a server address begins with https://")]
    Scheme,
    /// The address holds a user name or password.
    #[error("a server address holds no user name and no password")]
    Credentials,
    /// The address goes on after the path.
    #[error("a server address holds no ? and no #")]
    Trailing,
    /// Plain `http` to a host that is neither this machine nor in a private network.
    #[error("http:// would send passwords readable over the internet; use https://")]
    Unencrypted,
}

impl ServerAddress {
    /// Reads an address; without a scheme, `https` is meant.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() || text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::Malformed);
        }
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let mut url = Url::parse(&with_scheme).map_err(|_| AddressError::Malformed)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Trailing);
        }
        if url.scheme() == "http" && !is_near(url.host_str().unwrap_or_default()) {
            return Err(AddressError::Unencrypted);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Tells whether what is sent there is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the address of something on the server; each segment is escaped.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Only addresses such as `mailto:` have no segments; those are refused above.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Tells whether a host is this machine or lies in a private network.
fn is_near(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        // A name may resolve to anything; only this one is this machine by definition.
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_a_slash_and_joined_with_one() {
        for text in [
            "https://tb.example.org",
            "tb.example.org/",
            " https://TB.example.org:443/ ",
        ] {
            let address = ServerAddress::parse(text).expect(text);
            assert_eq!(address.to_string(), "https://tb.example.org");
            assert_eq!(
                address.join(&["api", "a/b c"]).as_str(),
                "https://tb.example.org/api/a%2Fb%20c"
            );
        }
        let below = ServerAddress::parse("https://example.org/tb/").expect("a path is allowed");
        assert_eq!(below.to_string(), "https://example.org/tb");
        assert_eq!(below.join(&["api"]).as_str(), "https://example.org/tb/api");
    }

    #[test]
    fn plain_http_is_for_near_hosts_only() {
        for near in [
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
            "http://192.168.1.7",
            "http://10.0.0.1",
            "http://[fd00::1]",
        ] {
            assert!(ServerAddress::parse(near).is_ok(), "{near}");
        }
        for far in [
            "http://example.org",
            "http://8.8.8.8",
            "http://localhost.example.org",
            "http://[2001:db8::1]",
        ] {
            assert_eq!(
                ServerAddress::parse(far),
                Err(AddressError::Unencrypted),
                "{far}"
            );
        }
    }

    #[test]
    fn addresses_with_secrets_or_other_schemes_are_refused() {
        let cases = [
            ("https://me:word@example.org", AddressError::Credentials),
            ("https://me@example.org", AddressError::Credentials),
            ("ftp://example.org", AddressError::Scheme),
            ("https://example.org/?token=1", AddressError::Trailing),
            ("https://example.org/#x", AddressError::Trailing),
            ("https://", AddressError::Malformed),
            ("", AddressError::Malformed),
        ];
        for (text, error) in cases {
            assert_eq!(ServerAddress::parse(text), Err(error), "{text}");
        }
    }
}
