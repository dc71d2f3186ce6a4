//! Token, name, interval, calibrations, viewing code and channels, as they lie on flash.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | format of this record: 3 |
//! | 4 | version: counts changes, little-endian |
//! | 4 | interval in ms, little-endian |
//! | 1 + n | length and bytes of the token; length 0 before set-up |
//! | 1 + n | length and bytes of the name, UTF-8 |
//! | 11 + 18 n | the calibration in force: version (2), date in ms since 1970 (8), number of channels n (1), and each one's nV and nA a code (4, 4), skew in ns (4), noise in nA (4), no-load limit in mW (2); n = 0 for the scale of the parts |
//! | 11 + 18 n | the calibration before, in the same way |
//! | 1 + n | length n of what the viewing code is known by, and that: 16 bytes of salt and 16 of its hash; 0 without a code |
//! | 1 + … | number of channels, and each one's ratio of the current transformer (4), length of the name (1) and name; 0 for the meter's own transformers, without names |
//!
//! Format 2 ends behind the calibrations; such a record is read too.

use core::ops::RangeInclusive;

use heapless::{String, Vec};
use metering::Calibration;
use protocol::{
    limits::{
        CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX, CODE_BYTES_MAX, CODE_BYTES_MIN, CT_RATIO,
        INTERVAL_MS, NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN,
    },
    messages::{ChannelSettings, Name},
};

use crate::code::{CODE_HASH_BYTES, CodeHash};

/// Bytes of the record at the most.
pub const RECORD_BYTES_MAX: usize = 9
    + 1
    + TOKEN_BYTES_MAX
    + 1
    + NAME_BYTES_MAX
    + 2 * CALIBRATION_BYTES_MAX
    + 1
    + CODE_HASH_BYTES
    + 1
    + CHANNELS_MAX * (5 + CHANNEL_NAME_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX <= flash_store::CONFIG_BYTES_MAX);

const FORMAT: u8 = 3;
const FORMAT_WITHOUT_CHANNELS: u8 = 2;
/// Bytes of one channel's calibration, and of all of them.
const CHANNEL_BYTES: usize = 18;
const CALIBRATION_BYTES_MAX: usize = 11 + CHANNELS_MAX * CHANNEL_BYTES;
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
    /// The calibration in force.
    pub calibration: CalibrationRecord,
    /// The one before.
    pub calibration_before: CalibrationRecord,
    /// What the viewing code is known by; `None` where there is none.
    pub code: Option<CodeHash>,
    /// One entry a channel; empty for the meter's own transformers, without names.
    pub channels: Vec<ChannelSettings, CHANNELS_MAX>,
}

/// Calibration of all channels, with version and date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalibrationRecord {
    /// Counts changes; 0 is the scale of the parts.
    pub version: u16,
    /// When it was made, in milliseconds since 1970 in UTC.
    pub utc_ms: i64,
    /// One entry a channel; empty for the scale of the parts.
    pub channels: Vec<Calibration, CHANNELS_MAX>,
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
    /// The viewing code is not 6 to 32 printable ASCII characters.
    Code,
    /// There is not one entry for each channel, a name has control characters, or a ratio is out of range.
    Channels,
    /// There is no such channel, a capture is not 30 to 600 s long, or a load has no power.
    Calibration,
}

impl Default for Settings {
    /// A meter before set-up.
    fn default() -> Self {
        Self {
            version: 0,
            interval_ms: INTERVAL_DEFAULT_MS,
            token: None,
            name: Name::new(),
            calibration: CalibrationRecord::default(),
            calibration_before: CalibrationRecord::default(),
            code: None,
            channels: Vec::new(),
        }
    }
}

/// Checks a token.
///
/// # Errors
/// [`InvalidSetting::Token`].
pub fn check_token(token: &str) -> Result<(), InvalidSetting> {
    is_printable(token, TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX)
        .then_some(())
        .ok_or(InvalidSetting::Token)
}

/// Checks a viewing code.
///
/// # Errors
/// [`InvalidSetting::Code`].
pub fn check_code(code: &str) -> Result<(), InvalidSetting> {
    is_printable(code, CODE_BYTES_MIN..=CODE_BYTES_MAX)
        .then_some(())
        .ok_or(InvalidSetting::Code)
}

