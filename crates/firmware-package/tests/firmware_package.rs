//! Packages and keys: round trips, what OpenSSL wrote, what is refused.

use firmware_package::{
    KeyError, Package, PackageError, SecretKey,
    keys::{fingerprint, public_from_pem, public_to_pem},
};
use proptest::prelude::*;

/// The key of RFC 8032's first test, as `openssl pkey` writes it.
const SECRET: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

fn package() -> Package {
    Package::new("esp32c3", "1.2.3-rc.1", "0.9.0", b"image").unwrap()
}

#[test]
fn keys_are_the_files_that_openssl_writes() {
    let key = SecretKey::from_pem(SECRET).unwrap();
    assert_eq!(key.to_pem().as_str(), SECRET);
    assert_eq!(public_from_pem(PUBLIC), Ok(key.public()));
    assert_eq!(public_to_pem(&key.public()).unwrap(), PUBLIC);
    assert!(!format!("{key:?}").contains("9d61"));
    let said = fingerprint(&key.public()).unwrap();
    assert_eq!(said.len(), 64);
}

#[test]
fn what_is_no_key_is_refused_without_quoting_it() {
    for text in [
        "",
        PUBLIC,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        assert_eq!(
            SecretKey::from_pem(text).unwrap_err(),
            KeyError::NotASecretKey
        );
    }
    // The neutral point would verify a signature of anything.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    for text in ["", SECRET, weak] {
        assert_eq!(public_from_pem(text), Err(KeyError::NotAPublicKey));
    }
}

#[test]
fn new_keys_differ_and_sign() {
    let keys = [0, 1].map(|_| SecretKey::generate().unwrap());
    assert_ne!(keys[0].public(), keys[1].public());
    let signed = package().signed(&keys[0]);
    assert!(signed.is_signed_by(&keys[0].public()));
    assert!(!signed.is_signed_by(&keys[1].public()));
    assert!(!package().is_signed_by(&keys[0].public()));
    // Signing again replaces the signature.
    assert!(signed.signed(&keys[1]).is_signed_by(&keys[1].public()));
}

#[test]
fn package_comes_back_from_its_file() {
    let signed = package().signed(&SecretKey::from_pem(SECRET).unwrap());
    let read = Package::parse(signed.bytes().to_vec()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.image(), b"image");
    assert_eq!(read.file_name(), "1.2.3-rc.1-esp32c3.ofmon");
    assert_eq!(read.header().minimum.as_str(), "0.9.0");
}

#[test]
fn file_that_is_damaged_or_for_something_else_is_refused_with_the_reason() {
    let good = package().bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Package::parse(bytes)
    };
    assert_eq!(changed(0, b'X').unwrap_err(), PackageError::NotAnUpdate);
    assert!(matches!(
        changed(8, b'X').unwrap_err(),
        PackageError::Product(_)
    ));
    assert_eq!(changed(256, b'X').unwrap_err(), PackageError::WrongImage);
    assert_eq!(
        changed(96, !good[96]).unwrap_err(),
        PackageError::WrongImage
    );
    let cut = Package::parse(good[..260].to_vec()).unwrap_err();
    assert_eq!(
        cut,
        PackageError::Length {
            stated: 5,
            found: 4
        }
    );
    assert_eq!(
        Package::parse(good[..255].to_vec()).unwrap_err(),
        PackageError::NotAnUpdate
    );
}

#[test]
fn nothing_is_made_of_what_no_meter_takes() {
    let made = |chip, version, image: &[u8]| Package::new(chip, version, "0.0.0", image);
    assert!(matches!(
        made("esp32c3", "new", b"i"),
        Err(PackageError::Version(_))
    ));
    assert!(matches!(
        made("a chip", "1.0.0", b"i"),
        Err(PackageError::Chip(_))
    ));
    assert!(matches!(
        made("a-chip-with-a-long-name", "1.0.0", b"i"),
        Err(PackageError::Chip(_))
    ));
    assert_eq!(
        made("esp32c3", "1.0.0", b"").unwrap_err(),
        PackageError::ImageSize(0)
    );
    let long = vec![0; 921_601];
    assert_eq!(
        made("esp32c3", "1.0.0", &long).unwrap_err(),
        PackageError::ImageSize(921_601)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(package) = Package::parse(bytes.clone()) {
            prop_assert_eq!(package.bytes(), bytes);
        }
    }

    #[test]
    fn no_byte_of_a_signed_package_can_change(at in 0_usize..261, flip in 1_u8..) {
        let key = SecretKey::from_pem(SECRET).unwrap();
        let mut bytes = package().signed(&key).bytes().to_vec();
        bytes[at] ^= flip;
        let read = Package::parse(bytes);
        prop_assert!(!read.is_ok_and(|read| read.is_signed_by(&key.public())));
    }
}
