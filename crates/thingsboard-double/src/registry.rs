//! All devices of the server, found by identifier, name or token, and the profiles they have.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::clock::now_ms;
use crate::device::{Credentials, Device, DeviceFields, Profile, Scope, TEXT_CHARS_MAX};
use crate::payload::Message;
use crate::series::SeriesSet;
use crate::value::Value;

/// Devices that one server holds.
pub const DEVICES_MAX: usize = 10_000;

/// Profiles that one server holds; each new device type makes one.
const PROFILES_MAX: usize = 100;

const DEFAULT_PROFILE: &str = "default";

/// A change that the server refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("Device name should be specified!")]
    NameMissing,
    #[error("Validation error: {0} length must be equal or less than 255")]
    TooLong(&'static str),
    #[error("Device with such name already exists!")]
    NameTaken,
    #[error("Device credentials are already assigned to another device!")]
    TokenTaken,
    #[error("Device credentials id should be specified and hold no control characters!")]
    TokenInvalid,
    #[error("Device is referencing to non-existent device profile!")]
    UnknownProfile,
    #[error("Requested item wasn't found!")]
    UnknownDevice,
    #[error("Device was already changed by someone else!")]
    VersionConflict,
    #[error("Devices limit reached")]
    Full,
}

/// All that the server stores.
#[derive(Debug)]
pub(crate) struct Registry {
    devices: BTreeMap<Uuid, Device>,
    ids_by_token: HashMap<String, Uuid>,
    ids_by_name: HashMap<String, Uuid>,
    profiles: Vec<Profile>,
    points: usize,
    points_max: usize,
}

impl Registry {
    pub(crate) fn new(points_max: usize) -> Registry {
        Registry {
            devices: BTreeMap::new(),
            ids_by_token: HashMap::new(),
            ids_by_name: HashMap::new(),
            profiles: vec![Profile {
                id: Uuid::new_v4(),
                name: DEFAULT_PROFILE.to_owned(),
            }],
            points: 0,
            points_max,
        }
    }

    pub(crate) fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    pub(crate) fn device(&self, id: Uuid) -> Option<&Device> {
        self.devices.get(&id)
    }

    pub(crate) fn device_mut(&mut self, id: Uuid) -> Option<&mut Device> {
        self.devices.get_mut(&id)
    }

    pub(crate) fn id_by_token(&self, token: &str) -> Option<Uuid> {
        self.ids_by_token.get(token).copied()
    }

    pub(crate) fn id_by_name(&self, name: &str) -> Option<Uuid> {
        self.ids_by_name.get(name).copied()
    }

    pub(crate) fn profile_name(&self, id: Uuid) -> &str {
        self.profiles
            .iter()
            .find(|profile| profile.id == id)
            .map_or(DEFAULT_PROFILE, |profile| &profile.name)
    }

    /// Creates a device with a token.
    ///
    /// # Errors
    /// See [`RegistryError`]; nothing is changed then.
    pub(crate) fn create(
        &mut self,
        fields: DeviceFields,
        token: String,
    ) -> Result<&Device, RegistryError> {
        check_fields(&fields)?;
        check_token(&token)?;
        if self.devices.len() >= DEVICES_MAX {
            return Err(RegistryError::Full);
        }
        if self.ids_by_name.contains_key(&fields.name) {
            return Err(RegistryError::NameTaken);
        }
        if self.ids_by_token.contains_key(&token) {
            return Err(RegistryError::TokenTaken);
        }
        let profile = self.profile_for(&fields)?;
        let (id, created_ms) = (Uuid::new_v4(), now_ms());
        self.ids_by_name.insert(fields.name.clone(), id);
        self.ids_by_token.insert(token.clone(), id);
        let inactive = (
            (Scope::Server, "active".to_owned()),
            (created_ms, Value::Bool(false)),
        );
        Ok(self.devices.entry(id).or_insert(Device {
            id,
            created_ms,
            name: fields.name,
            label: fields.label,
            profile,
            additional_info: fields.additional_info,
            version: 1,
            credentials: Credentials {
                id: Uuid::new_v4(),
                created_ms,
                token,
                version: 1,
            },
            series: SeriesSet::default(),
            attributes: BTreeMap::from([inactive]),
        }))
    }

