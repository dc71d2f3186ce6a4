//! A device as the server keeps it: what it is called, its credentials, and what it has stored.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::now_ms;
use crate::series::SeriesSet;
use crate::value::Value;

/// Characters of names, tokens and keys.
pub(crate) const TEXT_CHARS_MAX: usize = 255;

/// Whose attributes: reported by the device, kept by the server, or set by the server for the device to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Client,
    Server,
    Shared,
}

impl Scope {
    pub(crate) const ALL: [Scope; 3] = [Scope::Client, Scope::Server, Scope::Shared];

    pub(crate) fn parse(name: &str) -> Option<Scope> {
        Some(match name {
            "CLIENT_SCOPE" => Scope::Client,
            "SERVER_SCOPE" => Scope::Server,
            "SHARED_SCOPE" => Scope::Shared,
            _ => return None,
        })
    }
}

/// An attribute's value with the time it was written, in milliseconds since 1970-01-01 UTC.
pub(crate) type Attribute = (i64, Value);

#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) id: Uuid,
    pub(crate) created_ms: i64,
    pub(crate) token: String,
    pub(crate) version: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) id: Uuid,
    pub(crate) created_ms: i64,
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    pub(crate) profile: Uuid,
    pub(crate) additional_info: Json,
    pub(crate) version: i64,
    pub(crate) credentials: Credentials,
    pub(crate) series: SeriesSet,
    pub(crate) attributes: BTreeMap<(Scope, String), Attribute>,
}

impl Device {
    pub(crate) fn set_attributes(&mut self, scope: Scope, values: BTreeMap<String, Value>) {
        let now = now_ms();
        self.attributes.extend(
            values
                .into_iter()
                .map(|(key, value)| ((scope, key), (now, value))),
        );
    }

    /// Tells whether the device has ever sent anything.
    pub(crate) fn is_active(&self) -> bool {
        let active = self.attributes.get(&(Scope::Server, "active".to_owned()));
        active.is_some_and(|(_, value)| *value == Value::Bool(true))
    }

    /// Keeps the attributes by which the platform itself tells that a device is alive.
    pub(crate) fn note_activity(&mut self) {
        let activity = [
            ("active", Value::Bool(true)),
            ("lastActivityTime", Value::Long(now_ms())),
        ];
        self.set_attributes(
            Scope::Server,
            activity.map(|(key, value)| (key.to_owned(), value)).into(),
        );
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) id: Uuid,
    pub(crate) name: String,
}

/// What a client may say about a device it creates or changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceFields {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) profile: Option<Uuid>,
    pub(crate) additional_info: Json,
    pub(crate) version: Option<i64>,
}

/// Tells whether the rule engine would store a value under this key; it looks only after the post was acknowledged.
pub(crate) fn is_key_accepted(key: &str) -> bool {
    let has_markup = key.match_indices('<').any(|(at, _)| {
        key[at + 1..]
            .starts_with(|next: char| next.is_ascii_alphabetic() || next == '/' || next == '!')
    });
    !key.trim().is_empty() && key.chars().count() <= TEXT_CHARS_MAX && !has_markup
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_markup_and_overlong_keys_are_not_stored() {
        for key in ["power", "a < b", "ключ", &"k".repeat(255)] {
            assert!(is_key_accepted(key), "{key}");
        }
        for key in ["", " ", "<b>", "x</i>", "<!--", &"k".repeat(256)] {
            assert!(!is_key_accepted(key), "{key}");
        }
    }
}
