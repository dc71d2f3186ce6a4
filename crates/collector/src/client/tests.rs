//! Whoever answers may lie; a lie is an error and nothing comes of it.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use protocol::{
    DeviceId, Seq, StoreId,
    authentication::{
        ANSWER_MAC_HEADER, Authorization, BODY_HASH_HEADER, Key, Mac, NONCE_HEADER, Nonce,
    },
    frame::{FrameHeader, MAC_BYTES},
    messages::Info,
};

use super::{Client, ClientError, Session};

mod altered;

const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
const DEVICE: DeviceId = DeviceId([1, 2, 3, 4, 5, 6]);
const NONCE: Nonce = Nonce([7; 20]);

fn info() -> Info {
    Info {
        device: DEVICE,
        product: "ofmon".try_into().unwrap(),
        firmware: "0.1.0".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        api: 1,
        store: StoreId(9),
        set_up: true,
        name: "Cellar".try_into().unwrap(),
        boot: 1,
        uptime_ms: 1000,
        oldest: Seq(0),
        next: Seq(3),
        next_event: 1,
        clock_set: false,
        interval_ms: 10_000,
        channels: 1,
        viewable: false,
        nonce: NONCE,
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A session with something that answers every other request with what `liar` makes of it.
async fn session(liar: impl Fn(HeaderMap) -> Response + Clone + Send + Sync + 'static) -> Session {
    let router = Router::new()
        .route(
            "/api/v1/info",
            get(|| async { serde_json::to_string(&info()).unwrap() }),
        )
        .fallback(any(move |request: Request| {
            let answer = liar(request.headers().clone());
            async { answer }
        }));
    let address = serve(router).await;
    Client::new(&format!("http://{address}"))
        .unwrap()
        .session(DEVICE, TOKEN)
}

/// Returns the MAC of a request, as the real meter would compute it.
fn request_mac(headers: &HeaderMap) -> Mac {
    let text = headers["authorization"].to_str().unwrap();
    text.parse::<Authorization>().unwrap().mac
}

fn signed(headers: &HeaderMap, key: &Key, status: u16, body: &'static str) -> Response {
    assert!(headers.contains_key(BODY_HASH_HEADER));
    let mac = key.answer_mac(&request_mac(headers), status, body.as_bytes(), &NONCE);
    let headers = [
        (NONCE_HEADER, NONCE.to_string()),
        (ANSWER_MAC_HEADER, mac.to_string()),
    ];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

fn frame(headers: &HeaderMap, index: u32, last: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        length: payload.len(),
        index,
        last,
    };
    let mac = Key::derive(TOKEN, DEVICE).frame_mac(&request_mac(headers), header, payload);
    [&header.to_bytes()[..], payload, &mac.bytes()[..MAC_BYTES]].concat()
}

const LIVE: &str = r#"{"uptime_ms":5,"channels":[]}"#;

#[tokio::test]
async fn an_authentic_answer_is_taken() {
    let session = session(|headers| signed(&headers, &Key::derive(TOKEN, DEVICE), 200, LIVE)).await;
    assert_eq!(session.live().await.unwrap().uptime_ms, 5);
}

#[tokio::test]
async fn an_answer_of_someone_without_the_token_is_not_taken() {
    let other = session(|headers| {
        signed(
            &headers,
            &Key::derive("another-token-20-ch.", DEVICE),
            200,
            LIVE,
        )
    })
    .await;
    assert!(matches!(other.live().await, Err(ClientError::NotAuthentic)));
    let nobody = session(|_| LIVE.into_response()).await;
    assert!(matches!(
        nobody.live().await,
        Err(ClientError::NotAuthentic)
    ));
}

#[tokio::test]
async fn a_refusal_is_tried_once_more_and_then_believed() {
    let session = session(|_| {
        (
            StatusCode::UNAUTHORIZED,
            [(NONCE_HEADER, NONCE.to_string())],
            "{}",
        )
            .into_response()
    })
    .await;
    assert!(matches!(session.live().await, Err(ClientError::Refused)));
}

/// Older firmware does not know every request, and says so without a MAC.
#[tokio::test]
async fn a_question_that_the_meter_does_not_know_is_refused_without_a_mac() {
    const REFUSAL: &str = r#"{"error":{"code":"no","message":"no"}}"#;
    for status in [200, 400, 404, 405, 409, 500, 503] {
        let session = session(move |_| {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(NONCE_HEADER, NONCE.to_string())], REFUSAL).into_response()
        })
        .await;
        let is_believed = [404, 405].contains(&status);
        let error = session.live().await.unwrap_err();
        match error {
            ClientError::Answered { status: said, .. } => assert!(is_believed && said == status),
            ClientError::NotAuthentic => assert!(!is_believed, "{status}"),
            other => panic!("{status}: {other}"),
        }
        // What may have changed something is not known to be undone.
        let change = session.change_token("a-token-of-20-chars.").await;
        let is_open = matches!(change, Err(ClientError::NotAuthentic));
        assert!(is_open, "{status}: {change:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let session = session(|_| "x".repeat(5000).into_response()).await;
    assert!(matches!(session.live().await, Err(ClientError::TooLong)));
}

#[tokio::test]
async fn a_web_page_is_no_meter() {
    let address = serve(Router::new().fallback(any(|| async { "<html>Welcome</html>" }))).await;
    let client = Client::new(&format!("http://{address}")).unwrap();
    assert!(matches!(
        client.info().await,
        Err(ClientError::NotAMeter(_))
    ));
}

#[tokio::test]
async fn another_meter_is_noticed() {
    let session = session(|_| "".into_response()).await;
    let other = session.client.session(DeviceId([9; 6]), TOKEN);
    assert!(matches!(
        other.live().await,
        Err(ClientError::OtherMeter { .. })
    ));
}

#[tokio::test]
async fn nothing_listening_is_unreachable_and_the_error_tells_no_address_with_secrets() {
    let client = Client::new("http://127.0.0.1:9").unwrap();
    let error = client.session(DEVICE, TOKEN).live().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)));
    assert!(!format!("{error:?}").contains(TOKEN));
}

