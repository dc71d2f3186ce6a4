//! Answers that were altered on their way: any part of any kind of answer.

use std::sync::{Arc, Mutex};

use axum::{
    body::Body,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use protocol::{
    Seq,
    authentication::{ANSWER_MAC_HEADER, Key, NONCE_HEADER, Nonce},
    frame::{FrameHeader, MAC_BYTES},
};

use super::{DEVICE, LIVE, TOKEN, bytes, frame, request_mac, session, signed};
use crate::client::ClientError;

/// What the first answer gives for the request behind it.
const NEXT: Nonce = Nonce([8; 20]);

fn key() -> Key {
    Key::derive(TOKEN, DEVICE)
}

/// Asks for live values; whoever is in between alters the true answer.
async fn altered(alter: fn(&mut Response)) -> Result<(), ClientError> {
    let session = session(move |headers| {
        let mut answer = signed(&headers, &key(), 200, LIVE);
        alter(&mut answer);
        answer
    })
    .await;
    session.live().await.map(drop)
}

#[tokio::test]
async fn an_altered_part_of_an_answer_is_noticed() {
    altered(|_| {}).await.unwrap();
    let alterations: [fn(&mut Response); 9] = [
        |answer| *answer.status_mut() = 201.try_into().unwrap(),
        |answer| *answer.status_mut() = 500.try_into().unwrap(),
        |answer| *answer.body_mut() = Body::from(LIVE.replace('5', "6")),
        |answer| *answer.body_mut() = Body::from(format!("{LIVE} ")),
        |answer| *answer.body_mut() = Body::empty(),
        |answer| {
            let mac = "0".repeat(64).parse().unwrap();
            answer.headers_mut().insert(ANSWER_MAC_HEADER, mac);
        },
        |answer| drop(answer.headers_mut().remove(ANSWER_MAC_HEADER)),
        |answer| {
            let nonce = "0".repeat(40).parse().unwrap();
            answer.headers_mut().insert(NONCE_HEADER, nonce);
        },
        |answer| drop(answer.headers_mut().remove(NONCE_HEADER)),
    ];
    for (case, alter) in alterations.into_iter().enumerate() {
        let error = altered(alter).await.unwrap_err();
        assert!(
            matches!(error, ClientError::NotAuthentic),
            "case {case}: {error:?}"
        );
    }
}

#[tokio::test]
async fn every_digit_of_an_answers_mac_counts() {
    for digit in 0..64 {
        let session = session(move |headers| {
            let mut answer = signed(&headers, &key(), 200, LIVE);
            let mac = answer.headers()[ANSWER_MAC_HEADER].to_str().unwrap();
            let other = if mac.as_bytes()[digit] == b'0' {
                "1"
            } else {
                "0"
            };
            let mut mac = mac.to_owned();
            mac.replace_range(digit..=digit, other);
            answer
                .headers_mut()
                .insert(ANSWER_MAC_HEADER, mac.parse().unwrap());
            answer
        })
        .await;
        let error = session.live().await.unwrap_err();
        assert!(matches!(error, ClientError::NotAuthentic), "{digit}");
    }
}

#[tokio::test]
async fn an_answer_of_before_is_not_taken_again() {
    let first = Arc::new(Mutex::new(None));
    let session = session(move |headers| {
        let mut first = first.lock().unwrap();
        let headers = first.get_or_insert(headers);
        let mac = key().answer_mac(&request_mac(headers), 200, LIVE.as_bytes(), &NEXT);
        let headers = [
            (NONCE_HEADER, NEXT.to_string()),
            (ANSWER_MAC_HEADER, mac.to_string()),
        ];
        (headers, LIVE).into_response()
    })
    .await;
    assert!(session.live().await.is_ok());
    let again = session.live().await.unwrap_err();
    assert!(matches!(again, ClientError::NotAuthentic));
}

/// Reads blocks; returns how many payloads came and the error.
async fn blocks(
    liar: impl Fn(&HeaderMap) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> (usize, Option<ClientError>) {
    let session = session(move |headers| bytes(liar(&headers))).await;
    let mut stream = session.blocks(Seq(0), 1000).await.unwrap();
    let mut came = 0;
    loop {
        match stream.next().await {
            Ok(Some(_)) => came += 1,
            Ok(None) => return (came, None),
            Err(error) => return (came, Some(error)),
        }
    }
}

fn two_frames(headers: &HeaderMap) -> (Vec<u8>, Vec<u8>) {
    (
        frame(headers, 0, false, b"one"),
        frame(headers, 1, true, b"two"),
    )
}

#[tokio::test]
async fn every_bit_of_a_frame_counts() {
    let frame_bytes = 9 + 3 + MAC_BYTES;
    for bit in 0..frame_bytes * 8 {
        let (came, error) = blocks(move |headers| {
            let (first, mut second) = two_frames(headers);
            second[bit / 8] ^= 1 << (bit % 8);
            [first, second].concat()
        })
        .await;
        assert!(came == 1 && error.is_some(), "bit {bit}: {came} {error:?}");
    }
}

#[tokio::test]
async fn frames_cut_at_any_byte_swapped_or_of_another_answer_are_noticed() {
    let whole_bytes = 2 * (9 + 3 + MAC_BYTES);
    for cut in 0..whole_bytes {
        let (came, error) = blocks(move |headers| {
            let (first, second) = two_frames(headers);
            [first, second].concat()[..cut].to_vec()
        })
        .await;
        assert_eq!(came, cut / (whole_bytes / 2), "cut at {cut}");
        assert!(matches!(error, Some(ClientError::CutShort)), "{error:?}");
    }
    let (came, error) = blocks(|headers| {
        let (first, second) = two_frames(headers);
        [second, first].concat()
    })
    .await;
    assert!(came == 0 && error.is_some());
    let other = Arc::new(Mutex::new(None));
    let session = session(move |headers| {
        let mut other = other.lock().unwrap();
        let (first, second) = two_frames(other.get_or_insert(headers));
        let next = [(NONCE_HEADER, NEXT.to_string())];
        (next, [first, second].concat()).into_response()
    })
    .await;
    let mut stream = session.blocks(Seq(0), 1000).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let mut again = session.blocks(Seq(0), 1000).await.unwrap();
    assert!(again.next().await.is_err());
}

/// Returns an event of the true meter.
fn event(headers: &HeaderMap, index: u32, data: &str) -> String {
    let header = FrameHeader {
        length: data.len(),
        index,
        last: false,
    };
    let mac = key().frame_mac(&request_mac(headers), header, data.as_bytes());
    let digits = mac.bytes()[..MAC_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"));
    format!(
        "id: {index} {}\ndata: {data}\n\n",
        digits.collect::<String>()
    )
}

/// Looks at live values; returns how many came and the error.
async fn looked(
    liar: impl Fn(&HeaderMap) -> String + Clone + Send + Sync + 'static,
) -> (usize, Option<ClientError>) {
    let session = session(move |headers| bytes(liar(&headers).into())).await;
    let mut stream = session.live_stream().await.unwrap();
    let mut came = 0;
    loop {
        match stream.next().await {
            Ok(Some(live)) => came += live.uptime_ms as usize / 5,
            Ok(None) => return (came, None),
            Err(error) => return (came, Some(error)),
        }
    }
}

#[tokio::test]
async fn live_values_come_one_after_the_other_up_to_the_end() {
    let (came, error) =
        looked(|headers| (0..3).map(|index| event(headers, index, LIVE)).collect()).await;
    assert!(came == 3 && error.is_none(), "{came} {error:?}");
}

#[tokio::test]
async fn altered_missing_repeated_and_endless_events_are_noticed() {
    let first = |headers: &HeaderMap| event(headers, 0, LIVE);
    let cases: [fn(&HeaderMap) -> String; 9] = [
        |headers| event(headers, 1, LIVE).replace('5', "6"),
        |headers| event(headers, 2, LIVE),
        |headers| event(headers, 0, LIVE),
        |headers| event(headers, 2, LIVE).replace("id: 2", "id: 1"),
        |_| format!("id: 1\ndata: {LIVE}\n\n"),
        |_| format!("data: {LIVE}\n\n"),
        |headers| event(headers, 1, "no JSON"),
        |headers| event(headers, 1, LIVE).trim_end().to_owned(),
        |_| "x".repeat(10_000),
    ];
    for (case, liar) in cases.into_iter().enumerate() {
        let (came, error) = looked(move |headers| first(headers) + &liar(headers)).await;
        assert!(
            came == 1 && error.is_some(),
            "case {case}: {came} {error:?}"
        );
    }
}
