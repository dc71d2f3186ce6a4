//! Signing in, and linking meters to devices of a server.
//!
//! One server is known at a time. Its address and the user's name are settings; the refresh token, which stands for the
//! password for a week, is a secret. The password itself is not kept.
//!
//! On the server a meter is the device named like its access point, `OFMON-` and the meter's identifier in capitals. The
//! name alone proves little, so the device must also have the meter's token.

use protocol::DeviceId;

use crate::{
    secrets::{Secret, Secrets},
    store::{SharedStore, Store, StoreError},
    thingsboard::{
        Server, ServerAddress, ServerDevice, ServerDeviceId, ServerError, Timeouts, Window,
    },
};

use super::{
    error::SyncError,
    state::{self, Place},
};

const URL_SETTING: &str = "server.url";
const USER_SETTING: &str = "server.user";
const SESSION_SECRET: &str = "server-session";

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

/// Returns the token that a meter's device has on the server; `None` where there is no such device, or where it proves
/// itself otherwise. A fresh meter is given this token, so that the device and the meter belong together.
///
/// # Errors
/// When the request fails.
pub async fn token_on_server(
    server: &Server,
    device: DeviceId,
) -> Result<Option<Secret>, SyncError> {
    let Some(found) = server.device_named(&server_name(device)).await? else {
        return Ok(None);
    };
    let token = server.access_token(&found.id).await?;
    Ok(token.map(|token| Secret::new(token.to_string())))
}

/// Returns the name of a meter's device on a server: that of its access point.
fn server_name(device: DeviceId) -> String {
    format!("OFMON-{}", device.to_string().to_uppercase())
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
    let name = server_name(device);
    let found = match server.device_named(&name).await? {
        Some(found) => {
            let known = server.access_token(&found.id).await?;
            if known.as_deref().map(String::as_str) != Some(token.reveal()) {
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
            server.create_device(&name, &label, token.reveal()).await?
        }
    };
    let (url, id) = (server.address().to_string(), found.id.clone());
    store
        .run(move |store| state::set_link(&mut store.connection, &url, device, &id))
        .await?;
    Ok(found)
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
