//! Token, name and interval, as they lie on flash.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | format of this record: 1 |
//! | 4 | version: counts changes, little-endian |
//! | 4 | interval in ms, little-endian |
//! | 1 + n | length and bytes of the token; length 0 before set-up |
//! | 1 + n | length and bytes of the name, UTF-8 |

use core::ops::RangeInclusive;

use heapless::String;
use protocol::{
    limits::{INTERVAL_MS, NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN},
    messages::Name,
};

/// Bytes of the record at the most.
pub const RECORD_BYTES_MAX: usize = 9 + 1 + TOKEN_BYTES_MAX + 1 + NAME_BYTES_MAX;

const FORMAT: u8 = 1;
const INTERVAL_DEFAULT_MS: u32 = 10_000;

/// What a meter remembers over a restart beside its readings.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Counts changes.
    pub version: u32,
    /// Interval of a reading in ms.
    pub interval_ms: u32,
    /// The access token; `None` before set-up.
    pub token: Option<String<TOKEN_BYTES_MAX>>,
    /// The name; empty before set-up.
    pub name: Name,
}

impl core::fmt::Debug for Settings {
    /// Leaves the token out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Settings")
            .field("version", &self.version)
            .field("interval_ms", &self.interval_ms)
            .field("set_up", &self.token.is_some())
            .field("name", &self.name)
            .finish()
    }
}

/// A value that the meter does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidSetting {
    /// The token is not 16 to 64 printable ASCII characters.
    Token,
    /// The name is empty or has control characters.
    Name,
    /// The interval is not a whole number of seconds from 1 to 900.
    Interval,
}

impl Default for Settings {
    /// A meter before set-up.
    fn default() -> Self {
        Self {
            version: 0,
            interval_ms: INTERVAL_DEFAULT_MS,
            token: None,
            name: Name::new(),
        }
    }
}

/// Checks a token.
///
/// # Errors
/// [`InvalidSetting::Token`].
pub fn check_token(token: &str) -> Result<(), InvalidSetting> {
    const LENGTHS: RangeInclusive<usize> = TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX;
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    (LENGTHS.contains(&token.len()) && printable)
        .then_some(())
        .ok_or(InvalidSetting::Token)
}

/// Checks a name.
///
/// # Errors
/// [`InvalidSetting::Name`].
pub fn check_name(name: &str) -> Result<(), InvalidSetting> {
    let plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    plain.then_some(()).ok_or(InvalidSetting::Name)
}

/// Checks an interval.
///
/// # Errors
/// [`InvalidSetting::Interval`].
pub fn check_interval(interval_ms: u32) -> Result<(), InvalidSetting> {
    (INTERVAL_MS.contains(&interval_ms) && interval_ms.is_multiple_of(1000))
        .then_some(())
        .ok_or(InvalidSetting::Interval)
}

impl Settings {
    /// Writes the record and returns its length.
    pub fn write(&self, buffer: &mut [u8; RECORD_BYTES_MAX]) -> usize {
        buffer[0] = FORMAT;
        buffer[1..5].copy_from_slice(&self.version.to_le_bytes());
        buffer[5..9].copy_from_slice(&self.interval_ms.to_le_bytes());
        let mut at = 9;
        for text in [self.token.as_deref().unwrap_or(""), &self.name] {
            buffer[at] = text.len() as u8;
            buffer[at + 1..=at + text.len()].copy_from_slice(text.as_bytes());
            at += 1 + text.len();
        }
        at
    }

    /// Reads a record; `None` where the bytes are none that [`write`](Self::write) makes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(9)?;
        let (token, rest) = split_text(rest)?;
        let (name, rest) = split_text(rest)?;
        let interval_ms = u32::from_le_bytes(fixed[5..9].try_into().ok()?);
        check_interval(interval_ms).ok()?;
        if fixed[0] != FORMAT || !rest.is_empty() {
            return None;
        }
        Some(Self {
            version: u32::from_le_bytes(fixed[1..5].try_into().ok()?),
            interval_ms,
            token: match token {
                "" => None,
                token => Some(token.try_into().ok()?),
            },
            name: name.try_into().ok()?,
        })
    }
}

/// Splits a text with its length in front off the beginning.
fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((core::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_flash_and_cut_records_are_refused() {
        let settings = Settings {
            version: 7,
            interval_ms: 60_000,
            token: Some("A1B2C3D4E5F6G7H8I9J0".try_into().unwrap()),
            name: "Keller Süd".try_into().unwrap(),
        };
        let mut buffer = [0; RECORD_BYTES_MAX];
        let length = settings.write(&mut buffer);
        assert_eq!(Settings::parse(&buffer[..length]).as_ref(), Some(&settings));
        for cut in 0..length {
            assert_eq!(Settings::parse(&buffer[..cut]), None, "{cut}");
        }
        let fresh_length = Settings::default().write(&mut buffer);
        assert_eq!(
            Settings::parse(&buffer[..fresh_length]),
            Some(Settings::default())
        );
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for token in [
            "",
            "fifteen-chars-x",
            "with a space in it",
            "täoken-of-18-chars",
        ] {
            assert_eq!(check_token(token), Err(InvalidSetting::Token), "{token}");
        }
        for name in ["", "  ", "two\nlines"] {
            assert_eq!(check_name(name), Err(InvalidSetting::Name), "{name}");
        }
        for interval_ms in [0, 999, 1500, 901_000] {
            assert_eq!(
                check_interval(interval_ms),
                Err(InvalidSetting::Interval),
                "{interval_ms}"
            );
        }
    }
}
