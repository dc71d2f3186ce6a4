//! Whose an update is.
//!
//! Verification is strict: one encoding of a signature, no key that signs everything. A key is public and the time that it
//! takes tells nothing.

use ed25519_dalek::{Signature, VerifyingKey};
use protocol::firmware::{HEADER_BYTES, PublicKey, SIGNATURE_BYTES, SIGNED_BYTES};

/// Tells whether a header was signed with one of some keys.
pub(crate) fn is_by_any(keys: &[PublicKey], header: &[u8; HEADER_BYTES]) -> bool {
    let Some((signed, signature)) = header.split_last_chunk::<SIGNATURE_BYTES>() else {
        return false;
    };
    debug_assert_eq!(signed.len(), SIGNED_BYTES);
    keys.iter().any(|key| is_by(key, signed, signature))
}

/// Tells whether a signature of a message was made with a key; takes 5 KB of the stack for the moment.
#[inline(never)]
fn is_by(key: &PublicKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        key.verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    })
}

#[cfg(test)]
mod tests;
