//! Which token a meter has, and how it gets another.
//!
//! A token changes in three steps that may lie days apart: it is *wished* (the server has another one, or the user wants
//! another), *sent* to the meter by the next visit, and *proven* by a request that the meter answers with it. Only then
//! the old one is forgotten. The names of the secrets tell the step:
//!
//! | `token` | `pending-token` | `next-token` | the meter has |
//! |---|---|---|---|
//! | T | | | T |
//! | T | | N | T; N goes to it with the next visit |
//! | T | N | N | T or N: the change broke off; the next visit tries both |
//! | T | N | M | T or N; M goes to it with the next visit |
//! | N | | | N |
//!
//! The server is the truth: where its device has another token than was wished here, that one is wished from then on.
//! A token that is lost altogether cannot be replaced this way: only the meter's button lets it take one without the old.

use protocol::DeviceId;

use crate::{
    client::{Client, ClientError, Session},
    error::Error,
    secrets::{Secret, Secrets, SecretsError, next_token_name, pending_token_name, token_name},
};

/// What came of looking after a meter's token.
#[derive(Debug)]
pub struct Settled {
    /// A session with the token that the meter has now.
    pub session: Session,
    /// Whether the meter has another token than before.
    pub changed: bool,
    /// Why the meter did not take the token that it was to get; it keeps the one that it has.
    pub declined: Option<ClientError>,
}

impl Secrets {
    /// Tells whether it is known which token a meter has, and whether that is the one it is to have.
    #[must_use]
    pub fn is_settled(&self, device: DeviceId) -> bool {
        self.get(&pending_token_name(device)).is_none()
            && self
                .next_token(device)
                .is_none_or(|next| Some(next) == self.token(device))
    }

    /// Notes the token that a meter is to have, such as the one that its device on the server has. Returns whether the
    /// meter has to be visited for it.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn wish_token(&mut self, device: DeviceId, token: &Secret) -> Result<bool, SecretsError> {
        let has_it =
            self.token(device) == Some(token) && self.get(&pending_token_name(device)).is_none();
        let wished = (!has_it).then(|| token.clone());
        self.change([(next_token_name(device), wished)])?;
        Ok(!has_it)
    }

    /// Notes the token that a meter has proven to have.
    fn prove_token(&mut self, device: DeviceId, token: &Secret) -> Result<(), SecretsError> {
        let next = self.next_token(device).filter(|next| *next != token);
        let next = next.cloned();
        self.change([
            (token_name(device), Some(token.clone())),
            (pending_token_name(device), None),
            (next_token_name(device), next),
        ])
    }
}

/// Finds out which of two tokens a meter has where that is open, gives it the one that it is to have, and returns a
/// session with it. Asks nothing where nothing is open.
///
/// # Errors
/// [`ClientError::Refused`] where the meter has none of the tokens that are known here, and all of connection and secrets;
/// the next call goes on from there.
pub async fn settle(
    client: &Client,
    device: DeviceId,
    token: &Secret,
    secrets: &mut Secrets,
) -> Result<Settled, Error> {
    let session = client.session(device, token.reveal());
    if secrets.is_settled(device) {
        return Ok(Settled {
            session,
            changed: false,
            declined: None,
        });
    }
    let candidates = [Some(token), secrets.get(&pending_token_name(device))];
    let candidates = candidates.into_iter().flatten().cloned().collect();
    let (session, proven) = first_known(client, device, candidates, secrets).await?;
    let changed = proven != *token;
    match secrets.next_token(device).cloned() {
        Some(next) => {
            let declined = hand_over(&session, device, &next, secrets).await?;
            Ok(Settled {
                session,
                changed: changed || declined.is_none(),
                declined,
            })
        }
        None => Ok(Settled {
            session,
            changed,
            declined: None,
        }),
    }
}

/// Returns a session with the first of some tokens that the meter answers to, and notes that it has it.
pub(crate) async fn first_known(
    client: &Client,
    device: DeviceId,
    candidates: Vec<Secret>,
    secrets: &mut Secrets,
) -> Result<(Session, Secret), Error> {
    for token in candidates {
        let session = client.session(device, token.reveal());
        match session.config().await {
            Err(ClientError::Refused) => continue,
            other => drop(other?),
        }
        secrets.prove_token(device, &token)?;
        return Ok((session, token));
    }
    Err(ClientError::Refused.into())
}

/// Gives a meter another token and makes sure that it has it; returns why it did not take it.
pub(crate) async fn hand_over(
    session: &Session,
    device: DeviceId,
    next: &Secret,
    secrets: &mut Secrets,
) -> Result<Option<ClientError>, Error> {
    // On the disk before it is sent: from then on the meter may have it.
    secrets.change([(pending_token_name(device), Some(next.clone()))])?;
    match session.change_token(next.reveal()).await {
        Ok(()) => {}
        Err(error @ ClientError::NoToken) => {
            return declined(error, device, secrets);
        }
        // Whoever answered did not prove to be the meter, which may have taken it all the same: it stays pending. That a meter
        // has no token at all, 403, cannot be proven.
        Err(error @ (ClientError::NotAuthentic | ClientError::Answered { status: 403, .. })) => {
            tracing::warn!(%device, %error, "it is not known whether the meter took its new token");
            return Ok(Some(error));
        }
        // A meter that failed inside may have it or not; one that says no has the old one.
        Err(error @ ClientError::Answered { status, .. }) if status < 500 => {
            return declined(error, device, secrets);
        }
        Err(error) => return Err(error.into()),
    }
    session.config().await?;
    secrets.prove_token(device, next)?;
    Ok(None)
}

fn declined(
    error: ClientError,
    device: DeviceId,
    secrets: &mut Secrets,
) -> Result<Option<ClientError>, Error> {
    secrets.change([(pending_token_name(device), None)])?;
    tracing::warn!(%device, %error, "the meter did not take its new token");
    Ok(Some(error))
}
