//! A fresh meter gets its token and settings, is told the time, and shows what it measures.
//!
//! Everything that a set-up says to the meter goes there in one request, which the meter keeps as a whole or not at all.
//! The token is kept here as *pending* before it is sent. When anything breaks in between, nobody knows whether the meter
//! has it: the next try sends the same token again, and where the meter says that it is set up, proves that it is this
//! token by an authenticated request. So a broken set-up never locks a meter, and the same command finishes it:
//!
//! | what happens | the meter | here | the same command again |
//! |---|---|---|---|
//! | cut or crash before the set-up is sent | fresh | nothing, or token pending | sets up with that token |
//! | cut, crash or power cut while it is sent | fresh | token pending | sets up with that token |
//! | cut or crash before its answer came | set up | token pending | proves the token and goes on |
//! | power cut of the meter after it kept the set-up | set up | token pending | the same |
//! | cut or crash before the proof came | set up | token pending | the same |
//! | cut or crash at the time or the test reading | ours | token proven | goes on there: "was yours already" |
//! | cut or crash at the server, before the meter is asked | fresh | nothing, or the chosen device | begins anew |
//! | cut or crash at the server, after the meter is set up | ours | token proven | links it; so does the next sync |
//! | two people at once | the first one's | the other's: token pending, refused | refused; the pending token does no harm |
//! | set up by someone else before | theirs | nothing new | refused until the meter's button is held for 10 s |
//! | ours already | ours | token proven | changes what was named, tells the time, reads |
//! | ours, reset by its button | fresh | token of then | a new token replaces it |

mod check;

use protocol::{
    DeviceId,
    limits::{
        CHANNELS_MAX, CODE_BYTES_MAX, CODE_BYTES_MIN, CT_RATIO, INTERVAL_MS, TOKEN_BYTES_MAX,
        TOKEN_BYTES_MIN,
    },
    messages::{ChannelSettings, Code, Config, Info, Name, Setup},
};

use crate::{
    Kind,
    client::{Client, ClientError, Session},
    error::Error,
    secrets::{Secret, Secrets, code_name, next_token_name, password_name, pending_token_name},
    tokens,
};

pub use check::{Checked, Warning, check};

/// Characters of a token that is made here, as many as ThingsBoard makes.
const TOKEN_CHARS: usize = 20;
/// Characters of a viewing code that is made here: 40 random bits, for a meter that allows one try a second.
const CODE_CHARS: usize = 8;
/// Why a meter is not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Someone set it up before, with a token that is not known here.
    #[error("the meter was set up by someone else, or its token is lost")]
    AlreadySetUp,
    /// The server's device that was chosen belongs to another meter.
    #[error("the device that was chosen on the server belongs to meter {0}")]
    TokenOfAnother(DeviceId),
    /// The name does not fit.
    #[error("a name has 1 to 48 bytes")]
    Name,
    /// The token does not fit.
    #[error("a meter takes access tokens of 16 to 64 letters, digits and signs, and this is none")]
    Token,
    /// The viewing code does not fit.
    #[error("a viewing code has 6 to 32 letters, digits and signs")]
    Code,
    /// The interval does not fit.
    #[error("an interval is 1 s to 900 s long")]
    Interval,
    /// A transformer's ratio does not fit.
    #[error("the ratio of a current transformer is 1 to 100000, such as 2000 for 100 A to 50 mA")]
    Ratio,
    /// Other channels were named than the meter has.
    #[error("the meter has {has} channels, and {named} were named")]
    Channels {
        /// Channels of the meter.
        has: u8,
        /// Channels that were named.
        named: usize,
    },
    /// The machine gives no random numbers.
    #[error("this machine gives no random numbers")]
    Random(#[source] getrandom::Error),
}

impl SetupError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AlreadySetUp | Self::TokenOfAnother(_) => Kind::Refused,
            Self::Name
            | Self::Token
            | Self::Code
            | Self::Interval
            | Self::Ratio
            | Self::Channels { .. } => Kind::Usage,
            Self::Random(_) => Kind::Failed,
        }
    }
}

/// What is to become of the code that opens the meter's own page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ViewingCode {
    /// A fresh meter gets none, one that is set up keeps what it has.
    #[default]
    Leave,
    /// A fresh meter gets a random one, one that is set up keeps what it has.
    Random,
    /// This one.
    Given(Secret),
    /// None: the page stays closed.
    Closed,
}

