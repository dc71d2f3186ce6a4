//! Keys that sign updates: Ed25519, in the PEM files that OpenSSL reads and writes too.

use ed25519_dalek::{
    Signer as _, SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        KeypairBytes, spki::der::pem::LineEnding,
    },
};
use protocol::firmware::{PublicKey, SIGNATURE_BYTES};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no private key, or one of another kind.
    #[error("this is no private Ed25519 key: a PEM file that begins with BEGIN PRIVATE KEY is one")]
    NotASecretKey,
    /// The text is no public key, or one of another kind.
    #[error("this is no public Ed25519 key: a PEM file that begins with BEGIN PUBLIC KEY is one")]
    NotAPublicKey,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random numbers")]
    Random,
}

/// A key that signs. It is erased from memory when it is dropped, and nothing prints it.
pub struct SecretKey(SigningKey);

impl core::fmt::Debug for SecretKey {
    /// Leaves the key out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SecretKey").finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| KeyError::Random)?;
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Ok(Self(key))
    }

    /// Reads a key from PKCS #8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::NotASecretKey`]; the text is in no error.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = SigningKey::from_pkcs8_pem(text).map_err(|_| KeyError::NotASecretKey)?;
        Ok(Self(key))
    }

    /// Returns the key as PKCS #8 in PEM.
    ///
    /// # Panics
    /// Never: the encoding of 32 bytes does not fail.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        // Without the public key behind it: OpenSSL reads version 1 only.
        let pair = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        pair.to_pkcs8_pem(LineEnding::LF).expect("32 bytes fit")
    }

    /// Returns the key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

/// Reads a public key from SPKI in PEM.
///
/// # Errors
/// [`KeyError::NotAPublicKey`], also for a key that would verify everything.
pub fn public_from_pem(text: &str) -> Result<PublicKey, KeyError> {
    match VerifyingKey::from_public_key_pem(text) {
        Ok(key) if !key.is_weak() => Ok(key.to_bytes()),
        _ => Err(KeyError::NotAPublicKey),
    }
}

/// Returns a public key as SPKI in PEM.
///
/// # Errors
/// [`KeyError::NotAPublicKey`] for bytes that are none.
pub fn public_to_pem(key: &PublicKey) -> Result<String, KeyError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::NotAPublicKey)?;
    key.to_public_key_pem(LineEnding::LF)
        .map_err(|_| KeyError::NotAPublicKey)
}

/// Returns what people compare: SHA-256 of the key's SPKI in DER, in hexadecimal.
///
/// `openssl pkey -pubin -in NAME.pub -outform DER | sha256sum` says the same.
///
/// # Errors
/// [`KeyError::NotAPublicKey`] for bytes that are none.
pub fn fingerprint(key: &PublicKey) -> Result<String, KeyError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::NotAPublicKey)?;
    let der = key
        .to_public_key_der()
        .map_err(|_| KeyError::NotAPublicKey)?;
    Ok(hexadecimal(&Sha256::digest(der.as_bytes())))
}

/// Returns bytes as hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
