//! The header of an update, and versions.
//!
//! An `.ofmon` file is this header of 256 bytes and the app image behind it. All numbers are little-endian, texts are
//! ASCII with zeros behind them.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `OFMF` |
//! | 4 | 2 | version of the header: 1 |
//! | 6 | 2 | zeros |
//! | 8 | 16 | product: `ofmon` |
//! | 24 | 16 | chip, such as `esp32c3` |
//! | 40 | 24 | semantic version of the image |
//! | 64 | 24 | semantic version that a meter must have at least to take the image |
//! | 88 | 4 | length of the image in bytes |
//! | 92 | 4 | zeros |
//! | 96 | 32 | SHA-256 of the image |
//! | 128 | 64 | zeros |
//! | 192 | 64 | Ed25519 signature over the 192 bytes before it; zeros where the image is unsigned |

use core::cmp::Ordering;

use heapless::String;

use crate::limits::VERSION_BYTES_MAX;

/// Length of the header in bytes.
pub const HEADER_BYTES: usize = 256;
/// Length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of a header that its signature is over.
pub const SIGNED_BYTES: usize = HEADER_BYTES - SIGNATURE_BYTES;
/// Keys that a meter has at the most: the one in use, and the next one.
pub const UPDATE_KEYS_MAX: usize = 2;
/// The product that all meters are.
pub const PRODUCT: &str = "ofmon";
/// Longest name of a product or a chip in bytes.
pub const NAME_BYTES_MAX: usize = 16;

const MAGIC: [u8; 4] = *b"OFMF";
const FORMAT: u16 = 1;

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// A name of a product or a chip.
pub type Name = String<NAME_BYTES_MAX>;

/// What an update is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The product that it is for.
    pub product: Name,
    /// The chip that it is for.
    pub chip: Name,
    /// Its version.
    pub version: SemanticVersion,
    /// A meter with an older version does not take it.
    pub minimum: SemanticVersion,
    /// Length of the image in bytes.
    pub image_bytes: u32,
    /// SHA-256 of the image.
    pub image_hash: [u8; 32],
    /// Signature over the rest of the header; zeros where there is none.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// The bytes are no header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHeader;

impl Header {
    /// Returns the bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        write_text(&mut bytes[8..24], &self.product);
        write_text(&mut bytes[24..40], &self.chip);
        write_text(&mut bytes[40..64], self.version.as_str());
        write_text(&mut bytes[64..88], self.minimum.as_str());
        bytes[88..92].copy_from_slice(&self.image_bytes.to_le_bytes());
        bytes[96..128].copy_from_slice(&self.image_hash);
        bytes[192..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`NotAHeader`] for anything that [`to_bytes`](Self::to_bytes) does not make.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, NotAHeader> {
        let zeros = [&bytes[6..8], &bytes[92..96], &bytes[128..192]];
        let is_known = bytes[..4] == MAGIC
            && bytes[4..6] == FORMAT.to_le_bytes()
            && zeros
                .iter()
                .all(|bytes| bytes.iter().all(|byte| *byte == 0));
        if !is_known {
            return Err(NotAHeader);
        }
        Self::read(bytes).ok_or(NotAHeader)
    }

    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let name = |bytes| read_text(bytes)?.try_into().ok();
        Some(Self {
            product: name(&bytes[8..24])?,
            chip: name(&bytes[24..40])?,
            version: read_text(&bytes[40..64])?.parse().ok()?,
            minimum: read_text(&bytes[64..88])?.parse().ok()?,
            image_bytes: u32::from_le_bytes(bytes[88..92].try_into().ok()?),
            image_hash: bytes[96..128].try_into().ok()?,
            signature: bytes[192..].try_into().ok()?,
        })
    }

    /// Tells whether there is a signature; says nothing about whose.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signature != [0; SIGNATURE_BYTES]
    }
}

/// Writes a text that fits, with zeros behind it.
fn write_text(field: &mut [u8], text: &str) {
    field[..text.len()].copy_from_slice(text.as_bytes());
}

/// Reads a text of one or more printable characters with nothing but zeros behind it.
fn read_text(field: &[u8]) -> Option<&str> {
    let length = field.iter().position(|byte| *byte == 0);
    let (text, rest) = field.split_at(length.unwrap_or(field.len()));
    let is_text = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    if !is_text || rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    core::str::from_utf8(text).ok()
}

/// A version by the rules of Semantic Versioning 2.0.0, at most 24 bytes.
///
/// Two versions that differ only in what stands behind a `+` are of the same age, and yet not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemanticVersion(String<VERSION_BYTES_MAX>);

/// The text is no semantic version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAVersion;

impl core::str::FromStr for SemanticVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let parts = Parts::of(text);
        let numbers = parts.numbers.split('.');
        let is_core = numbers.clone().count() == 3 && numbers.clone().all(is_number);
        let is_before = parts.before.is_none_or(|before| {
            before.split('.').all(|identifier| {
                is_identifier(identifier) && (!is_digits(identifier) || is_number(identifier))
            })
        });
        let is_build = parts
            .build
            .is_none_or(|build| build.split('.').all(is_identifier));
        if !(is_core && is_before && is_build) {
            return Err(NotAVersion);
        }
        text.try_into().map(Self).map_err(|_| NotAVersion)
    }
}

impl SemanticVersion {
    /// Returns the version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares the ages of two versions: `Less` is older.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let (own, others) = (Parts::of(&self.0), Parts::of(&other.0));
        let numbers = own.numbers.split('.').zip(others.numbers.split('.'));
        let by_numbers = numbers.map(|(own, other)| compare_numbers(own, other));
        by_numbers
            .fold(Ordering::Equal, Ordering::then)
            .then_with(|| match (own.before, others.before) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(own), Some(other)) => compare_identifiers(own, other),
            })
    }

    /// Tells whether this version is older than another.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Less
    }
}

impl core::fmt::Display for SemanticVersion {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The three parts of a version.
struct Parts<'a> {
    numbers: &'a str,
    before: Option<&'a str>,
    build: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (numbers, before) = match text.split_once('-') {
            Some((numbers, before)) => (numbers, Some(before)),
            None => (text, None),
        };
        Self {
            numbers,
            before,
            build,
        }
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number has no zero in front.
fn is_number(text: &str) -> bool {
    is_digits(text) && !text.is_empty() && (text.len() == 1 || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// Numbers without a zero in front compare by length first, so no width limits them.
fn compare_numbers(own: &str, other: &str) -> Ordering {
    own.len().cmp(&other.len()).then_with(|| own.cmp(other))
}

fn compare_identifiers(own: &str, other: &str) -> Ordering {
    let (mut own, mut other) = (own.split('.'), other.split('.'));
    loop {
        let order = match (own.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(own), Some(other)) => match (is_digits(own), is_digits(other)) {
                (true, true) => compare_numbers(own, other),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => own.cmp(other),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
