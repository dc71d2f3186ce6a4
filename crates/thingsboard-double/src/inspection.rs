//! What a test sees and does directly, past the HTTP interface.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::device::{Device, DeviceFields};
use crate::faults::Faults;
use crate::journal::{RequestRecord, Statistics};
use crate::registry::Registry;
use crate::server::Double;
use crate::value::Value;

/// A device as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// The server's identifier.
    pub id: Uuid,
    /// The name, unique on the server.
    pub name: String,
    /// The access token of the device API.
    pub token: String,
    /// The name of its profile.
    pub profile: String,
}

impl DeviceView {
    fn new(registry: &Registry, device: &Device) -> DeviceView {
        DeviceView {
            id: device.id,
            name: device.name.clone(),
            token: device.credentials.token.clone(),
            profile: registry.profile_name(device.profile).to_owned(),
        }
    }
}

/// The name or token of a device that was to be added is taken or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device was refused: {0}")]
pub struct DeviceRefused(String);

impl Double {
    /// Lists all devices by identifier.
    pub fn devices(&self) -> Vec<DeviceView> {
        let registry = self.server.registry();
        let devices = registry.devices();
        devices
            .map(|device| DeviceView::new(&registry, device))
            .collect()
    }

    /// Finds a device by its exact name.
    pub fn device_named(&self, name: &str) -> Option<DeviceView> {
        let registry = self.server.registry();
        registry
            .device(registry.id_by_name(name)?)
            .map(|device| DeviceView::new(&registry, device))
    }

    /// Adds a device of the default type.
    ///
    /// # Errors
    /// When the name or token is taken or cannot be used.
    pub fn add_device(&self, name: &str, token: &str) -> Result<DeviceView, DeviceRefused> {
        let fields = DeviceFields {
            name: name.to_owned(),
            ..DeviceFields::default()
        };
        let mut registry = self.server.registry();
        let created = registry.create(fields, token.to_owned());
        let id = created.map(|device| device.id);
        let id = id.map_err(|error| DeviceRefused(error.to_string()))?;
        let device = registry
            .device(id)
            .ok_or_else(|| DeviceRefused("gone".to_owned()))?;
        Ok(DeviceView::new(&registry, device))
    }

    /// Gives a device another token.
    ///
    /// # Errors
    /// When the device is unknown or the token is taken or cannot be used.
    pub fn set_token(&self, id: Uuid, token: &str) -> Result<(), DeviceRefused> {
        let mut registry = self.server.registry();
        let changed = registry.set_token(id, token.to_owned());
        changed
            .map(|_| ())
            .map_err(|error| DeviceRefused(error.to_string()))
    }

    /// Deletes a device with its data; `false` when it is unknown.
    pub fn remove_device(&self, id: Uuid) -> bool {
        self.server.registry().delete(id)
    }

    /// Lists the keys under which a device has telemetry.
    pub fn keys(&self, id: Uuid) -> Vec<String> {
        self.server
            .registry()
            .device(id)
            .map(|device| device.series.keys())
            .unwrap_or_default()
    }

    /// Returns all points of one key by timestamp (milliseconds since 1970-01-01 UTC); empty when there are none.
    pub fn points(&self, id: Uuid, key: &str) -> BTreeMap<i64, Value> {
        self.server
            .registry()
            .device(id)
            .map(|device| device.series.points(key))
            .unwrap_or_default()
    }

    /// Counts the points of a device over all keys.
    pub fn point_count(&self, id: Uuid) -> usize {
        self.server
            .registry()
            .device(id)
            .map_or(0, |device| device.series.point_count())
    }

    /// Returns the latest value of one key with its timestamp.
    pub fn latest(&self, id: Uuid, key: &str) -> Option<(i64, Value)> {
        self.server
            .registry()
            .device(id)?
            .series
            .latest(key)
            .cloned()
    }

    /// Replaces all faults; `Faults::default()` puts everything in order again.
    pub fn set_faults(&self, faults: Faults) {
        self.server.faults.set(faults);
    }

    /// Returns the faults with the counts that are left.
    pub fn faults(&self) -> Faults {
        self.server.faults.get()
    }

    /// Lets all access tokens count as expired that were issued so far.
    pub fn expire_access_tokens(&self) {
        self.server.accounts.expire_access_tokens();
    }

    /// Lets all refresh tokens count as expired that were issued so far.
    pub fn expire_refresh_tokens(&self) {
        self.server.accounts.expire_refresh_tokens();
    }

    /// Returns the requests that were received, the oldest first, as far as they are remembered.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.server.journal.requests()
    }

    /// Returns totals since the start.
    pub fn statistics(&self) -> Statistics {
        self.server.journal.statistics()
    }
}
