//! First-time set-up of a made-up meter: what is sent, what is kept, and what a try that broke off leaves.

use collector::{
    Kind, WallClock,
    client::{Client, ClientError},
    error::Error,
    meters,
    secrets::{SECRETS_FILE, Secret, Secrets},
    setup::{Done, SetupError, ViewingCode, Warning, Wish, check, set_up},
};
use protocol::messages::ChannelSettings;
use tempfile::TempDir;

use crate::meter::{DEVICE, Meter, OnToken, TOKEN};

/// A data directory and a fresh meter.
struct Bench {
    directory: TempDir,
    meter: Meter,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        let meter = Meter::start(0, 10).await;
        meter.inner().token = None;
        let client = Client::new(&meter.url).unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            meter,
            client,
        }
    }

    fn secrets(&self) -> Secrets {
        Secrets::open(self.directory.path()).unwrap()
    }

    /// Sets up as another process would: with what is on the disk.
    async fn set_up(&self, wish: &Wish) -> Result<Done, Error> {
        let info = self.client.info().await?;
        set_up(&self.client, &info, wish, &mut self.secrets()).await
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.directory.path().join(SECRETS_FILE)).unwrap_or_default()
    }
}

fn named(name: &str) -> Wish {
    Wish {
        name: Some(name.to_owned()),
        ..Wish::default()
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn heat_pump() -> ChannelSettings {
    ChannelSettings {
        name: "Heat pump".try_into().unwrap(),
        ct_ratio: 1_000,
    }
}

#[tokio::test]
async fn everything_goes_to_the_meter_in_one_message() {
    let bench = Bench::new().await;
    let wish = Wish {
        name: Some("Attic".to_owned()),
        interval_ms: Some(5_000),
        channels: vec![heat_pump()],
        code: ViewingCode::Random,
        password: Some(secret("an access point's")),
        token: None,
    };
    let done = bench.set_up(&wish).await.unwrap();
    assert_eq!((done.name.as_str(), done.was_ours), ("Attic", false));
    let sent = bench.meter.inner().setups.clone();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].name.as_str(), sent[0].interval_ms),
        ("Attic", Some(5_000))
    );
    assert_eq!(sent[0].channels.as_slice(), [heat_pump()]);
    let secrets = bench.secrets();
    assert_eq!(
        secrets.token(DEVICE).unwrap().reveal(),
        sent[0].token.as_str()
    );
    assert_eq!(secrets.password(DEVICE), wish.password.as_ref());
    let code = done.code.unwrap();
    assert_eq!(secrets.code(DEVICE), Some(&code));
    assert_eq!(sent[0].code.as_deref(), Some(code.reveal()));
    assert_eq!(code.reveal().len(), 8);
    assert!(!bench.file().contains("pending"));
}

#[tokio::test]
async fn a_set_up_that_breaks_off_is_completed_by_the_next_try() {
    let bench = Bench::new().await;
    bench.meter.inner().cut_setup = true;
    let wish = Wish {
        code: ViewingCode::Random,
        ..named("Attic")
    };
    let cut = bench.set_up(&wish).await.unwrap_err();
    assert!(bench.secrets().token(DEVICE).is_none(), "{cut}");
    assert!(bench.file().contains("pending-token"));
    // Another process, later.
    let done = bench.set_up(&wish).await.unwrap();
    assert!(!done.was_ours);
    let token = bench.secrets().token(DEVICE).unwrap().reveal().to_owned();
    assert_eq!(bench.meter.inner().token.as_deref(), Some(token.as_str()));
    assert_eq!(token.len(), 20);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let sent = bench.meter.inner().setups[0].clone();
    assert_eq!(sent.code.as_deref(), done.code.as_ref().map(Secret::reveal));
    let shown = format!("{:?} {cut:?} {cut} {sent:?} {done:?}", bench.secrets());
    assert!(!shown.contains(&token), "no token in what is shown");
    assert!(bench.file().contains(&token) && !bench.file().contains("pending"));
}

#[tokio::test]
async fn a_meter_of_someone_else_is_not_set_up_and_nothing_is_kept() {
    let bench = Bench::new().await;
    bench.meter.inner().token = Some(TOKEN.to_owned());
    let error = bench.set_up(&named("Mine")).await.unwrap_err();
    assert!(
        matches!(error, Error::Setup(SetupError::AlreadySetUp)),
        "{error}"
    );
    assert_eq!((error.kind(), bench.file().as_str()), (Kind::Refused, ""));
    let known = Wish {
        token: Some(secret(TOKEN)),
        ..Wish::default()
    };
    bench.set_up(&known).await.unwrap();
    assert_eq!(bench.secrets().token(DEVICE).unwrap().reveal(), TOKEN);
}

#[tokio::test]
async fn a_meter_that_is_ours_gets_what_was_named_and_nothing_else() {
    let bench = Bench::new().await;
    bench.set_up(&named("Attic")).await.unwrap();
    let token = bench.secrets().token(DEVICE).cloned();
    let same = bench.set_up(&Wish::default()).await.unwrap();
    assert_eq!((same.was_ours, same.name.as_str()), (true, "Attic"));
    let wish = Wish {
        channels: vec![heat_pump()],
        code: ViewingCode::Given(secret("letmein1")),
        ..named("Roof")
    };
    let changed = bench.set_up(&wish).await.unwrap();
    assert_eq!((changed.was_ours, changed.name.as_str()), (true, "Roof"));
    let config = bench.meter.inner().config.clone();
    assert_eq!(config.channels.as_slice(), [heat_pump()]);
    assert_eq!(bench.secrets().code(DEVICE).unwrap().reveal(), "letmein1");
    assert_eq!(bench.secrets().token(DEVICE).cloned(), token);
    assert_eq!(bench.meter.inner().setups.len(), 1, "set up once");
}

