//! Signing in, and linking meters to devices of a server.
//!
//! One server is known at a time. Its address and the user's name are settings; the refresh token, which stands for the
//! password for a week, is a secret. The password itself is not kept.
//!
//! On the server a meter is the device named like its access point, `OFMON-` and the meter's identifier in capitals, or
//! one that was chosen at its set-up. The name alone proves little, so the device must also have the meter's token. Once
//! they are linked, the server's token is the one that counts: where it changes there, the meter gets it too.

use protocol::{DeviceId, access_point};

use crate::{
    secrets::{Secret, Secrets},
    store::{SharedStore, Store, StoreError},
    thingsboard::{
        DEFAULT_PROFILE, Server, ServerAddress, ServerDevice, ServerDeviceId, ServerError,
        Timeouts, Window,
    },
};

use super::{
    error::SyncError,
    state::{self, Place},
};

const URL_SETTING: &str = "server.url";
const USER_SETTING: &str = "server.user";
const SESSION_SECRET: &str = "server-session";
/// Begins the names of settings that say which device on a server a meter is to be.
const NAME_SETTING: &str = "server.device";
const PROFILE_SETTING: &str = "server.profile";

/// A user of a server, as remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The server.
    pub address: ServerAddress,
    /// The user's name.
    pub user: String,
}

/// What a server has of a meter, read back from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerTotals {
    /// Points of active power of the first channel, one a reading.
    pub readings: u64,
    /// The newest reading's energy register, in Wh; `None` where there is none.
    pub energy_import_wh: Option<f64>,
}

/// Returns the remembered account; `None` where nobody is signed in.
///
/// # Errors
/// When the store fails or the remembered address is none.
pub fn account(store: &Store) -> Result<Option<Account>, SyncError> {
    let (url, user) = (store.setting(URL_SETTING)?, store.setting(USER_SETTING)?);
    let (Some(url), Some(user)) = (url, user) else {
        return Ok(None);
    };
    let address = ServerAddress::parse(&url).map_err(ServerError::from)?;
    Ok(Some(Account { address, user }))
}

/// Signs in to a server and remembers it in place of any other.
///
/// # Errors
/// [`ServerError::WrongPassword`] and everything else that a server or the store can fail by; nothing is remembered then.
pub async fn login(
    store: &SharedStore,
    secrets: &mut Secrets,
    address: ServerAddress,
    user: &str,
    password: &Secret,
    timeouts: Timeouts,
) -> Result<Server, SyncError> {
    let server = Server::new(address, timeouts)?;
    server.login(user, password.reveal()).await?;
    let (url, user) = (server.address().to_string(), user.to_owned());
    // The secret first: a session without an address is never used, an address with another server's session might be.
    secrets.remove(SESSION_SECRET)?;
    store
        .run(move |store| {
            store.set_setting(URL_SETTING, &url)?;
            store.set_setting(USER_SETTING, &user)
        })
        .await?;
    keep_session(secrets, &server)?;
    Ok(server)
}

/// Goes on with the remembered session; sends nothing yet.
///
/// # Errors
/// [`SyncError::NotSignedIn`] where there is none.
pub fn connect(store: &Store, secrets: &Secrets, timeouts: Timeouts) -> Result<Server, SyncError> {
    let account = account(store)?.ok_or(SyncError::NotSignedIn)?;
    let session = secrets.get(SESSION_SECRET).ok_or(SyncError::NotSignedIn)?;
    let server = Server::new(account.address, timeouts)?;
    server.resume(session.reveal());
    Ok(server)
}

/// Forgets the server and its session; what was synced there stays known.
///
/// # Errors
/// When the store or the file of secrets fails.
pub fn logout(store: &mut Store, secrets: &mut Secrets) -> Result<(), SyncError> {
    secrets.remove(SESSION_SECRET)?;
    store
        .connection
        .execute(
            "DELETE FROM setting WHERE name IN (?1, ?2)",
            [URL_SETTING, USER_SETTING],
        )
        .map_err(StoreError::from)?;
    Ok(())
}

/// Keeps the session's newest refresh token where it changed.
pub(super) fn keep_session(secrets: &mut Secrets, server: &Server) -> Result<(), SyncError> {
    let Some(token) = server.refresh_token() else {
        return Ok(());
    };
    let token = Secret::new(token.to_string());
    if secrets.get(SESSION_SECRET) != Some(&token) {
        secrets.set(SESSION_SECRET, token)?;
    }
    Ok(())
}

