//! The viewing code as the meter remembers it: salted and hashed.
//!
//! The salt is of the boot's random bytes, not of the access token, so the code outlives a change of the token. A short
//! code can be guessed by whoever reads the flash; but there lies the token too, which opens more.

use hmac::{Hmac, KeyInit, Mac as _};
use protocol::DeviceId;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// Bytes of a hash: no code has more to hide.
const HASH_BYTES: usize = 16;
/// Bytes of both.
pub(crate) const CODE_HASH_BYTES: usize = SALT_BYTES + HASH_BYTES;

/// Salt and hash of a viewing code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeHash([u8; CODE_HASH_BYTES]);

impl core::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CodeHash(…)")
    }
}

impl CodeHash {
    /// Hashes a code; the salt is drawn from a secret of this boot and a number that was not used in it before.
    pub(crate) fn new(code: &str, device: DeviceId, secret: &[u8; 32], number: u32) -> Self {
        let salt = hashed(secret, &[b"ofmon-code-salt-1\n", &number.to_le_bytes()]);
        Self::salted(salt, code, device)
    }

    fn salted(salt: [u8; SALT_BYTES], code: &str, device: DeviceId) -> Self {
        let hash = hashed(&salt, &[b"ofmon-code-1\n", &device.0, code.as_bytes()]);
        let mut bytes = [0; CODE_HASH_BYTES];
        bytes[..SALT_BYTES].copy_from_slice(&salt);
        bytes[SALT_BYTES..].copy_from_slice(&hash);
        Self(bytes)
    }

    /// Tells in constant time whether this is the code.
    pub(crate) fn matches(&self, code: &str, device: DeviceId) -> bool {
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&self.0[..SALT_BYTES]);
        Self::salted(salt, code, device).0.ct_eq(&self.0).into()
    }

    /// Takes what lies on flash.
    pub(crate) const fn from_bytes(bytes: [u8; CODE_HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns what lies on flash.
    pub(crate) const fn bytes(&self) -> &[u8; CODE_HASH_BYTES] {
        &self.0
    }
}

/// Returns the beginning of an HMAC-SHA256.
fn hashed(key: &[u8], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    parts.iter().for_each(|part| hmac.update(part));
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&hmac.finalize().into_bytes()[..HASH_BYTES]);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId([2, 0, 0, 0, 0, 1]);

    #[test]
    fn only_the_code_matches_and_only_on_its_meter() {
        let hash = CodeHash::new("green-door", DEVICE, &[9; 32], 1);
        assert!(hash.matches("green-door", DEVICE));
        for other in ["green-doo", "green-door1", "Green-door", ""] {
            assert!(!hash.matches(other, DEVICE), "{other}");
        }
        assert!(!hash.matches("green-door", DeviceId([2, 0, 0, 0, 0, 2])));
        assert!(CodeHash::from_bytes(*hash.bytes()).matches("green-door", DEVICE));
    }

    #[test]
    fn the_same_code_lies_on_flash_in_another_way_each_time() {
        let first = CodeHash::new("green-door", DEVICE, &[9; 32], 1);
        for (secret, number) in [([9; 32], 2), ([8; 32], 1)] {
            let next = CodeHash::new("green-door", DEVICE, &secret, number);
            let same = (first.bytes().iter())
                .zip(next.bytes())
                .filter(|(a, b)| a == b);
            assert!(same.count() < 8);
        }
    }
}