#[tokio::test]
async fn a_meter_that_was_reset_gets_another_token_than_it_had() {
    let bench = Bench::new().await;
    bench.set_up(&named("Attic")).await.unwrap();
    let before = bench.secrets().token(DEVICE).cloned().unwrap();
    bench.meter.inner().token = None;
    let done = bench.set_up(&named("Attic")).await.unwrap();
    assert!(!done.was_ours);
    assert_ne!(bench.secrets().token(DEVICE), Some(&before));
}

/// What a meter says of itself before it is set up is not authenticated: anyone may have its name.
#[tokio::test]
async fn a_token_in_use_is_not_sent_to_whoever_says_that_the_meter_is_new() {
    let bench = Bench::new().await;
    bench.set_up(&named("Attic")).await.unwrap();
    let in_use = bench.secrets().token(DEVICE).cloned().unwrap();
    let waiting = secret("a-token-that-waits-20");
    assert!(bench.secrets().wish_token(DEVICE, &waiting).unwrap());
    bench.meter.inner().token = None;
    bench.set_up(&named("Attic")).await.unwrap();
    let [first, second] = &bench.meter.inner().setups[..] else {
        panic!("set up twice");
    };
    assert_eq!(first.token.as_str(), in_use.reveal());
    let sent = second.token.as_str();
    assert!(sent != in_use.reveal() && sent != waiting.reveal());
}

#[tokio::test]
async fn a_meter_that_is_ours_takes_the_token_of_the_device_that_is_chosen() {
    let bench = Bench::new().await;
    bench.set_up(&named("Attic")).await.unwrap();
    let wish = Wish {
        token: Some(secret("the-server's-token-20")),
        ..Wish::default()
    };
    bench.set_up(&wish).await.unwrap();
    assert_eq!(bench.secrets().token(DEVICE), wish.token.as_ref());
    assert_eq!(bench.meter.inner().tokens, ["the-server's-token-20"]);
    assert!(bench.secrets().is_settled(DEVICE));
    // A meter that knows no such request says so, and keeps what it has.
    bench.meter.inner().on_token = OnToken::Unknown;
    let other = Wish {
        token: Some(secret("another-token-of-20.")),
        ..Wish::default()
    };
    let error = bench.set_up(&other).await.unwrap_err();
    assert!(matches!(error, Error::Client(ClientError::Answered { .. })));
    assert_eq!(bench.secrets().token(DEVICE), wish.token.as_ref());
}

#[tokio::test]
async fn what_does_not_fit_is_said_before_anything_is_sent() {
    let bench = Bench::new().await;
    let channels = |count: usize, ct_ratio| {
        let channel = ChannelSettings {
            ct_ratio,
            ..heat_pump()
        };
        vec![channel; count]
    };
    let code = |text: &str| Wish {
        code: ViewingCode::Given(secret(text)),
        ..Wish::default()
    };
    let wishes = [
        named(""),
        named(&"x".repeat(49)),
        code("short"),
        code("with a space"),
        code(&"x".repeat(33)),
        Wish {
            token: Some(secret("too-short")),
            ..Wish::default()
        },
        Wish {
            interval_ms: Some(999),
            ..Wish::default()
        },
        Wish {
            channels: channels(2, 2_000),
            ..Wish::default()
        },
        Wish {
            channels: channels(1, 0),
            ..Wish::default()
        },
    ];
    for wish in wishes {
        let error = bench.set_up(&wish).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
    assert!(bench.meter.inner().setups.is_empty());
    assert_eq!(bench.file(), "");
}

#[tokio::test]
async fn one_device_of_the_server_is_not_two_meters() {
    let bench = Bench::new().await;
    let other = protocol::DeviceId([9; 6]);
    bench
        .secrets()
        .set(&format!("token:{other}"), secret(TOKEN))
        .unwrap();
    let wish = Wish {
        token: Some(secret(TOKEN)),
        ..Wish::default()
    };
    let error = bench.set_up(&wish).await.unwrap_err();
    assert!(
        matches!(error, Error::Setup(SetupError::TokenOfAnother(owner)) if owner == other),
        "{error}"
    );
    assert!(bench.meter.inner().setups.is_empty());
}

#[tokio::test]
async fn the_time_is_told_and_a_reading_shown() {
    let bench = Bench::new().await;
    let done = bench.set_up(&named("Attic")).await.unwrap();
    let clock = WallClock::default();
    let begun_ms = clock.now_ms();
    let checked = check(&done.session, &clock).await.unwrap();
    let told = checked.clock.unwrap();
    assert!((told.utc_ms - begun_ms).abs() < 2_000, "{told:?}");
    assert_eq!(bench.meter.inner().events.len(), 1);
    assert_eq!(checked.warnings, [Warning::Nothing], "it has no channels");
}

#[tokio::test]
async fn whatever_answers_like_a_meter_at_the_access_point_is_in_range() {
    let bench = Bench::new().await;
    let found = meters::joined(&bench.meter.url).await.unwrap();
    assert_eq!(
        (found.device, found.ssid.as_str()),
        (DEVICE, "OFMON-020F6D000001")
    );
    let password = secret("any");
    assert_eq!(found.join(Some(&password)).unwrap(), Some(password));
    assert_eq!(meters::joined("http://127.0.0.1:9").await, None);
    // Something that takes the connection and says nothing is waited for a moment only.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = std::time::Instant::now();
    let url = format!("http://{}", silent.local_addr().unwrap());
    assert_eq!(meters::joined(&url).await, None);
    assert!(begun.elapsed().as_secs_f64() < 2.0);
}