/// Which device on a server a meter is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Name of a device that is there; `None` takes the one that is called like the meter's access point, or makes it.
    pub device: Option<String>,
    /// Profile of a device that is made; `None` takes the server's default.
    pub profile: Option<String>,
}

/// Remembers which device on a server a meter is to be, and returns the token that this device has there; `None` where it
/// is yet to be made, or where it proves itself otherwise. A fresh meter is given this token, so that the device and the
/// meter belong together.
///
/// # Errors
/// [`SyncError::NoSuchDevice`] and [`SyncError::NoAccessToken`] for a device that was named, [`SyncError::Taken`] for one that
/// is another meter, or when the request fails; nothing is remembered then.
pub async fn choose(
    store: &SharedStore,
    secrets: &Secrets,
    server: &Server,
    device: DeviceId,
    choice: &Choice,
) -> Result<Option<Secret>, SyncError> {
    let name = match &choice.device {
        Some(name) => name.clone(),
        // A profile is of a new device, whatever was chosen before.
        None if choice.profile.is_some() => access_point::ssid(device).as_str().to_owned(),
        None => chosen(store, server, device).await?.0,
    };
    let is_named = choice.device.is_some();
    let token = match server.device_named(&name).await? {
        Some(found) => {
            let token = server.access_token(&found.id).await?;
            if token.is_none() && is_named {
                return Err(SyncError::NoAccessToken { name });
            }
            token.map(|token| Secret::new(token.to_string()))
        }
        None if is_named => return Err(SyncError::NoSuchDevice { name }),
        None => None,
    };
    if let Some(token) = &token
        && let Some(other) = secrets.owner(token).filter(|owner| *owner != device)
    {
        return Err(SyncError::Taken { name, other });
    }
    let is_new = choice.profile.is_some() && !is_named;
    let own_name = is_new.then(|| access_point::ssid(device).as_str().to_owned());
    let settings = [
        (NAME_SETTING, choice.device.clone().or(own_name)),
        (PROFILE_SETTING, choice.profile.clone()),
    ];
    let url = server.address().to_string();
    store
        .run(move |store| {
            let named = settings
                .into_iter()
                .filter_map(|(kind, text)| Some((kind, text?)));
            for (kind, text) in named {
                store.set_setting(&setting_of(kind, device, &url), &text)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(token)
}

/// Returns name and profile of the device that a meter is to be on a server.
async fn chosen(
    store: &SharedStore,
    server: &Server,
    device: DeviceId,
) -> Result<(String, String), SyncError> {
    let url = server.address().to_string();
    let chosen = store.run(move |store| {
        let name = store.setting(&setting_of(NAME_SETTING, device, &url))?;
        let profile = store.setting(&setting_of(PROFILE_SETTING, device, &url))?;
        Ok::<_, StoreError>((
            name.unwrap_or_else(|| access_point::ssid(device).as_str().to_owned()),
            profile.unwrap_or_else(|| DEFAULT_PROFILE.to_owned()),
        ))
    });
    Ok(chosen.await?)
}

fn setting_of(kind: &str, device: DeviceId, url: &str) -> String {
    format!("{kind}:{device}@{url}")
}

/// Finds a meter's device on the server, or creates it with the meter's token, and remembers which it is.
///
/// # Errors
/// [`SyncError::NoToken`], [`SyncError::OtherToken`] where the device of that name has another token, and everything that
/// a server or the store can fail by.
pub async fn link(
    store: &SharedStore,
    secrets: &Secrets,
    server: &Server,
    device: DeviceId,
) -> Result<ServerDevice, SyncError> {
    let token = secrets.token(device).ok_or(SyncError::NoToken(device))?;
    // A token that the meter is to get counts as its own already.
    let own = [Some(token), secrets.next_token(device)];
    let newest = secrets.next_token(device).unwrap_or(token);
    let (name, profile) = chosen(store, server, device).await?;
    let found = match server.device_named(&name).await? {
        Some(found) => {
            let known = server.access_token(&found.id).await?;
            let is_own = |own: &Secret| known.as_deref().map(String::as_str) == Some(own.reveal());
            if !own.into_iter().flatten().any(is_own) {
                return Err(SyncError::OtherToken { name });
            }
            found
        }
        None => {
            let label = store
                .run(move |store| match store.device(device) {
                    Ok(known) => Ok(known.name),
                    Err(StoreError::UnknownDevice(_)) => Ok(String::new()),
                    Err(error) => Err(error),
                })
                .await?;
            let made = server.create_device(&name, &profile, &label, newest.reveal());
            made.await?
        }
    };
    let (url, id) = (server.address().to_string(), found.id.clone());
    store
        .run(move |store| state::set_link(&mut store.connection, &url, device, &id))
        .await?;
    Ok(found)
}

/// Looks which token a linked device has on the server, and notes it as the one that the meter is to have where it is
/// another. Returns the token to upload with, and whether the meter has to be visited for it.
pub(super) async fn current_token(
    secrets: &mut Secrets,
    server: &Server,
    device: DeviceId,
    id: &ServerDeviceId,
) -> Result<(Secret, bool), SyncError> {
    let own = secrets.token(device).ok_or(SyncError::NoToken(device))?;
    let token = match server.access_token(id).await {
        Ok(Some(token)) => Secret::new(token.to_string()),
        // A user who may not see it, or a device with a certificate: what is known here has to do.
        Ok(None) | Err(ServerError::Forbidden | ServerError::NotFound) => {
            return Ok((secrets.next_token(device).unwrap_or(own).clone(), false));
        }
        Err(error) => return Err(error.into()),
    };
    let is_waiting = secrets.wish_token(device, &token)?;
    if is_waiting {
        tracing::info!(%device, "the server's device has another token than the meter");
    }
    Ok((token, is_waiting))
}

/// Gives a meter's device on the server another token, and notes it as the one that the meter is to have. A meter that is
/// not linked gets it from the next visit only.
///
/// # Errors
/// Everything that a server or the file of secrets can fail by; the next sync finds out which token the server has.
pub async fn change_token(
    store: &SharedStore,
    secrets: &mut Secrets,
    server: Option<&Server>,
    device: DeviceId,
    token: &Secret,
) -> Result<(), SyncError> {
    secrets.token(device).ok_or(SyncError::NoToken(device))?;
    // On the disk before anyone else has it: a token that only the server knows would have to be fetched first.
    secrets.wish_token(device, token)?;
    if let Some(server) = server
        && let Some((_, id)) = known_link(store, server, device).await?
    {
        server.change_access_token(&id, token.reveal()).await?;
        keep_session(secrets, server)?;
    }
    Ok(())
}

/// Returns where a meter's data goes; links it first where it is not linked.
pub(super) async fn linked(
    store: &SharedStore,
    secrets: &Secrets,
    server: &Server,
    device: DeviceId,
) -> Result<(Place, ServerDeviceId), SyncError> {
    if let Some(known) = known_link(store, server, device).await? {
        return Ok(known);
    }
    link(store, secrets, server, device).await?;
    let known = known_link(store, server, device).await?;
    known.ok_or(SyncError::NoToken(device))
}

async fn known_link(
    store: &SharedStore,
    server: &Server,
    device: DeviceId,
) -> Result<Option<(Place, ServerDeviceId)>, SyncError> {
    let url = server.address().to_string();
    let known = store.run(move |store| state::link(&store.connection, &url, device));
    Ok(known.await?)
}

/// Reads back what the server has of a meter that is linked.
///
/// # Errors
/// As for [`link`]; a meter that was never linked has nothing there.
pub async fn totals(
    store: &SharedStore,
    server: &Server,
    device: DeviceId,
) -> Result<ServerTotals, SyncError> {
    let Some((place, id)) = known_link(store, server, device).await? else {
        return Ok(ServerTotals {
            readings: 0,
            energy_import_wh: None,
        });
    };
    let windows = store
        .run(move |store| state::windows(&store.connection, place))
        .await?;
    let first_ms = windows.iter().map(|row| row.frozen.first_ms).min();
    let last_ms = windows.iter().map(|row| row.frozen.last_ms).max();
    let mut readings = 0;
    if let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) {
        let whole = Window { first_ms, last_ms };
        let keys = ["power".to_owned()];
        let counts = server.count(&id, &keys, whole).await?;
        readings = counts.values().sum();
    }
    let keys = ["energyImport".to_owned()];
    let latest = server.latest(&id, &keys).await?;
    Ok(ServerTotals {
        readings,
        energy_import_wh: latest.get("energyImport").map(|(_, value)| *value),
    })
}
