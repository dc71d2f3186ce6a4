//! A meter gets another token: the old one opens the door for the new one, and nothing is lost when the way breaks.

use collector::{
    client::{Client, ClientError},
    error::Error,
    secrets::{SECRETS_FILE, Secret, Secrets},
    tokens::{Settled, settle},
};
use tempfile::TempDir;

use crate::meter::{DEVICE, Meter, OnToken, TOKEN};

const NEW: &str = "a-new-token-of-20-ch";
const NEWER: &str = "a-newer-token-20-ch.";

/// A meter with the token that is known here.
struct Bench {
    directory: TempDir,
    meter: Meter,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bench = Self {
            directory,
            meter: Meter::start(0, 10).await,
        };
        bench
            .secrets()
            .set(&format!("token:{DEVICE}"), secret(TOKEN))
            .unwrap();
        bench
    }

    fn secrets(&self) -> Secrets {
        Secrets::open(self.directory.path()).unwrap()
    }

    fn wish(&self, token: &str) -> bool {
        self.secrets().wish_token(DEVICE, &secret(token)).unwrap()
    }

    async fn settle(&self) -> Result<Settled, Error> {
        let mut secrets = self.secrets();
        let token = secrets.token(DEVICE).unwrap().clone();
        settle(
            &Client::new(&self.meter.url).unwrap(),
            DEVICE,
            &token,
            &mut secrets,
        )
        .await
    }

    /// Asserts that meter and data directory agree on a token, and that no other is kept.
    fn assert_agreed(&self, token: &str) {
        assert_eq!(self.meter.inner().token.as_deref(), Some(token));
        let kept = std::fs::read_to_string(self.directory.path().join(SECRETS_FILE)).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(
            kept,
            serde_json::json!({ format!("token:{DEVICE}"): token })
        );
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_session_goes_on_with_the_token_that_it_gave() {
    let bench = Bench::new().await;
    let session = bench.meter.session();
    session.change_token(NEW).await.unwrap();
    assert_eq!(bench.meter.inner().token.as_deref(), Some(NEW));
    session.live().await.unwrap();
    let old = bench.meter.session().live().await;
    assert!(matches!(old, Err(ClientError::Refused)));
}

#[tokio::test]
async fn a_token_that_no_meter_takes_is_not_sent() {
    let bench = Bench::new().await;
    let long = "x".repeat(65);
    for token in [
        "",
        "short",
        "with a space in it.",
        "l\u{e4}nger-als-sechzehn",
        &long,
    ] {
        let error = bench.meter.session().change_token(token).await.unwrap_err();
        assert!(matches!(error, ClientError::NoToken), "{error}");
    }
    assert_eq!(bench.meter.inner().requests, 0);
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_open() {
    let bench = Bench::new().await;
    assert!(!bench.wish(TOKEN), "it has that one");
    assert!(!bench.settle().await.unwrap().changed);
    assert_eq!(bench.meter.inner().requests, 0);
}

#[tokio::test]
async fn a_wished_token_is_handed_over_and_the_old_one_forgotten() {
    let bench = Bench::new().await;
    assert!(bench.wish(NEW));
    let settled = bench.settle().await.unwrap();
    assert!(settled.changed && settled.declined.is_none());
    settled.session.live().await.unwrap();
    bench.assert_agreed(NEW);
}

#[tokio::test]
async fn a_change_that_broke_off_is_settled_by_the_next_visit_whichever_way_it_went() {
    for on_token in [OnToken::TakeAndCut, OnToken::LeaveAndCut] {
        let bench = Bench::new().await;
        bench.wish(NEW);
        bench.meter.inner().on_token = on_token;
        let error = bench.settle().await.unwrap_err();
        assert!(
            matches!(error, Error::Client(ClientError::Unreachable(_))),
            "{error}"
        );
        assert_eq!(
            bench.secrets().token(DEVICE).unwrap().reveal(),
            TOKEN,
            "not forgotten"
        );
        bench.meter.inner().on_token = OnToken::Take;
        let settled = bench.settle().await.unwrap();
        assert!(settled.changed, "{on_token:?}");
        bench.assert_agreed(NEW);
    }
}

#[tokio::test]
async fn the_last_wish_counts_also_when_the_one_before_broke_off() {
    for on_token in [OnToken::TakeAndCut, OnToken::LeaveAndCut] {
        for (wished, agreed) in [(NEWER, NEWER), (TOKEN, TOKEN)] {
            let bench = Bench::new().await;
            bench.wish(NEW);
            bench.meter.inner().on_token = on_token;
            bench.settle().await.unwrap_err();
            // The server has another one by now, or the old one again.
            assert!(bench.wish(wished));
            bench.meter.inner().on_token = OnToken::Take;
            bench.settle().await.unwrap();
            bench.assert_agreed(agreed);
        }
    }
}

#[tokio::test]
async fn a_meter_that_cannot_change_its_token_is_visited_all_the_same() {
    let bench = Bench::new().await;
    bench.wish(NEW);
    bench.meter.inner().on_token = OnToken::Unknown;
    let settled = bench.settle().await.unwrap();
    assert!(!settled.changed && settled.declined.is_some());
    settled.session.live().await.unwrap();
    assert!(
        !bench.secrets().is_settled(DEVICE),
        "it is tried again with the next visit"
    );
    bench.meter.inner().on_token = OnToken::Take;
    bench.settle().await.unwrap();
    bench.assert_agreed(NEW);
}

#[tokio::test]
async fn a_change_that_someone_in_between_denies_is_settled_by_the_next_visit() {
    let bench = Bench::new().await;
    bench.wish(NEW);
    bench.meter.inner().on_token = OnToken::TakeAndDeny;
    let settled = bench.settle().await.unwrap();
    assert!(!settled.changed && settled.declined.is_some());
    assert_eq!(bench.meter.inner().token.as_deref(), Some(NEW));
    assert!(bench.settle().await.unwrap().changed);
    bench.assert_agreed(NEW);
}

#[tokio::test]
async fn a_meter_with_a_third_token_is_refused_and_nothing_is_forgotten() {
    let bench = Bench::new().await;
    bench.wish(NEW);
    bench.meter.inner().token = Some("someone-else's-token".to_owned());
    let error = bench.settle().await.unwrap_err();
    assert!(
        matches!(error, Error::Client(ClientError::Refused)),
        "{error}"
    );
    assert_eq!(bench.secrets().token(DEVICE).unwrap().reveal(), TOKEN);
    assert_eq!(bench.secrets().next_token(DEVICE).unwrap().reveal(), NEW);
}
