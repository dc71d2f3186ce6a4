//! What can go wrong with a server.

use crate::error::Kind;

use super::AddressError;

/// A request to a server that was not done.
///
/// Addresses are stripped from the sources, because a device's token is part of its address. What the server said is
/// quoted only where no secret was near, cut short and on one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is none that is accepted.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No client could be made, such as on a system without root certificates.
    #[error("the network client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// No answer: no connection, a broken one, or silence.
    #[error("the server does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is not one that ThingsBoard gives.
    #[error(
        "this is not a ThingsBoard server's answer (status {status}): a captive portal or proxy?"
    )]
    NotThingsBoard {
        /// The HTTP status.
        status: u16,
    },
    /// The server points elsewhere; credentials are not carried to places that nobody named.
    #[error("the server redirects elsewhere (status {status}): use the address it redirects to")]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is larger than anything that was asked for.
    #[error("the server's answer is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// The answer is JSON of another form than the one expected; its text may hold secrets and is not quoted.
    #[error("the server's answer to {request} has an unknown form: another version?")]
    UnexpectedForm {
        /// What was asked.
        request: &'static str,
    },
    /// User name or password are wrong.
    #[error("the server refused user name or password")]
    WrongPassword,
    /// The account wants a second factor, which is not supported.
    #[error("the account needs a second factor, which is not supported here")]
    SecondFactor,
    /// There is no session, or it ended and could not be renewed.
    #[error("not signed in to the server any more: sign in again")]
    SignInAgain,
    /// The device API does not know the token.
    #[error(
        "the server does not know this meter's token any more: sync again to fetch the one it has now"
    )]
    UnknownToken,
    /// The account or device may not do this.
    #[error("the server does not allow this")]
    Forbidden,
    /// The body is larger than the server accepts.
    #[error("the server refuses requests of this size")]
    TooLarge,
    /// The server is overloaded, limits the rate, or has an internal error; ThingsBoard does not tell these apart.
    #[error("the server is overloaded, limits the rate or failed inside (status {status})")]
    Overloaded {
        /// The HTTP status.
        status: u16,
    },
    /// The server, or something before it, asks to come again later.
    #[error("the server is not available now (status {status})")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// What was asked for does not exist on the server.
    #[error("the server does not have what was asked for")]
    NotFound,
    /// The server understood and refused.
    #[error("the server refused: {message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server said, in short.
        message: String,
    },
    /// There are more devices than can be listed.
    #[error("the server has more than {limit} devices")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl ServerError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address(_) => Kind::Usage,
            Self::Unreachable(_)
            | Self::NotThingsBoard { .. }
            | Self::Redirected { .. }
            | Self::Overloaded { .. }
            | Self::Unavailable { .. } => Kind::Unreachable,
            Self::WrongPassword
            | Self::SecondFactor
            | Self::SignInAgain
            | Self::UnknownToken
            | Self::Forbidden => Kind::Refused,
            Self::NotFound => Kind::NotFound,
            Self::TooLong { .. } | Self::UnexpectedForm { .. } => Kind::Corrupt,
            Self::Client(_) | Self::TooLarge | Self::Refused { .. } | Self::TooMany { .. } => {
                Kind::Failed
            }
        }
    }
}