    /// Changes a device.
    ///
    /// # Errors
    /// See [`RegistryError`]; nothing is changed then.
    pub(crate) fn update(
        &mut self,
        id: Uuid,
        fields: DeviceFields,
    ) -> Result<&Device, RegistryError> {
        check_fields(&fields)?;
        let known = self.devices.get(&id).ok_or(RegistryError::UnknownDevice)?;
        if fields
            .version
            .is_some_and(|version| version != known.version)
        {
            return Err(RegistryError::VersionConflict);
        }
        if self
            .ids_by_name
            .get(&fields.name)
            .is_some_and(|owner| *owner != id)
        {
            return Err(RegistryError::NameTaken);
        }
        let old_name = known.name.clone();
        let profile = self.profile_for(&fields)?;
        self.ids_by_name.remove(&old_name);
        self.ids_by_name.insert(fields.name.clone(), id);
        let device = self
            .devices
            .get_mut(&id)
            .ok_or(RegistryError::UnknownDevice)?;
        device.name = fields.name;
        device.label = fields.label;
        device.profile = profile;
        device.additional_info = fields.additional_info;
        device.version += 1;
        Ok(device)
    }

    /// Gives a device another token; the old one is unknown from then on.
    ///
    /// # Errors
    /// See [`RegistryError`]; nothing is changed then.
    pub(crate) fn set_token(&mut self, id: Uuid, token: String) -> Result<&Device, RegistryError> {
        check_token(&token)?;
        if self
            .ids_by_token
            .get(&token)
            .is_some_and(|owner| *owner != id)
        {
            return Err(RegistryError::TokenTaken);
        }
        let device = self
            .devices
            .get_mut(&id)
            .ok_or(RegistryError::UnknownDevice)?;
        self.ids_by_token.remove(&device.credentials.token);
        self.ids_by_token.insert(token.clone(), id);
        device.credentials.token = token;
        device.credentials.version += 1;
        Ok(device)
    }

    /// Deletes a device with all that it stored; `false` when it is unknown.
    pub(crate) fn delete(&mut self, id: Uuid) -> bool {
        let Some(device) = self.devices.remove(&id) else {
            return false;
        };
        self.ids_by_name.remove(&device.name);
        self.ids_by_token.remove(&device.credentials.token);
        self.points -= device.series.point_count();
        true
    }

    /// Stores messages of a device and returns how many points were written; the rest did not fit or the device is gone.
    pub(crate) fn store(&mut self, id: Uuid, messages: Vec<Message>) -> usize {
        let Some(device) = self.devices.get_mut(&id) else {
            return 0;
        };
        let mut written = 0;
        for message in messages {
            for (key, value) in message.values {
                if self.points >= self.points_max {
                    return written;
                }
                self.points += usize::from(device.series.upsert(&key, message.ts_ms, value));
                written += 1;
            }
        }
        written
    }

    /// Tells the registry that points of a device were deleted.
    pub(crate) fn forget_points(&mut self, count: usize) {
        self.points -= count;
    }

    fn profile_for(&mut self, fields: &DeviceFields) -> Result<Uuid, RegistryError> {
        if let Some(id) = fields.profile {
            return self
                .profiles
                .iter()
                .any(|known| known.id == id)
                .then_some(id)
                .ok_or(RegistryError::UnknownProfile);
        }
        let name = fields
            .kind
            .as_deref()
            .filter(|kind| !kind.is_empty())
            .unwrap_or(DEFAULT_PROFILE);
        if let Some(known) = self.profiles.iter().find(|known| known.name == name) {
            return Ok(known.id);
        }
        if self.profiles.len() >= PROFILES_MAX {
            return Err(RegistryError::Full);
        }
        let id = Uuid::new_v4();
        self.profiles.push(Profile {
            id,
            name: name.to_owned(),
        });
        Ok(id)
    }
}