/// What a meter is to be told.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Its name; `None` names a fresh meter like its access point and leaves another as it is.
    pub name: Option<String>,
    /// The token that its device on a server has; `None` makes one.
    pub token: Option<Secret>,
    /// Interval of a reading in ms; `None` leaves the meter's.
    pub interval_ms: Option<u32>,
    /// Name and current transformer of each channel; empty leaves them as they are.
    pub channels: Vec<ChannelSettings>,
    /// The code of its own page.
    pub code: ViewingCode,
    /// Password of its access point, to be kept.
    pub password: Option<Secret>,
}

/// What a meter was told.
#[derive(Debug)]
pub struct Done {
    /// A session with its token.
    pub session: Session,
    /// Whether its token was known here before.
    pub was_ours: bool,
    /// Its name now.
    pub name: String,
    /// The code that opens its page, where this set-up gave it one.
    pub code: Option<Secret>,
}

/// Sets a meter up; one that is ours already gets what was named. `info` is what the meter says of itself now.
///
/// # Errors
/// [`SetupError`] and those of client and secrets; a try that broke off can be repeated.
pub async fn set_up(
    client: &Client,
    info: &Info,
    wish: &Wish,
    secrets: &mut Secrets,
) -> Result<Done, Error> {
    let device = info.device;
    let was_ours = info.set_up && secrets.token(device).is_some();
    // `info` is not authenticated: whoever says that the meter is fresh is not sent a token that the meter uses.
    let in_use = secrets.token(device).filter(|_| info.set_up).cloned();
    let pending = secrets.get(&pending_token_name(device)).cloned();
    let token = match (&wish.token, &pending, &in_use) {
        (Some(token), _, _) | (None, Some(token), _) | (None, None, Some(token)) => token.clone(),
        (None, None, None) => Secret::new(random(TOKEN_CHARS, TOKEN_ALPHABET)?),
    };
    if let Some(other) = secrets.owner(&token).filter(|owner| *owner != device) {
        return Err(SetupError::TokenOfAnother(other).into());
    }
    let code = code_for(wish, pending.as_ref().and(secrets.code(device)))?;
    let setup = message(info, wish, &token, code.as_ref())?;
    let kept = (password_name(device), wish.password.clone());
    let kept = kept.1.is_some().then_some(kept);
    let mut is_fresh = !info.set_up;
    if is_fresh {
        let sent = [
            (pending_token_name(device), Some(token.clone())),
            (code_name(device), code.clone()),
        ];
        secrets.change(sent.into_iter().chain(kept.clone()))?;
        match client.set_up(&setup).await {
            // Someone was faster, or the meter had it from the try before: the token decides.
            Err(ClientError::Answered { code, .. }) if code == "already_set_up" => is_fresh = false,
            other => other?,
        }
    }
    let next = secrets.next_token(device).cloned();
    let candidates = [Some(token), pending, in_use, next];
    let (session, proven) = tokens::first_known(client, device, distinct(candidates), secrets)
        .await
        .map_err(|error| match error {
            Error::Client(ClientError::Refused) => SetupError::AlreadySetUp.into(),
            other => other,
        })?;
    if let Some(token) = wish.token.as_ref().filter(|token| **token != proven) {
        secrets.wish_token(device, token)?;
        if let Some(declined) = tokens::hand_over(&session, device, token, secrets).await? {
            return Err(declined.into());
        }
    }
    let mut name = setup.name.as_str().to_owned();
    if !is_fresh {
        let config = converge(&session, wish, &setup).await?;
        name = config.name.as_str().to_owned();
    }
    let code = match &wish.code {
        // One that was set up by a try that broke off has the code of then.
        ViewingCode::Random if !is_fresh => secrets.code(device).filter(|_| !was_ours).cloned(),
        _ => code,
    };
    if let ViewingCode::Given(code) = &wish.code {
        secrets.change([(code_name(device), Some(code.clone()))])?;
    }
    if matches!(wish.code, ViewingCode::Closed) {
        secrets.change([(code_name(device), None)])?;
    }
    if is_fresh {
        // What was wished for the meter of before its reset is done with.
        secrets.change([(next_token_name(device), None)])?;
    }
    secrets.change(kept)?;
    Ok(Done {
        session,
        was_ours,
        name,
        code,
    })
}

/// Returns the code that a fresh meter gets; `earlier` is that of a try that broke off, which may have given it one.
fn code_for(wish: &Wish, earlier: Option<&Secret>) -> Result<Option<Secret>, SetupError> {
    Ok(match (&wish.code, earlier) {
        (ViewingCode::Leave | ViewingCode::Closed, _) => None,
        (ViewingCode::Given(code), _) => Some(code.clone()),
        (ViewingCode::Random, Some(code)) => Some(code.clone()),
        (ViewingCode::Random, None) => Some(Secret::new(random(CODE_CHARS, CODE_ALPHABET)?)),
    })
}

