//! Golden bytes, round trips and arbitrary input for the header of an update; the order of versions.

use std::cmp::Ordering;

use proptest::{array::uniform32, collection::vec, prelude::*};
use protocol::firmware::{HEADER_BYTES, Header, NotAHeader, NotAVersion, SemanticVersion};

fn version(text: &str) -> SemanticVersion {
    text.parse().expect(text)
}

fn header() -> Header {
    Header {
        product: "ofmon".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        version: version("1.2.3-rc.1"),
        minimum: version("0.9.0"),
        image_bytes: 599_120,
        image_hash: std::array::from_fn(|index| index as u8),
        signature: [0xa5; 64],
    }
}

#[test]
fn a_header_has_golden_bytes() {
    let mut golden = Vec::new();
    golden.extend(b"OFMF\x01\x00\x00\x00");
    golden.extend(b"ofmon\0\0\0\0\0\0\0\0\0\0\0");
    golden.extend(b"esp32c3\0\0\0\0\0\0\0\0\0");
    golden.extend(b"1.2.3-rc.1\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    golden.extend(b"0.9.0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    golden.extend([0x50, 0x24, 0x09, 0x00, 0, 0, 0, 0]);
    golden.extend(0..32);
    golden.extend([0; 64]);
    golden.extend([0xa5; 64]);
    assert_eq!(header().to_bytes()[..], golden);
    assert_eq!(Header::parse(&header().to_bytes()), Ok(header()));
    assert!(header().is_signed());
}

#[test]
fn each_byte_that_says_nothing_must_be_zero() {
    let bytes = header().to_bytes();
    let mut refused = Vec::new();
    for at in 0..HEADER_BYTES {
        let mut other = bytes;
        other[at] ^= 0x80;
        match Header::parse(&other) {
            Ok(read) => assert_ne!(read, header(), "{at}"),
            Err(NotAHeader) => refused.push(at),
        }
    }
    // What is left to be wrong are the length, the hash and the signature.
    let expected: Vec<usize> = (0..88).chain(92..96).chain(128..192).collect();
    assert_eq!(refused, expected);
}

#[test]
fn versions_are_ordered_as_semantic_versioning_says() {
    let in_order = [
        "0.0.0-0",
        "0.0.0",
        "0.1.0",
        "0.9.9",
        "0.10.0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "2.0.0",
        "2.1.0",
        "2.1.1",
        "99999999999.0.0",
        "100000000000.0.0",
    ];
    for (index, own) in in_order.iter().enumerate() {
        for (other_index, other) in in_order.iter().enumerate() {
            let order = version(own).compare(&version(other));
            assert_eq!(order, index.cmp(&other_index), "{own} {other}");
        }
    }
    let same_age = version("1.0.0+one").compare(&version("1.0.0+two"));
    assert_eq!(same_age, Ordering::Equal);
}

#[test]
fn texts_that_are_no_versions_are_refused() {
    let texts = [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3+",
        "v1.2.3",
        "1.2.x",
        "1.2.3-ä",
        "1.2.3 ",
        "1.2.-3",
        "1.2.3-a.long.before.parts",
    ];
    for text in texts {
        assert_eq!(text.parse::<SemanticVersion>(), Err(NotAVersion), "{text}");
    }
    for text in ["1.2.3-0a", "1.2.3--", "1.2.3+001", "1.2.3-a-b.0+c-d"] {
        version(text);
    }
}

proptest! {
    #[test]
    fn bytes_that_are_a_header_are_its_only_ones(
        flips in vec((0..HEADER_BYTES, any::<u8>()), 0..4),
    ) {
        let mut bytes = header().to_bytes();
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        if let Ok(read) = Header::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_header_comes_back(
        numbers in any::<[u16; 3]>(),
        image_bytes in any::<u32>(),
        image_hash in uniform32(any::<u8>()),
        signature in any::<u8>(),
    ) {
        let [major, minor, patch] = numbers;
        let header = Header {
            version: version(&format!("{major}.{minor}.{patch}")),
            image_bytes,
            image_hash,
            signature: [signature; 64],
            ..header()
        };
        prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header.clone()));
        prop_assert_eq!(header.is_signed(), signature != 0);
    }
}
