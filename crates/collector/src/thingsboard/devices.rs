//! Devices on the server and their access tokens.

use std::{collections::BTreeMap, fmt};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Server, ServerError, transport::Answer};

/// Devices in one page of the list.
const PAGE_DEVICES: usize = 100;

/// Devices that are listed at the most.
const DEVICES_MAX: usize = 10_000;

/// Longest identifier that is accepted; a UUID has 36 characters.
const ID_CHARS_MAX: usize = 64;

/// Names a device on its server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerDeviceId(String);

impl ServerDeviceId {
    /// Takes an identifier as the server wrote it; `None` for text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (1..=ID_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the identifier as the server wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device as its server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDevice {
    /// Its identifier.
    pub id: ServerDeviceId,
    /// Its name, unique on the server.
    pub name: String,
    /// Its label for people; may be empty.
    pub label: String,
}

#[derive(Deserialize)]
struct EntityId {
    id: String,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    id: EntityId,
    name: String,
    label: Option<String>,
}

impl DeviceAnswer {
    fn device(self) -> Result<ServerDevice, ServerError> {
        let id = ServerDeviceId::parse(&self.id.id).ok_or(ServerError::UnexpectedForm {
            request: "a device",
        })?;
        Ok(ServerDevice {
            id,
            name: self.name,
            label: self.label.unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageAnswer {
    data: Vec<DeviceAnswer>,
    has_next: bool,
}

#[derive(Serialize)]
struct NewDevice<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
}

/// A device together with its token: in the body, for addresses end up in logs.
#[derive(Serialize)]
struct WithCredentials<'a> {
    device: NewDevice<'a>,
    credentials: NewCredentials<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewCredentials<'a> {
    credentials_type: &'a str,
    credentials_id: &'a str,
}

const ACCESS_TOKEN: &str = "ACCESS_TOKEN";

/// The profile that every server has.
pub const DEFAULT_PROFILE: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsAnswer {
    credentials_type: String,
    credentials_id: Zeroizing<String>,
}

impl Server {
    /// Lists the tenant's devices, page by page.
    ///
    /// # Errors
    /// When there are more than 10,000, or the request fails.
    pub async fn devices(&self) -> Result<Vec<ServerDevice>, ServerError> {
        let mut devices = Vec::new();
        let size = PAGE_DEVICES.to_string();
        for page in 0..DEVICES_MAX / PAGE_DEVICES {
            let number = page.to_string();
            let query = [
                ("pageSize", size.as_str()),
                ("page", number.as_str()),
                ("sortProperty", "name"),
                ("sortOrder", "ASC"),
            ];
            let answer = self
                .authorized(|| {
                    self.request(Method::GET, &["api", "tenant", "devices"])
                        .query(&query)
                })
                .await?;
            let page: PageAnswer = answer.json("listing devices")?;
            let is_last = !page.has_next || page.data.is_empty();
            for device in page.data {
                devices.push(device.device()?);
            }
            if is_last {
                return Ok(devices);
            }
        }
        Err(ServerError::TooMany { limit: DEVICES_MAX })
    }

    /// Finds a device by its exact name.
    ///
    /// # Errors
    /// When the request fails; a device that does not exist is `None`.
    pub async fn device_named(&self, name: &str) -> Result<Option<ServerDevice>, ServerError> {
        let answer = self
            .authorized(|| {
                self.request(Method::GET, &["api", "tenant", "devices"])
                    .query(&[("deviceName", name)])
            })
            .await?;
        match answer.json::<DeviceAnswer>("finding a device") {
            Ok(found) => found.device().map(Some),
            Err(ServerError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a device of a profile with a chosen access token; the server makes a profile that it does not have.
    ///
    /// # Errors
    /// [`ServerError::Refused`] where name or token are taken, or the request fails.
    pub async fn create_device(
        &self,
        name: &str,
        profile: &str,
        label: &str,
        token: &str,
    ) -> Result<ServerDevice, ServerError> {
        let device = WithCredentials {
            device: NewDevice {
                name,
                kind: profile,
                label,
            },
            credentials: NewCredentials {
                credentials_type: ACCESS_TOKEN,
                credentials_id: token,
            },
        };
        let answer = self
            .authorized(|| {
                self.request(Method::POST, &["api", "device-with-credentials"])
                    .json(&device)
            })
            .await?;
        answer.json::<DeviceAnswer>("creating a device")?.device()
    }

    /// Returns the access token of a device; `None` where the device has other credentials, such as a certificate.
    ///
    /// # Errors
    /// [`ServerError::NotFound`] for an unknown device, or the request fails.
    pub async fn access_token(
        &self,
        device: &ServerDeviceId,
    ) -> Result<Option<Zeroizing<String>>, ServerError> {
        let answer = self.credentials(device).await?;
        let credentials: CredentialsAnswer = answer.json("reading credentials")?;
        let is_token = credentials.credentials_type == ACCESS_TOKEN;
        Ok(is_token.then_some(credentials.credentials_id))
    }

    /// Gives a device another access token in place of whatever credentials it had.
    ///
    /// # Errors
    /// [`ServerError::Refused`] where the token is taken, or the request fails; where the connection broke, the device may
    /// have either token.
    pub async fn change_access_token(
        &self,
        device: &ServerDeviceId,
        token: &str,
    ) -> Result<(), ServerError> {
        // Sent back with what the server wrote besides, such as a version that it insists on.
        let answer = self.credentials(device).await?;
        let mut credentials: BTreeMap<String, serde_json::Value> =
            answer.json("reading credentials")?;
        credentials.insert("credentialsType".into(), ACCESS_TOKEN.into());
        credentials.insert("credentialsId".into(), token.into());
        credentials.insert("credentialsValue".into(), serde_json::Value::Null);
        let answer = self
            .authorized(|| {
                self.request(Method::POST, &["api", "device", "credentials"])
                    .json(&credentials)
            })
            .await?;
        let changed: CredentialsAnswer = answer.json("changing credentials")?;
        let is_done = changed.credentials_id.as_str() == token;
        is_done.then_some(()).ok_or(ServerError::UnexpectedForm {
            request: "changing credentials",
        })
    }

    async fn credentials(&self, device: &ServerDeviceId) -> Result<Answer, ServerError> {
        let path = ["api", "device", device.as_str(), "credentials"];
        self.authorized(|| self.request(Method::GET, &path)).await
    }
}