fn is_printable(text: &str, lengths: RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Checks what is said of all channels of a meter that has `count`.
///
/// # Errors
/// [`InvalidSetting::Channels`].
pub fn check_channels(channels: &[ChannelSettings], count: usize) -> Result<(), InvalidSetting> {
    let is_sound = |channel: &ChannelSettings| {
        CT_RATIO.contains(&channel.ct_ratio) && !channel.name.chars().any(char::is_control)
    };
    (channels.len() == count && channels.iter().all(is_sound))
        .then_some(())
        .ok_or(InvalidSetting::Channels)
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
        for record in [&self.calibration, &self.calibration_before] {
            at += record.write(&mut buffer[at..]);
        }
        let mut put = |bytes: &[u8]| {
            buffer[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let code = self.code.as_ref().map_or(&[][..], |code| code.bytes());
        put(&[code.len() as u8]);
        put(code);
        put(&[self.channels.len() as u8]);
        for channel in &self.channels {
            put(&channel.ct_ratio.to_le_bytes());
            put(&[channel.name.len() as u8]);
            put(channel.name.as_bytes());
        }
        at
    }

    /// Reads a record; `None` where the bytes are none that [`write`](Self::write) makes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(9)?;
        let (token, rest) = split_text(rest)?;
        let (name, rest) = split_text(rest)?;
        let (calibration, rest) = CalibrationRecord::split(rest)?;
        let (calibration_before, rest) = CalibrationRecord::split(rest)?;
        let interval_ms = u32::from_le_bytes(fixed[5..9].try_into().ok()?);
        check_interval(interval_ms).ok()?;
        let (code, channels, rest) = match fixed[0] {
            FORMAT_WITHOUT_CHANNELS => (None, Vec::new(), rest),
            FORMAT => {
                let (code, rest) = split_code(rest)?;
                let (channels, rest) = split_channels(rest)?;
                (code, channels, rest)
            }
            _ => return None,
        };
        if !rest.is_empty() {
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
            calibration,
            calibration_before,
            code,
            channels,
        })
    }
}

impl CalibrationRecord {
    /// Writes the record at the beginning of a buffer that has room and returns its length.
    fn write(&self, buffer: &mut [u8]) -> usize {
        buffer[..2].copy_from_slice(&self.version.to_le_bytes());
        buffer[2..10].copy_from_slice(&self.utc_ms.to_le_bytes());
        buffer[10] = self.channels.len() as u8;
        let fields = buffer[11..].chunks_exact_mut(CHANNEL_BYTES);
        for (bytes, channel) in fields.zip(&self.channels) {
            bytes[..4].copy_from_slice(&channel.voltage_nv_per_code.to_le_bytes());
            bytes[4..8].copy_from_slice(&channel.current_na_per_code.to_le_bytes());
            bytes[8..12].copy_from_slice(&channel.current_skew_ns.to_le_bytes());
            bytes[12..16].copy_from_slice(&channel.current_noise_na.to_le_bytes());
            bytes[16..].copy_from_slice(&channel.no_load_mw.to_le_bytes());
        }
        11 + self.channels.len() * CHANNEL_BYTES
    }

    /// Splits a record off the beginning.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, rest) = bytes.split_at_checked(11)?;
        let (channels, rest) = rest.split_at_checked(usize::from(fixed[10]) * CHANNEL_BYTES)?;
        let mut record = Self {
            version: u16::from_le_bytes(fixed[..2].try_into().ok()?),
            utc_ms: i64::from_le_bytes(fixed[2..10].try_into().ok()?),
            channels: Vec::new(),
        };
        for bytes in channels.chunks_exact(CHANNEL_BYTES) {
            let word = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
            let channel = Calibration {
                voltage_nv_per_code: word(0)?,
                current_na_per_code: word(4)?,
                current_skew_ns: word(8)?.cast_signed(),
                current_noise_na: word(12)?,
                no_load_mw: u16::from_le_bytes(bytes[16..].try_into().ok()?),
            };
            record.channels.push(channel).ok()?;
        }
        Some((record, rest))
    }
}

/// Splits a text with its length in front off the beginning.
fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((core::str::from_utf8(text).ok()?, rest))
}

/// Splits what the viewing code is known by off the beginning.
fn split_code(bytes: &[u8]) -> Option<(Option<CodeHash>, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    if length == 0 {
        return Some((None, rest));
    }
    let (code, rest) = rest.split_first_chunk::<CODE_HASH_BYTES>()?;
    (usize::from(length) == CODE_HASH_BYTES).then(|| (Some(CodeHash::from_bytes(*code)), rest))
}

/// Splits what people say of the channels off the beginning.
fn split_channels(bytes: &[u8]) -> Option<(Vec<ChannelSettings, CHANNELS_MAX>, &[u8])> {
    let (&count, mut rest) = bytes.split_first()?;
    let mut channels = Vec::new();
    for _ in 0..count {
        let (ratio, behind) = rest.split_first_chunk()?;
        let (name, behind) = split_text(behind)?;
        let channel = ChannelSettings {
            name: name.try_into().ok()?,
            ct_ratio: u32::from_le_bytes(*ratio),
        };
        channels.push(channel).ok()?;
        rest = behind;
    }
    check_channels(&channels, count.into()).ok()?;
    Some((channels, rest))
}

#[cfg(test)]
mod tests;
