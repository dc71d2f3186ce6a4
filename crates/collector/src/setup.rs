//! A fresh meter gets its token.
//!
//! The token is kept as *pending* before it is sent. When the connection breaks in between, nobody knows whether the
//! meter has it: the next try sends the same token again, and where the meter says that it is set up, proves that it is
//! this token by an authenticated request. So a broken set-up never locks a meter.

use protocol::messages::{Name, Setup};

use crate::{
    Kind,
    client::{Client, ClientError},
    error::Error,
    secrets::{Secret, Secrets, pending_token_name, token_name},
};

/// Characters of a token that is made here, as many as ThingsBoard makes.
const TOKEN_CHARS: usize = 20;

/// Why a meter is not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Someone set it up before, with a token that is not known here.
    #[error("the meter was set up by someone else; a factory reset at the meter undoes that")]
    AlreadySetUp,
    /// The name does not fit.
    #[error("a name has 1 to 48 bytes")]
    Name,
    /// The token does not fit.
    #[error("a token has 16 to 64 characters")]
    Token,
    /// The machine gives no random numbers.
    #[error("this machine gives no random numbers")]
    Random(#[source] getrandom::Error),
}

impl SetupError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AlreadySetUp => Kind::Refused,
            Self::Name | Self::Token => Kind::Usage,
            Self::Random(_) => Kind::Failed,
        }
    }
}

/// Sets a meter up and reads a value back with the token.
///
/// `token` is the server's; without one a random token is made, which a server can be given later.
///
/// # Errors
/// [`SetupError`] and those of client and secrets; a try that broke off can be repeated.
pub async fn set_up(
    client: &Client,
    name: &str,
    token: Option<Secret>,
    secrets: &mut Secrets,
) -> Result<(), Error> {
    let info = client.info().await?;
    let device = info.device;
    let pending = pending_token_name(device);
    // `info` is not authenticated: whoever says that the meter is fresh is not sent a token that the meter uses.
    let in_use = secrets.token(device).filter(|_| info.set_up);
    let token = match token {
        Some(token) => token,
        None => match secrets.get(&pending).or(in_use) {
            Some(token) => token.clone(),
            None => random_token().map_err(SetupError::Random)?,
        },
    };
    let setup = Setup {
        token: token.reveal().try_into().map_err(|_| SetupError::Token)?,
        name: Name::try_from(name).map_err(|_| SetupError::Name)?,
    };
    if !info.set_up {
        secrets.set(&pending, token.clone())?;
        match client.set_up(&setup).await {
            // Someone was faster, or the meter had it from the try before: the token decides.
            Err(ClientError::Answered { code, .. }) if code == "already_set_up" => {}
            other => other?,
        }
    }
    let mut candidates = vec![token];
    // A try that broke off may have given it the token of then.
    candidates.extend(secrets.get(&pending).cloned());
    for token in candidates {
        match client.session(device, token.reveal()).live().await {
            Err(ClientError::Refused) => continue,
            other => drop(other?),
        }
        secrets.set(&token_name(device), token)?;
        secrets.remove(&pending)?;
        return Ok(());
    }
    Err(SetupError::AlreadySetUp.into())
}

/// Makes a token of 20 letters and digits, 119 random bits.
fn random_token() -> Result<Secret, getrandom::Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut token = String::with_capacity(TOKEN_CHARS);
    let mut bytes = [0; 32];
    while token.len() < TOKEN_CHARS {
        getrandom::fill(&mut bytes)?;
        // Bytes beyond the last whole multiple of the alphabet are left out: every character is as likely as any other.
        let fair = bytes
            .iter()
            .filter(|&&byte| byte < 62 * 4)
            .take(TOKEN_CHARS - token.len());
        token.extend(fair.map(|&byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(Secret::new(token))
}