fn check_fields(fields: &DeviceFields) -> Result<(), RegistryError> {
    if fields.name.trim().is_empty() {
        return Err(RegistryError::NameMissing);
    }
    let texts = [
        ("name", Some(&fields.name)),
        ("type", fields.kind.as_ref()),
        ("label", fields.label.as_ref()),
    ];
    match texts
        .into_iter()
        .find(|(_, text)| text.is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX))
    {
        Some((field, _)) => Err(RegistryError::TooLong(field)),
        None => Ok(()),
    }
}

fn check_token(token: &str) -> Result<(), RegistryError> {
    if token.chars().count() > TEXT_CHARS_MAX {
        return Err(RegistryError::TooLong("credentialsId"));
    }
    if token.trim().is_empty() || token.contains(char::is_control) {
        return Err(RegistryError::TokenInvalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> DeviceFields {
        DeviceFields {
            name: name.to_owned(),
            ..DeviceFields::default()
        }
    }

    fn message(ts_ms: i64) -> Message {
        Message {
            ts_ms,
            values: [("p".to_owned(), Value::Long(1))].into(),
        }
    }

    #[test]
    fn refused_changes_change_nothing() {
        let mut registry = Registry::new(100);
        let a = registry
            .create(named("a"), "ta".into())
            .expect("a is new")
            .id;
        registry.create(named("b"), "tb".into()).expect("b is new");
        assert_eq!(
            registry.create(named("a"), "tc".into()).err(),
            Some(RegistryError::NameTaken)
        );
        assert_eq!(
            registry.create(named("c"), "ta".into()).err(),
            Some(RegistryError::TokenTaken)
        );
        assert_eq!(
            registry.update(a, named("b")).err(),
            Some(RegistryError::NameTaken)
        );
        assert_eq!(
            registry.set_token(a, "tb".into()).err(),
            Some(RegistryError::TokenTaken)
        );
        assert_eq!(
            registry.set_token(a, "x\n".into()).err(),
            Some(RegistryError::TokenInvalid)
        );
        let stale = DeviceFields {
            version: Some(7),
            ..named("a")
        };
        assert_eq!(
            registry.update(a, stale).err(),
            Some(RegistryError::VersionConflict)
        );
        assert_eq!(
            (registry.id_by_token("ta"), registry.id_by_name("a")),
            (Some(a), Some(a))
        );
        assert_eq!(registry.devices().count(), 2);
    }

    #[test]
    fn old_names_and_tokens_are_free_again() {
        let mut registry = Registry::new(100);
        let a = registry
            .create(named("a"), "ta".into())
            .expect("a is new")
            .id;
        registry.set_token(a, "ta2".into()).expect("ta2 is free");
        registry.update(a, named("a2")).expect("a2 is free");
        assert_eq!(
            (registry.id_by_token("ta"), registry.id_by_name("a")),
            (None, None)
        );
        assert!(registry.delete(a));
        assert_eq!(
            (registry.id_by_token("ta2"), registry.id_by_name("a2")),
            (None, None)
        );
    }

    #[test]
    fn a_full_server_stores_no_more_until_points_go() {
        let mut registry = Registry::new(3);
        let a = registry
            .create(named("a"), "ta".into())
            .expect("a is new")
            .id;
        assert_eq!(registry.store(a, (0..5).map(message).collect()), 3);
        let b = registry
            .create(named("b"), "tb".into())
            .expect("b is new")
            .id;
        assert_eq!(registry.store(b, vec![message(0)]), 0);
        registry.delete(a);
        assert_eq!(registry.store(b, (0..5).map(message).collect()), 3);
    }
}
