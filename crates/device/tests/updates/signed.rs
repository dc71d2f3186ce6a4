//! Whose updates a meter believes.

use ed25519_dalek::{Signer as _, SigningKey};
use protocol::firmware::{PublicKey, SIGNED_BYTES};

use super::*;
use crate::harness::Build;

/// The keys of the meter, and one that is not.
fn keys() -> [SigningKey; 3] {
    [1, 2, 3].map(|byte| SigningKey::from_bytes(&[byte; 32]))
}

/// A build with the first two keys.
fn build() -> Build {
    Build {
        keys: keys()[..2].iter().map(public).collect(),
        ..Build::default()
    }
}

fn public(key: &SigningKey) -> PublicKey {
    key.verifying_key().to_bytes()
}

pub(super) fn sign(file: &mut [u8], key: &SigningKey) {
    let signature = key.sign(&file[..SIGNED_BYTES]).to_bytes();
    file[SIGNED_BYTES..][..64].copy_from_slice(&signature);
}

fn signed(key: &SigningKey) -> Vec<u8> {
    let mut file = file(CHIP, 50_001);
    sign(&mut file, key);
    file
}

#[tokio::test]
async fn update_with_a_signature_of_either_key_is_taken() {
    for key in &keys()[..2] {
        let meter = TestMeter::set_up_as(&build()).await;
        let answer = meter.signed("POST", PATH, &signed(key)).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{text}");
        assert_eq!(meter.restarts(), 1);
        let mut slots = meter.into_slots();
        assert_eq!(slots.named(), Ok(Slot::One));
        let header = slots.header(Slot::One).unwrap().unwrap();
        assert!(header.is_signed());
    }
}

#[tokio::test]
async fn what_is_not_signed_right_is_refused_before_anything_is_erased() {
    let meter = TestMeter::set_up_as(&build()).await;
    let [own, _, stranger] = keys();
    let mut second_image = image(50_001);
    second_image[7] ^= 1;
    let mut same_signature = header(CHIP, &second_image);
    same_signature.signature = signed(&own)[SIGNED_BYTES..256].try_into().unwrap();
    // The image of the file would be right; its header is another than the one that was signed.
    let other_image = [&same_signature.to_bytes()[..], &second_image].concat();
    let mut newer = signed(&own);
    newer[40..45].copy_from_slice(b"0.2.1");
    let mut turned = signed(&own);
    turned[255] ^= 0x20;
    for (file, expected) in [
        (signed(&stranger), "wrong_signature"),
        (other_image, "wrong_signature"),
        (newer, "wrong_signature"),
        (turned, "wrong_signature"),
        // With keys, not even a build for development takes it.
        (file(CHIP, 50_001), "unsigned"),
    ] {
        let answer = meter.signed("POST", PATH, &file).await;
        assert_eq!(code(&answer), (403, expected.into()));
    }
    assert_untouched(meter);
}

#[tokio::test]
async fn right_signature_makes_no_wrong_update_right() {
    let meter = TestMeter::set_up_as(&build()).await;
    let [own, ..] = keys();
    let image = image(50_001);
    let good = header(CHIP, &image);
    let sealed = |header: Header| {
        let mut file = [&header.to_bytes()[..], &image].concat();
        sign(&mut file, &own);
        file
    };
    let refused = [
        (
            Header {
                product: "other".try_into().unwrap(),
                ..good.clone()
            },
            (409, "wrong_product"),
        ),
        (header("esp32c6", &image), (409, "wrong_chip")),
        (
            Header {
                version: "0.0.9".parse().unwrap(),
                ..good.clone()
            },
            (409, "older"),
        ),
        (
            Header {
                minimum: "0.1.1".parse().unwrap(),
                ..good.clone()
            },
            (409, "too_far_ahead"),
        ),
        (
            Header {
                image_bytes: 921_601,
                ..good.clone()
            },
            (413, "wrong_size"),
        ),
        (
            Header {
                image_bytes: 0,
                ..good.clone()
            },
            (413, "wrong_size"),
        ),
    ];
    for (header, (status, word)) in refused {
        let answer = meter.signed("POST", PATH, &sealed(header)).await;
        assert_eq!(code(&answer), (status, word.into()));
    }
    assert_untouched(meter);
    // A tampered image under a header that is right: its slot is written, and never named.
    let meter = TestMeter::set_up_as(&build()).await;
    let mut tampered = sealed(good);
    tampered[40_000] ^= 1;
    let answer = meter.signed("POST", PATH, &tampered).await;
    assert_eq!(code(&answer), (400, "wrong_image".into()));
    assert_eq!(meter.restarts(), 0);
    let mut slots = meter.into_slots();
    assert_eq!(slots.named(), Ok(Slot::Zero));
    assert_eq!(slots.header(Slot::One), Ok(None));
}

#[tokio::test]
async fn firmware_without_a_key_believes_no_signature() {
    let meter = TestMeter::set_up(0).await;
    let answer = meter.signed("POST", PATH, &signed(&keys()[0])).await;
    assert_eq!(code(&answer), (403, "no_key".into()));
    assert_untouched(meter);
}
