//! Keys, request and answer MACs.
//!
//! Meter and collector share the meter's ThingsBoard access token. From it comes one key:
//! `key = HKDF-SHA256(token, salt = device id, info = "ofmon device api v1")`.
//!
//! Each MAC is HMAC-SHA256 with that key over a text that begins with its purpose, one field a line:
//!
//! | purpose | fields |
//! |---|---|
//! | `ofmon-request-1` | method, path with query, hex SHA-256 of the body, nonce |
//! | `ofmon-answer-1` | request MAC, status, hex SHA-256 of the body, next nonce |
//! | `ofmon-frame-1` | request MAC, index, `1` if last else `0`, hex SHA-256 of the payload; truncated to 16 bytes |
//! | `ofmon-save-1` | hex SHA-256 of the fields of a saved file's header |
//!
//! A changed token travels sealed, see [`Key::seal_token`].
//!
//! The hash of the body is a header of its own, so a meter checks the MAC before it reads the body and the hash at its end.

use core::{fmt, fmt::Write as _, str::FromStr};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    frame::FrameHeader,
    identity::{DeviceId, hex_text, write_hex},
    limits::TOKEN_BYTES_MAX,
    messages::Token,
};

/// The scheme that begins the `Authorization` header.
pub const SCHEME: &str = "OFMON-HMAC-SHA256";
/// Carries the hex SHA-256 of a request's body.
pub const BODY_HASH_HEADER: &str = "Ofmon-Body-Sha256";
/// Carries a nonce for the next request, on every answer.
pub const NONCE_HEADER: &str = "Ofmon-Nonce";
/// Carries the MAC of an answer.
pub const ANSWER_MAC_HEADER: &str = "Ofmon-Mac";

/// A single-use number that the meter made: 20 bytes, 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 20]);
hex_text!(Nonce, 20, |nonce| nonce.0, Nonce);

/// A SHA-256 of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyHash(pub [u8; 32]);
hex_text!(BodyHash, 32, |hash| hash.0, BodyHash);

impl BodyHash {
    /// Hashes a whole body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

/// A token on its way to the meter: 65 bytes, 130 hex digits; see [`Key::seal_token`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealedToken(pub [u8; SEALED_BYTES]);
hex_text!(SealedToken, SEALED_BYTES, |sealed| sealed.0, SealedToken);

/// Bytes of a sealed token: its length, and the token with zeros behind it.
const SEALED_BYTES: usize = 1 + TOKEN_BYTES_MAX;

/// A message authentication code; compared in constant time only.
#[derive(Clone, Copy)]
pub struct Mac([u8; 32]);
hex_text!(Mac, 32, |mac| mac.0, Mac);

impl Mac {
    /// Tells in constant time whether `bytes` are this MAC or, if shorter (at least 16 bytes), its beginning.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        (16..=32).contains(&bytes.len()) && bool::from(self.0[..bytes.len()].ct_eq(bytes))
    }

    /// Returns the bytes that are sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key that meter and collector share; never shown.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Derives the key of a meter from its access token.
    #[must_use]
    pub fn derive(token: &str, device: DeviceId) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&device.0), token.as_bytes())
            .expand(b"ofmon device api v1", &mut key)
            .expect("32 bytes are within HKDF's range");
        Self(key)
    }

    /// Returns the MAC of a request.
    #[must_use]
    pub fn request_mac(
        &self,
        method: &str,
        path_and_query: &str,
        body: &BodyHash,
        nonce: &Nonce,
    ) -> Mac {
        self.mac(format_args!(
            "ofmon-request-1\n{method}\n{path_and_query}\n{body}\n{nonce}"
        ))
    }

    /// Returns the MAC of a JSON answer to the request with MAC `request`.
    #[must_use]
    pub fn answer_mac(&self, request: &Mac, status: u16, body: &[u8], next: &Nonce) -> Mac {
        self.mac(format_args!(
            "ofmon-answer-1\n{request}\n{status}\n{}\n{next}",
            BodyHash::of(body)
        ))
    }

    /// Returns the MAC of one frame of the answer to the request with MAC `request`; 16 bytes of it are sent.
    #[must_use]
    pub fn frame_mac(&self, request: &Mac, header: FrameHeader, payload: &[u8]) -> Mac {
        self.mac(format_args!(
            "ofmon-frame-1\n{request}\n{}\n{}\n{}",
            header.index,
            u8::from(header.last),
            BodyHash::of(payload)
        ))
    }

    /// Returns the MAC of a saved file whose header has these fields; its frames have it in place of a request's.
    #[must_use]
    pub fn saved_mac(&self, fields: &[u8]) -> Mac {
        self.mac(format_args!("ofmon-save-1\n{}", BodyHash::of(fields)))
    }

    /// Encrypts another access token for this key's meter.
    ///
    /// Its length and bytes are added to a key stream, HKDF-SHA256(this key, salt = nonce, info = "ofmon token change v1"). A nonce is
    /// for one request, so the stream is used once; that nothing was altered is for the MAC of the request to tell.
    #[must_use]
    pub fn seal_token(&self, nonce: &Nonce, token: &Token) -> SealedToken {
        let mut sealed = [0; SEALED_BYTES];
        sealed[0] = token.len() as u8;
        sealed[1..=token.len()].copy_from_slice(token.as_bytes());
        self.add_token_stream(nonce, &mut sealed);
        SealedToken(sealed)
    }

    /// Decrypts what [`seal_token`](Self::seal_token) made; `None` where that was done with another key or nonce.
    #[must_use]
    pub fn open_token(&self, nonce: &Nonce, sealed: &SealedToken) -> Option<Token> {
        let mut open = sealed.0;
        self.add_token_stream(nonce, &mut open);
        let [length, token @ ..] = &open;
        let (token, rest) = token.split_at_checked(usize::from(*length))?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        Token::try_from(core::str::from_utf8(token).ok()?).ok()
    }

    fn add_token_stream(&self, nonce: &Nonce, bytes: &mut [u8; SEALED_BYTES]) {
        let mut stream = [0; SEALED_BYTES];
        Hkdf::<Sha256>::new(Some(&nonce.0), &self.0)
            .expand(b"ofmon token change v1", &mut stream)
            .expect("65 bytes are within HKDF's range");
        for (byte, key) in bytes.iter_mut().zip(stream) {
            *byte ^= key;
        }
    }

    fn mac(&self, text: fmt::Arguments<'_>) -> Mac {
        let mut writer = HmacWriter(Hmac::new_from_slice(&self.0).expect("HMAC takes any key"));
        writer.write_fmt(text).expect("hashing does not fail");
        Mac(writer.0.finalize().into_bytes().into())
    }
}

/// Feeds formatted text to the hash without a buffer.
struct HmacWriter(Hmac<Sha256>);

impl fmt::Write for HmacWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The value of an `Authorization` header.
#[derive(Clone, Copy, Debug)]
pub struct Authorization {
    /// The nonce that the meter gave.
    pub nonce: Nonce,
    /// The MAC of the request.
    pub mac: Mac,
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME} nonce={}, mac=", self.nonce)?;
        write_hex(f, &self.mac.0)
    }
}

impl FromStr for Authorization {
    type Err = crate::identity::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = || {
            let (nonce, mac) = text
                .strip_prefix(SCHEME)?
                .strip_prefix(" nonce=")?
                .split_once(", mac=")?;
            Some((nonce, mac))
        };
        let (nonce, mac) = fields().ok_or(crate::identity::ParseIdError)?;
        Ok(Self {
            nonce: nonce.parse()?,
            mac: mac.parse()?,
        })
    }
}
