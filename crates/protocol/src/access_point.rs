//! Name and password of a meter's own Wi-Fi.
//!
//! The name is `OFMON-` and the 12 hex digits of the meter in capitals. The password is 16 characters of Crockford's
//! base 32, made of 80 random bits on the first start, and stands in the store's identity.

use core::fmt;

use heapless::String;

use crate::DeviceId;

/// Length of an access-point password in bytes.
pub const PASSWORD_BYTES: usize = 16;
/// Random bytes that a password is made of.
pub const PASSWORD_RANDOM_BYTES: usize = 10;
/// Length of an access point's name in bytes.
pub const SSID_BYTES: usize = 18;

/// Digits and letters without I, L, O and U: none of them is taken for another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The password of a meter's access point: 16 characters of Crockford's base 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password([u8; PASSWORD_BYTES]);

impl Password {
    /// Makes a password of fresh random bytes, five bits a character.
    #[must_use]
    pub fn from_random(random: [u8; PASSWORD_RANDOM_BYTES]) -> Self {
        let mut characters = [0; PASSWORD_BYTES];
        let groups = random.chunks_exact(5).zip(characters.chunks_exact_mut(8));
        for (bytes, characters) in groups {
            let bits = bytes
                .iter()
                .fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
            for (character, shift) in characters.iter_mut().zip((0..40).step_by(5).rev()) {
                *character = ALPHABET[(bits >> shift & 31) as usize];
            }
        }
        Self(characters)
    }

    /// Takes a password as it lies on flash; `None` where the bytes are none.
    #[must_use]
    pub fn from_bytes(bytes: [u8; PASSWORD_BYTES]) -> Option<Self> {
        let is_one = bytes.iter().all(|byte| ALPHABET.contains(byte));
        is_one.then_some(Self(bytes))
    }

    /// Returns the characters as they lie on flash.
    #[must_use]
    pub fn bytes(&self) -> &[u8; PASSWORD_BYTES] {
        &self.0
    }

    /// Returns the password as it is typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Password {
    /// Leaves the characters out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Returns the name of a meter's access point.
#[must_use]
pub fn ssid(device: DeviceId) -> String<SSID_BYTES> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let nibbles = (device.0.iter()).flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)]));
    "OFMON-".chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_hold_every_random_bit() {
        let golden =
            Password::from_random([0x00, 0x44, 0x32, 0x14, 0xc7, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(golden.as_str(), "01234567ZZZZZZZZ");
        for bit in 0..80 {
            let mut random = [0; PASSWORD_RANDOM_BYTES];
            random[bit / 8] = 0x80 >> (bit % 8);
            let password = Password::from_random(random);
            // 16, 8, 4, 2 and 1.
            let expected = b"G8421"[bit % 5];
            assert_eq!(password.bytes()[bit / 5], expected, "{bit}");
            let others = password.bytes().iter().filter(|byte| **byte != b'0');
            assert_eq!(others.count(), 1, "{bit}");
        }
    }

    #[test]
    fn bytes_that_are_no_password_are_refused() {
        let password = Password::from_random(*b"some bytes");
        assert_eq!(Password::from_bytes(*password.bytes()), Some(password));
        for bytes in [
            [0; 16],
            [0xff; 16],
            *b"0123456789ABCDEL",
            *b"0123456789abcdef",
        ] {
            assert_eq!(Password::from_bytes(bytes), None);
        }
    }

    #[test]
    fn access_points_are_named_after_their_meter() {
        assert_eq!(
            ssid(DeviceId([0x3c, 0x71, 0xbf, 0, 1, 0xfe])),
            "OFMON-3C71BF0001FE"
        );
    }
}
