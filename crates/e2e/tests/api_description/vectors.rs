//! The test vectors of the guide are what meters and collectors compute.

use std::collections::BTreeMap;

use protocol::{
    DeviceId,
    authentication::{BodyHash, Key, Nonce, SealedToken},
    frame::FrameHeader,
};

use crate::guide;

#[test]
fn the_test_vectors_of_the_guide_are_right() {
    let vectors: BTreeMap<String, String> = guide::rows("## Test vectors")
        .into_iter()
        .filter_map(|cells| {
            let [name, value] = &cells[..] else {
                return None;
            };
            Some((name.clone(), value.trim_matches('`').to_owned()))
        })
        .collect();
    let of = |name: &str| {
        vectors
            .get(name)
            .unwrap_or_else(|| panic!("no row {name}"))
            .as_str()
    };
    let device: DeviceId = of("device").parse().unwrap();
    let key = Key::derive(of("token"), device);
    let nonce: Nonce = of("nonce").parse().unwrap();
    let body = BodyHash::of(of("body").as_bytes());
    let request = key.request_mac(of("method"), of("path with query"), &body, &nonce);
    assert_eq!(body.to_string(), of("SHA-256 of the body"));
    assert_eq!(request.to_string(), of("MAC of the request"));
    let next: Nonce = of("next nonce").parse().unwrap();
    let status = of("status").parse().unwrap();
    let answer = key.answer_mac(&request, status, of("body of the answer").as_bytes(), &next);
    assert_eq!(answer.to_string(), of("MAC of the answer"));
    let payload = of("payload of the frame").as_bytes();
    let header = FrameHeader {
        length: payload.len(),
        index: of("index of the frame").parse().unwrap(),
        last: of("last").parse::<u8>().unwrap() == 1,
    };
    let frame = key.frame_mac(&request, header, payload).to_string();
    assert_eq!(frame[..32], *of("MAC of the frame"));
    let token = of("new token").try_into().unwrap();
    assert_eq!(
        key.seal_token(&nonce, &token).to_string(),
        of("sealed token")
    );
    let sealed: SealedToken = of("sealed token").parse().unwrap();
    assert_eq!(key.open_token(&nonce, &sealed), Some(token));
}
