//! Who a meter is and which reading is meant.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Names a meter for its whole life: the six bytes of its MAC, written as 12 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 6]);

/// Names one history of a meter: a random number made when its store is formatted.
///
/// An erased chip starts its sequence anew; the new store id makes that another history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// Counts the readings of a store from 0; never reused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Returns the sequence number `count` later; saturates at the end of the range.
    #[must_use]
    pub const fn advanced(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no identifier of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an identifier: hex digits of the exact length are expected")
    }
}

impl core::error::Error for ParseIdError {}

/// Writes bytes as lower-case hex.
pub(crate) fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly `N` bytes of hex, either case.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(ParseIdError);
    }
    let nibble = |digit: u8| (digit as char).to_digit(16).ok_or(ParseIdError);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4 | nibble(pair[1])?) as u8;
    }
    Ok(bytes)
}

/// Gives a hex-written type its `Display`, `Debug`, `FromStr` and serde forms.
macro_rules! hex_text {
    ($type:ident, $length:expr, $to_bytes:expr, $from_bytes:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let to_bytes: fn(&$type) -> [u8; $length] = $to_bytes;
                $crate::identity::write_hex(f, &to_bytes(self))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
        impl FromStr for $type {
            type Err = $crate::identity::ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::identity::parse_hex::<$length>(text).map($from_bytes)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = heapless::String::<{ 2 * $length }>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}
pub(crate) use hex_text;

hex_text!(DeviceId, 6, |id| id.0, DeviceId);
hex_text!(StoreId, 8, |id| id.0.to_be_bytes(), |bytes| StoreId(
    u64::from_be_bytes(bytes)
));

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn identifiers_survive_text() {
        let id = DeviceId([0x3c, 0x71, 0xbf, 0, 1, 0xfe]);
        assert_eq!(id.to_string(), "3c71bf0001fe");
        assert_eq!("3C71BF0001FE".parse(), Ok(id));
        let store = StoreId(0x0102_0304_0506_0708);
        assert_eq!(store.to_string(), "0102030405060708");
        assert_eq!(store.to_string().parse(), Ok(store));
    }

    #[test]
    fn text_that_is_no_identifier_is_refused() {
        for text in [
            "",
            "3c71bf0001f",
            "3c71bf0001fe0",
            "3c71bf0001fg",
            "+c71bf0001fe",
            "äbc71bf0001",
        ] {
            assert_eq!(text.parse::<DeviceId>(), Err(ParseIdError), "{text}");
        }
    }
}