/// Makes the one message of a set-up; all that it says is checked before anything is sent.
fn message(
    info: &Info,
    wish: &Wish,
    token: &Secret,
    code: Option<&Secret>,
) -> Result<Setup, SetupError> {
    let ssid = protocol::access_point::ssid(info.device);
    let name = wish.name.as_deref().unwrap_or(&ssid);
    let is_token = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.reveal().len())
        && token.reveal().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(SetupError::Token);
    }
    let (has, named) = (info.channels, wish.channels.len());
    if named > 0 && (named != usize::from(has) || named > CHANNELS_MAX) {
        return Err(SetupError::Channels { has, named });
    }
    if !wish
        .channels
        .iter()
        .all(|channel| CT_RATIO.contains(&channel.ct_ratio))
    {
        return Err(SetupError::Ratio);
    }
    if wish
        .interval_ms
        .is_some_and(|interval| !INTERVAL_MS.contains(&interval))
    {
        return Err(SetupError::Interval);
    }
    Ok(Setup {
        token: token.reveal().try_into().map_err(|_| SetupError::Token)?,
        name: Name::try_from(name)
            .ok()
            .filter(|name| !name.is_empty())
            .ok_or(SetupError::Name)?,
        code: code.map(checked_code).transpose()?,
        interval_ms: wish.interval_ms,
        channels: wish.channels.iter().cloned().collect(),
    })
}

fn checked_code(code: &Secret) -> Result<Code, SetupError> {
    let code = code.reveal();
    let is_code = (CODE_BYTES_MIN..=CODE_BYTES_MAX).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_graphic());
    let code = Code::try_from(code).ok().filter(|_| is_code);
    code.ok_or(SetupError::Code)
}

/// Changes what was named and is not so on a meter that was set up before; returns the settings in force.
async fn converge(session: &Session, wish: &Wish, setup: &Setup) -> Result<Config, Error> {
    let config = session.config().await?;
    let mut wanted = config.clone();
    if wish.name.is_some() {
        wanted.name = setup.name.clone();
    }
    if let Some(interval_ms) = setup.interval_ms {
        wanted.interval_ms = interval_ms;
    }
    if !setup.channels.is_empty() {
        wanted.channels = setup.channels.clone();
    }
    wanted.code = match &wish.code {
        ViewingCode::Given(_) => setup.code.clone(),
        ViewingCode::Closed => Some(Code::new()),
        ViewingCode::Leave | ViewingCode::Random => None,
    };
    if wanted == config {
        return Ok(config);
    }
    Ok(session.change_config(&wanted).await?)
}

/// Leaves out what is not there and what comes twice.
fn distinct(candidates: impl IntoIterator<Item = Option<Secret>>) -> Vec<Secret> {
    let mut distinct: Vec<Secret> = Vec::new();
    for token in candidates.into_iter().flatten() {
        if !distinct.contains(&token) {
            distinct.push(token);
        }
    }
    distinct
}

/// Makes a token of 20 letters and digits, 119 random bits.
///
/// # Errors
/// [`SetupError::Random`].
pub fn random_token() -> Result<Secret, SetupError> {
    Ok(Secret::new(random(TOKEN_CHARS, TOKEN_ALPHABET)?))
}

const TOKEN_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Digits and letters of which none is taken for another.
const CODE_ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Makes a text of random characters, each as likely as any other.
fn random(length: usize, alphabet: &[u8]) -> Result<String, SetupError> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 32];
    // Bytes beyond the last whole multiple of the alphabet are left out.
    let fair_max = 256 / alphabet.len() * alphabet.len();
    while text.len() < length {
        getrandom::fill(&mut bytes).map_err(SetupError::Random)?;
        let fair = bytes
            .iter()
            .map(|&byte| usize::from(byte))
            .filter(|&byte| byte < fair_max)
            .take(length - text.len());
        text.extend(fair.map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_use_all_of_their_alphabet_and_nothing_else() {
        for alphabet in [TOKEN_ALPHABET, CODE_ALPHABET] {
            let text = random(4_000, alphabet).unwrap();
            assert_eq!(text.len(), 4_000);
            assert!(text.bytes().all(|byte| alphabet.contains(&byte)));
            assert!(
                alphabet
                    .iter()
                    .all(|byte| text.bytes().any(|found| found == *byte))
            );
        }
    }
}