async fn payloads(liar: fn(HeaderMap) -> Response) -> (Vec<Vec<u8>>, Option<ClientError>) {
    let session = session(liar).await;
    let mut stream = session.blocks(Seq(0), 1000).await.unwrap();
    let mut payloads = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(payload)) => payloads.push(payload),
            Ok(None) => return (payloads, None),
            Err(error) => return (payloads, Some(error)),
        }
    }
}

fn bytes(bytes: Vec<u8>) -> Response {
    Response::new(Body::from(bytes))
}

#[tokio::test]
async fn frames_come_in_order_up_to_the_last() {
    let (payloads, error) = payloads(|headers| {
        bytes(
            [
                frame(&headers, 0, false, b"one"),
                frame(&headers, 1, true, b"two"),
                b"rest".to_vec(),
            ]
            .concat(),
        )
    })
    .await;
    assert_eq!(payloads, [b"one".to_vec(), b"two".to_vec()]);
    assert!(error.is_none(), "{error:?}");
}

#[tokio::test]
async fn altered_missing_repeated_and_cut_frames_are_noticed() {
    let cases: [fn(HeaderMap) -> Response; 5] = [
        |headers| {
            let mut altered = frame(&headers, 1, true, b"two");
            altered[10] ^= 1;
            bytes([frame(&headers, 0, false, b"one"), altered].concat())
        },
        |headers| {
            bytes(
                [
                    frame(&headers, 0, false, b"one"),
                    frame(&headers, 2, true, b"two"),
                ]
                .concat(),
            )
        },
        |headers| {
            bytes(
                [
                    frame(&headers, 0, false, b"one"),
                    frame(&headers, 0, false, b"one"),
                ]
                .concat(),
            )
        },
        |headers| bytes(frame(&headers, 0, false, b"one")),
        |headers| {
            bytes(
                [
                    frame(&headers, 0, false, b"one"),
                    frame(&headers, 1, false, b""),
                ]
                .concat(),
            )
        },
    ];
    for (case, liar) in cases.into_iter().enumerate() {
        let (payloads, error) = payloads(liar).await;
        assert_eq!(payloads, [b"one".to_vec()], "case {case}");
        assert!(error.is_some(), "case {case}");
    }
}
