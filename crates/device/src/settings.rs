//! Token, name, interval and calibrations, as they lie on flash.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | format of this record: 2 |
//! | 4 | version: counts changes, little-endian |
//! | 4 | interval in ms, little-endian |
//! | 1 + n | length and bytes of the token; length 0 before set-up |
//! | 1 + n | length and bytes of the name, UTF-8 |
//! | 11 + 18 n | the calibration in force: version (2), date in ms since 1970 (8), number of channels n (1), and each one's nV and nA a code (4, 4), skew in ns (4), noise in nA (4), no-load limit in mW (2); n = 0 for the scale of the parts |
//! | 11 + 18 n | the calibration before, in the same way |

use core::ops::RangeInclusive;

use heapless::{String, Vec};
use metering::Calibration;
use protocol::{
    limits::{CHANNELS_MAX, INTERVAL_MS, NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN},
    messages::Name,
};

/// Bytes of the record at the most.
pub const RECORD_BYTES_MAX: usize =
    9 + 1 + TOKEN_BYTES_MAX + 1 + NAME_BYTES_MAX + 2 * CALIBRATION_BYTES_MAX;

const FORMAT: u8 = 2;
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
        for record in [&self.calibration, &self.calibration_before] {
            at += record.write(&mut buffer[at..]);
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
            calibration,
            calibration_before,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(seed: u32) -> Calibration {
        Calibration {
            voltage_nv_per_code: 264_700_000 + seed,
            current_na_per_code: 23_000_000 + seed,
            current_skew_ns: -41_000 - seed as i32,
            current_noise_na: 69_000_000 + seed,
            no_load_mw: 900 + seed as u16,
        }
    }

    #[test]
    fn settings_survive_flash_and_cut_records_are_refused() {
        let settings = Settings {
            version: 7,
            interval_ms: 60_000,
            token: Some("A1B2C3D4E5F6G7H8I9J0".try_into().unwrap()),
            name: "Keller Süd".try_into().unwrap(),
            calibration: CalibrationRecord {
                version: 3,
                utc_ms: 1_795_248_000_000,
                channels: [1, 2, 3].map(channel).into_iter().collect(),
            },
            calibration_before: CalibrationRecord {
                version: 2,
                utc_ms: 1_795_247_000_000,
                channels: [4, 5, 6].map(channel).into_iter().collect(),
            },
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
