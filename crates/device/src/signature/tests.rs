//! Vectors of RFC 8032, and what a lax verification would believe.

use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};

use super::*;

/// Public key, message and signature in hexadecimal: RFC 8032, section 7.1, tests 1, 2, 3 and SHA(abc).
const RFC_8032: [[&str; 3]; 4] = [
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];
/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
        .collect()
}

fn vector([key, message, signature]: [&str; 3]) -> (PublicKey, Vec<u8>, [u8; 64]) {
    (
        bytes(key).try_into().unwrap(),
        bytes(message),
        bytes(signature).try_into().unwrap(),
    )
}

#[test]
fn vectors_of_the_standard_hold_and_none_of_them_with_a_bit_turned() {
    for hexadecimal in RFC_8032 {
        let (key, message, signature) = vector(hexadecimal);
        assert!(is_by(&key, &message, &signature));
        for bit in 0..512 {
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_by(&key, &message, &other), "bit {bit}");
        }
        for bit in 0..message.len() * 8 {
            let mut other = message.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_by(&key, &other, &signature), "bit {bit}");
        }
    }
}

#[test]
fn second_encoding_of_a_signature_is_refused() {
    let (key, message, mut signature) = vector(RFC_8032[1]);
    // s + L is the same number to the curve.
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!is_by(&key, &message, &signature));
}

#[test]
fn key_that_signs_everything_is_refused() {
    // The neutral point: R = s·B - k·A holds for R = A = neutral and s = 0, whatever the message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&neutral);
    let key = VerifyingKey::from_bytes(&neutral).unwrap();
    assert!(
        ed25519_dalek::Verifier::verify(&key, b"any", &Signature::from_bytes(&signature)).is_ok()
    );
    assert!(!is_by(&neutral, b"any", &signature));
    // Bytes that are no point at all.
    assert!(!is_by(&[0xff; 32], b"any", &signature));
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert!(!is_by(&no_point, b"any", &signature));
}

#[test]
fn each_of_the_keys_is_believed_and_no_other() {
    let keys = [1, 2, 3].map(|byte| SigningKey::from_bytes(&[byte; 32]));
    let public = [0, 1].map(|index: usize| keys[index].verifying_key().to_bytes());
    for (index, key) in keys.iter().enumerate() {
        let mut header = [7; HEADER_BYTES];
        let signature = key.sign(&header[..SIGNED_BYTES]).to_bytes();
        header[SIGNED_BYTES..].copy_from_slice(&signature);
        assert_eq!(is_by_any(&public, &header), index < 2);
        assert!(!is_by_any(&[], &header));
        header[SIGNED_BYTES - 1] ^= 1;
        assert!(!is_by_any(&public, &header));
    }
}
