//! Sealing of a changed token: golden values, and what does not open.

use proptest::prelude::*;
use protocol::{
    DeviceId,
    authentication::{Key, Nonce, SealedToken},
    messages::{Token, TokenChange},
};

const DEVICE: DeviceId = DeviceId([0x3c, 0x71, 0xbf, 0x00, 0x01, 0xfe]);
const TOKEN: &str = "A1_TOKEN_of_20_chars";

fn key() -> Key {
    Key::derive(TOKEN, DEVICE)
}

fn nonce() -> Nonce {
    Nonce(core::array::from_fn(|index| index as u8))
}

fn token(text: &str) -> Token {
    text.try_into().unwrap()
}

#[test]
fn sealed_tokens_have_golden_values() {
    for (text, golden) in [
        (
            "the-next-token-of-24-chr",
            "85002eb880af136e35f12a5356e011c17eb5dce6da2275241de5408583f9a019\
             c15ed72523a5d34d9ca1121cb41bc47431286fe6ea8c9d6927994da787b705c78d",
        ),
        (
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "dd0c3ea5d5b90e6e39a4264445fd079469ab89ac96776e34179d38fdfb81d861\
             b926af5d5bddab35e4d96a64cc63bc0c4950179e92f4e5115fe135dfffcf7dbff5",
        ),
        (
            "sixteen-chars-ok",
            "8d072fa5d9a413786cbf365d4ff652837ad3f1d4ee0f164c6fe5408583f9a019\
             c15ed72523a5d34d9ca1121cb41bc47431286fe6ea8c9d6927994da787b705c78d",
        ),
    ] {
        let sealed = key().seal_token(&nonce(), &token(text));
        assert_eq!(sealed.to_string(), golden);
        let opened = key().open_token(&nonce(), &golden.parse().unwrap());
        assert_eq!(opened, Some(token(text)));
        let json = serde_json::to_string(&TokenChange { sealed }).unwrap();
        assert_eq!(json, format!(r#"{{"sealed":"{golden}"}}"#));
    }
}

#[test]
fn another_key_or_nonce_opens_nothing() {
    let sealed = key().seal_token(&nonce(), &token("the-next-token-of-24-chr"));
    let other_key = Key::derive("A1_TOKEN_of_20_chart", DEVICE);
    assert_eq!(other_key.open_token(&nonce(), &sealed), None);
    let other_meter = Key::derive(TOKEN, DeviceId([1; 6]));
    assert_eq!(other_meter.open_token(&nonce(), &sealed), None);
    assert_eq!(key().open_token(&Nonce([9; 20]), &sealed), None);
}

#[test]
fn a_length_that_is_none_opens_nothing() {
    let golden = key().seal_token(&nonce(), &token("sixteen-chars-ok"));
    // A stream cipher: what is changed in it changes the same bits of what is in it.
    for length in 0..=u8::MAX {
        let mut sealed = golden;
        sealed.0[0] ^= 16 ^ length;
        let opened = key().open_token(&nonce(), &sealed);
        match length {
            0..16 => assert_eq!(opened, None, "the rest is no padding"),
            16 => assert_eq!(opened, Some(token("sixteen-chars-ok"))),
            17..=64 => assert!(opened.is_some_and(|token| token.ends_with('\0'))),
            _ => assert_eq!(opened, None, "{length}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(text in "[ -~]{0,64}", nonce: [u8; 20], secret in "[!-~]{16,64}") {
        let (key, nonce) = (Key::derive(&secret, DEVICE), Nonce(nonce));
        let sealed = key.seal_token(&nonce, &token(&text));
        prop_assert_eq!(key.open_token(&nonce, &sealed), Some(token(&text)));
    }

    #[test]
    fn arbitrary_bytes_open_to_a_token_or_to_nothing(bytes in proptest::collection::vec(any::<u8>(), 65)) {
        let sealed = SealedToken(bytes.try_into().unwrap());
        if let Some(token) = key().open_token(&nonce(), &sealed) {
            prop_assert_eq!(key().seal_token(&nonce(), &token), sealed);
        }
    }
}
